"""The fully connected layer, and the two layers that only reshape or pass on."""

from __future__ import annotations

import math

from minidl.nn import init
from minidl.nn.checks import check_flags, check_sizes, new_weight
from minidl.nn.module import Module, Parameter
from minidl.ops.linear import linear
from minidl.ops.shape import flatten
from minidl.tensor import Tensor


class Linear(Module):
    """y = x w^T + b with a learned weight and bias; see minidl.nn.functional.linear.

    Weight and bias start uniform in +-1/sqrt(in_features), PyTorch's default
    (kaiming_uniform_ with a = sqrt(5)).

    Args:
        in_features: size of the last dimension of the input.
        out_features: size of the last dimension of the output.
        bias: learn a bias.

    Shapes: (..., in_features) -> (..., out_features).

    >>> minidl.nn.Linear(3, 8)(minidl.ones(2, 3)).shape
    (2, 8)
    """

    def __init__(self, in_features: int, out_features: int, bias: bool = True):
        super().__init__()
        check_sizes("Linear", in_features=in_features, out_features=out_features)
        check_flags("Linear", bias=bias)
        self.in_features, self.out_features = in_features, out_features
        self.weight = Parameter(new_weight("Linear", out_features, in_features))
        self.bias = Parameter(new_weight("Linear", out_features)) if bias else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw weight and bias afresh."""
        init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.in_features)
            init.uniform_(self.bias, -bound, bound)

    def forward(self, x: Tensor) -> Tensor:
        return linear(x, self.weight, self.bias)

    def extra_repr(self) -> str:
        return (
            f"in_features={self.in_features}, out_features={self.out_features}, "
            f"bias={self.bias is not None}"
        )


class Identity(Module):
    """Passes its input on: stands in for a layer that is left out.

    >>> minidl.nn.Identity()(minidl.ones(2)).shape
    (2,)
    """

    def forward(self, x: Tensor) -> Tensor:
        return x


class Flatten(Module):
    """Join the dimensions start_dim to end_dim into one; the others stay.

    Elements keep their logical (row-major) order, whatever the memory layout, so that weights of
    the layer behind mean the same in PyTorch.

    Args:
        start_dim: first dimension to join; 1 keeps the batch.
        end_dim: last dimension to join; -1 is the last.

    Shapes: (N, C, H, W) -> (N, C H W).

    >>> minidl.nn.Flatten()(minidl.ones(2, 3, 4, 5)).shape
    (2, 60)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1):
        super().__init__()
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: Tensor) -> Tensor:
        return flatten(x, self.start_dim, self.end_dim)

    def extra_repr(self) -> str:
        return f"start_dim={self.start_dim}, end_dim={self.end_dim}"
