"""Normalization layers: batch, instance, local response.

A norm that is frozen (freeze()) is frozen altogether: if it has running averages it normalizes
with them and does not move them, in training as well. What was learned before fine-tuning then
stays as it was, whatever the batches look like. PyTorch differs: there such a layer goes on taking
and averaging batch statistics until eval().

Weight and bias tell whether a norm is frozen, so that requires_grad = False by hand will do. One
without them (affine=False) is frozen by freeze(), its own or that of a network it is in.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.checks import check_tensor
from minidl.errors import ArgumentError, ShapeError
from minidl.nn.checks import check_flags, check_sizes, new_weight
from minidl.nn.module import Module, Parameter
from minidl.ops.batch_norm import batch_norm
from minidl.ops.instance_norm import instance_norm
from minidl.ops.lrn import check_parameters, local_response_norm
from minidl.shapes import is_number
from minidl.tensor import Tensor


class Normalization(Module):
    """What batch and instance norm have in common: a weight, a bias, and running averages."""

    dims = "(N, C, ...)"
    ndims: tuple = ()  # how many dimensions an input may have

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ):
        super().__init__()
        op = type(self).__name__
        check_settings(op, num_features, eps, momentum)
        check_flags(op, affine=affine, track_running_stats=track_running_stats)
        self.num_features, self.eps, self.momentum = num_features, eps, momentum
        self.affine, self.track_running_stats = affine, track_running_stats
        self.thawed = not affine  # without weight and bias: False after freeze()
        for name in ("weight", "bias"):
            empty = Parameter(new_weight(op, num_features)) if affine else None
            self.register_parameter(name, empty)
        for name in ("running_mean", "running_var"):
            empty = Tensor(new_weight(op, num_features)) if track_running_stats else None
            self.register_buffer(name, empty)
        counter = Tensor(np.zeros((), np.int64)) if track_running_stats else None
        self.register_buffer("num_batches_tracked", counter)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weight 1, bias 0, and running averages as if nothing had been seen."""
        self.reset_running_stats()
        if self.affine:
            self.weight.data[...] = 1
            self.bias.data[...] = 0

    def reset_running_stats(self) -> None:
        """Mean 0, variance 1, no batch seen."""
        if self.track_running_stats:
            self.running_mean.data[...] = 0
            self.running_var.data[...] = 1
            self.num_batches_tracked.data[...] = 0

    def learn_here(self, learns: bool) -> None:
        super().learn_here(learns)
        self.thawed = learns and not self.affine

    def learns(self) -> bool:
        """Whether weight or bias is learned; without them, whether freeze() did not end that."""
        return self.thawed or self.affine and (self.weight.requires_grad or self.bias.requires_grad)

    def check_input(self, x: Tensor) -> None:
        name = type(self).__name__
        check_tensor(name, input=x)
        if x.ndim not in self.ndims:
            raise ShapeError(name, f"expects an input {self.dims}", {"input": x})
        if x.shape[1] != self.num_features:
            raise ShapeError(
                name, f"expects {self.num_features} channels, input has {x.shape[1]}",
                {"input": x}, f"did you mean num_features={x.shape[1]}?",
            )  # fmt: skip

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


class BatchNorm(Normalization):
    """The forward of BatchNorm1d and BatchNorm2d."""

    def forward(
        self,
        x: Tensor,
        weight: Tensor | None = None,
        bias: Tensor | None = None,
        relu: bool = False,
    ) -> Tensor:
        """Normalize x.

        Args:
            x: (N, C, ...).
            weight, bias: (N, C), one for each picture, where the layer has affine=False:
                conditional batch norm.
            relu: a ReLU follows, in the same pass over memory.

        Raises:
            ShapeError: they do not fit x, or only one of them is (N, C).
            ArgumentError: the layer has a weight and bias itself.
        """
        self.check_input(x)
        if weight is None and bias is None:
            weight, bias = self.weight, self.bias
        elif self.affine:
            rule = "a layer that is given a weight and bias has none itself: affine=False"
            raise ArgumentError(type(self).__name__, rule)
        learns = self.training and self.learns()
        updates = learns and self.track_running_stats
        momentum = self.momentum
        if momentum is None:  # the plain average of n batches gives the newest a weight 1/n
            momentum = 1 / (int(self.num_batches_tracked.data) + 1) if updates else 0.0
        y = batch_norm(
            x, self.running_mean, self.running_var, weight, bias,
            training=learns or not self.track_running_stats, momentum=momentum, eps=self.eps,
            relu=relu,
        )  # fmt: skip
        if updates:
            self.num_batches_tracked.data += 1
        return y


class BatchNorm1d(BatchNorm):
    """Batch normalization of vectors or sequences; see minidl.nn.functional.batch_norm.

    In training with the batch's own mean and variance, in evaluation with running averages. Also
    in training with running averages, which then stay, where it is frozen (PyTorch goes on with the
    batch's).

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running averages; None for the plain average
            of all batches.
        affine: learn a weight and a bias for each channel.
        track_running_stats: keep running averages; without, evaluation uses the batch, too.

    Shapes: (N, C) or (N, C, L) -> the same.

    >>> minidl.nn.BatchNorm1d(3)(minidl.randn(4, 3)).shape
    (4, 3)
    """

    dims, ndims = "(N, C) or (N, C, L)", (2, 3)


class BatchNorm2d(BatchNorm):
    """Batch normalization of pictures; see minidl.nn.functional.batch_norm.

    In training with the batch's own mean and variance, in evaluation with running averages. Also
    in training with running averages, which then stay, where it is frozen (PyTorch goes on with the
    batch's).

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running averages; None for the plain average
            of all batches.
        affine: learn a weight and a bias for each channel.
        track_running_stats: keep running averages; without, evaluation uses the batch, too.

    Shapes: (N, C, H, W) -> the same.

    >>> minidl.nn.BatchNorm2d(3)(minidl.randn(1, 3, 4, 4)).shape
    (1, 3, 4, 4)
    """

    dims, ndims = "(N, C, H, W)", (4,)


class InstanceNorm2d(Normalization):
    """Normalization of each channel of each picture; see minidl.nn.functional.instance_norm.

    With running averages it uses them in evaluation, and also in training where it is frozen; they
    stay as they are then.

    Args:
        num_features: C.
        eps: added to the variance.
        momentum: weight of the newest batch in the running averages.
        affine: learn a weight and a bias for each channel.
        track_running_stats: keep running averages over pictures, and use them in evaluation.

    Shapes: (N, C, H, W) -> the same.

    >>> minidl.nn.InstanceNorm2d(3)(minidl.randn(1, 3, 4, 4)).shape
    (1, 3, 4, 4)
    """

    dims, ndims = "(N, C, H, W)", (4,)

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
    ):
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def forward(self, x: Tensor) -> Tensor:
        self.check_input(x)
        learns = self.training and self.learns()
        return instance_norm(
            x, self.running_mean, self.running_var, self.weight, self.bias,
            use_input_stats=learns or not self.track_running_stats,
            momentum=self.momentum or 0.0, eps=self.eps,
        )  # fmt: skip


class LocalResponseNorm(Module):
    """Local response normalization; see minidl.nn.functional.local_response_norm.

    Args:
        size: how many channels the window covers.
        alpha, beta, k: as in functional.local_response_norm.

    Shapes: (N, C, H, W) -> the same.

    >>> minidl.nn.LocalResponseNorm(5, alpha=5e-4, k=2.0)(minidl.ones(1, 8, 2, 2)).shape
    (1, 8, 2, 2)
    """

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0):
        super().__init__()
        check_parameters("LocalResponseNorm", size, alpha, beta, k)
        self.size, self.alpha, self.beta, self.k = size, alpha, beta, k

    def forward(self, x: Tensor) -> Tensor:
        return local_response_norm(x, self.size, self.alpha, self.beta, self.k)

    def extra_repr(self) -> str:
        return f"{self.size}, alpha={self.alpha}, beta={self.beta}, k={self.k}"


def check_settings(op: str, num_features: Any, eps: Any, momentum: Any) -> None:
    check_sizes(op, num_features=num_features)
    if not is_number(eps) or not eps >= 0:
        raise ArgumentError(op, "eps is a number >= 0", {"eps": eps})
    if momentum is not None and not (is_number(momentum) and 0 <= momentum <= 1):
        raise ArgumentError(op, "momentum is None or a number from 0 to 1", {"momentum": momentum})
