"""Sizes that a file leaves open: the batch, or height and width of pictures.

The two passes of an export have different ones. A number that differs between the passes as an
open size does is that size; so no two of them may have the same pair, or one that code is likely to
make of another: what is added to a size leaves the difference of its pair as it is, and those are
primes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from minidl.errors import ArgumentError, nearest
from minidl.shapes import is_int
from minidl.tensor import Tensor

# Of the two passes. Neither is 1, which would be stretched, and what is computed from the batch
# size, such as N // 2 + 1, differs in another way than the batch sizes do.
BATCHES = 2, 5
DIFFERENCES = 7, 11, 13, 17, 19, 23, 29, 31, 37, 41, 43, 47


@dataclass(frozen=True)
class Opened:
    """A size that is left open.

    Attributes:
        name: what the file calls it.
        axes: name of an input -> those of its axes that have this size.
        sizes: what it is in the two passes.
    """

    name: str
    axes: dict[str, list[int]]
    sizes: tuple[int, int]

    @property
    def place(self) -> tuple[str, int]:
        """An input and its axis that have this size."""
        name, axes = next(iter(self.axes.items()))
        return name, axes[0]


def open_sizes(
    examples: list[Tensor], names: list[str], dynamic_batch: bool, dynamic_axes: Any
) -> list[Opened]:
    """The sizes to leave open, from the arguments of save.

    Raises:
        ArgumentError: there is no such input or axis, an axis has no elements, there are too many
            sizes, or the arguments contradict each other.
    """
    if dynamic_axes is None:
        batch = {0: "batch"} if dynamic_batch else {}
        dynamic_axes = dict.fromkeys(names, batch)
    check_axes(dynamic_axes, names)
    if not dynamic_batch and any(0 in axes for axes in dynamic_axes.values()):
        raise ArgumentError(
            "onnx.save", "dynamic_batch=False keeps the batch, dynamic_axes leaves it open",
            {"dynamic_axes": dynamic_axes}, "leave axis 0 out of dynamic_axes",
        )  # fmt: skip
    known = dict(zip(names, examples))
    axes: dict[str, dict[str, list[int]]] = {}
    for name, given in dynamic_axes.items():
        for axis, called in given.items():
            check_axis(known[name], axis)
            axes.setdefault(called, {}).setdefault(name, []).append(axis)
    opened: list[Opened] = []
    for called, inputs in axes.items():
        name, (axis, *_) = next(iter(inputs.items()))
        if axis == 0 and not opened:
            sizes = BATCHES
        else:
            first = known[name].shape[axis] + len(opened)
            if len(opened) == len(DIFFERENCES):
                raise ArgumentError(
                    "onnx.save", f"at most {len(DIFFERENCES)} sizes are left open",
                    {"dynamic_axes": dynamic_axes}, "sizes that are equal have one name",
                )  # fmt: skip
            sizes = first, first + DIFFERENCES[len(opened)]
        opened.append(Opened(called, inputs, sizes))
    return opened


def check_axes(dynamic_axes: Any, names: list[str]) -> None:
    """dynamic_axes is {name of an input: {axis: name of its size}}."""
    received = {"dynamic_axes": dynamic_axes}
    right = isinstance(dynamic_axes, Mapping) and all(
        isinstance(axes, Mapping)
        and all(
            is_int(axis) and isinstance(called, str) and called for axis, called in axes.items()
        )
        for axes in dynamic_axes.values()
    )
    if not right:
        raise ArgumentError(
            "onnx.save", "dynamic_axes is {input: {axis: name}}", received,
            'as in {"input": {0: "batch", 2: "height", 3: "width"}}',
        )  # fmt: skip
    for name in dynamic_axes:
        if name not in names:
            raise ArgumentError("onnx.save", "no such input", received, nearest(name, names))


def check_axis(x: Tensor, axis: int) -> None:
    """x has the axis, with elements."""
    if axis == 0 and (x.ndim == 0 or len(x.data) == 0):
        raise ArgumentError(
            "onnx.save", "an input with a dynamic batch has a first dimension", {"input": x},
            "dynamic_batch=False keeps all sizes",
        )  # fmt: skip
    if not 0 <= axis < x.ndim or x.shape[axis] == 0:
        raise ArgumentError("onnx.save", "no such axis to leave open", {"input": x, "axis": axis})
