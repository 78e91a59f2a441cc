"""Dropout layers. They drop in training only."""

from __future__ import annotations

from typing import Any

from minidl.errors import ArgumentError
from minidl.nn.module import Module
from minidl.ops.dropout import dropout, dropout2d
from minidl.shapes import is_number
from minidl.tensor import Tensor


class Dropout(Module):
    """Zero elements at random in training; see minidl.nn.functional.dropout.

    Args:
        p: probability of dropping an element.

    Shapes: any, kept.

    >>> minidl.nn.Dropout(0.5).eval()(minidl.tensor([1.0, 2.0]))
    tensor([1., 2.])
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = check_probability("Dropout", p)

    def forward(self, x: Tensor) -> Tensor:
        return dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class Dropout2d(Module):
    """Zero whole channels at random in training; see minidl.nn.functional.dropout2d.

    Args:
        p: probability of dropping a channel of a picture.

    Shapes: (N, C, H, W) -> the same.

    >>> minidl.nn.Dropout2d(1.0)(minidl.ones(1, 2, 1, 1)).reshape(2)
    tensor([0., 0.])
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        self.p = check_probability("Dropout2d", p)

    def forward(self, x: Tensor) -> Tensor:
        return dropout2d(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def check_probability(op: str, p: Any) -> float:
    if not is_number(p) or not 0 <= p <= 1:
        raise ArgumentError(op, "p is a probability, from 0 to 1", {"p": p})
    return p
