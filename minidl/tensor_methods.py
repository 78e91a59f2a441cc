"""The operators and methods of Tensor: each is one line that names the operation behind it.

`x * y` and `x.mul(y)` are minidl.ops.mul(x, y), and so on: to step into an operation, go to
minidl/ops. Names and arguments are PyTorch's.
"""

from __future__ import annotations

import minidl


class TensorMethods:
    """Mixed into Tensor."""

    __slots__ = ()

    # --- arithmetic -----------------------------------------------------------------------------

    def __add__(self, other):
        return minidl.ops.add(self, other)

    def __radd__(self, other):
        return minidl.ops.add(other, self)

    def __sub__(self, other):
        return minidl.ops.sub(self, other)

    def __rsub__(self, other):
        return minidl.ops.sub(other, self)

    def __mul__(self, other):
        return minidl.ops.mul(self, other)

    def __rmul__(self, other):
        return minidl.ops.mul(other, self)

    def __truediv__(self, other):
        return minidl.ops.div(self, other)

    def __rtruediv__(self, other):
        return minidl.ops.div(other, self)

    def reshape(self, *shape):
        return minidl.ops.reshape(self, *shape)

    def __getitem__(self, index):
        return minidl.ops.getitem(self, index)
