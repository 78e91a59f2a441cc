"""AlexNet (Krizhevsky, Sutskever and Hinton 2012, "ImageNet classification with deep convolutional
neural networks", section 3.5 and figure 2).

    layer  what it does                            output        parameters  multiply-accumulates
    conv1  96 kernels 11x11, stride 4              96 x 55 x 55      34,944           105,415,200
           relu, norm, max 3x3, stride 2           96 x 27 x 27
    conv2  256 kernels 5x5, pad 2, two groups     256 x 27 x 27     307,456           223,948,800
           relu, norm, max 3x3, stride 2          256 x 13 x 13
    conv3  384 kernels 3x3, pad 1, relu           384 x 13 x 13     885,120           149,520,384
    conv4  384 kernels 3x3, pad 1, two groups     384 x 13 x 13     663,936           112,140,288
    conv5  256 kernels 3x3, pad 1, two groups     256 x 13 x 13     442,624            74,760,192
           relu, max 3x3, stride 2                256 x  6 x  6
    fc6    4096 units, relu, dropout             4096            37,752,832            37,748,736
    fc7    4096 units, relu, dropout             4096            16,781,312            16,777,216
    fc8    one score per class                   1000             4,097,000             4,096,000
                                                                 60,965,224           724,406,816

Two groups: the paper split the net over two GPUs, and a kernel of conv2, conv4 and conv5 sees only
the maps of its own half (so those of conv4 are 3x3x192). One tower, groups=1, has 62,378,344
parameters and 1,135,256,096 multiply-accumulates.

The paper says 224 pixels, but its 55x55 maps need 227 (or 224 and a padding of 2).

norm is local response normalization over 5 maps. lrn="paper" has the paper's k = 2 and alpha
= 1e-4 for the sum of squares; lrn="caffe" k = 1 and alpha = 1e-4 for their average, the constants
that bvlc_alexnet.caffemodel was trained with.

The widths 64/192/384/256/256 without norm and groups are Krizhevsky's later "One weird trick for
parallelizing convolutional neural networks" (2014), as in torchvision: 61,100,840 parameters,
714,188,480 multiply-accumulates at 224 pixels. Torchvision drops what enters fc6 and fc7; here
dropout stays where the paper has it, behind them. Without training that is the same.
"""

from __future__ import annotations

from collections.abc import Sequence

from minidl import nn
from minidl.errors import ArgumentError
from minidl.nn import init as initialize
from minidl.shapes import is_int, window_output
from minidl.tensor import Tensor
from models.checks import check_pictures, check_size, choose, scaled

# alpha is divided by the 5 maps of the window here, in Caffe and in PyTorch, not in the paper.
NORMS = {
    "paper": {"size": 5, "alpha": 5e-4, "beta": 0.75, "k": 2.0},
    "caffe": {"size": 5, "alpha": 1e-4, "beta": 0.75, "k": 1.0},
    None: None,
}
# Standard deviation of fc6 and fc7, and the bias of conv2, conv4, conv5, fc6 and fc7: it gives
# their ReLUs something positive to start with. All other weights have 0.01, all other biases 0.
STARTS = {"paper": (0.01, 1.0), "caffe": (0.005, 0.1), "he": None}
BIASED = ("conv2", "conv4", "conv5", "fc6", "fc7")
WIDTHS = (96, 256, 384, 384, 256)


class AlexNet(nn.Module):
    """AlexNet; Krizhevsky et al. 2012. The module's text has its table.

    Args:
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        size: pixels per side of the pictures for whose last maps fc6 is made. The maps of other
            pictures are averaged to that size, as torchvision does.
        groups: 2 for the paper's two halves, 1 for one tower.
        lrn: the constants of local response normalization, "paper" or "caffe"; None for none.
        init: how weights start. "paper": normal of deviation 0.01, and 1 as the bias of conv2,
            conv4, conv5, fc6 and fc7. "caffe": 0.005 in fc6 and fc7, and 0.1. "he": He et al.
            2015, which also trains where there are few pictures.
        padding: zeros that conv1 adds on each side, 0 to 5; 2 makes 224 pixels do.
        widths: kernels of conv1 to conv5.
        dropout: the part of fc6 and fc7 that is dropped in training.
        width: factor on all numbers of kernels and units, for a narrower net.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W), from 67 pixels on -> (N, num_classes), scores before softmax.

    >>> from models import AlexNet
    >>> AlexNet(num_classes=17, size=67, width=0.125)(minidl.ones(1, 3, 67, 67)).shape
    (1, 17)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        size: int = 227,
        groups: int = 2,
        lrn: str | None = "paper",
        init: str = "paper",
        padding: int = 0,
        widths: Sequence[int] = WIDTHS,
        dropout: float = 0.5,
        width: float = 1.0,
    ):
        super().__init__()
        norm = choose("AlexNet", "lrn", lrn, NORMS)
        choose("AlexNet", "init", init, STARTS)
        check_layers(widths, padding)
        *kernels, hidden = scaled("AlexNet", width, *widths, 4096)
        self.in_channels, self.padding = in_channels, padding
        self.features = make_features(in_channels, kernels, groups, norm, padding)
        check_size("AlexNet", size, self.smallest())
        side = self.side_of_maps(size)
        self.avgpool = nn.AdaptiveAvgPool2d(side)
        self.classifier = nn.Sequential({
            "flatten": nn.Flatten(),
            "fc6": nn.Linear(kernels[4] * side * side, hidden),
            "relu6": nn.ReLU(),
            "drop6": nn.Dropout(dropout),
            "fc7": nn.Linear(hidden, hidden),
            "relu7": nn.ReLU(),
            "drop7": nn.Dropout(dropout),
            "fc8": nn.Linear(hidden, num_classes),
        })  # fmt: skip
        start_weights(self, init)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("AlexNet", x, self.in_channels, self.smallest())
        return self.classifier(self.avgpool(self.features(x)))

    def smallest(self) -> int:
        """Pixels per side that leave pool5 one window: 67 without padding."""
        return 67 - 2 * self.padding

    def side_of_maps(self, size: int) -> int:
        """Height and width of what pool5 makes of a picture: 6 of 227 pixels."""
        side = window_output(size, 11, 4, self.padding, 1)  # conv1
        for _ in ("pool1", "pool2", "pool5"):
            side = window_output(side, 3, 2, 0, 1)
        return side


def check_layers(widths: Sequence[int], padding: int) -> None:
    """Five numbers of kernels, and a padding that is less than half a window.

    Raises:
        ArgumentError
    """
    five = isinstance(widths, list | tuple) and len(widths) == 5
    if not five or not all(is_int(n) and n > 0 for n in widths):
        raise ArgumentError("AlexNet", "widths are five ints >= 1", {"widths": widths})
    if not is_int(padding) or not 0 <= padding <= 5:
        raise ArgumentError("AlexNet", "padding is an int from 0 to 5", {"padding": padding})


def make_features(in_channels, kernels, groups, norm, padding) -> nn.Sequential:
    """conv1 to pool5. norm: the arguments of LocalResponseNorm, or None for none."""
    n1, n2, n3, n4, n5 = kernels
    layers = {
        "conv1": nn.Conv2d(in_channels, n1, 11, stride=4, padding=padding),
        "relu1": nn.ReLU(),
        "norm1": nn.LocalResponseNorm(**norm) if norm else None,
        "pool1": nn.MaxPool2d(3, stride=2),
        "conv2": nn.Conv2d(n1, n2, 5, padding=2, groups=groups),
        "relu2": nn.ReLU(),
        "norm2": nn.LocalResponseNorm(**norm) if norm else None,
        "pool2": nn.MaxPool2d(3, stride=2),
        "conv3": nn.Conv2d(n2, n3, 3, padding=1),
        "relu3": nn.ReLU(),
        "conv4": nn.Conv2d(n3, n4, 3, padding=1, groups=groups),
        "relu4": nn.ReLU(),
        "conv5": nn.Conv2d(n4, n5, 3, padding=1, groups=groups),
        "relu5": nn.ReLU(),
        "pool5": nn.MaxPool2d(3, stride=2),
    }
    return nn.Sequential({name: layer for name, layer in layers.items() if layer is not None})


def start_weights(net: AlexNet, init: str) -> None:
    """Draw the weights that training starts from; see the argument init of AlexNet."""
    for path, layer in net.named_modules():
        if not isinstance(layer, nn.Conv2d | nn.Linear):
            continue
        name = path.rpartition(".")[2]
        if init == "he":
            initialize.kaiming_normal_(layer.weight, nonlinearity="relu")
            initialize.zeros_(layer.bias)
        else:
            deviation, bias = STARTS[init]
            initialize.normal_(layer.weight, std=deviation if name in ("fc6", "fc7") else 0.01)
            initialize.constant_(layer.bias, bias if name in BIASED else 0.0)


def alexnet(**arguments) -> AlexNet:
    """AlexNet in two groups, as in the paper; the arguments are those of AlexNet.

    >>> from models import alexnet
    >>> alexnet(width=0.125).features.conv4.groups
    2
    """
    return AlexNet(**arguments)


# What the variants change, for the functions below and for models/registry.py.
ONE_TOWER = {"groups": 1}
TORCHVISION = {
    "groups": 1, "lrn": None, "init": "he", "padding": 2, "widths": (64, 192, 384, 256, 256),
}  # fmt: skip


def alexnet_one_tower(**arguments) -> AlexNet:
    """AlexNet without groups; the arguments are those of AlexNet."""
    return AlexNet(**{**ONE_TOWER, **arguments})


def alexnet_torchvision(**arguments) -> AlexNet:
    """AlexNet with torchvision's widths, 224 pixels; the arguments are those of AlexNet."""
    return AlexNet(**{**TORCHVISION, "size": 224, **arguments})
