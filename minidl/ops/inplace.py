"""Changes of a tensor's memory: x += y, x[i] = y, x.fill_(0), ...

They are not part of the graph, so they are allowed only inside `with minidl.no_grad():`, or when
neither side requires a gradient; and never for a computed tensor that is part of a graph.

What is not noticed, other than in PyTorch: a leaf that an operation kept for its backward, and
that changes between the two. In y = w * x; x.mul_(10); y.backward() the gradient of w is computed
with the new x.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.arrays import as_written
from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import DtypeError, GraphError, ShapeError
from minidl.function import grad_mode
from minidl.ops.broadcasting import check_broadcast, check_devices, check_operand, operands
from minidl.tensor import Tensor


def add_(input: Tensor, other: Any) -> Tensor:
    """input += other, in place; see minidl.ops.add.

    Args:
        input: the Tensor to change.
        other: Tensor or number that broadcasts to it.

    Returns:
        input.

    Raises:
        GraphError: a gradient would be lost.
        ShapeError, DtypeError: the result does not fit into input.
    """
    x, y = in_place_operands("add_", input, other)
    x += y
    return input


def sub_(input: Tensor, other: Any) -> Tensor:
    """input -= other, in place; see minidl.ops.sub.

    Args:
        input: the Tensor to change.
        other: Tensor or number that broadcasts to it.

    Returns:
        input.

    Raises:
        GraphError: a gradient would be lost.
        ShapeError, DtypeError: the result does not fit into input.

    >>> w = minidl.tensor([1.0, 2.0], requires_grad=True)
    >>> with minidl.no_grad():
    ...     w -= 0.5
    >>> w
    tensor([0.5, 1.5], requires_grad=True)
    """
    x, y = in_place_operands("sub_", input, other)
    if x.dtype.kind == "b":
        raise DtypeError("sub_", "bools have no difference", {"input": input})
    x -= y
    return input


def mul_(input: Tensor, other: Any) -> Tensor:
    """input *= other, in place; see minidl.ops.mul.

    Args:
        input: the Tensor to change.
        other: Tensor or number that broadcasts to it.

    Returns:
        input.

    Raises:
        GraphError: a gradient would be lost.
        ShapeError, DtypeError: the result does not fit into input.
    """
    x, y = in_place_operands("mul_", input, other)
    x *= y
    return input


def div_(input: Tensor, other: Any) -> Tensor:
    """input /= other, in place; see minidl.ops.div.

    Args:
        input: the Tensor to change, floating point.
        other: Tensor or number that broadcasts to it.

    Returns:
        input.

    Raises:
        GraphError: a gradient would be lost.
        ShapeError, DtypeError: the result does not fit into input.
    """
    x, y = in_place_operands("div_", input, other)
    if x.dtype.kind != "f":
        raise DtypeError("div_", "a quotient does not fit into integers", {"input": input})
    x /= y
    return input


def copy_(input: Tensor, other: Any) -> Tensor:
    """Overwrite input with other's values, converted to its dtype (for integers as in Tensor.to).

    Args:
        input: the Tensor to change.
        other: Tensor or number that broadcasts to it.

    Returns:
        input.

    Raises:
        GraphError: a gradient would be lost.
        ShapeError: other does not broadcast to input.
        ArgumentError: a number does not fit into input's integers.
    """
    return overwrite("copy_", input, other)


def fill_(input: Tensor, value: float) -> Tensor:
    """Overwrite every element with one number.

    Args:
        input: the Tensor to change.
        value: the number.

    Returns:
        input.

    Raises:
        GraphError: a gradient would be lost.
        ArgumentError: the number does not fit into input's integers.
    """
    return overwrite("fill_", input, value)


def zero_(input: Tensor) -> Tensor:
    """Overwrite every element with 0.

    Args:
        input: the Tensor to change.

    Returns:
        input.

    Raises:
        GraphError: a gradient would be lost.
    """
    return overwrite("zero_", input, 0)


def overwrite(op: str, input: Tensor, values: Any) -> Tensor:
    """input with other values, in the same memory."""
    check_in_place(op, input, values)
    check_operand(op, values)
    array = as_written(op, values, input.data.dtype)
    if not isinstance(values, Tensor):
        array = array_module(input.data).asarray(array)
    check_target(op, input, Tensor(array))
    input.data[...] = array
    return input


def in_place_operands(op: str, input: Tensor, other: Any) -> tuple:
    """The arrays of input and other, once the result is known to fit into input's memory."""
    check_in_place(op, input, other)
    x, y = operands(op, input, other)
    check_target(op, input, y)
    if not np.can_cast(x.data.dtype, input.data.dtype, "same_kind"):
        raise DtypeError(
            op, f"a result of {x.data.dtype} does not fit into {input.data.dtype}",
            {"input": input, "other": y}, "convert first: input = input.float()",
        )  # fmt: skip
    return input.data, y.data


def check_target(op: str, input: Tensor, y: Tensor) -> None:
    """A result of input and y, or y itself, has input's shape, and is on its device."""
    check_devices(op, input, y)
    check_broadcast(op, input, y)
    if y.data.ndim and unlike_target(input.data.shape, y.data.shape):
        raise ShapeError(op, "the result must have input's shape", {"input": input, "other": y})


def unlike_target(target: tuple, shape: tuple) -> bool:
    """Whether broadcasting with `shape` (known to be possible) would stretch `target`."""
    extra = len(shape) - len(target)
    return extra > 0 or any(t != s and s != 1 for t, s in zip(target[-len(shape) :], shape))


def check_in_place(op: str, input: Tensor, other: Any = None) -> None:
    """No gradient gets lost, and the memory may be written.

    Raises:
        GraphError
    """
    check_tensor(op, input=input)
    if input.grad_fn is not None:
        raise GraphError(
            op, "a computed tensor cannot change in place: backward may need its value",
            {"input": input}, "make a new tensor (y = y + 1), or change y.detach() knowingly",
        )  # fmt: skip
    gradient_flows = input.requires_grad or (isinstance(other, Tensor) and other.requires_grad)
    if gradient_flows and grad_mode.enabled:
        raise GraphError(
            op, "a change in place is not recorded, so a gradient would be lost",
            {"input": input}, "put it into `with minidl.no_grad():`, or make a new tensor",
        )  # fmt: skip
    check_writeable(op, input=input)


def check_writeable(op: str, **tensors: Tensor) -> None:
    """The memory of these tensors may be written to."""
    for name, x in tensors.items():
        if not getattr(x.data.flags, "writeable", True):  # CuPy's arrays always are
            raise GraphError(
                op, "the memory is read-only: an expanded view, or borrowed", {name: x},
                f"make a copy first: {name}.clone()",
            )  # fmt: skip
