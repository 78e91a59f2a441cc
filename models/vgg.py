"""VGG (Simonyan and Zisserman 2015, "Very deep convolutional networks for large-scale image
recognition", table 1).

    A (11)     B (13)     C (16)     D (16)     E (19)     output of the block
    conv3-64   conv3-64   conv3-64   conv3-64   conv3-64
               conv3-64   conv3-64   conv3-64   conv3-64
    max 2x2                                                 64 x 112 x 112
    conv3-128  conv3-128  conv3-128  conv3-128  conv3-128
               conv3-128  conv3-128  conv3-128  conv3-128
    max 2x2                                                128 x  56 x  56
    conv3-256  conv3-256  conv3-256  conv3-256  conv3-256
    conv3-256  conv3-256  conv3-256  conv3-256  conv3-256
                          conv1-256  conv3-256  conv3-256
                                                conv3-256
    max 2x2                                                256 x  28 x  28
    conv3-512  conv3-512  conv3-512  conv3-512  conv3-512
    conv3-512  conv3-512  conv3-512  conv3-512  conv3-512
                          conv1-512  conv3-512  conv3-512
                                                conv3-512
    max 2x2                                                512 x  14 x  14
    (the same four rows again)
    max 2x2                                                512 x   7 x   7
    fc-4096, relu, dropout                                4096
    fc-4096, relu, dropout                                4096
    fc-1000                                               1000

    parameters and multiply-accumulates of a picture of 224x224
    A    132,863,336     7,609,090,048     B    133,047,848    11,308,466,176
    C    133,638,952    11,770,888,192     D    138,357,544    15,470,264,320
    E    143,667,240    19,632,062,464

conv3-64: 64 kernels 3x3, padding 1, then ReLU. The layers of block 3 are called conv3_1, conv3_2
and so on, as in Caffe. With batch norm (torchvision's vgg16_bn and its like; the paper is older
than batch norm) bn3_1 stands between conv3_1 and relu3_1.

head="average" puts one linear layer behind the averages of the last maps, as Zhou et al. 2016
("Learning deep features for discriminative localization") did with this net: of 138 million
parameters 120 are in fc6 to fc8, too many to draw afresh for some hundred pictures.

Weights start as He et al. 2015 draw them, normal of variance 2 / fan_in. The paper drew 0.01
everywhere, found that the deep nets did not learn so, and began with the trained layers of A;
with He's variance, which came after, every ReLU layer hands on as much as it gets.
"""

from __future__ import annotations

from minidl import nn
from minidl.nn import init
from minidl.shapes import check_flag
from minidl.tensor import Tensor
from models.checks import check_pictures, check_size, choose, scaled

# Kernel sizes of the convolutions of the five blocks: the columns of the table.
CONFIGURATIONS = {
    "A": ((3,), (3,), (3, 3), (3, 3), (3, 3)),
    "B": ((3, 3), (3, 3), (3, 3), (3, 3), (3, 3)),
    "C": ((3, 3), (3, 3), (3, 3, 1), (3, 3, 1), (3, 3, 1)),
    "D": ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3)),
    "E": ((3, 3), (3, 3), (3, 3, 3, 3), (3, 3, 3, 3), (3, 3, 3, 3)),
}
HEADS = ("fc", "average")
WIDTHS = (64, 128, 256, 512, 512)
SMALLEST = 32  # pixels: five halvings leave one


class VGG(nn.Module):
    """VGG; Simonyan and Zisserman 2015. The module's text has its table.

    Args:
        configuration: "A", "B", "C", "D" or "E".
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        size: pixels per side of the pictures for whose last maps fc6 is made: 512x4x4 for 128.
            The maps of other pictures are averaged to that size, as torchvision does.
        batch_norm: normalize behind each convolution.
        dropout: the part of fc6 and fc7 that is dropped in training.
        width: factor on all numbers of kernels and units, for a narrower net.
        head: "fc", the table's three layers, or "average", one layer on the averages of the maps.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W), from 32 pixels on -> (N, num_classes), scores before softmax.

    >>> from models import VGG
    >>> VGG("D", num_classes=17, size=32, width=0.125)(minidl.ones(1, 3, 32, 32)).shape
    (1, 17)
    """

    def __init__(
        self,
        configuration: str = "D",
        num_classes: int = 1000,
        in_channels: int = 3,
        size: int = 224,
        batch_norm: bool = False,
        dropout: float = 0.5,
        width: float = 1.0,
        head: str = "fc",
    ):
        super().__init__()
        choose("VGG", "head", head, HEADS)
        blocks = choose("VGG", "configuration", configuration, CONFIGURATIONS)
        check_flag("VGG", "batch_norm", batch_norm)
        check_size("VGG", size, SMALLEST)
        *widths, hidden = scaled("VGG", width, *WIDTHS, 4096)
        self.in_channels, self.configuration = in_channels, configuration
        self.features = make_features(in_channels, blocks, widths, batch_norm)
        side = size // 32 if head == "fc" else 1  # the floor of each halving together
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        layers = {"flatten": nn.Flatten()}
        features = widths[-1] * side * side
        if head == "fc":
            layers |= {
                "fc6": nn.Linear(features, hidden),
                "relu6": nn.ReLU(),
                "drop6": nn.Dropout(dropout),
                "fc7": nn.Linear(hidden, hidden),
                "relu7": nn.ReLU(),
                "drop7": nn.Dropout(dropout),
            }
            features = hidden
        self.classifier = nn.Sequential(layers | {"fc8": nn.Linear(features, num_classes)})
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                init.kaiming_normal_(layer.weight, nonlinearity="relu")
                init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("VGG", x, self.in_channels, SMALLEST)
        return self.classifier(self.avgpool(self.features(x)))


def make_features(in_channels, blocks, widths, batch_norm) -> nn.Sequential:
    """conv1_1 to pool5."""
    layers, channels = {}, in_channels
    for block, (kernels, width) in enumerate(zip(blocks, widths), start=1):
        for i, kernel in enumerate(kernels, start=1):
            place = f"{block}_{i}"
            layers[f"conv{place}"] = nn.Conv2d(channels, width, kernel, padding=kernel // 2)
            if batch_norm:
                layers[f"bn{place}"] = nn.BatchNorm2d(width)
            layers[f"relu{place}"] = nn.ReLU()
            channels = width
        layers[f"pool{block}"] = nn.MaxPool2d(2)
    return nn.Sequential(layers)


def vgg11(**arguments) -> VGG:
    """Configuration A; the arguments are those of VGG."""
    return VGG("A", **arguments)


def vgg13(**arguments) -> VGG:
    """Configuration B; the arguments are those of VGG."""
    return VGG("B", **arguments)


def vgg16(**arguments) -> VGG:
    """Configuration D; the arguments are those of VGG.

    >>> from models import vgg16
    >>> vgg16(width=0.125, size=32).features.conv5_3.weight.shape
    (64, 64, 3, 3)
    """
    return VGG("D", **arguments)


def vgg16c(**arguments) -> VGG:
    """Configuration C, 16 layers, three of them 1x1; the arguments are those of VGG."""
    return VGG("C", **arguments)


def vgg19(**arguments) -> VGG:
    """Configuration E; the arguments are those of VGG."""
    return VGG("E", **arguments)


def vgg11_bn(**arguments) -> VGG:
    """Configuration A with batch norm; the arguments are those of VGG."""
    return VGG("A", **{"batch_norm": True, **arguments})


def vgg13_bn(**arguments) -> VGG:
    """Configuration B with batch norm; the arguments are those of VGG."""
    return VGG("B", **{"batch_norm": True, **arguments})


def vgg16_bn(**arguments) -> VGG:
    """Configuration D with batch norm; the arguments are those of VGG."""
    return VGG("D", **{"batch_norm": True, **arguments})


def vgg19_bn(**arguments) -> VGG:
    """Configuration E with batch norm; the arguments are those of VGG."""
    return VGG("E", **{"batch_norm": True, **arguments})
