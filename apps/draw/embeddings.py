"""Captions as the two networks get them: the text encoder's numbers, standardised.

Each number has mean 0 and deviation 1 over the captions of the training. The statistics are part of
the network: a picture for a new sentence needs them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

import minidl
from apps.draw.texts import Words
from minidl import nn
from minidl.tensor import Tensor

AT_ONCE = 256  # captions
SMALLEST = 1e-3  # deviation of a number that says anything


class TextEmbedding(nn.Module):
    """A text encoder that does not learn any more, and the standardisation behind it.

    Args:
        encoder: (numbers, lengths) -> (N, D).
        size: D.

    Shapes: int64 (N, L), int64 (N,) -> (N, D).
    """

    def __init__(self, encoder: nn.Module, size: int):
        super().__init__()
        self.encoder = encoder.freeze()
        self.register_buffer("mean", minidl.zeros(size))
        self.register_buffer("deviation", minidl.ones(size))

    def forward(self, numbers: Tensor, lengths: Tensor) -> Tensor:
        return (self.encoder(numbers, lengths) - self.mean) / self.deviation

    def standardise(self, embeddings: np.ndarray) -> None:
        """Take over the statistics of some embeddings, float32 (N, D), not yet standardised."""
        values = embeddings.astype(np.float64)
        deviation = np.maximum(values.std(0), SMALLEST)
        self.mean.data[...] = minidl.tensor(values.mean(0).astype(np.float32)).data
        self.deviation.data[...] = minidl.tensor(deviation.astype(np.float32)).data


def embed(module: nn.Module, reader: Words, texts: Sequence[str]) -> np.ndarray:
    """Embeddings of captions.

    Args:
        module: a text encoder or a TextEmbedding.
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
