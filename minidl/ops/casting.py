"""Conversions: to another element type, to another device, and copies.

    y = x.astype(dtype)     gx = gy.astype(dtype of x)

Between floating-point types a conversion is part of the graph; one to integers or bools is a
constant to it, as its derivative is 0 wherever there is one. Numbers that integers cannot be, 300
for uint8 or NaN, are refused by `to`, at the price of a look for the smallest and the largest.
"""

from __future__ import annotations

from typing import Any

from minidl.checks import check_tensor
from minidl.device import device_of, to_device
from minidl.dtypes import NAMES, check_fits, resolve_dtype
from minidl.errors import DtypeError, nearest
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL
from minidl.tensor import Tensor


class Cast(Function):
    receptive_field = SAME_PIXEL

    def __init__(self, dtype):
        self.dtype = dtype

    def forward(self, x):
        self.x_dtype = x.dtype
        return x.astype(self.dtype)

    def backward(self, gy):
        return gy.astype(self.x_dtype)


class Transfer(Function):
    receptive_field = SAME_PIXEL

    def __init__(self, device):
        self.device = device

    def forward(self, x):
        self.x_device = device_of(x)
        return to_device(x, self.device)

    def backward(self, gy):
        return to_device(gy, self.x_device)


class Clone(Function):
    receptive_field = SAME_PIXEL

    def forward(self, x):
        return x.copy(order="K")

    def backward(self, gy):
        return gy


def cast(x: Tensor, dtype: Any) -> Tensor:
    """x in another element type (a NumPy dtype); x itself where it has that type."""
    if x.data.dtype == dtype:
        return x
    return Cast(dtype).apply(x)


def to(input: Tensor, *targets: Any, dtype: Any = None, device: str | None = None) -> Tensor:
    """Convert to an element type, a device, both, or those of another tensor.

    Args:
        input: any Tensor.
        targets: dtype ("float64", np.float64, minidl.float64), device ("cpu", "cuda", "cuda:1")
            or a Tensor that has both; one or two of them.
        dtype, device: the same by keyword.

    Returns:
        The converted tensor; input itself where nothing changes.

    Raises:
        DtypeError: no such element type or device; names the nearest.
        DeviceError: there is no such GPU.
        ArgumentError: a number does not fit into integers: out of their range, or NaN (PyTorch
            takes what is left of the bits). Fractions are cut off. clamp first for the nearest.

    >>> minidl.tensor([1.7, -1.7]).to("int64")
    tensor([ 1, -1])
    """
    check_tensor("to", input=input)
    for target in (*targets, dtype, device):
        if target is None:
            continue
        if isinstance(target, Tensor):
            input = to(input, target.dtype, target.device)
        elif isinstance(target, str) and target.split(":")[0] in ("cpu", "cuda"):
            if input.device != target:
                input = Transfer(target).apply(input)
        elif isinstance(target, str) and target not in NAMES:
            raise DtypeError(
                "to", "no such element type or device", {"target": target},
                nearest(target, [*NAMES, "cpu", "cuda"]),
            )  # fmt: skip
        else:
            wanted = resolve_dtype("to", target)
            check_fits("to", input.data, wanted)
            input = cast(input, wanted)
    return input


def clone(input: Tensor) -> Tensor:
    """A copy in memory of its own, through which the gradient passes.

    Args:
        input: any Tensor.

    Returns:
        The same shape and memory layout.

    >>> x = minidl.ones(2)
    >>> y = x.clone().fill_(3); x
    tensor([1., 1.])
    """
    check_tensor("clone", input=input)
    return Clone().apply(input)
