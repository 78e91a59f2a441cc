"""Batch norms folded into the layers before them, for networks that have learned all they will.

In evaluation a batch norm is a multiplication and an addition for each channel, and so may be done
to the weights once, in place of to every picture:

    gamma (w x + b - mean) / sqrt(var + eps) + beta
        = (s w) x + (s (b - mean) + beta)                       s = gamma / sqrt(var + eps)
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from minidl.errors import DtypeError, GraphError
from minidl.function import Function, enable_grad, no_grad
from minidl.nn.conv import Conv2d, ConvTranspose2d
from minidl.nn.linear import Identity, Linear
from minidl.nn.module import Module, Parameter
from minidl.nn.norm import BatchNorm
from minidl.tensor import Tensor

ROUNDING = 1e-3  # of the largest output: far above what float32 rounds, far below a wrong network
CHANNEL_AXIS = {Conv2d: 0, ConvTranspose2d: 1, Linear: 0}  # of the weight


def fuse_batch_norms(model: Module, *inputs: Tensor) -> Module:
    """A copy of a network for evaluation, with batch norms folded into convolutions before them.

    A batch norm goes where its input is the output of a Conv2d, ConvTranspose2d or Linear that
    nothing else looks at, where both were called once and no other layer shares the weights; the
    others stay. Which follows which is seen by running a copy once and following the recorded
    graph; what is computed beside the graph (by detach, no_grad, comparisons) is not in it. So the
    result is tried out on the example, with random averages: both networks agree, or this raises.

    Jacob et al. 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", section 3.2.

    Args:
        model: any Module; it is left as it is.
        inputs: an example of what it is called with.

    Returns:
        The copy, in evaluation mode, with Identity in place of what was folded.

    Raises:
        DtypeError: model is no Module.
        GraphError: the model looks at what would be folded in ways that are not recorded, or
            changes in place what has to be recorded.
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
    plain = copy.deepcopy(model).eval()
    found = pairs(copy.deepcopy(plain), inputs)
    tried = with_random_averages(plain)
    with no_grad(), np.errstate(all="ignore"):
        if not agree(tried(*inputs), fold_all(tried, found)(*inputs)):
            raise GraphError(
                "fuse_batch_norms", "the network looks at what a batch norm is given in a way that "
                "is not recorded", {"batch norms": [norm for _, norm in found]},
                "such as detach(), no_grad() or a comparison of the output of a convolution",
            )  # fmt: skip
    return fold_all(plain, found)


def fold_all(model: Module, found: list[tuple[str, str]]) -> Module:
    """A copy of the model with all these batch norms folded into these layers."""
    fused = copy.deepcopy(model)
    modules = dict(fused.named_modules())
    for layer, norm in found:
        fold(modules[layer], modules[norm])
        for module in modules.values():
            for name, child in list(module.modules_here.items()):
                if child is modules[norm]:
                    setattr(module, name, Identity())
    return fused


def with_random_averages(model: Module) -> Module:
    """A copy whose batch norms change something: new ones subtract 0 and divide by 1."""
    tried, rng = copy.deepcopy(model), np.random.default_rng(0)
    for module in tried.modules():
        if isinstance(module, BatchNorm) and module.track_running_stats:
            module.running_mean.data[...] = rng.uniform(-1, 1, module.num_features)
            module.running_var.data[...] = rng.uniform(0.5, 2, module.num_features)
    return tried


def agree(a: Any, b: Any) -> bool:
    """The tensors of two outputs are equal up to rounding, and there are some."""
    a, b = list(tensors_in(a)), list(tensors_in(b))
    return len(a) == len(b) > 0 and all(
        np.abs(x.data - y.data).max(initial=0) <= ROUNDING * np.abs(x.data).max(initial=0)
        for x, y in zip(a, b)
    )


def tensors_in(output: Any) -> Iterator[Tensor]:
    """The Tensors of nested tuples, lists and dicts."""
    if isinstance(output, Tensor):
        yield output
    elif isinstance(output, dict | list | tuple):
        for part in output.values() if isinstance(output, dict) else output:
            yield from tensors_in(part)


def pairs(model: Module, inputs: tuple) -> list[tuple[str, str]]:
    """The paths of layers and of the batch norms to be folded into them.

    The model is made to record all of it, and is of no other use afterwards.
    """
    calls = Counter()
    made_by: dict[Function, Module] = {}  # the Function of a layer's output -> the layer
    norms: list[tuple[BatchNorm, Tensor]] = []

    def note(module: Module, inputs: tuple, output: Any) -> None:
        calls[module] += 1
        if isinstance(module, BatchNorm):
            norms.append((module, inputs[0]))
        elif isinstance(output, Tensor):
            made_by[output.grad_fn] = module

    for module in model.modules():  # a subclass of a layer may do something else
        if isinstance(module, BatchNorm) or type(module) in CHANNEL_AXIS:
            module.register_forward_hook(note)
    for parameter in model.parameters():
        parameter.requires_grad = True  # else what depends on it alone is not recorded
    with enable_grad(), np.errstate(all="ignore"):  # the values mean nothing
        users = count_users(model(*inputs))
    paths = {module: path for path, module in model.named_modules()}
    return [
        (paths[layer], paths[norm])
        for norm, x in norms
        if (layer := made_by.get(x.grad_fn))
        and users[x.grad_fn] == users[layer.weight] == calls[norm] == calls[layer] == 1
        and can_fold(layer, norm, x)
    ]


def count_users(outputs: Any) -> Counter:
    """By how many Functions, or by the caller, the outputs of each Function are looked at.

    And by how many each leaf is.
    """
    users: Counter = Counter()
    stack = list(tensors_in(outputs))
    while stack:
        x = stack.pop()
        users[x.grad_fn or x] += 1
        if x.grad_fn is not None and users[x.grad_fn] == 1:
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
