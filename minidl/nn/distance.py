"""Distances and angles between vectors as modules."""

from __future__ import annotations

from minidl.nn.module import Module
from minidl.ops.cosine_similarity import cosine_similarity
from minidl.ops.pairwise_distance import pairwise_distance
from minidl.tensor import Tensor


class CosineSimilarity(Module):
    """Cosine of the angle between vectors; see minidl.nn.functional.cosine_similarity.

    Args:
        dim: the dimension that is summed over; -1 is the last.
        eps: the least length that is divided by.

    Shapes: two that broadcast -> the broadcast shape without `dim`.

    >>> minidl.nn.CosineSimilarity()(minidl.ones(2, 3), minidl.ones(2, 3)).shape
    (2,)
    """

    def __init__(self, dim: int = 1, eps: float = 1e-8):
        super().__init__()
        self.dim, self.eps = dim, eps

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return cosine_similarity(x1, x2, self.dim, self.eps)


class PairwiseDistance(Module):
    """Distance of each vector to the one beside it; see minidl.nn.functional.pairwise_distance.

    Args:
        p: the degree of the norm, >= 1.
        eps: added to each difference.
        keepdim: keep the last dimension with size 1.

    Shapes: (..., D) twice -> (...).

    >>> minidl.nn.PairwiseDistance()(minidl.ones(2, 3), minidl.ones(2, 3)).shape
    (2,)
    """

    def __init__(self, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False):
        super().__init__()
        self.p, self.eps, self.keepdim = p, eps, keepdim

    def forward(self, x1: Tensor, x2: Tensor) -> Tensor:
        return pairwise_distance(x1, x2, self.p, self.eps, self.keepdim)
