"""Interpolation: Resize where its rules give the same pixels, else indices or matrices."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.interpolate import InterpolateBilinear, InterpolateNearest, neighbours


def nearest(g: Writer, f: Any, x: str) -> str:
    """Whole multiples are Resize; for other sizes runtimes round differently: indices are exact."""
    rows, columns = (np.asarray(axis) for axis in (f.rows, f.columns))
    size = f.inputs[0].shape[2:]
    whole = all(
        len(axis) % n == 0 and np.array_equal(axis, np.arange(len(axis)) // (len(axis) // n))
        for axis, n in zip((rows, columns), size)
    )
    if whole and g.opset >= 18:
        return resize(g, x, size, (len(rows), len(columns)), mode="nearest", nearest_mode="floor",
                      coordinate_transformation_mode="asymmetric")  # fmt: skip
    y = g.add("Gather", x, g.constant(rows), axis=2)
    return g.add("Gather", y, g.constant(columns), axis=3)


def bilinear(g: Writer, f: Any, x: str) -> str:
    size, axes = f.inputs[0].shape[2:], (f.rows, f.columns)
    sizes = tuple(len(axis[0]) for axis in axes)
    for align, transform in ((False, "half_pixel"), (True, "align_corners")):
        if g.opset >= 18 and all(
            equal(axis, neighbours(n, m, n / m, align)) for axis, n, m in zip(axes, size, sizes)
        ):
            return resize(g, x, size, sizes, align, mode="linear",
                          coordinate_transformation_mode=transform)  # fmt: skip
    dtype = f.inputs[0].dtype
    by_rows, by_columns = (g.constant(matrix(*axis, n), dtype) for axis, n in zip(axes, size))
    by_columns = g.add("Transpose", by_columns, perm=[1, 0])
    return g.add("MatMul", g.add("MatMul", by_rows, x), by_columns)


def resize(
    g: Writer, x: str, old: tuple, new: tuple, by_size: bool = False, **attributes: Any
) -> str:
    """Height and width alone, which operator set 18 can say.

    Whole multiples are written as factors, which fit pictures of any size.
    """
    if by_size or any(m % n for n, m in zip(old, new)):
        return g.add("Resize", x, "", "", g.ints(*new), axes=[2, 3], **attributes)
    factors = g.constant([m / n for n, m in zip(old, new)], np.float32)
    return g.add("Resize", x, "", factors, axes=[2, 3], **attributes)


def equal(a: tuple, b: tuple) -> bool:
    """Whether two axes read the same pixels with the same shares."""
    same_pixels = all(np.array_equal(x, y) for x, y in zip(a[:2], b[:2]))
    return same_pixels and np.allclose(a[2], b[2], rtol=0, atol=1e-12)


def matrix(low: Any, high: Any, fraction: Any, n: int) -> np.ndarray:
    """(m, n): the share of each input pixel in each output pixel."""
    weights = np.zeros((len(low), n))
    at = np.arange(len(low))
    np.add.at(weights, (at, low), 1 - np.asarray(fraction))
    np.add.at(weights, (at, high), fraction)
    return weights


EXPORTERS = {InterpolateBilinear: bilinear, InterpolateNearest: nearest}
