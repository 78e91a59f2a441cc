"""What an export runs the network with: the example, and other values, chosen to be unlike it.

They differ in what code asks of its input: their size, from a thousandth to a thousand times the
example's, their signs, and whether 0 is among the integers.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np

from minidl.errors import ArgumentError
from minidl.io.onnx.opened import Opened
from minidl.io.onnx.recording import Pass, record_pass
from minidl.nn.module import Module
from minidl.shapes import is_int
from minidl.tensor import Tensor

SIZES = 1000  # how many times larger and smaller than the example's other values are


def make_examples(model: Module, inputs: Any) -> list[Tensor]:
    """Tensors to call the model with, from a shape or from example tensors."""
    parts = [inputs] if isinstance(inputs, Tensor) else inputs
    if isinstance(parts, list | tuple) and parts:
        if all(isinstance(part, Tensor) for part in parts):
            return list(parts)
        if all(is_int(size) and size > 0 for size in parts):
            dtype = next((p.dtype for p in model.parameters()), np.float32)
            return [Tensor(np.random.default_rng(0).standard_normal(parts).astype(dtype))]
    raise ArgumentError(
        "onnx.save", "inputs is a shape with its batch, a Tensor or a tuple of Tensors",
        {"inputs": inputs}, "for one colour picture of 32x32 pixels: (1, 3, 32, 32)",
    )  # fmt: skip


def with_sizes(
    examples: list[Tensor], names: list[str], opened: list[Opened], which: int
) -> list[Tensor]:
    """The examples with other sizes: their rows, columns, ... repeated or cut.

    Args:
        examples: of the inputs.
        names: of the inputs.
        opened: the sizes that are left open.
        which: 0 or 1, the pass.
    """
    changed = []
    for name, x in zip(names, examples):
        array = x.data
        for one in opened:
            for axis in one.axes.get(name, ()):
                array = array.take(np.arange(one.sizes[which]) % array.shape[axis], axis)
        changed.append(Tensor(array))
    return changed


def record_others(model: Module, examples: list[Tensor], draw: Callable) -> Pass:
    """The pass with drawn values; if the model refuses those, the example's in another order."""
    with suppress(Exception):  # of any kind: it is the model's
        return record_pass(model, other_values(examples, draw), seed=1)
    rng = np.random.default_rng(1)
    shuffled = [Tensor(rng.permuted(x.data.ravel()).reshape(x.shape)) for x in examples]
    return record_pass(model, shuffled, seed=1)


def other_values(examples: list[Tensor], draw: Callable) -> list[Tensor]:
    """Inputs of the same kind with other values; floats are drawn around the example's."""
    rng = np.random.default_rng(1)
    changed = []
    for x in examples:
        if x.dtype.kind == "f":
            finite = x.data[np.isfinite(x.data)].astype(np.float64)
            mean, spread = (finite.mean(), finite.std()) if finite.size else (0, 1)
            with np.errstate(over="ignore"):  # of float16
                values = draw(rng, float(mean), float(spread) or 1, x.shape).astype(x.dtype)
            changed.append(Tensor(values))
        else:
            changed.append(Tensor(other_integers(rng, x.data)))
    return changed


def other_integers(rng: Any, x: np.ndarray) -> np.ndarray:
    """From 0, or the smallest of the example, to its largest, both among them.

    What is the row of a table, or the length of a sentence, stays one.
    """
    if not x.size:
        return x
    ends = [min(0, int(x.min())), int(x.max())]
    values = rng.integers(*ends, x.shape, x.dtype, endpoint=True)
    values.flat[rng.permutation(x.size)[:2]] = ends[: x.size]
    return values


def of_all_sizes(rng: Any, mean: float, spread: float, shape: tuple) -> np.ndarray:
    """Of both signs, each of its own size."""
    return mean + spread * SIZES ** rng.uniform(-1, 1, shape) * rng.standard_normal(shape)


def large_positive(rng: Any, mean: float, spread: float, shape: tuple) -> np.ndarray:
    return SIZES * (abs(mean) + spread) * rng.random(shape)


def small_positive(rng: Any, mean: float, spread: float, shape: tuple) -> np.ndarray:
    return (abs(mean) + spread) / SIZES * rng.random(shape)
