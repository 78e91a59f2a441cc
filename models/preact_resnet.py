"""Pre-activation ResNets for CIFAR-10 (He, Zhang, Ren and Sun 2016, "Identity mappings in deep
residual networks", figure 1(b) and section 4).

Batch norm and ReLU stand before each convolution instead of behind it, so that what enters a block
reaches the end of the net unchanged: a block adds to it, and nothing else is ever done to it.

    layer    output        depth 6n + 2, basic           depth 9n + 2, bottleneck
    conv1    16 x 32 x 32  16 kernels 3x3, padding 1     the same
    layer1        32 x 32  n x basic, 16 maps            n x bottleneck, 16 kernels, 64 maps
    layer2        16 x 16  n x basic, 32 maps            n x bottleneck, 32 kernels, 128 maps
    layer3         8 x  8  n x basic, 64 maps            n x bottleneck, 64 kernels, 256 maps
    bn, ReLU, average of each map
    fc       10            one score per class

    basic       BN  ReLU  3x3 (stride)  BN  ReLU  3x3                     + what entered
    bottleneck  BN  ReLU  1x1  BN  ReLU  3x3 (stride)  BN  ReLU  1x1      + what entered

The basic block is that of TFLearn's residual_block: what entered is taken before the first batch
norm, also where the block halves the picture. There, every second pixel is taken ("subsample", an
average pooling of one pixel with stride 2) or 2x2 pixels are averaged ("avg"), and maps of zeros
are added, half of them before the others and half behind. TFLearn's convolutions have biases.

The first bottleneck of each layer changes the number of maps; its shortcut is a 1x1 convolution of
the activated maps, as in the authors' code.

    depth          n   parameters  with bias    multiply-accumulates
    20             3      269,722      270,410            40,551,040
    32             5      464,154      465,290            68,862,592
    44             7      658,586      660,170            97,174,144
    56             9      853,018      855,050           125,485,696
    110           18    1,727,962    1,732,010           252,887,680
    164           18    1,703,258                        247,646,720    bottlenecks
    1001         111   10,327,706                      1,490,995,712    bottlenecks
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from minidl import nn
from minidl.ops.pad import pad
from minidl.shapes import check_flag
from minidl.tensor import Tensor
from models.checks import check_pictures, choose, scaled
from models.resnet import start_weights
from models.resnet_cifar import blocks_per_layer

SHORTCUTS = ("subsample", "avg")


class PreactBlock(nn.Module):
    """BN-ReLU-3x3-BN-ReLU-3x3, added to what entered (He et al. 2016, figure 1(b)).

    Args:
        in_channels: maps that enter.
        channels: kernels of each convolution.
        stride: of the first convolution.
        shortcut: how what entered is halved, "subsample" or "avg".
        bias: have biases in the convolutions.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        shortcut: str = "subsample",
        bias: bool = False,
    ):
        super().__init__()
        choose("PreactBlock", "shortcut", shortcut, SHORTCUTS)
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=bias)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=bias)
        self.out_channels = channels
        more = channels - in_channels
        self.downsample = Halve(shortcut, stride, more) if stride != 1 or more else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.relu(self.bn1(x)))
        y = self.conv2(self.relu(self.bn2(y)))
        return y + (x if self.downsample is None else self.downsample(x))


class Halve(nn.Module):
    """A shortcut without weights: fewer pixels, and maps of zeros on both sides of those there are.

    Args:
        shortcut: "subsample" for every second pixel, "avg" for averages of 2x2.
        stride: 2 halves the picture.
        more: how many maps of zeros are added, (more // 2) before and the rest behind.

    Shapes: (N, C, H, W) -> (N, C + more, ceil(H / stride), ceil(W / stride)).
    """

    def __init__(self, shortcut: str, stride: int, more: int):
        super().__init__()
        kernel = stride if shortcut == "avg" else 1
        # The convolution beside it keeps an odd last row; so does the average, of what there is.
        self.pool = nn.AvgPool2d(kernel, stride, ceil_mode=True)
        self.before, self.behind = more // 2, more - more // 2

    def forward(self, x: Tensor) -> Tensor:
        return pad(self.pool(x), (0, 0, 0, 0, self.before, self.behind))

    def extra_repr(self) -> str:
        return f"before={self.before}, behind={self.behind}"


class PreactBottleneck(nn.Module):
    """BN-ReLU-1x1-BN-ReLU-3x3-BN-ReLU-1x1, added to what entered (He et al. 2016, section 4).

    Args:
        in_channels: maps that enter.
        channels: kernels of the 3x3; four times as many maps leave.
        stride: of the 3x3.
    """

    expansion = 4

    def __init__(self, in_channels: int, channels: int, stride: int = 1):
        super().__init__()
        self.out_channels = leaving = channels * self.expansion
        self.bn1 = nn.BatchNorm2d(in_channels)
        self.relu = nn.ReLU()
        self.conv1 = nn.Conv2d(in_channels, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, leaving, 1, bias=False)
        changes = stride != 1 or in_channels != leaving
        projection = nn.Conv2d(in_channels, leaving, 1, stride, bias=False) if changes else None
        self.downsample = projection

    def forward(self, x: Tensor) -> Tensor:
        activated = self.relu(self.bn1(x))
        y = self.relu(self.bn2(self.conv1(activated)))
        y = self.conv3(self.relu(self.bn3(self.conv2(y))))
        return y + (x if self.downsample is None else self.downsample(activated))


class PreactNet(nn.Module):
    """What the nets of both blocks have in common: all of it but the blocks.

    Args:
        op: the name of the net in errors.
        n: blocks of each layer.
        make_block: called with the maps that enter, the kernels of a layer and the stride.
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        widths: kernels of the three layers.
        bias: have a bias in conv1.
    """

    def __init__(
        self,
        op: str,
        n: int,
        make_block: Callable[[int, int, int], nn.Module],
        num_classes: int,
        in_channels: int,
        widths: list[int],
        bias: bool = False,
    ):
        super().__init__()
        self.op, self.in_channels = op, in_channels
        self.conv1 = nn.Conv2d(in_channels, widths[0], 3, padding=1, bias=bias)
        entering = widths[0]
        for i, channels in enumerate(widths, start=1):
            layer = nn.Sequential()
            for k in range(n):
                block = make_block(entering, channels, 2 if i > 1 and k == 0 else 1)
                layer.append(block)
                entering = block.out_channels
            self.add_module(f"layer{i}", layer)
        self.bn = nn.BatchNorm2d(entering)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(entering, num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures(self.op, x, self.in_channels)
        x = self.layer3(self.layer2(self.layer1(self.conv1(x))))
        return self.fc(self.flatten(self.avgpool(self.relu(self.bn(x)))))


class PreactResNetCifar(PreactNet):
    """Pre-activation ResNet of basic blocks for small pictures; see the module's text.

    Args:
        depth: 6n + 2: 20, 32, 44, 56, 110, ...
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        shortcut: how what entered is halved, "subsample" or "avg".
        bias: have biases in the convolutions, as TFLearn has.
        width: factor on all numbers of kernels, for a narrower or wider net.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W) of any size, 32x32 in the paper -> (N, num_classes), scores
    before softmax.

    >>> from models import PreactResNetCifar
    >>> PreactResNetCifar(20, shortcut="avg")(minidl.ones(1, 3, 32, 32)).shape
    (1, 10)
    """

    def __init__(
        self,
        depth: int = 20,
        num_classes: int = 10,
        in_channels: int = 3,
        shortcut: str = "subsample",
        bias: bool = False,
        width: float = 1.0,
    ):
        op = "PreactResNetCifar"
        choose(op, "shortcut", shortcut, SHORTCUTS)
        check_flag(op, "bias", bias)
        make_block = partial(PreactBlock, shortcut=shortcut, bias=bias)
        n, widths = blocks_per_layer(op, depth, 6), scaled(op, width, 16, 32, 64)
        super().__init__(op, n, make_block, num_classes, in_channels, widths, bias)
        self.depth = depth


class PreactBottleneckCifar(PreactNet):
    """Pre-activation ResNet of bottlenecks for small pictures; see the module's text.

    Args:
        depth: 9n + 2: 164, 1001, ...
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        width: factor on all numbers of kernels, for a narrower or wider net.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W) of any size, 32x32 in the paper -> (N, num_classes), scores
    before softmax.

    >>> from models import PreactBottleneckCifar
    >>> PreactBottleneckCifar(11)(minidl.ones(1, 3, 32, 32)).shape
    (1, 10)
    """

    def __init__(
        self,
        depth: int = 164,
        num_classes: int = 10,
        in_channels: int = 3,
        width: float = 1.0,
    ):
        op = "PreactBottleneckCifar"
        n, widths = blocks_per_layer(op, depth, 9), scaled(op, width, 16, 32, 64)
        super().__init__(op, n, PreactBottleneck, num_classes, in_channels, widths)
        self.depth = depth


def preact_resnet20_cifar(**arguments) -> PreactResNetCifar:
    """Pre-activation ResNet-20; the arguments are those of PreactResNetCifar."""
    return PreactResNetCifar(20, **arguments)


def preact_resnet32_cifar(**arguments) -> PreactResNetCifar:
    """Pre-activation ResNet-32; the arguments are those of PreactResNetCifar."""
    return PreactResNetCifar(32, **arguments)


def preact_resnet44_cifar(**arguments) -> PreactResNetCifar:
    """Pre-activation ResNet-44; the arguments are those of PreactResNetCifar."""
    return PreactResNetCifar(44, **arguments)


def preact_resnet56_cifar(**arguments) -> PreactResNetCifar:
    """Pre-activation ResNet-56; the arguments are those of PreactResNetCifar."""
    return PreactResNetCifar(56, **arguments)


def preact_resnet110_cifar(**arguments) -> PreactResNetCifar:
    """Pre-activation ResNet-110; the arguments are those of PreactResNetCifar."""
    return PreactResNetCifar(110, **arguments)


def preact_resnet164_cifar(**arguments) -> PreactBottleneckCifar:
    """Pre-activation ResNet-164; the arguments are those of PreactBottleneckCifar."""
    return PreactBottleneckCifar(164, **arguments)


def preact_resnet1001_cifar(**arguments) -> PreactBottleneckCifar:
    """Pre-activation ResNet-1001; the arguments are those of PreactBottleneckCifar."""
    return PreactBottleneckCifar(1001, **arguments)
