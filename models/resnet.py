"""ResNet (He, Zhang, Ren and Sun 2016, "Deep residual learning for image recognition", table 1).

    layer    output    18            34            50             101            152
    conv1    112x112   64 kernels 7x7, stride 2, padding 3; batch norm; ReLU
    maxpool   56x56    3x3, stride 2, padding 1
    layer1    56x56    2 x basic     3 x basic     3 x bottle     3 x bottle     3 x bottle     64
    layer2    28x28    2 x basic     4 x basic     4 x bottle     4 x bottle     8 x bottle    128
    layer3    14x14    2 x basic     6 x basic     6 x bottle    23 x bottle    36 x bottle    256
    layer4     7x7     2 x basic     3 x basic     3 x bottle     3 x bottle     3 x bottle    512
    avgpool    1x1     average of each map
    fc                 one score per class

    basic, n kernels:   3x3, n -> 3x3, n                       + what entered
    bottle, n kernels:  1x1, n -> 3x3, n -> 1x1, 4n            + what entered

Behind each convolution stands a batch norm; a ReLU behind all but a block's last, whose ReLU comes
after the sum. The first block of layer2, 3 and 4 has stride 2. Where sizes or numbers of maps
differ, what entered goes through a 1x1 convolution with that stride (the paper's option B).

    depth   parameters    multiply-accumulates of 224x224
                          stride_in="3x3"    stride_in="1x1"
    18      11,689,512     1,814,073,344
    34      21,797,672     3,663,761,408
    50      25,557,032     4,089,184,256      3,857,973,248
    101     44,549,160     7,801,405,440      7,570,194,432
    152     60,192,808    11,513,626,624     11,282,415,616

A bottleneck's stride is in its first 1x1 convolution in the paper and in Caffe's weights; in
torchvision's, "v1.5", in the 3x3, where no pixel is skipped. The parameters are the same.
"""

from __future__ import annotations

from typing import Any

from minidl import nn
from minidl.nn import init
from minidl.shapes import check_flag
from minidl.tensor import Tensor
from models.checks import check_pictures, choose, scaled

STRIDE_IN = ("3x3", "1x1")


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around which what entered is passed (He et al. 2016, figure 5, left).

    Args:
        in_channels: maps that enter.
        channels: kernels of each convolution.
        stride: of the first convolution.
        downsample: what the passed maps go through; None where they fit as they are.
        stride_in: no choice here; for the signature of Bottleneck.
    """

    expansion = 1

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        stride_in: str = "3x3",
    ):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        passed = x if self.downsample is None else self.downsample(x)
        return self.relu(y + passed)


class Bottleneck(nn.Module):
    """1x1, 3x3 and 1x1 around which what entered is passed (He et al. 2016, figure 5, right).

    Args:
        in_channels: maps that enter.
        channels: kernels of the 3x3; four times as many maps leave.
        stride: of the block.
        downsample: what the passed maps go through; None where they fit as they are.
        stride_in: the convolution that has the stride, "3x3" (torchvision) or "1x1" (the paper).
    """

    expansion = 4

    def __init__(
        self,
        in_channels: int,
        channels: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        stride_in: str = "3x3",
    ):
        super().__init__()
        choose("Bottleneck", "stride_in", stride_in, STRIDE_IN)
        first, second = (stride, 1) if stride_in == "1x1" else (1, stride)
        leaving = channels * self.expansion
        self.conv1 = nn.Conv2d(in_channels, channels, 1, first, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.conv3 = nn.Conv2d(channels, leaving, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(leaving)
        self.relu = nn.ReLU()
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        passed = x if self.downsample is None else self.downsample(x)
        return self.relu(y + passed)


# depth -> the block, and how many of it are in layer1 to layer4: the columns of the table.
DEPTHS = {
    18: (BasicBlock, (2, 2, 2, 2)),
    34: (BasicBlock, (3, 4, 6, 3)),
    50: (Bottleneck, (3, 4, 6, 3)),
    101: (Bottleneck, (3, 4, 23, 3)),
    152: (Bottleneck, (3, 8, 36, 3)),
}


class ResNet(nn.Module):
    """ResNet for ImageNet; He et al. 2016. The module's text has its table.

    Parameters have torchvision's names. Weights of convolutions start normal with variance
    2 / fan_out (He et al. 2015), batch norms at 1 and 0, both as in torchvision.

    Args:
        depth: 18, 34, 50, 101 or 152.
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        stride_in: the convolution of a bottleneck that has the stride: "3x3" as in torchvision's
            weights, "1x1" as in the paper and in Caffe's.
        zero_init: start the last batch norm of each block at 0, so that a block passes on at
            first what entered (Goyal et al. 2017, section 5.1).
        width: factor on all numbers of kernels, for a narrower net.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W) of any size -> (N, num_classes), scores before softmax. Pictures
    of less than 33 pixels leave a single pixel to average at the end.

    >>> from models import ResNet
    >>> ResNet(18, num_classes=17, width=0.125)(minidl.ones(1, 3, 64, 64)).shape
    (1, 17)
    """

    def __init__(
        self,
        depth: int = 50,
        num_classes: int = 1000,
        in_channels: int = 3,
        stride_in: str = "3x3",
        zero_init: bool = False,
        width: float = 1.0,
    ):
        super().__init__()
        block, counts = choose("ResNet", "depth", depth, DEPTHS)
        choose("ResNet", "stride_in", stride_in, STRIDE_IN)
        check_flag("ResNet", "zero_init", zero_init)
        stem, *widths = scaled("ResNet", width, 64, 64, 128, 256, 512)
        self.in_channels, self.depth = in_channels, depth
        self.conv1 = nn.Conv2d(in_channels, stem, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(stem)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        entering = stem
        for i, (channels, count) in enumerate(zip(widths, counts), start=1):
            stride = 1 if i == 1 else 2
            layer = make_layer(block, entering, channels, count, stride, stride_in)
            self.add_module(f"layer{i}", layer)
            entering = channels * block.expansion
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.fc = nn.Linear(entering, num_classes)
        start_weights(self, zero_init)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("ResNet", x, self.in_channels)
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.flatten(self.avgpool(x)))


def make_layer(block, in_channels, channels, count, stride, stride_in) -> nn.Sequential:
    """`count` blocks of which the first has the stride and the downsampling, where it is needed."""
    leaving = channels * block.expansion
    downsample = None
    if stride != 1 or in_channels != leaving:
        downsample = nn.Sequential(
            nn.Conv2d(in_channels, leaving, 1, stride, bias=False), nn.BatchNorm2d(leaving)
        )
    blocks = [block(in_channels, channels, stride, downsample, stride_in)]
    blocks += [block(leaving, channels) for _ in range(count - 1)]
    return nn.Sequential(*blocks)


def start_weights(net: nn.Module, zero_init: Any = False) -> None:
    """Draw the weights that training starts from; see the argument zero_init of ResNet."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
            if layer.bias is not None:
                init.zeros_(layer.bias)
        elif zero_init and isinstance(layer, BasicBlock | Bottleneck):
            last = layer.bn3 if isinstance(layer, Bottleneck) else layer.bn2
            init.zeros_(last.weight)


def resnet18(**arguments) -> ResNet:
    """ResNet-18; the arguments are those of ResNet."""
    return ResNet(18, **arguments)


def resnet34(**arguments) -> ResNet:
    """ResNet-34; the arguments are those of ResNet."""
    return ResNet(34, **arguments)


def resnet50(**arguments) -> ResNet:
    """ResNet-50; the arguments are those of ResNet.

    >>> from models import resnet50
    >>> resnet50(width=0.125).layer1[0].conv2.weight.shape
    (8, 8, 3, 3)
    """
    return ResNet(50, **arguments)


def resnet101(**arguments) -> ResNet:
    """ResNet-101; the arguments are those of ResNet."""
    return ResNet(101, **arguments)


def resnet152(**arguments) -> ResNet:
    """ResNet-152; the arguments are those of ResNet."""
    return ResNet(152, **arguments)
