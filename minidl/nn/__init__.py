"""Layers: Module and what is built on it, under PyTorch's names."""

from minidl.nn import functional, init
from minidl.nn.conv import Conv2d
from minidl.nn.module import Module, Parameter

__all__ = ["Conv2d", "Module", "Parameter", "functional", "init"]
