"""LeNet as in Caffe's examples/mnist/lenet.prototxt: wider than LeNet-5, with one ReLU.

    layer  what it does                     output       parameters   multiply-accumulates
    conv1  20 kernels 5x5                   20 x 24 x 24        520                288,000
    pool1  max 2x2                          20 x 12 x 12
    conv2  50 kernels 5x5                   50 x  8 x  8     25,050              1,600,000
    pool2  max 2x2                          50 x  4 x  4
    ip1    500 units, relu                 500              400,500                400,000
    ip2    one score per class              10                5,010                  5,000
                                                            431,080              2,293,000

Weights start as Caffe's xavier filler draws them: uniform of variance 1 / fan_in, biases 0.
"""

from __future__ import annotations

import math

from minidl import nn
from minidl.nn import init
from minidl.tensor import Tensor
from models.checks import check_pictures

SIDE = 28  # pixels


class LeNetCaffe(nn.Module):
    """Caffe's LeNet for 28x28 pixels; the module's text has its table.

    Args:
        num_classes: how many scores it gives.
        in_channels: 1 for grey pictures, 3 for colour.

    Shapes: (N, in_channels, 28, 28) -> (N, num_classes), scores before softmax.

    >>> from models import LeNetCaffe
    >>> LeNetCaffe()(minidl.ones(2, 1, 28, 28)).shape
    (2, 10)
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1):
        super().__init__()
        self.in_channels = in_channels
        self.features = nn.Sequential({
            "conv1": nn.Conv2d(in_channels, 20, 5),
            "pool1": nn.MaxPool2d(2),
            "conv2": nn.Conv2d(20, 50, 5),
            "pool2": nn.MaxPool2d(2),
        })  # fmt: skip
        self.classifier = nn.Sequential({
            "flatten": nn.Flatten(),
            "ip1": nn.Linear(50 * 4 * 4, 500),
            "relu1": nn.ReLU(),
            "ip2": nn.Linear(500, num_classes),
        })  # fmt: skip
        for layer in self.modules():
            if isinstance(layer, nn.Conv2d | nn.Linear):
                bound = math.sqrt(3 / init.fans(layer.weight)[0])
                init.uniform_(layer.weight, -bound, bound)
                init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("LeNetCaffe", x, self.in_channels, SIDE, SIDE)
        return self.classifier(self.features(x))


def lenet_caffe(**arguments) -> LeNetCaffe:
    """Caffe's LeNet; the arguments are those of LeNetCaffe."""
    return LeNetCaffe(**arguments)
