"""The operations of minidl.ops under the names of torch.nn.functional."""

from minidl.ops.conv2d import conv2d

__all__ = ["conv2d"]
