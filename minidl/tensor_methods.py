"""The methods and operators of Tensor: which operation each name stands for.

A line such as `exp = ops.exp` says that x.exp() is minidl.ops.exp(x). The function itself is the
method, so a debugger steps from the expression straight into the operation, and help(Tensor.exp)
shows the operation's own documentation. Only what takes its arguments in another order, or is no
operation by itself, is written out here.

The operations make Tensors, so they need the class before it can have them as methods. That is
why this table stands apart: `import minidl` loads Tensor, then the operations, and then calls
attach_methods. Editors and type checkers read the same table, as the base class that
minidl/tensor.py names for them.
"""

from __future__ import annotations

import builtins  # bool, int and float are methods below
from collections.abc import Iterator
from types import FunctionType
from typing import Any

import numpy as np

from minidl import ops
from minidl.backward import backward
from minidl.creation import tensor
from minidl.device import array_module
from minidl.errors import GraphError, ShapeError
from minidl.shapes import check_flag
from minidl.tensor import Tensor


class TensorMethods:
    """Everything that one can compute with a Tensor. See the top of this file."""

    # --- arithmetic -----------------------------------------------------------------------------

    add = ops.add
    sub = ops.sub
    mul = ops.mul
    div = ops.div
    pow = ops.pow
    neg = ops.neg
    matmul = ops.matmul
    maximum = ops.maximum
    minimum = ops.minimum

    __add__ = __radd__ = ops.add
    __sub__ = ops.sub
    __mul__ = __rmul__ = ops.mul
    __truediv__ = ops.div
    __floordiv__ = ops.floor_divide
    __mod__ = ops.remainder
    __pow__ = ops.pow
    __matmul__ = ops.matmul
    __neg__ = ops.neg
    __abs__ = ops.abs

    def __pos__(self) -> Tensor:
        """+x: x itself."""
        return self

    # What Python calls for `other - x` when other is no Tensor.
    def __rsub__(self, other: Any) -> Tensor:
        """other - x."""
        return ops.sub(other, self)

    def __rtruediv__(self, other: Any) -> Tensor:
        """other / x."""
        return ops.div(other, self)

    def __rfloordiv__(self, other: Any) -> Tensor:
        """other // x."""
        return ops.floor_divide(other, self)

    def __rmod__(self, other: Any) -> Tensor:
        """other % x."""
        return ops.remainder(other, self)

    def __rpow__(self, other: Any) -> Tensor:
        """other ** x."""
        return ops.pow(other, self)

    def __rmatmul__(self, other: Any) -> Tensor:
        """other @ x."""
        return ops.matmul(other, self)

    # --- in place: minidl/ops/inplace.py says when ----------------------------------------------

    add_ = __iadd__ = ops.add_
    sub_ = __isub__ = ops.sub_
    mul_ = __imul__ = ops.mul_
    div_ = __itruediv__ = ops.div_
    copy_ = ops.copy_
    fill_ = ops.fill_
    zero_ = ops.zero_
    __setitem__ = ops.setitem

    # --- element by element ---------------------------------------------------------------------

    exp = ops.exp
    expm1 = ops.expm1
    log = ops.log
    log1p = ops.log1p
    sqrt = ops.sqrt
    rsqrt = ops.rsqrt
    sin = ops.sin
    cos = ops.cos
    square = ops.square
    abs = ops.abs
    sign = ops.sign
    floor = ops.floor
    ceil = ops.ceil
    round = ops.round
    relu = ops.relu
    sigmoid = ops.sigmoid
    tanh = ops.tanh
    softmax = ops.softmax
    log_softmax = ops.log_softmax
    clamp = clip = ops.clamp
    masked_fill = ops.masked_fill

    def where(self, condition: Tensor, other: Any) -> Tensor:
        """x where the condition holds, other elsewhere; see minidl.where."""
        return ops.where(condition, self, other)

    # --- comparison and logic -------------------------------------------------------------------

    eq = ops.eq
    ne = ops.ne
    lt = __lt__ = ops.lt
    le = __le__ = ops.le
    gt = __gt__ = ops.gt
    ge = __ge__ = ops.ge
    isnan = ops.isnan
    isinf = ops.isinf
    isfinite = ops.isfinite
    logical_not = ops.logical_not
    logical_and = ops.logical_and
    logical_or = ops.logical_or
    logical_xor = ops.logical_xor
    equal = ops.equal
    allclose = ops.allclose
    __invert__ = ops.bitwise_not
    __and__ = __rand__ = ops.bitwise_and
    __or__ = __ror__ = ops.bitwise_or
    __xor__ = __rxor__ = ops.bitwise_xor

    # == and != with something that is no number, None say, are left to Python: identity.
    def __eq__(self, other: Any) -> Tensor:  # type: ignore[override]
        """x == other."""
        return ops.eq(self, other) if ops.is_operand(other) else NotImplemented

    def __ne__(self, other: Any) -> Tensor:  # type: ignore[override]
        """x != other."""
        return ops.ne(self, other) if ops.is_operand(other) else NotImplemented

    # --- reductions -----------------------------------------------------------------------------

    sum = ops.sum
    mean = ops.mean
    prod = ops.prod
    max = ops.max
    min = ops.min
    amax = ops.amax
    amin = ops.amin
    argmax = ops.argmax
    argmin = ops.argmin
    any = ops.any
    all = ops.all
    var = ops.var
    std = ops.std
    logsumexp = ops.logsumexp
    norm = ops.norm
    cumsum = ops.cumsum

    # --- shape ----------------------------------------------------------------------------------

    reshape = view = ops.reshape
    flatten = ops.flatten
    squeeze = ops.squeeze
    unsqueeze = ops.unsqueeze
    permute = ops.permute
    transpose = ops.transpose
    t = ops.transpose_matrix
    expand = ops.expand
    broadcast_to = ops.broadcast_to
    repeat = ops.repeat
    tile = ops.tile
    flip = ops.flip
    roll = ops.roll
    contiguous = ops.contiguous

    @property
    def T(self) -> Tensor:
        """The transpose of a matrix; see Tensor.t."""
        return ops.transpose_matrix(self)

    def expand_as(self, other: Tensor) -> Tensor:
        """expand() to the shape of another tensor."""
        return ops.expand(self, other.shape)

    # --- parts ----------------------------------------------------------------------------------

    chunk = ops.chunk
    unbind = ops.unbind
    index_select = ops.index_select
    gather = ops.gather
    __getitem__ = ops.getitem

    def split(self, split_size: Any, dim: builtins.int = 0) -> tuple[Tensor, ...]:
        """Cut into parts along a dimension: of one size, or of the sizes in a list; see
        minidl.split, which calls the sizes by another name, as PyTorch does."""
        return ops.split(self, split_size, dim)

    def __iter__(self) -> Iterator[Tensor]:
        """The slices along the first dimension."""
        return iter(ops.unbind(self))

    def __contains__(self, value: Any) -> builtins.bool:
        """Whether an element equals the value."""
        return builtins.bool(ops.eq(self, value).any())

    # --- copies and conversions -----------------------------------------------------------------

    clone = ops.clone
    to = ops.to

    def cpu(self) -> Tensor:
        """This tensor in main memory."""
        return ops.to(self, "cpu")

    def cuda(self) -> Tensor:
        """This tensor on the GPU."""
        return ops.to(self, "cuda")

    def float(self) -> Tensor:
        """Convert to float32."""
        return ops.to(self, "float32")

    def double(self) -> Tensor:
        """Convert to float64."""
        return ops.to(self, "float64")

    def half(self) -> Tensor:
        """Convert to float16."""
        return ops.to(self, "float16")

    def long(self) -> Tensor:
        """Convert to int64."""
        return ops.to(self, "int64")

    def int(self) -> Tensor:
        """Convert to int32."""
        return ops.to(self, "int32")

    def bool(self) -> Tensor:
        """Convert to bool: True where non-zero."""
        return ops.to(self, "bool")

    def type_as(self, other: Tensor) -> Tensor:
        """Convert to the dtype of another tensor."""
        return ops.to(self, other.dtype)

    # --- meeting NumPy --------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        """array + x is a Tensor; array += x and np.exp(x) work on x's memory, as NumPy does."""
        if out is None and method == "__call__" and ufunc in UFUNCS and not options:
            return UFUNCS[ufunc](*inputs)
        arrays = [np.asarray(x) for x in inputs]
        return getattr(ufunc, method)(*arrays, out=out, **options)

    # --- differentiation ------------------------------------------------------------------------

    def backward(self, gradient: Any = None, retain_graph: builtins.bool = False) -> None:
        """Compute the gradient of this tensor with respect to every leaf, into their `.grad`.

        Args:
            gradient: upstream gradient of this tensor's shape; may be left out for a scalar (1).
            retain_graph: keep what backward needs, so that it can be called again.

        Raises:
            GraphError: nothing was recorded, or the graph was freed by an earlier backward.
            ShapeError: `gradient` is missing or has another shape.
            ArgumentError: retain_graph is not a bool.

        >>> w = minidl.tensor([2.0, 3.0], requires_grad=True)
        >>> (w * w).sum().backward()
        >>> w.grad
        tensor([4., 6.])
        """
        check_flag("backward", "retain_graph", retain_graph)
        if not self.requires_grad:
            raise GraphError(
                "backward",
                "this tensor does not require a gradient, so nothing was recorded",
                {"tensor": self},
                "set requires_grad=True on an input or parameter, outside no_grad()",
            )
        backward(self, upstream_gradient(self, gradient), retain_graph)


# NumPy's side of the operators: array + x calls np.add(array, x).
UFUNCS = {
    np.add: ops.add, np.subtract: ops.sub, np.multiply: ops.mul, np.divide: ops.div,
    np.power: ops.pow, np.floor_divide: ops.floor_divide, np.remainder: ops.remainder,
    np.matmul: ops.matmul, np.equal: ops.eq, np.not_equal: ops.ne, np.less: ops.lt,
    np.less_equal: ops.le, np.greater: ops.gt, np.greater_equal: ops.ge,
    np.bitwise_and: ops.bitwise_and, np.bitwise_or: ops.bitwise_or,
    np.bitwise_xor: ops.bitwise_xor,
}  # fmt: skip


def attach_methods() -> None:
    """Give Tensor every function and property of TensorMethods; `import minidl` calls this."""
    for name, entry in vars(TensorMethods).items():
        if isinstance(entry, FunctionType | property):
            setattr(Tensor, name, entry)


def upstream_gradient(x: Tensor, gradient: Any) -> Any:
    """The array that x.backward(gradient) starts from: 1 for a scalar where none is given."""
    if gradient is None:
        if x.data.size != 1:
            raise ShapeError(
                "backward",
                "only a tensor of one element has a default upstream gradient",
                {"tensor": x},
                "reduce it with .sum() or .mean(), or pass gradient=",
            )
        return array_module(x.data).ones_like(x.data)
    if isinstance(gradient, Tensor) and gradient.dtype == x.dtype and x.grad_fn is not None:
        gradient = gradient.data  # no Function writes to it or hands it on to a leaf
    else:
        gradient = tensor(gradient, dtype=x.dtype).data
    if gradient.shape != x.shape:
        raise ShapeError(
            "backward",
            "the upstream gradient must have the tensor's shape",
            {"tensor": x, "gradient": gradient},
        )
    return gradient
