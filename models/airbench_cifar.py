"""The network of "94% on CIFAR-10 in 3.29 seconds on a single GPU" (Jordan 2024, arXiv 2404.00498,
section 3.1, and its program, airbench94): made to learn much from few passes over small pictures.

    layer    output         made by
    conv1     16 x 31 x 31  16 kernels 2x2; ReLU
    block1    64 x 15 x 15  64 kernels 3x3, max pool 2x2, norm, ReLU;  64 kernels 3x3, norm, ReLU
    block2   256 x  7 x  7  the same with 256 kernels
    block3   256 x  3 x  3  the same with 256 kernels
    pool     256            largest value of each map
    fc        10            one score per class, divided by 9

All 3x3 convolutions have padding 1 and no bias. The first kernels of each hand on one map each, so
that the network starts as a shallow one (section 3.3): what shortcuts do for a ResNet, without any.

Other than there: ReLU for GELU, norms with a factor, scores with a bias, and a first layer of 16
kernels that start as all do; there it has 24, which whiten patches of the training pictures.

    width   parameters   multiply-accumulates
    1        1,968,090            113,626,816
    3/4      1,109,786             65,656,896
    1/2        495,706             30,759,872
"""

from __future__ import annotations

import minidl
from minidl import nn
from minidl.tensor import Tensor
from models.checks import check_pictures, scaled

FIRST = 16  # kernels of the first layer, whatever the width
SMALLEST = 9  # pixels per side: 8 x 8 after the first layer, 1 x 1 after three pools
AVERAGING = 0.4  # of a batch, in the norms' running averages: few steps, large changes
SHARPNESS = 1 / 9  # factor on the scores: the softmax starts undecided


class AirbenchCifar(nn.Module):
    """Eight layers that learn CIFAR-10 fast; Jordan 2024. The module's text has its table.

    Args:
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        width: factor on the numbers of kernels of the blocks.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W) of any size from 9x9 on, 32x32 in the paper ->
    (N, num_classes), scores before softmax.

    >>> from models import airbench_cifar
    >>> airbench_cifar(width=0.25)(minidl.ones(1, 3, 32, 32)).shape
    (1, 10)
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 3, width: float = 1.0):
        super().__init__()
        widths = scaled("AirbenchCifar", width, 64, 256, 256)
        self.in_channels = in_channels
        self.conv1 = nn.Conv2d(in_channels, FIRST, 2)
        self.relu = nn.ReLU()
        self.block1 = Block(FIRST, widths[0])
        self.block2 = Block(widths[0], widths[1])
        self.block3 = Block(widths[1], widths[2])
        self.fc = nn.Linear(widths[2], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("AirbenchCifar", x, self.in_channels, SMALLEST)
        x = self.relu(self.conv1(x))
        x = self.block3(self.block2(self.block1(x)))
        return self.fc(x.amax((2, 3))) * SHARPNESS


class Block(nn.Module):
    """Two 3x3 convolutions, with a pool behind the first.

    Args:
        in_channels: maps that enter.
        channels: kernels of each convolution.
    """

    def __init__(self, in_channels: int, channels: int):
        super().__init__()
        self.conv1 = convolution(in_channels, channels)
        self.pool = nn.MaxPool2d(2)
        self.norm1 = nn.BatchNorm2d(channels, momentum=AVERAGING)
        self.relu = nn.ReLU()
        self.conv2 = convolution(channels, channels)
        self.norm2 = nn.BatchNorm2d(channels, momentum=AVERAGING)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.norm1(self.pool(self.conv1(x))))
        return self.relu(self.norm2(self.conv2(x)))


def convolution(in_channels: int, channels: int) -> nn.Conv2d:
    """A 3x3 convolution whose first kernels hand on one map each, as far as there are maps."""
    layer = nn.Conv2d(in_channels, channels, 3, padding=1, bias=False)
    same = min(in_channels, channels)
    layer.weight.data[:same] = nn.init.dirac_(minidl.empty(same, in_channels, 3, 3)).data
    return layer


def airbench_cifar(**arguments) -> AirbenchCifar:
    """The network for 32x32 pixels; the arguments are those of AirbenchCifar.

    >>> from models import airbench_cifar
    >>> sum(parameter.numel() for parameter in airbench_cifar().parameters())
    1968090
    """
    return AirbenchCifar(**arguments)
