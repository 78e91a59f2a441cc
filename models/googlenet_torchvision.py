"""GoogLeNet as torchvision has it, under torchvision's names, for its published weights.

Where it differs from the paper and from models/googlenet.py:

    convolutions   without bias, each followed by a batch norm (eps 0.001), then ReLU
    norm           none: local response normalization is gone
    "5x5" branch   has 3x3 kernels (a known mistake, kept for the weights)
    maxpool4       2x2 instead of 3x3
    dropout        20 % instead of 40 %
    aux heads      average to 4x4 whatever the size
    input          (x - 0.5) / 0.5 per colour; transform_input=True makes that of pictures that
                   were normalized with ImageNet's means and deviations

                                parameters    multiply-accumulates of 224x224
    without auxiliary heads      6,624,904    1,498,376,192
    with them                   13,004,888
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl import nn
from minidl.errors import ArgumentError
from minidl.nn import init
from minidl.ops.joining import cat
from minidl.shapes import check_flag
from minidl.tensor import Tensor
from models.checks import check_pictures, scaled
from models.googlenet import MODULES

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's pictures, red, green and blue, from 0 to 1
STD = (0.229, 0.224, 0.225)
SMALLEST = 15  # pixels that leave the last pooling a window


class BasicConv2d(nn.Module):
    """Convolution without bias, batch norm, ReLU.

    Args:
        in_channels: maps that enter.
        out_channels: kernels.
        kernel_size, stride, padding: of the convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int = 1,
        padding: int = 0,
    ):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, kernel_size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.relu(self.bn(self.conv(x)))


class Inception(nn.Module):
    """The inception module with torchvision's names and its 3x3 kernels in the 5x5 branch.

    Args:
        in_channels: maps that enter.
        n1x1: kernels 1x1 of the first branch.
        reduce3x3, n3x3: kernels 1x1 and then 3x3 of the second.
        reduce5x5, n5x5: kernels 1x1 and then 3x3 of the third.
        pool_proj: kernels 1x1 behind the pooling of the fourth.
    """

    def __init__(
        self,
        in_channels: int,
        n1x1: int,
        reduce3x3: int,
        n3x3: int,
        reduce5x5: int,
        n5x5: int,
        pool_proj: int,
    ):
        super().__init__()
        self.branch1 = BasicConv2d(in_channels, n1x1, 1)
        self.branch2 = nn.Sequential(
            BasicConv2d(in_channels, reduce3x3, 1), BasicConv2d(reduce3x3, n3x3, 3, padding=1)
        )
        self.branch3 = nn.Sequential(
            BasicConv2d(in_channels, reduce5x5, 1), BasicConv2d(reduce5x5, n5x5, 3, padding=1)
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True),
            BasicConv2d(in_channels, pool_proj, 1),
        )
        self.out_channels = n1x1 + n3x3 + n5x5 + pool_proj

    def forward(self, x: Tensor) -> Tensor:
        return cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], dim=1)


class AuxiliaryHead(nn.Module):
    """The auxiliary head with torchvision's names.

    Args:
        in_channels: maps that enter.
        num_classes: how many scores it gives.
        channels: kernels 1x1.
        hidden: units.
        dropout: the part of the units that is dropped in training.
    """

    def __init__(
        self, in_channels: int, num_classes: int, channels: int, hidden: int, dropout: float
    ):
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(4)
        self.conv = BasicConv2d(in_channels, channels, 1)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(channels * 4 * 4, hidden)
        self.relu = nn.ReLU()
        self.drop = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.fc1(self.flatten(self.conv(self.avgpool(x)))))
        return self.fc2(self.drop(x))


class GoogLeNetTorchvision(nn.Module):
    """GoogLeNet with batch norm, as torchvision has it; see the module's text.

    Weights start as in torchvision: normal of deviation 0.01.

    Args:
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        aux_logits: have two auxiliary heads, which answer in training only.
        transform_input: pictures come with ImageNet's means taken off and divided by its
            deviations, and the net makes (x - 0.5) / 0.5 of them, for which the published weights
            were trained.
        dropout: the part of the averages before fc that is dropped in training.
        aux_dropout: the part of an auxiliary head's units that is dropped in training.
        width: factor on all numbers of kernels and units, for a narrower net.

    Raises:
        ArgumentError: an argument is not one of these.

    Attributes:
        use_aux_heads: whether the auxiliary heads answer in training. Set it to False where they
            do not learn; without heads it is False from the start.

    Shapes: (N, in_channels, H, W), from 15 pixels on. In training with heads it returns
    (scores, aux1_scores, aux2_scores), else scores: (N, num_classes) each, before softmax.
    Torchvision returns the second head's before the first's.

    >>> from models import GoogLeNetTorchvision
    >>> net = GoogLeNetTorchvision(num_classes=17, width=0.125)
    >>> len(net(minidl.ones(2, 3, 64, 64))), net.eval()(minidl.ones(1, 3, 64, 64)).shape
    (3, (1, 17))
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        aux_logits: bool = True,
        transform_input: bool = False,
        dropout: float = 0.2,
        aux_dropout: float = 0.7,
        width: float = 1.0,
    ):
        super().__init__()
        op = "GoogLeNetTorchvision"
        check_flag(op, "aux_logits", aux_logits)
        check_flag(op, "transform_input", transform_input)
        if transform_input and in_channels != 3:
            raise ArgumentError(
                op, "transform_input knows the means of three colours",
                {"transform_input": transform_input, "in_channels": in_channels},
            )  # fmt: skip
        self.in_channels, self.transform_input = in_channels, transform_input
        self.use_aux_heads = aux_logits
        n1, n2 = scaled(op, width, 64, 192)
        self.conv1 = BasicConv2d(in_channels, n1, 7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv2d(n1, n1, 1)
        self.conv3 = BasicConv2d(n1, n2, 3, padding=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        channels = n2
        for name, kernels in MODULES.items():
            module = Inception(channels, *scaled(op, width, *kernels))
            self.add_module(f"inception{name}", module)
            channels = module.out_channels
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)  # behind 3b
        self.maxpool4 = nn.MaxPool2d(2, stride=2, ceil_mode=True)  # behind 4e
        if aux_logits:
            sizes = scaled(op, width, 128, 1024)
            from_4a, from_4d = self.inception4a.out_channels, self.inception4d.out_channels
            self.aux1 = AuxiliaryHead(from_4a, num_classes, *sizes, aux_dropout)
            self.aux2 = AuxiliaryHead(from_4d, num_classes, *sizes, aux_dropout)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Any:
        check_pictures("GoogLeNetTorchvision", x, self.in_channels, SMALLEST)
        if self.transform_input:
            x = to_half_and_half(x)
        x = self.maxpool1(self.conv1(x))
        x = self.maxpool2(self.conv3(self.conv2(x)))
        x = self.maxpool3(self.inception3b(self.inception3a(x)))
        x = from_4a = self.inception4a(x)
        x = from_4d = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.maxpool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        scores = self.fc(self.dropout(self.flatten(self.avgpool(x))))
        heads = self.training and self.use_aux_heads
        return (scores, self.aux1(from_4a), self.aux2(from_4d)) if heads else scores


def to_half_and_half(x: Tensor) -> Tensor:
    """(p - 0.5) / 0.5 of pictures x = (p - MEAN) / STD."""
    mean, std = (np.array(values, x.dtype).reshape(1, 3, 1, 1) for values in (MEAN, STD))
    return x * Tensor(std / 0.5) + Tensor((mean - 0.5) / 0.5)


def start_weights(net: GoogLeNetTorchvision) -> None:
    """Draw the weights that training starts from."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            init.trunc_normal_(layer.weight, std=0.01, a=-2, b=2)


def googlenet_torchvision(**arguments) -> GoogLeNetTorchvision:
    """GoogLeNet for torchvision's weights; the arguments are those of GoogLeNetTorchvision."""
    return GoogLeNetTorchvision(**arguments)
