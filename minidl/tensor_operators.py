"""The operators of Tensor: each is one line that names the operation behind it.

`x * y` is minidl.ops.mul(x, y), and so on: to step into an operation, go to minidl/ops.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

import minidl

if TYPE_CHECKING:
    from minidl.tensor import Tensor

# NumPy's side of the operators: array + x calls np.add(array, x).
UFUNCS = {
    np.add: "add", np.subtract: "sub", np.multiply: "mul", np.divide: "div", np.power: "pow",
    np.floor_divide: "floor_divide", np.remainder: "remainder", np.matmul: "matmul",
    np.equal: "eq", np.not_equal: "ne", np.less: "lt", np.less_equal: "le", np.greater: "gt",
    np.greater_equal: "ge", np.bitwise_and: "bitwise_and", np.bitwise_or: "bitwise_or",
    np.bitwise_xor: "bitwise_xor",
}  # fmt: skip


class TensorOperators:
    """Mixed into Tensor."""

    __slots__ = ()

    # --- arithmetic -------------------------------------------------------------------------------

    def __add__(self, other) -> Tensor:
        """x + other."""
        return minidl.ops.add(self, other)

    def __radd__(self, other) -> Tensor:
        """other + x."""
        return minidl.ops.add(other, self)

    def __sub__(self, other) -> Tensor:
        """x - other."""
        return minidl.ops.sub(self, other)

    def __rsub__(self, other) -> Tensor:
        """other - x."""
        return minidl.ops.sub(other, self)

    def __mul__(self, other) -> Tensor:
        """x * other."""
        return minidl.ops.mul(self, other)

    def __rmul__(self, other) -> Tensor:
        """other * x."""
        return minidl.ops.mul(other, self)

    def __truediv__(self, other) -> Tensor:
        """x / other."""
        return minidl.ops.div(self, other)

    def __rtruediv__(self, other) -> Tensor:
        """other / x."""
        return minidl.ops.div(other, self)

    def __floordiv__(self, other) -> Tensor:
        """x // other."""
        return minidl.ops.floor_divide(self, other)

    def __rfloordiv__(self, other) -> Tensor:
        """other // x."""
        return minidl.ops.floor_divide(other, self)

    def __mod__(self, other) -> Tensor:
        """x % other."""
        return minidl.ops.remainder(self, other)

    def __rmod__(self, other) -> Tensor:
        """other % x."""
        return minidl.ops.remainder(other, self)

    def __pow__(self, other) -> Tensor:
        """x ** other."""
        return minidl.ops.pow(self, other)

    def __rpow__(self, other) -> Tensor:
        """other ** x."""
        return minidl.ops.pow(other, self)

    def __matmul__(self, other) -> Tensor:
        """x @ other."""
        return minidl.ops.matmul(self, other)

    def __rmatmul__(self, other) -> Tensor:
        """other @ x."""
        return minidl.ops.matmul(other, self)

    def __neg__(self) -> Tensor:
        """-x."""
        return minidl.ops.neg(self)

    def __pos__(self) -> Tensor:
        """+x: x itself."""
        return self

    def __abs__(self) -> Tensor:
        """|x|."""
        return minidl.ops.abs(self)

    # --- in place: minidl/ops/inplace.py says when ------------------------------------------------

    def __iadd__(self, other) -> Tensor:
        """x += other, in place."""
        return minidl.ops.add_(self, other)

    def __isub__(self, other) -> Tensor:
        """x -= other, in place."""
        return minidl.ops.sub_(self, other)

    def __imul__(self, other) -> Tensor:
        """x *= other, in place."""
        return minidl.ops.mul_(self, other)

    def __itruediv__(self, other) -> Tensor:
        """x /= other, in place."""
        return minidl.ops.div_(self, other)

    def __setitem__(self, index, value) -> None:
        """x[index] = value, in place."""
        minidl.ops.setitem(self, index, value)

    # --- comparison and logic ---------------------------------------------------------------------

    # == and != with something that is no number, None say, are left to Python: identity.
    def __eq__(self, other) -> Tensor:
        """x == other."""
        return minidl.ops.eq(self, other) if minidl.ops.is_operand(other) else NotImplemented

    def __ne__(self, other) -> Tensor:
        """x != other."""
        return minidl.ops.ne(self, other) if minidl.ops.is_operand(other) else NotImplemented

    def __lt__(self, other) -> Tensor:
        """x < other."""
        return minidl.ops.lt(self, other)

    def __le__(self, other) -> Tensor:
        """x <= other."""
        return minidl.ops.le(self, other)

    def __gt__(self, other) -> Tensor:
        """x > other."""
        return minidl.ops.gt(self, other)

    def __ge__(self, other) -> Tensor:
        """x >= other."""
        return minidl.ops.ge(self, other)

    def __invert__(self) -> Tensor:
        """~x: not, for bools and for each bit of integers."""
        return minidl.ops.bitwise_not(self)

    def __and__(self, other) -> Tensor:
        """x & other."""
        return minidl.ops.bitwise_and(self, other)

    def __rand__(self, other) -> Tensor:
        """other & x."""
        return minidl.ops.bitwise_and(other, self)

    def __or__(self, other) -> Tensor:
        """x | other."""
        return minidl.ops.bitwise_or(self, other)

    def __ror__(self, other) -> Tensor:
        """other | x."""
        return minidl.ops.bitwise_or(other, self)

    def __xor__(self, other) -> Tensor:
        """x ^ other."""
        return minidl.ops.bitwise_xor(self, other)

    def __rxor__(self, other) -> Tensor:
        """other ^ x."""
        return minidl.ops.bitwise_xor(other, self)

    # --- elements ---------------------------------------------------------------------------------

    def __getitem__(self, index) -> Tensor:
        """x[index]."""
        return minidl.ops.getitem(self, index)

    def __iter__(self) -> Iterator[Tensor]:
        """The slices along the first dimension."""
        return iter(minidl.ops.unbind(self))

    def __contains__(self, value) -> bool:
        """Whether an element equals the value."""
        return bool(minidl.ops.eq(self, value).any())

    # --- meeting NumPy --------------------------------------------------------------------------

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **options):
        """array + x is a Tensor; array += x and np.exp(x) work on x's memory, as NumPy does."""
        if out is None and method == "__call__" and ufunc in UFUNCS and not options:
            return getattr(minidl.ops, UFUNCS[ufunc])(*inputs)
        arrays = [np.asarray(x) for x in inputs]
        return getattr(ufunc, method)(*arrays, out=out, **options)
