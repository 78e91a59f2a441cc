"""What the table of operations is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from minidl.errors import MinidlError


@dataclass
class Case:
    """One operation with one set of parameters, on which everything is checked.

    test_ops.py takes each case through: gradient check (float64), numba against reference
    (float32 and float64, outputs and gradients), other memory layouts of the same values, the
    oracle, and PyTorch.

    Args:
        op: the operation's name, that of its file in minidl/ops.
        name: what is special about these parameters.
        call: Tensors -> Tensor or tuple of Tensors.
        inputs: arrays, float64; each test converts them to the dtype it needs. Integer arrays
            stay as they are and get no gradient.
        oracle: float32 arrays -> list of expected outputs, from software that is not ours
            (tests/oracles.py); None where no such software has the operation.
        torch: (torch, *torch tensors) -> the same computation in PyTorch.
        rtol: of float32 comparisons, relative to the largest magnitude of the expected array.
        gradient: False for an operation that has none (argmax, comparisons).
        smooth: False where the inputs sit on a kink (relu at 0): central differences say nothing
            there; the other tests, PyTorch's gradient among them, still hold.
    """

    op: str
    name: str
    call: Callable
    inputs: list[np.ndarray]
    oracle: Callable | None = None
    torch: Callable | None = None
    rtol: float = 1e-5
    gradient: bool = True
    smooth: bool = True

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}"


@dataclass
class BadCase:
    """A mistake of the user's, and the error it must get.

    Args:
        call: without arguments; makes the mistake.
        error: the class of the error.
        says: texts that the message must contain (the rule, what was received, the hint).
    """

    op: str
    name: str
    call: Callable[[], Any]
    error: type[MinidlError]
    says: list[str] = field(default_factory=list)

    @property
    def id(self) -> str:
        return f"{self.op}-{self.name}"


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    """Normal float64 values, the same for the same shape and seed."""
    return np.random.default_rng([seed, *shape]).standard_normal(shape)


def distinct(*shape: int, seed: int = 0) -> np.ndarray:
    """Values no two of which are closer than 0.1: no kink of max or sort is within a step h."""
    n = int(np.prod(shape))
    values = (np.arange(n) - n / 2) * 0.1 + 0.05
    return np.random.default_rng([seed, n]).permutation(values).reshape(shape)


def twin(op: str, name: str, f: Callable, *inputs: np.ndarray, **options: Any) -> Case:
    """A Case of the same expression in both libraries: f(minidl, x, ...) and f(torch, x, ...)."""
    import minidl

    arrays = [np.asarray(x) for x in inputs]
    return Case(op, name, partial(f, minidl), arrays, torch=f, **options)
