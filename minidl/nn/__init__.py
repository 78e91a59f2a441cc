"""Layers: Module and what is built on it, under PyTorch's names."""

from minidl.nn import functional, init
from minidl.nn.activation import LeakyReLU, LogSoftmax, ReLU, Sigmoid, Softmax, Softplus, Tanh
from minidl.nn.container import ModuleDict, ModuleList, Sequential
from minidl.nn.conv import Conv2d, ConvTranspose2d
from minidl.nn.linear import Flatten, Identity, Linear
from minidl.nn.loss import CrossEntropyLoss
from minidl.nn.module import Module, Parameter
from minidl.nn.pool import AdaptiveAvgPool2d, AvgPool2d, MaxPool2d

__all__ = [
    "AdaptiveAvgPool2d", "AvgPool2d", "Conv2d", "ConvTranspose2d", "CrossEntropyLoss", "Flatten",
    "Identity", "LeakyReLU", "Linear", "LogSoftmax", "MaxPool2d", "Module", "ModuleDict",
    "ModuleList", "Parameter", "ReLU", "Sequential", "Sigmoid", "Softmax", "Softplus", "Tanh",
    "functional", "init",
]  # fmt: skip
