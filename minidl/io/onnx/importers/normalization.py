"""Normalization layers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import ops
from minidl.io.onnx.importers.precision import in_float32
from minidl.io.onnx.node import Node
from minidl.nn import functional as F
from minidl.nn.module import Parameter
from minidl.tensor import Tensor


def batch_normalization(
    node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, var: Tensor
) -> Any:
    """With the running averages; in the model's training mode with the batch's, as nn.BatchNorm2d.

    Like that it is frozen where scale and bias are: it uses the running averages then, and they
    stay. ONNX's momentum is the share of the old average, PyTorch's that of the new one.
    """
    eps, keep = node.get("epsilon", 1e-5), node.get("momentum", 0.9)
    if node.opset < 9 and not node.get("spatial", 1):
        node.refuse("statistics per pixel (spatial=0) are not supported")
    own = [p for p in (scale, bias) if isinstance(p, Parameter)]
    frozen = not any(p.requires_grad for p in own) if own else node.frozen
    scale, bias, mean, var = (x_.to(x.dtype) for x_ in (scale, bias, mean, var))
    if node.get("training_mode", 0):
        return training_step(x, scale, bias, mean, var, eps, keep)
    return F.batch_norm(
        x, mean, var, scale, bias, training=node.training and not frozen,
        momentum=1 - keep, eps=eps,
    )  # fmt: skip


def training_step(x, scale, bias, mean, var, eps, keep) -> tuple:
    """A node that is in training mode itself returns the new averages; its variance is biased."""
    y = F.batch_norm(x, None, None, scale, bias, training=True, eps=eps)
    axes = (0, *range(2, x.ndim))
    new_mean, new_var = ops.mean(x, axes).data, ops.var(x, axes, unbiased=False).data
    averages = [
        (old.data * keep + new * (1 - keep)).astype(x.dtype)
        for old, new in ((mean, new_mean), (var, new_var))
    ]
    return y, *(Tensor(average) for average in averages)


def instance_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return F.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


def layer_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Any:
    """Over the axes from `axis` on; also returns the mean and 1 / standard deviation."""
    dims = dims_from(node, x)
    mean = ops.mean(x, dims, keepdim=True)
    centered = x - mean
    inv_std = ops.rsqrt(ops.mean(centered * centered, dims, keepdim=True) + epsilon(node))
    y = centered * inv_std * scale
    return (y if bias is None else y + bias), mean, inv_std


def rms_normalization(node: Node, x: Tensor, scale: Tensor) -> Tensor:
    """Divided by the root of the mean square (Zhang and Sennrich 2019)."""
    mean_square = ops.mean(x * x, dims_from(node, x), keepdim=True)
    return x * ops.rsqrt(mean_square + epsilon(node)) * scale


def epsilon(node: Node) -> float:
    return node.get("epsilon", 1e-5)


def dims_from(node: Node, x: Tensor) -> tuple[int, ...]:
    axis = node.get("axis", -1)
    if not -x.ndim <= axis < x.ndim:
        node.refuse("no such axis", {"x": x, "axis": axis})
    return tuple(range(axis % x.ndim, x.ndim))


def group_normalization(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """Groups of channels of each picture (Wu and He 2018). The scale is per group in set 18."""
    groups = node.required("num_groups")
    if x.ndim < 2 or not isinstance(groups, int) or groups < 1 or x.shape[1] % groups:
        node.refuse("num_groups divides the channels", {"x": x, "num_groups": groups})
    if scale.numel() == groups != x.shape[1]:
        each = x.shape[1] // groups
        scale = scale.reshape(-1, 1).expand(groups, each).reshape(-1)
        bias = bias.reshape(-1, 1).expand(groups, each).reshape(-1)
    rows = x.reshape(x.shape[0], groups, -1)
    mean = ops.mean(rows, -1, keepdim=True)
    centered = rows - mean
    inv_std = ops.rsqrt(ops.mean(centered * centered, -1, keepdim=True) + epsilon(node))
    y = (centered * inv_std).reshape(x.shape)
    per_channel = (-1, *(1,) * (x.ndim - 2))
    return y * scale.reshape(per_channel) + bias.reshape(per_channel)


def lrn(node: Node, x: Tensor) -> Tensor:
    """ONNX's even windows look one channel further up, PyTorch's further down: turned around."""
    size = node.required("size")
    options = node.get("alpha", 1e-4), node.get("beta", 0.75), node.get("bias", 1.0)
    pictures = x if x.ndim == 4 else x.reshape(*x.shape[:2], 1, math.prod(x.shape[2:]))
    if size % 2:
        y = F.local_response_norm(pictures, size, *options)
    else:
        y = ops.flip(F.local_response_norm(ops.flip(pictures, 1), size, *options), 1)
    return y.reshape(x.shape)


def mean_variance_normalization(node: Node, x: Tensor) -> Tensor:
    axes = tuple(node.ints("axes", [0, 2, 3]))
    centered = x - ops.mean(x, axes, keepdim=True)
    return centered / (ops.sqrt(ops.mean(centered * centered, axes, keepdim=True)) + 1e-9)


def lp_normalization(node: Node, x: Tensor) -> Tensor:
    """Vectors of length 1; a vector of zeros stays one."""
    p, axis = node.get("p", 2), node.get("axis", -1)
    length = ops.norm(x, p, axis, keepdim=True)
    return x / ops.where(length == 0, Tensor(np.ones((), x.dtype)), length)


IMPORTERS = {
    "BatchNormalization": in_float32(batch_normalization),
    "GroupNormalization": group_normalization,
    "InstanceNormalization": in_float32(instance_normalization), "LRN": in_float32(lrn),
    "LayerNormalization": layer_normalization, "LpNormalization": lp_normalization,
    "MeanVarianceNormalization": mean_variance_normalization,
    "RMSNormalization": rms_normalization,
}  # fmt: skip
