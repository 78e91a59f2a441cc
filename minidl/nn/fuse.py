"""Batch norms folded into the layers before them, for networks that have learned all they will.

In evaluation a batch norm multiplies each channel by a number and adds another. That can be done
to the weights, once, instead of to every picture:

    gamma (w x + b - mean) / sqrt(var + eps) + beta
        = (s w) x + (s (b - mean) + beta)                       s = gamma / sqrt(var + eps)
"""

from __future__ import annotations

import copy
from collections import Counter
from typing import Any

import numpy as np

from minidl.errors import DtypeError, GraphError
from minidl.function import no_grad
from minidl.graph import tensors_in
from minidl.nn.conv import Conv2d, ConvTranspose2d
from minidl.nn.linear import Identity, Linear
from minidl.nn.module import Module, Parameter
from minidl.nn.norm import BatchNorm
from minidl.nn.record import ModuleCall, record
from minidl.tensor import Tensor

ROUNDING = 1e-3  # of the largest output: far above what float32 rounds, far below a wrong network
CHANNEL_AXIS = {Conv2d: 0, ConvTranspose2d: 1, Linear: 0}  # of the weight


def fuse_batch_norms(model: Module, *inputs: Tensor) -> Module:
    """A copy of a network for evaluation, with batch norms folded into convolutions before them.

    A batch norm goes where its input is the output of a Conv2d, ConvTranspose2d or Linear that
    nothing else looks at, where both were called once and no other layer shares the weights; the
    others stay. Which follows which is seen by running a copy once and recording its operations;
    what is no operation (NumPy code, detach, changes in place) is not among them. So the result is
    tried out on the example, with random averages: both networks agree, or this raises.

    Jacob et al. 2018, "Quantization and training of neural networks for efficient
    integer-arithmetic-only inference", section 3.2.

    Args:
        model: any Module; it is left as it is.
        inputs: an example of what it is called with.

    Returns:
        The copy, in evaluation mode, with an Identity where a batch norm was folded.

    Raises:
        DtypeError: model is no Module.
        GraphError: the model looks at what would be folded in ways that are not recorded.
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
                "such as detach() or NumPy code on the output of a convolution",
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


def pairs(model: Module, inputs: tuple) -> list[tuple[str, str]]:
    """The paths of layers and of the batch norms to be folded into them."""
    with no_grad(), np.errstate(all="ignore"), record() as recording:  # the values mean nothing
        outputs = model(*inputs)
    # By how many operations, or by the caller, each Tensor is looked at.
    users = Counter(x for call in recording.calls for x in call.inputs)
    users.update(tensors_in(outputs))
    times = Counter(call.module for call in recording.module_calls)
    made_by: dict[Tensor, ModuleCall] = {}  # the output of a layer -> its call
    found = []
    for call in recording.module_calls:
        if type(call.module) in CHANNEL_AXIS:  # a subclass of a layer may do something else
            made_by[call.output] = call
        elif isinstance(call.module, BatchNorm) and (layer := made_by.get(input_of(call))):
            used = users[layer.output], users[layer.module.weight]
            once = used == (1, 1) and times[layer.module] == times[call.module] == 1
            if once and can_fold(layer.module, call.module, layer.output):
                found.append((layer.path, call.path))
    return found


def input_of(norm: ModuleCall) -> Tensor:
    """What a batch norm was called with: norm(x), or norm(x=x)."""
    return next(tensors_in([norm.inputs, norm.options]))


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
