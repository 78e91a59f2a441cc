"""Batch norms folded into the layers before them, for networks that have learned all they will.

In evaluation a batch norm is a multiplication and an addition for each channel, and so may be done
to the weights once, in place of to every picture:

    gamma (w x + b - mean) / sqrt(var + eps) + beta
        = (s w) x + (s (b - mean) + beta)                       s = gamma / sqrt(var + eps)
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np

from minidl.errors import DtypeError
from minidl.function import Function, enable_grad
from minidl.nn.conv import Conv2d, ConvTranspose2d
from minidl.nn.linear import Identity, Linear
from minidl.nn.module import Module, Parameter
from minidl.nn.norm import BatchNorm
from minidl.tensor import Tensor

CHANNEL_AXIS = {Conv2d: 0, ConvTranspose2d: 1, Linear: 0}  # of the weight


def fuse_batch_norms(model: Module, *inputs: Tensor) -> Module:
    """A copy of a network for evaluation, with batch norms folded into convolutions before them.

    A batch norm goes where its input is the output of a Conv2d, ConvTranspose2d or Linear that
    nothing else looks at, and where both were called once; the others stay. Which follows which is
    seen by running the copy once. The copy gives the same results up to rounding, in less time.

    Jacob et al. 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", section 3.2.

    Args:
        model: any Module; it is left as it is.
        inputs: an example of what it is called with.

    Returns:
        The copy, in evaluation mode, with Identity in place of what was folded.

    Raises:
        DtypeError: model is no Module.
        MinidlError: the model refuses the inputs.

    >>> net = minidl.nn.Sequential(minidl.nn.Conv2d(3, 8, 3), minidl.nn.BatchNorm2d(8))
    >>> minidl.nn.fuse_batch_norms(net, minidl.ones(1, 3, 5, 5))
    Sequential(
      (0): Conv2d(3, 8, kernel_size=(3, 3))
      (1): Identity()
    )
    """
    if not isinstance(model, Module):
        raise DtypeError("fuse_batch_norms", "model is a Module", {"model": type(model).__name__})
    fused = copy.deepcopy(model).eval()
    for layer, norm in pairs(fused, inputs):
        fold(layer, norm)
        for module in fused.modules():
            for name, child in list(module.modules_here.items()):
                if child is norm:
                    setattr(module, name, Identity())
    return fused


def pairs(model: Module, inputs: tuple) -> list[tuple[Module, BatchNorm]]:
    """Layers and the batch norms to be folded into them."""
    calls = Counter()
    made_by: dict[Function, Module] = {}  # the Function of a layer's output -> the layer
    norms: list[tuple[BatchNorm, Tensor]] = []

    def note(module: Module, inputs: tuple, output: Any) -> None:
        calls[module] += 1
        if isinstance(module, BatchNorm):
            norms.append((module, inputs[0]))
        elif isinstance(output, Tensor):
            made_by[output.grad_fn] = module

    kinds = (BatchNorm, *CHANNEL_AXIS)
    hooks = [m.register_forward_hook(note) for m in model.modules() if isinstance(m, kinds)]
    learns = [parameter.requires_grad for parameter in model.parameters()]
    for parameter in model.parameters():
        parameter.requires_grad = True  # else what depends on it alone is not recorded
    try:
        with enable_grad(), np.errstate(all="ignore"):  # the values mean nothing
            users = count_users(model(*inputs))
    finally:
        for hook in hooks:
            hook.remove()
        for parameter, before in zip(model.parameters(), learns):
            parameter.requires_grad = before
    return [
        (made_by[x.grad_fn], norm)
        for norm, x in norms
        if x.grad_fn in made_by
        and users[x.grad_fn] == calls[norm] == calls[made_by[x.grad_fn]] == 1
        and can_fold(made_by[x.grad_fn], norm, x)
    ]


def count_users(outputs: Any) -> Counter:
    """By how many Functions, or by the caller, the outputs of each Function are looked at."""
    users: Counter = Counter()
    stack = [outputs]
    while stack:
        x = stack.pop()
        if isinstance(x, dict):
            stack.extend(x.values())
        elif isinstance(x, list | tuple):
            stack.extend(x)
        elif isinstance(x, Tensor) and x.grad_fn is not None:
            users[x.grad_fn] += 1
            if users[x.grad_fn] == 1:
                stack.extend(x.grad_fn.inputs)
    return users


def can_fold(layer: Module, norm: BatchNorm, x: Tensor) -> bool:
    """The norm has averages, and its channels are the layer's outputs."""
    if not norm.track_running_stats or (isinstance(layer, Linear) and x.ndim != 2):
        return False
    return not (isinstance(layer, ConvTranspose2d) and layer.groups > 1)


def fold(layer: Module, norm: BatchNorm) -> None:
    """Change weight and bias of the layer so that it does what the norm did behind it."""
    mean, scale, shift = norm.running_mean.data, 1.0, 0.0
    if norm.affine:
        scale, shift = norm.weight.data, norm.bias.data
    scale = scale / np.sqrt(norm.running_var.data + np.float64(norm.eps))
    bias = 0.0 if layer.bias is None else layer.bias.data
    weight = layer.weight.data
    axes = [1] * weight.ndim
    axes[CHANNEL_AXIS[type(layer)]] = -1
    weight[...] = weight * scale.reshape(axes)
    bias = ((bias - mean) * scale + shift).astype(weight.dtype)
    layer.bias = Parameter(bias, requires_grad=layer.weight.requires_grad)
