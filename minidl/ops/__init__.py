"""The operations, one subject a file: mathematics, Function (forward and backward), checks."""

from minidl.ops.arithmetic import add, div, mul, sub
from minidl.ops.conv2d import conv2d
from minidl.ops.indexing import getitem
from minidl.ops.shape import reshape

__all__ = ["add", "conv2d", "div", "getitem", "mul", "reshape", "sub"]
