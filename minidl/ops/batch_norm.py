"""Batch normalization (Ioffe and Szegedy 2015, algorithm 1).

    xhat = (x - mean) / sqrt(var + eps)          mean, var: of one channel
    y    = w xhat + b

    gb   = sum gy        gw = sum gy xhat        over the M values of the channel

    evaluation (mean and var are constants, the running averages)
    gx   = gy w / sqrt(var + eps)

    training (mean and var are the batch's own, so x acts through them as well)
    gx   = (gy - gb/M - xhat gw/M) w / sqrt(var + eps)

var is divided by M in y. The running variance averages var M/(M-1), the unbiased estimate, and a
running average moves by running = (1 - momentum) running + momentum new: both as in PyTorch.
(Caffe and TensorFlow call 1 - momentum the momentum; the paper averages unbiased variances.)

w and b of each picture may be its own, functions of something that the picture should show
(conditional batch norm, de Vries et al. 2017). With w_n inside of the sums over the batch,

    gb_n = sum gy        gw_n = sum gy xhat          over the values of the channel in picture n
    gx   = (w_n gy - sum_n w_n gb_n / M - xhat sum_n w_n gw_n / M) / sqrt(var + eps)

A ReLU behind the norm may be applied where y is written, and reads no memory of its own then.

Statistics are float64 whatever the dtype of x: they are few, and a channel whose mean is large
against its spread keeps its digits.
"""

from __future__ import annotations

import math
from typing import Any

from minidl import kernels
from minidl.checks import check_floating, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, Hint, ShapeError
from minidl.function import Function
from minidl.kernels.sums import total
from minidl.ops.inplace import check_writeable
from minidl.ops.receptive_field import SAME_PIXEL, WHOLE
from minidl.shapes import check_flag, is_number
from minidl.tensor import Tensor


class BatchNorm(Function):
    """With per_image each picture is a batch of its own: see instance_norm.py."""

    def __init__(self, running, training, momentum, eps, per_image=False, relu=False):
        self.running, self.training, self.momentum = running, training, momentum
        self.eps, self.per_image, self.relu = eps, per_image, relu

    def forward(self, x, w, b):
        kernel = kernels.pick("batch_norm", x)
        if self.training:
            mean, variance = kernel.statistics(x, self.per_image)
            if self.running is not None:
                update_running(self.running, mean, variance, self.count(x), self.momentum)
        else:
            mean, variance = (statistic.data[None].astype("float64") for statistic in self.running)
        inv_std = 1 / (variance + self.eps) ** 0.5
        self.of_pictures = w.ndim == 2
        if self.of_pictures:
            mean, inv_std = (statistic.repeat(len(x), 0) for statistic in (mean, inv_std))
        y = kernel.normalize(x, mean, inv_std, w, b, self.relu)
        if any(self.needs_grad):
            self.mean, self.inv_std, self.w = mean, inv_std, w
            self.x = x if self.training or self.needs_grad[1] else None
            self.y = y if self.relu else None
        return y

    def backward(self, gy):
        kernel = kernels.pick("batch_norm", gy)
        if self.relu:
            gy = kernels.pick("relu", gy).backward(gy, self.y)
        gx = gw = gb = sum_gy = sum_gy_xhat = None
        if self.x is not None:
            sum_gy, sum_gy_xhat = kernel.gradient_sums(gy, self.x, self.mean, self.inv_std)
            gw, gb = sum_gy_xhat, sum_gy
            if not self.of_pictures:
                gw, gb = gw.sum(axis=0), gb.sum(axis=0)
            gw, gb = gw.astype(gy.dtype), gb.astype(gy.dtype)
        elif self.needs_grad[2]:
            pixels = tuple(range(2, gy.ndim))
            gb = total(gy, pixels if self.of_pictures else (0, *pixels))
        if self.needs_grad[0] and self.training:
            M, sums = self.count(gy), [self.w * sum_gy, self.w * sum_gy_xhat]
            if self.of_pictures:
                sums = [over_pictures(sum_) for sum_ in sums]
            gx = kernel.backward_training(
                gy, self.x, self.mean, self.inv_std, self.w, sums[0] / M, sums[1] / M
            )
        elif self.needs_grad[0]:
            gx = kernel.backward_evaluation(gy, self.inv_std, self.w)
        return gx, gw, gb

    @property
    def receptive_field(self):
        """In training, averages over the picture are subtracted from each of its pixels."""
        return WHOLE if self.training else SAME_PIXEL

    def count(self, x):
        """M, how many values each mean is taken over."""
        return math.prod(x.shape[2:]) * (1 if self.per_image else x.shape[0])


def batch_norm(
    input: Tensor,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    training: bool = False,
    momentum: float = 0.1,
    eps: float = 1e-5,
    relu: bool = False,
) -> Tensor:
    """Shift and scale each channel to mean 0 and variance 1, then by a learned weight and bias.

    y = (x - mean) / sqrt(var + eps) * weight + bias

    Ioffe and Szegedy 2015, "Batch normalization", algorithm 1.

    Args:
        input: (N, C, ...): (N, C), (N, C, L) or (N, C, H, W).
        running_mean: (C,), used in evaluation and updated in place in training; None: neither.
        running_var: (C,), likewise.
        weight: (C,), or None for 1; (N, C) where each picture has its own.
        bias: (C,), or None for 0; (N, C) where the weight is.
        training: normalize with the mean and variance of this batch.
        momentum: weight of this batch in the running averages, from 0 to 1.
        eps: added to the variance, >= 0.
        relu: a ReLU follows, in the same pass over memory.

    Returns:
        The shape of input.

    Raises:
        ShapeError: a vector is not (C,), or training on a single value per channel.
        ArgumentError: evaluation without running statistics, momentum or eps out of range, or
            training or relu is not a bool.
        DtypeError: not floating point, or of different dtypes.

    >>> x = minidl.tensor([[1.0], [3.0]])
    >>> minidl.nn.functional.batch_norm(x, None, None, training=True, eps=0.0)
    tensor([[-1.],
            [ 1.]])
    """
    check_arguments("batch_norm", input, running_mean, running_var, weight, bias, eps, own=True)
    check_momentum("batch_norm", momentum)
    check_flag("batch_norm", "training", training)
    check_flag("batch_norm", "relu", relu)
    if training and math.prod(input.data.shape[2:]) * input.data.shape[0] < 2:
        raise ShapeError(
            "batch_norm",
            "training needs more than one value per channel: one has no variance",
            {"input": input},
            Hint(
                "use {larger_batch}, or {evaluation}",
                larger_batch="a larger batch (drop_last=True)",
                evaluation="eval() for this layer",
            ),
        )
    running = check_running("batch_norm", running_mean, running_var, required=not training)
    weight, bias = fill_affine(input, weight, bias)
    function = BatchNorm(running, training, float(momentum), float(eps), relu=relu)
    return function.apply(input, weight, bias)


def over_pictures(sums: Any) -> Any:
    """What is (N, C), added up over the pictures and given to each of them."""
    return sums.sum(axis=0, keepdims=True).repeat(len(sums), 0)


def update_running(running: tuple, mean: Any, variance: Any, count: int, momentum: float) -> None:
    """Move the running averages towards a batch's statistics, each (groups, C), in place."""
    unbiased = variance * (count / (count - 1))
    for average, new in zip(running, (mean, unbiased)):
        average.data *= 1 - momentum
        new = new[0] if len(new) == 1 else new.mean(axis=0)
        average.data += (momentum * new).astype(average.data.dtype)


def fill_affine(input: Tensor, weight: Tensor | None, bias: Tensor | None) -> tuple:
    """weight and bias, constants 1 and 0 in place of None, so that kernels know one case."""
    xp, C = array_module(input.data), input.data.shape[1]
    if weight is None:
        weight = Tensor(xp.ones(C, input.data.dtype))
    if bias is None:
        bias = Tensor(xp.zeros(C, input.data.dtype))
    return weight, bias


def check_arguments(
    op: str, input: Any, running_mean, running_var, weight, bias, eps, own: bool = False
) -> None:
    """What batch and instance normalization ask of their arguments alike.

    own: pictures may have a weight and bias of their own.
    """
    vectors = {
        "running_mean": running_mean, "running_var": running_var, "weight": weight, "bias": bias,
    }  # fmt: skip
    check_tensor(op, input=input, **vectors)
    if input.data.ndim < 2:
        raise ShapeError(op, "input has at least 2 dimensions (N, C, ...)", {"input": input})
    check_floating(op, input=input, **vectors)
    C = input.data.shape[1]
    if own and weight is not None and weight.data.ndim == 2:
        check_own(op, input, weight, bias)
        vectors = {name: vectors[name] for name in ("running_mean", "running_var")}
    for name, vector in vectors.items():
        if vector is not None and vector.data.shape != (C,):
            raise ShapeError(
                op, f"{name} has one value per channel, {C}", {"input": input, name: vector},
                f"did you mean num_features={C}?",
            )  # fmt: skip
    if not is_number(eps) or not eps >= 0:
        raise ArgumentError(op, "eps is a number >= 0", {"eps": eps})


def check_own(op: str, input: Tensor, weight: Tensor, bias: Tensor | None) -> None:
    """Each picture's weight and bias: both are (N, C)."""
    expected = input.data.shape[:2]
    if weight.data.shape != expected or bias is None or bias.data.shape != expected:
        rule = f"a weight and a bias of each picture are {expected}, both"
        raise ShapeError(op, rule, {"input": input, "weight": weight, "bias": bias})


def check_momentum(op: str, momentum: Any) -> None:
    if not is_number(momentum) or not 0 <= momentum <= 1:
        raise ArgumentError(op, "momentum is a number from 0 to 1", {"momentum": momentum})


def check_running(op: str, running_mean, running_var, required: bool) -> tuple | None:
    """(running_mean, running_var), or None where both are None and not required."""
    given = {"running_mean": running_mean, "running_var": running_var}
    if (running_mean is None) != (running_var is None):
        raise ArgumentError(op, "running_mean and running_var come together", given)
    if running_mean is None and required:
        raise ArgumentError(
            op, "evaluation needs running_mean and running_var", given,
            "training=True normalizes with the statistics of the input itself",
        )  # fmt: skip
    if running_mean is None:
        return None
    if not required:  # then they are updated
        check_writeable(op, running_mean=running_mean, running_var=running_var)
    return running_mean, running_var
