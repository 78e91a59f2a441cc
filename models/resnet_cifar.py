"""ResNets for CIFAR-10 (He, Zhang, Ren and Sun 2016, "Deep residual learning for image
recognition", section 4.2).

    layer    output        depth 6n + 2
    conv1    16 x 32 x 32  16 kernels 3x3, padding 1; batch norm; ReLU
    layer1   16 x 32 x 32  n x basic, 16 kernels
    layer2   32 x 16 x 16  n x basic, 32 kernels, the first with stride 2
    layer3   64 x  8 x  8  n x basic, 64 kernels, the first with stride 2
    avgpool  64            average of each map
    fc       10            one score per class

A basic block is that of models/resnet.py: two 3x3 convolutions, and what entered added to them.
What enters layer2 and layer3 is too large and has too few maps. Option A, the paper's choice for
CIFAR, takes every second pixel and adds maps of zeros, at no cost; option B goes through a 1x1
convolution and a batch norm, as in models/resnet.py. Without shortcuts it is a plain net, with
which the paper compares: from depth 20 to 56 that gets worse, not better.

    depth   n   parameters, A   parameters, B   multiply-accumulates, A
    20      3         269,722         272,474               40,551,040
    32      5         464,154         466,906               68,862,592
    44      7         658,586         661,338               97,174,144
    56      9         853,018         855,770              125,485,696
    110    18       1,727,962       1,730,714              252,887,680
"""

from __future__ import annotations

from minidl import nn
from minidl.errors import ArgumentError
from minidl.ops.pad import pad
from minidl.shapes import is_int
from minidl.tensor import Tensor
from models.checks import check_pictures, choose, scaled
from models.resnet import BasicBlock, make_layer, start_weights

SHORTCUTS = ("A", "B", None)


class ResNetCifar(nn.Module):
    """ResNet for small pictures; He et al. 2016, section 4.2. The module's text has its table.

    Args:
        depth: 6n + 2: 20, 32, 44, 56, 110, ...
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        shortcut: where the number of maps changes, "A" for subsampling and maps of zeros, "B" for
            a 1x1 convolution; None for a plain net without any shortcut.
        width: factor on all numbers of kernels, for a narrower or wider net.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W) of any size, 32x32 in the paper -> (N, num_classes), scores
    before softmax.

    >>> from models import ResNetCifar
    >>> ResNetCifar(20)(minidl.ones(1, 3, 32, 32)).shape
    (1, 10)
    """

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        shortcut: str | None = "A",
        width: float = 1.0,
    ):
        super().__init__()
        n = blocks_per_layer("ResNetCifar", depth, 6)
        choose("ResNetCifar", "shortcut", shortcut, SHORTCUTS)
        widths = scaled("ResNetCifar", width, 16, 32, 64)
        self.in_channels, self.depth = in_channels, depth
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(widths[0])
        self.relu = nn.ReLU()
        entering = widths[0]
        for i, channels in enumerate(widths, start=1):
            stride = 1 if i == 1 else 2
            self.add_module(f"layer{i}", stage(entering, channels, n, stride, shortcut))
            entering = channels
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(entering, num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("ResNetCifar", x, self.in_channels)
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.fc(self.flatten(self.avgpool(x)))


class PlainBlock(nn.Module):
    """A basic block without its shortcut: the plain net that the paper compares with.

    Args:
        in_channels: maps that enter.
        channels: kernels of each convolution.
        stride: of the first convolution.
    """

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(x)))


class Subsample(nn.Module):
    """Option A: every second pixel, and maps of zeros behind those there are.

    Args:
        stride: 2 for every second pixel.
        more: how many maps of zeros are added.

    Shapes: (N, C, H, W) -> (N, C + more, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, stride: int, more: int):
        super().__init__()
        self.stride, self.more = stride, more

    def forward(self, x: Tensor) -> Tensor:
        x = x[:, :, :: self.stride, :: self.stride]
        return pad(x, (0, 0, 0, 0, 0, self.more))

    def extra_repr(self) -> str:
        return f"stride={self.stride}, more={self.more}"


def stage(in_channels, channels, count, stride, shortcut) -> nn.Sequential:
    """n blocks of one width, of which the first may have a stride."""
    if shortcut == "B":
        return make_layer(BasicBlock, in_channels, channels, count, stride, "3x3")
    if shortcut is None:
        blocks = [PlainBlock(in_channels, channels, stride)]
        return nn.Sequential(*blocks, *(PlainBlock(channels, channels) for _ in range(count - 1)))
    downsample = Subsample(stride, channels - in_channels) if stride != 1 else None
    blocks = [BasicBlock(in_channels, channels, stride, downsample)]
    return nn.Sequential(*blocks, *(BasicBlock(channels, channels) for _ in range(count - 1)))


def blocks_per_layer(op: str, depth: int, layers_per_block: int) -> int:
    """n of a depth of 6n + 2, or of 9n + 2.

    Raises:
        ArgumentError: there is no such n; the hint names depths near it.
    """
    n, rest = divmod(depth - 2, layers_per_block) if is_int(depth) else (0, 1)
    if n < 1 or rest:
        below = max(1, n) * layers_per_block + 2
        hint = f"{below} or {below + layers_per_block}"
        raise ArgumentError(op, f"depth is {layers_per_block}n + 2", {"depth": depth}, hint)
    return int(n)


def resnet20_cifar(**arguments) -> ResNetCifar:
    """ResNet-20 for 32x32 pixels; the arguments are those of ResNetCifar.

    >>> from models import resnet20_cifar
    >>> sum(parameter.numel() for parameter in resnet20_cifar().parameters())
    269722
    """
    return ResNetCifar(20, **arguments)


def resnet32_cifar(**arguments) -> ResNetCifar:
    """ResNet-32 for 32x32 pixels; the arguments are those of ResNetCifar."""
    return ResNetCifar(32, **arguments)


def resnet44_cifar(**arguments) -> ResNetCifar:
    """ResNet-44 for 32x32 pixels; the arguments are those of ResNetCifar."""
    return ResNetCifar(44, **arguments)


def resnet56_cifar(**arguments) -> ResNetCifar:
    """ResNet-56 for 32x32 pixels; the arguments are those of ResNetCifar."""
    return ResNetCifar(56, **arguments)


def resnet110_cifar(**arguments) -> ResNetCifar:
    """ResNet-110 for 32x32 pixels; the arguments are those of ResNetCifar."""
    return ResNetCifar(110, **arguments)


def plain20_cifar(**arguments) -> ResNetCifar:
    """ResNet-20 without its shortcuts; the arguments are those of ResNetCifar."""
    return ResNetCifar(20, **{"shortcut": None, **arguments})
