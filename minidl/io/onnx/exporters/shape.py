"""Shapes, joining, cutting and padding."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.flip import Flip, Roll
from minidl.ops.joining import Cat, Split, Stack, Unbind
from minidl.ops.pad import BorderPad, ConstantPad
from minidl.ops.repetition import Expand, Repeat
from minidl.ops.shape import Permute, Reshape


def reshape(g: Writer, f: Any, x: str) -> str:
    """allowzero, because a 0 in the shape means no elements here, not a copied size."""
    zero = 1 if 0 in f.shape else None
    return g.add("Reshape", x, g.ints(*f.shape), allowzero=zero)


def permute(g: Writer, f: Any, x: str) -> str:
    return g.add("Transpose", x, perm=[int(d) for d in f.dims])


def expand(g: Writer, f: Any, x: str) -> str:
    return g.add("Expand", x, g.ints(*f.shape))


def repeat(g: Writer, f: Any, x: str) -> str:
    """Tile knows no new dimensions: they are put in front first."""
    extra = len(f.repeats) - f.inputs[0].ndim
    if extra:
        x = g.add("Unsqueeze", x, g.ints(*range(extra)))
    return g.add("Tile", x, g.ints(*f.repeats)) if f.repeats else x


def flip(g: Writer, f: Any, x: str) -> str:
    """Slices that walk backwards, from the last element to before the first."""
    n, far = len(f.dims), np.iinfo(np.int64).min
    if not n:
        return g.add("Identity", x)
    return g.add("Slice", x, g.ints(*[-1] * n), g.ints(*[far] * n), g.ints(*f.dims),
                 g.ints(*[-1] * n))  # fmt: skip


def roll(g: Writer, f: Any, x: str) -> str:
    """For each dimension, the end in front of the start."""
    for shift, d in zip(f.shifts, f.dims):
        size = f.inputs[0].shape[d]
        cut = -shift % size if size else 0
        if cut:
            back = g.add("Slice", x, g.ints(cut), g.ints(size), g.ints(d))
            front = g.add("Slice", x, g.ints(0), g.ints(cut), g.ints(d))
            x = g.add("Concat", back, front, axis=int(d))
    return g.add("Identity", x)


def cat(g: Writer, f: Any, *xs: str) -> str:
    return g.add("Concat", *xs, axis=int(f.axis))


def stack(g: Writer, f: Any, *xs: str) -> str:
    at = g.ints(f.axis)
    return g.add("Concat", *(g.add("Unsqueeze", x, at) for x in xs), axis=int(f.axis))


def split(g: Writer, f: Any, x: str) -> Any:
    if len(f.sizes) == 1:
        return [g.add("Identity", x)]
    return g.add("Split", x, g.ints(*f.sizes), axis=int(f.axis), outputs=len(f.sizes))


def unbind(g: Writer, f: Any, x: str) -> list[str]:
    count = f.inputs[0].shape[f.axis]
    return [g.add("Gather", x, g.constant(np.array(i)), axis=int(f.axis)) for i in range(count)]


def constant_pad(g: Writer, f: Any, x: str) -> str:
    value = g.constant(f.value, f.inputs[0].dtype)
    return g.add("Pad", x, widths(g, f), value, mode="constant")


def border_pad(g: Writer, f: Any, x: str) -> str:
    """ONNX Runtime reflects at edges where nothing is padded, too: without the axes of width 0."""
    return g.add("Pad", x, widths(g, f), mode={"reflect": "reflect", "replicate": "edge"}[f.mode])


def widths(g: Writer, f: Any) -> str:
    """ONNX's order: before each axis, then behind each."""
    return g.ints(*(before for before, _ in f.widths), *(behind for _, behind in f.widths))


EXPORTERS = {
    BorderPad: border_pad, Cat: cat, ConstantPad: constant_pad, Expand: expand, Flip: flip,
    Permute: permute, Repeat: repeat, Reshape: reshape, Roll: roll, Split: split, Stack: stack,
    Unbind: unbind,
}  # fmt: skip
