"""Captions as the two networks get them: the text encoder's numbers, made comparable.

    standard   each number less its mean, divided by its deviation
    whitened   (t - mean) C^(1/2) W          C: covariance of the picture encoder's numbers

Pictures and captions meet in v.t alone, so a direction of t along which no picture differs says
nothing: multiplying by C^(1/2) takes it away, and with it how a sentence is put. What is left is
brought to equal strength in each direction (W, by the covariance of the captions): else colors,
which are easy to see, are most of an embedding, and the number of petals next to nothing.

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
NOISE = 0.01  # of the largest variance: directions with less are not brought up to the others


def made_comparable(
    encoder: nn.Module, captions: np.ndarray, pictures: np.ndarray | None = None
) -> nn.Module:
    """A text encoder whose embeddings are comparable, and which does not learn any more.

    Args:
        encoder: (numbers, lengths) -> (N, D), whose last layer is the Linear `out`; it stays as it
            is.
        captions: what it makes of the training's captions, (T, D).
        pictures: what the picture encoder makes of its pictures, (P, D), to whiten; None for the
            standard way.
    """
    values = captions.astype(np.float64)
    matrix = standard(values) if pictures is None else whitening(values, pictures)
    made = copy.deepcopy(encoder).freeze().eval()
    weight = matrix.T @ made.out.weight.detach().numpy().astype(np.float64)
    bias = (made.out.bias.detach().numpy() - values.mean(0)) @ matrix
    made.out.load_state_dict({"weight": weight.astype("f4"), "bias": bias.astype("f4")})
    return made


def standard(captions: np.ndarray) -> np.ndarray:
    """The matrix that divides each number by its deviation."""
    return np.diag(1 / np.maximum(captions.std(0), SMALLEST))


def whitening(captions: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """The matrix of this module's second way; its embeddings have as much variance as the first's.

    Args:
        captions, pictures: as of made_comparable.
    """
    root = root_of(np.cov(pictures.astype(np.float64).T))
    values, vectors = np.linalg.eigh(root @ np.cov(captions.T) @ root)
    strength = np.sqrt(np.maximum(values, 0) + NOISE * values.max())
    matrix = root @ (vectors / strength)
    variance = ((captions - captions.mean(0)) @ matrix).var(0).sum()
    return matrix * np.sqrt(captions.shape[1] / variance)


def root_of(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


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
