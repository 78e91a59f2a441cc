"""Pooling. minidl's average keeps its windows, ONNX's operator a kernel and a stride."""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.avg_pool2d import AveragePool, windows
from minidl.ops.max_pool2d import MaxPool2d
from minidl.shapes import window_output


def max_pool(g: Writer, f: Any, x: str) -> list[str]:
    """The values; where they are counts differently in ONNX.

    ceil_mode, unless its rule, which changed in ONNX, gives another size: then padding at the end,
    which never wins.
    """
    kernel, stride, padding, dilation = f.geometry
    ends, floors, ceils = list(padding), [], []
    for i, size in enumerate(f.inputs[0].shape[2:]):
        settings = kernel[i], stride[i], padding[i], dilation[i]
        floors.append(window_output(size, *settings))
        ceils.append(window_output(size + stride[i] - 1, *settings))
        reach = (f.output_size[i] - 1) * stride[i] + (kernel[i] - 1) * dilation[i] + 1
        ends[i] = max(padding[i], reach - size - padding[i])
    size, ceil = list(f.output_size), 0
    if size in (floors, ceils):
        ends, ceil = list(padding), int(size != floors)
    y = g.add("MaxPool", x, kernel_shape=list(kernel), strides=list(stride),
              pads=[*padding, *ends], dilations=list(dilation), ceil_mode=ceil)  # fmt: skip
    return [y]


def average_pool(g: Writer, f: Any, x: str) -> str:
    """The whole picture as one window, regular windows, or, for any others, two matrices.

    Windows of adaptive pooling differ in size, those of ceil_mode stick out, and divisor_override
    divides by something else: then y = R x C, with the shares of rows and of columns.
    """
    rows, columns, row_counts, column_counts = f.windows
    size = f.inputs[0].shape[2:]
    axes = [(rows, row_counts, size[0]), (columns, column_counts, size[1])]
    if all(is_global(*axis) for axis in axes):
        return g.add("GlobalAveragePool", x)
    found = [regular(*axis) for axis in axes]
    if None not in found and (found[0][3] is None or found[1][3] in (None, found[0][3])):
        include = next((axis[3] for axis in found if axis[3] is not None), False)
        kernel, stride, padding = ([axis[i] for axis in found] for i in range(3))
        return g.add("AveragePool", x, kernel_shape=kernel, strides=stride,
                     pads=[*padding, *padding], count_include_pad=int(include))  # fmt: skip
    dtype = f.inputs[0].dtype
    by_rows, by_columns = (g.constant(matrix(*axis), dtype) for axis in axes)
    by_columns = g.add("Transpose", by_columns, perm=[1, 0])
    return g.add("MatMul", g.add("MatMul", by_rows, x), by_columns)


def is_global(ends: Any, counts: Any, size: int) -> bool:
    return len(ends[0]) == 1 and ends[0][0] == 0 and ends[1][0] == size == counts[0]


def regular(ends: Any, counts: Any, size: int) -> tuple | None:
    """(kernel, stride, padding, whether the padding counts, None if there is none), or None."""
    first, end = (np.asarray(edge) for edge in ends)
    counts = np.asarray(counts)
    places = len(first)
    for kernel in sorted({int((end - first).max()), int(counts.max())}):
        padding = kernel - int(end[0]) if first[0] == 0 else 0
        stride = int(first[-1] + padding) // (places - 1) if places > 1 else 1
        if not 0 <= 2 * padding <= kernel or stride < 1:
            continue
        if (places - 1) * stride + kernel > size + 2 * padding:  # sticks out: ceil_mode
            continue
        (a, b), lengths = windows(size, places, kernel, stride, padding)
        if not (np.array_equal(a, first) and np.array_equal(b, end)):
            continue
        if np.array_equal(counts, b - a):
            return kernel, stride, padding, False if padding else None
        if np.array_equal(counts, lengths):
            return kernel, stride, padding, True
    return None


def matrix(ends: Any, counts: Any, size: int) -> np.ndarray:
    """(places, size): the share of each pixel in each window."""
    pixel = np.arange(size)
    first, end = (np.asarray(edge)[:, None] for edge in ends)
    return ((first <= pixel) & (pixel < end)) / np.asarray(counts, np.float64)[:, None]


EXPORTERS = {AveragePool: average_pool, MaxPool2d: max_pool}
