"""What discriminator and generator minimize, from the discriminator's scores.

A score is a number before the sigmoid, so D = sigmoid(s) and, with softplus(s) = log(1 + e^s),

    -log D = softplus(-s)           -log(1 - D) = softplus(s)

r, w, f: scores of real pictures with their texts, of real pictures with wrong texts, and of drawn
pictures with their texts. Of each the mean over the batch is taken.

    loss             discriminator                                     generator
    minimax          softplus(-r) + W softplus(w) + F softplus(f)      -softplus(f)
    non-saturating   the same                                          softplus(-f)
    hinge            max(0, 1 - r) + W max(0, 1 + w) + F max(0, 1 + f)     -f

Minimax is Goodfellow et al. 2014, algorithm 1: the generator maximizes what the discriminator
minimizes. Where the discriminator is sure, that has no slope for the generator; non-saturating is
the paper's way out (section 3). Hinge is Lim and Ye 2017.

Scores w are matching-aware training, GAN-CLS (Reed et al. 2016, algorithm 1): without them nothing
says to a discriminator that a good picture of something else is wrong. The weights W and F:

    1/2  1/2    Reed et al. 2016, algorithm 1: both halves together count as much as real pictures
    1/2  1      --preset small: drawn pictures count in full; with the paper's weights the pictures
                of one text differ less
    1/3  2/3    the same for photographs: together 1, see SMALL_FILES in presets.py
     1    1     github.com/paarthneekhara/text-to-image

Without wrong texts W is nothing and F is 1: the plain GAN.

GAN-INT (Reed et al. 2016, section 4.3) gives the generator texts that nobody wrote, too: points
between two embeddings, as many as half the batch, with the same weight in its mean.
"""

from __future__ import annotations

from typing import NamedTuple

import minidl
from minidl.errors import ArgumentError, ShapeError, nearest
from minidl.nn.functional import softplus
from minidl.tensor import Tensor

LOSSES = ("minimax", "non-saturating", "hinge")


class Weights(NamedTuple):
    """How much wrong texts and drawn pictures count in the discriminator's loss."""

    wrong: float
    fake: float


PAPER = Weights(0.5, 0.5)


def discriminator_loss(
    kind: str, real: Tensor, fake: Tensor, wrong: Tensor | None = None, weights: Weights = PAPER
) -> Tensor:
    """What the discriminator minimizes; see the table of this module.

    Args:
        kind: one of LOSSES.
        real: scores (N,) of real pictures with their texts.
        fake: of drawn pictures with the texts that they were drawn from.
        wrong: of real pictures with texts of others; None for a GAN without such.
        weights: of wrong and fake, where there is wrong.

    Returns:
        A Tensor with one number.

    Raises:
        ArgumentError: no such loss.

    >>> import minidl
    >>> scores = minidl.tensor([2.0]), minidl.tensor([-0.5]), minidl.tensor([-3.0])
    >>> discriminator_loss("hinge", *scores, Weights(wrong=0.5, fake=1.0)).item()
    0.5
    """
    check_kind("discriminator_loss", kind)
    loss = as_right(kind, real)
    if wrong is None:
        return loss + as_wrong(kind, fake)
    return loss + weights.wrong * as_wrong(kind, wrong) + weights.fake * as_wrong(kind, fake)


def generator_loss(kind: str, fake: Tensor) -> Tensor:
    """What the generator minimizes.

    Args:
        kind: one of LOSSES.
        fake: scores (N,) of what it drew, with the texts that it drew from.

    Returns:
        A Tensor with one number.

    Raises:
        ArgumentError: no such loss.

    >>> import minidl
    >>> generator_loss("hinge", minidl.tensor([2.0, 1.0])).item()
    -1.5
    """
    check_kind("generator_loss", kind)
    if kind == "hinge":
        return -fake.mean()
    return -as_wrong(kind, fake) if kind == "minimax" else as_right(kind, fake)


def as_right(kind: str, scores: Tensor) -> Tensor:
    """How far scores are from saying that all is right."""
    return (1 - scores).relu().mean() if kind == "hinge" else softplus(-scores).mean()


def as_wrong(kind: str, scores: Tensor) -> Tensor:
    """How far scores are from saying that something is wrong."""
    return (1 + scores).relu().mean() if kind == "hinge" else softplus(scores).mean()


def with_interpolated(texts: Tensor, order: Tensor) -> Tensor:
    """Embeddings, and behind them half as many points in the middle between two of them (GAN-INT).

    Nobody is paired with itself.

    Args:
        texts: embeddings (N, D), N >= 2.
        order: int64 (N,), the numbers from 0 to N - 1 in a random order: those in its first half
            are paired with those in its second.

    Returns:
        (N + N // 2, D).

    Raises:
        ShapeError: there are no two.

    >>> import minidl
    >>> with_interpolated(minidl.ones(4, 3), minidl.tensor([2, 0, 3, 1])).shape
    (6, 3)
    """
    if texts.ndim != 2 or len(texts) < 2:
        raise ShapeError("with_interpolated", "texts are (N, D) with N >= 2", {"texts": texts})
    half = len(texts) // 2
    between = (texts[order[:half]] + texts[order[half : 2 * half]]) * 0.5
    return minidl.cat([texts, between])


def check_kind(op: str, kind: str) -> None:
    if kind not in LOSSES:
        raise ArgumentError(op, "no such loss", {"kind": kind}, nearest(kind, LOSSES))
