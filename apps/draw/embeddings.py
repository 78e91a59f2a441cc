"""Captions as the two networks get them: the text encoder's numbers, made comparable.

    standard       each number less its mean, divided by its deviation
    discriminant   directions in which captions of different pictures differ more than those of one
                   picture, all of about the same variance

The second is Fisher's linear discriminant analysis. With the covariances S of the captions of one
picture around their mean, and B of these means, W whitens S, the eigenvectors U of W'BW are
directions, and its eigenvalues b how much more captions differ between pictures than within:

    t' = (t - mean) W U diag(sqrt(b) / (b + 1))        of variance b / (b + 1) in each direction

The means of n captions differ by S / n without saying anything else, which is taken from B first.
So how a sentence is put is taken away, and what it says has equal strength in each direction: else
colors, which are easy to see, are most of an embedding, and brown against black, or the number of
petals, next to nothing. Where pictures have one caption each, it is whitening with a floor. Where
captions of different pictures differ no more than those of one, it is the first way.

The statistics are those of the training alone. They are linear, so they become part of the last
layer of the encoder that the networks get: a picture for a new sentence needs them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np

import minidl
from apps.draw.texts import Words
from minidl import nn
from minidl.tensor import Tensor

AT_ONCE = 256  # captions
SMALLEST = 1e-3  # deviation of a number that says anything
FLOOR = 1e-3  # of the mean variance: how much captions of one picture differ at least


def made_comparable(
    encoder: nn.Module, captions: np.ndarray, groups: Sequence[np.ndarray] | None = None
) -> nn.Module:
    """A text encoder whose embeddings are comparable, and which does not learn any more.

    Args:
        encoder: (numbers, lengths) -> (N, D), whose last layer is the Linear `out`; it stays as it
            is.
        captions: what it makes of the training's captions, (T, D).
        groups: numbers of captions that say the same, for the discriminant way; None for the
            standard one.
    """
    values = captions.astype(np.float64)
    matrix = standard(values) if groups is None else discriminant(values, groups)
    made = copy.deepcopy(encoder).freeze().eval()
    weight = matrix.T @ made.out.weight.detach().numpy().astype(np.float64)
    bias = (made.out.bias.detach().numpy() - values.mean(0)) @ matrix
    made.out.load_state_dict({"weight": weight.astype("f4"), "bias": bias.astype("f4")})
    return made


def standard(captions: np.ndarray) -> np.ndarray:
    """The matrix that divides each number by its deviation."""
    return np.diag(1 / np.maximum(captions.std(0), SMALLEST))


def discriminant(captions: np.ndarray, groups: Sequence[np.ndarray]) -> np.ndarray:
    """The matrix of this module's second way; its embeddings have as much variance as the first's.

    Args:
        captions: (T, D).
        groups: numbers of captions that say the same; a caption may be in several.
    """
    if len(groups) < 2 or not captions.var(0).any():
        return standard(captions)
    means = np.stack([captions[group].mean(0) for group in groups])
    apart = np.concatenate([captions[g] - m for g, m in zip(groups, means)])
    size = captions.shape[1]
    floor = FLOOR * captions.var(0, ddof=1).mean()
    values, vectors = np.linalg.eigh(apart.T @ apart / len(apart) + floor * np.eye(size))
    whitens = vectors / np.sqrt(values)
    between, directions = np.linalg.eigh(whitens.T @ np.atleast_2d(np.cov(means.T)) @ whitens)
    between = np.maximum(between - np.mean([1 / len(group) for group in groups]), 0)
    matrix = whitens @ directions * (np.sqrt(between) / (between + 1))
    variance = ((captions - captions.mean(0)) @ matrix).var(0).sum()
    return matrix * np.sqrt(size / variance) if variance > 0 else standard(captions)


def embed(module: nn.Module, reader: Words, texts: Sequence[str]) -> np.ndarray:
    """Embeddings of captions.

    Args:
        module: a text encoder.
        reader: that it learned with.
        texts: the captions.

    Returns:
        float32 (N, D).

    Raises:
        DataError: a caption is empty.
    """
    found = []
    with minidl.no_grad(), nn.evaluating(module):
        for first in range(0, len(texts), AT_ONCE):
            numbers, lengths = reader.encode(texts[first : first + AT_ONCE])
            found.append(module(Tensor(numbers), Tensor(lengths)).numpy())
    return np.concatenate(found)
