"""SqueezeNet 1.1 (Iandola et al. 2016, "SqueezeNet: AlexNet-level accuracy with 50x fewer
parameters and < 0.5 MB model size", table 1, and the authors' later release 1.1).

    layer   squeeze  expand 1x1  expand 3x3   output          parameters  multiply-accumulates
    conv1   64 kernels 3x3, stride 2; relu     64 x 113 x 113      1,792            22,064,832
    pool1   max 3x3, stride 2                  64 x  56 x  56
    fire2      16        64          64       128 x  56 x  56     11,408            35,323,904
    fire3      16        64          64       128 x  56 x  56     12,432            38,535,168
    pool3   max 3x3, stride 2                 128 x  28 x  28
    fire4      32       128         128       256 x  28 x  28     45,344            35,323,904
    fire5      32       128         128       256 x  28 x  28     49,440            38,535,168
    pool5   max 3x3, stride 2                 256 x  14 x  14
    fire6      48       192         192       384 x  14 x  14    104,880            20,471,808
    fire7      48       192         192       384 x  14 x  14    111,024            21,676,032
    fire8      64       256         256       512 x  14 x  14    188,992            36,929,536
    fire9      64       256         256       512 x  14 x  14    197,184            38,535,168
    conv10  dropout; 1000 kernels 1x1; relu  1000 x  14 x  14    513,000           100,352,000
    pool10  average of each map              1000
                                                               1,235,496           387,747,520

A fire module squeezes what enters to few maps with 1x1 kernels, and expands them with 1x1 and 3x3
kernels side by side; a ReLU stands behind each. There is no fully connected layer.

Version 1.1 has 3x3 kernels where the paper's conv1 has 96 of 7x7, and pools earlier: 2.4 times less
arithmetic at the same accuracy (57 % top-1). Caffe, where it was trained, rounds the size of pooled
maps up, and so does ceil_mode here: the last windows reach over the edge.
"""

from __future__ import annotations

import minidl
from minidl import nn
from minidl.nn import init
from minidl.tensor import Tensor
from models.checks import check_pictures, scaled

# name -> kernels of squeeze1x1, expand1x1, expand3x3
FIRES = {
    "fire2": (16, 64, 64), "fire3": (16, 64, 64),
    "fire4": (32, 128, 128), "fire5": (32, 128, 128),
    "fire6": (48, 192, 192), "fire7": (48, 192, 192),
    "fire8": (64, 256, 256), "fire9": (64, 256, 256),
}  # fmt: skip
POOLED = {"fire3": "pool3", "fire5": "pool5"}  # the pooling behind a module
SMALLEST = 17  # pixels: they leave pool5 maps of 2x2


class Fire(nn.Module):
    """Squeeze and expand (Iandola et al. 2016, section 3.2 and figure 1).

    Args:
        in_channels: maps that enter.
        squeeze: 1x1 kernels that they go through first.
        expand1x1, expand3x3: kernels of both sizes that see the squeezed maps.

    Shapes: (N, in_channels, H, W) -> (N, expand1x1 + expand3x3, H, W).
    """

    def __init__(self, in_channels: int, squeeze: int, expand1x1: int, expand3x3: int):
        super().__init__()
        self.squeeze1x1 = nn.Conv2d(in_channels, squeeze, 1)
        self.expand1x1 = nn.Conv2d(squeeze, expand1x1, 1)
        self.expand3x3 = nn.Conv2d(squeeze, expand3x3, 3, padding=1)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze1x1(x))
        return minidl.cat([self.relu(self.expand1x1(x)), self.relu(self.expand3x3(x))], dim=1)


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1; Iandola et al. 2016. The module's text has its table.

    Layers have the names of the authors' Caffe file. Weights start uniform with variance 2 / fan_in
    (He et al. 2015), those of conv10 normal of deviation 0.01; biases at 0, and at 1 in conv10,
    behind whose ReLU a class could otherwise be lost from the start.

    Args:
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        dropout: the part of fire9's maps that is dropped in training.
        width: factor on all numbers of kernels, for a narrower net.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W), from 17 pixels on -> (N, num_classes), scores before softmax.

    >>> from models import SqueezeNet
    >>> SqueezeNet(num_classes=17, width=0.25)(minidl.ones(1, 3, 64, 64)).shape
    (1, 17)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.5,
        width: float = 1.0,
    ):
        super().__init__()
        self.in_channels = in_channels
        self.features, channels = make_features(in_channels, width)
        self.classifier = nn.Sequential({
            "drop9": nn.Dropout(dropout),
            "conv10": nn.Conv2d(channels, num_classes, 1),
            "relu10": nn.ReLU(),
            "pool10": nn.AdaptiveAvgPool2d(1),
            "flatten": nn.Flatten(),
        })  # fmt: skip
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("SqueezeNet", x, self.in_channels, SMALLEST)
        return self.classifier(self.features(x))


def make_features(in_channels: int, width: float) -> tuple[nn.Sequential, int]:
    """conv1 to fire9, and how many maps leave it."""
    (channels,) = scaled("SqueezeNet", width, 64)
    layers: dict[str, nn.Module] = {
        "conv1": nn.Conv2d(in_channels, channels, 3, stride=2),
        "relu1": nn.ReLU(),
        "pool1": nn.MaxPool2d(3, stride=2, ceil_mode=True),
    }
    for name, kernels in FIRES.items():
        squeeze, expand1x1, expand3x3 = scaled("SqueezeNet", width, *kernels)
        layers[name] = Fire(channels, squeeze, expand1x1, expand3x3)
        channels = expand1x1 + expand3x3
        if name in POOLED:
            layers[POOLED[name]] = nn.MaxPool2d(3, stride=2, ceil_mode=True)
    return nn.Sequential(layers), channels


def start_weights(net: SqueezeNet) -> None:
    """Draw the weights that training starts from."""
    for path, layer in net.named_modules():
        if not isinstance(layer, nn.Conv2d):
            continue
        if path == "classifier.conv10":
            init.normal_(layer.weight, std=0.01)
            init.ones_(layer.bias)  # a class whose scores are negative everywhere never learns
        else:
            init.kaiming_uniform_(layer.weight, nonlinearity="relu")
            init.zeros_(layer.bias)


def squeezenet(**arguments) -> SqueezeNet:
    """SqueezeNet 1.1; the arguments are those of SqueezeNet.

    >>> from models import squeezenet
    >>> squeezenet().features.fire9.expand3x3.weight.shape
    (256, 64, 3, 3)
    """
    return SqueezeNet(**arguments)
