"""Normalization over a batch, a picture, or neighbouring channels."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from minidl.io.onnx.writer import Writer
from minidl.ops.batch_norm import BatchNorm
from minidl.ops.lrn import LocalResponseNorm
from minidl.ops.spectral_norm import SpectralNorm


def batch_norm(g: Writer, f: Any, x: str, w: str, b: str) -> str:
    """With running averages; with the statistics of each picture, instance normalization."""
    if f.relu:
        return g.add("Relu", batch_norm(g, changed(f, relu=False), x, w, b))
    if f.of_pictures:
        return own_affine(g, f, x, w, b)
    if not f.training:
        mean, var = (g.name_of(average) for average in f.running)
        return g.add("BatchNormalization", x, w, b, mean, var, epsilon=f.eps)
    if f.per_image:
        return g.add("InstanceNormalization", x, w, b, epsilon=f.eps)
    ndim, dtype = f.inputs[0].ndim, f.inputs[0].dtype
    axes = [0, *range(2, ndim)]
    centered = g.add("Sub", x, g.reduce("ReduceMean", x, axes))
    variance = g.reduce("ReduceMean", g.add("Mul", centered, centered), axes)
    std = g.add("Sqrt", g.add("Add", variance, g.constant(f.eps, dtype)))
    per_channel = g.ints(-1, *[1] * (ndim - 2))
    w, b = (g.add("Reshape", v, per_channel) for v in (w, b))
    return g.add("Add", g.add("Mul", g.add("Div", centered, std), w), b)


def own_affine(g: Writer, f: Any, x: str, w: str, b: str) -> str:
    """Where each picture has a weight and bias of its own, they come behind a plain norm."""
    C, dtype = f.inputs[0].shape[1], f.inputs[0].dtype
    ones, zeros = (g.constant(np.full(C, value, dtype)) for value in (1, 0))
    y = batch_norm(g, changed(f, of_pictures=False), x, ones, zeros)
    of_each = g.ints(0, 0, *[1] * (f.inputs[0].ndim - 2))  # 0: as it is
    w, b = (g.add("Reshape", v, of_each) for v in (w, b))
    return g.add("Add", g.add("Mul", y, w), b)


def changed(f: Any, **attributes: Any) -> Any:
    """A copy of a Function with other attributes."""
    f = copy.copy(f)
    vars(f).update(attributes)
    return f


def lrn(g: Writer, f: Any, x: str) -> str:
    """Even windows, which runtimes refuse or place differently, as an average over channels."""
    if f.size % 2:
        return g.add("LRN", x, size=int(f.size), alpha=float(f.alpha), beta=float(f.beta),
                     bias=float(f.k))  # fmt: skip
    N, C, H, W = f.inputs[0].shape
    squares = g.add("Reshape", g.add("Mul", x, x), g.ints(N, 1, C, H * W))
    before, behind = f.size // 2, (f.size - 1) // 2
    # Not by the pooling: ONNX Runtime 1.23 counts pads that differ wrongly from set 19 on.
    squares = g.add("Pad", squares, g.ints(0, 0, before, 0, 0, 0, behind, 0))
    mean = g.add("AveragePool", squares, kernel_shape=[int(f.size), 1], strides=[1, 1])
    mean = g.add("Reshape", mean, g.ints(N, C, H, W))
    dtype = f.inputs[0].dtype
    scaled = g.add("Mul", mean, g.constant(f.alpha, dtype))
    power = g.add("Pow", g.add("Add", scaled, g.constant(f.k, dtype)), g.constant(f.beta, dtype))
    return g.add("Div", x, power)


def spectral_norm(g: Writer, f: Any, w: str) -> str:
    """w / (u^T W v), with u and v as they were estimated last."""
    rows = g.add("Transpose", w, perm=list(f.layout.axes))
    rows = g.add("Reshape", rows, g.ints(len(f.u), -1))
    sigma = g.add("MatMul", g.constant(f.u), g.add("MatMul", rows, g.constant(f.v)))
    return g.add("Div", w, sigma)


EXPORTERS = {BatchNorm: batch_norm, LocalResponseNorm: lrn, SpectralNorm: spectral_norm}
