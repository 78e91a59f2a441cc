"""GoogLeNet (Szegedy et al. 2015, "Going deeper with convolutions", table 1 and figure 3).

    layer                                                   output  parameters             MACs
    conv1        64 kernels 7x7, stride 2, pad 3    64 x 112 x 112       9,472      118,013,952
    max 3x3, stride 2; norm                         64 x  56 x  56
    conv2_reduce 64 kernels 1x1                     64 x  56 x  56       4,160       12,845,056
    conv2        192 kernels 3x3, pad 1            192 x  56 x  56     110,784      346,816,512
    norm; max 3x3, stride 2                        192 x  28 x  28
                 1x1  red. 3x3  red. 5x5 proj.
    inception3a   64   96  128   16   32   32      256 x  28 x  28     163,696      128,049,152
    inception3b  128  128  192   32   96   64      480 x  28 x  28     388,736      304,267,264
    max 3x3, stride 2                              480 x  14 x  14
    inception4a  192   96  208   16   48   64      512 x  14 x  14     376,176       73,608,192
    inception4b  160  112  224   24   64   64      512 x  14 x  14     449,160       87,908,352
    inception4c  128  128  256   24   64   64      512 x  14 x  14     510,104       99,850,240
    inception4d  112  144  288   32   64   64      528 x  14 x  14     605,376      118,515,712
    inception4e  256  160  320   32  128  128      832 x  14 x  14     868,352      169,996,288
    max 3x3, stride 2                              832 x   7 x   7
    inception5a  256  160  320   32  128  128      832 x   7 x   7   1,043,456       51,079,168
    inception5b  384  192  384   48  128  128     1024 x   7 x   7   1,444,080       70,697,984
    average of each map; 40 % dropped             1024
    fc           one score per class              1000               1,025,000        1,024,000
                                                                     6,998,552    1,582,671,872
    aux1         on the maps of inception4a       1000               3,188,840        4,169,728
    aux2         on the maps of inception4d       1000               3,190,888        4,202,496
                                                                    13,378,280

A ReLU follows every convolution. MACs: multiply-accumulates. The paper's own column of parameters
does not add up; these are counted from its table, and are those of bvlc_googlenet.caffemodel.

Poolings round their size up, as Caffe does: without padding 112 pixels become 56, not 55. norm is
local response normalization over 5 maps, alpha = 1e-4 for their average, as in Caffe; the paper
gives no constants. Nor does it say how weights start; here as in Caffe, where they learn: uniform
of variance 1 / fan_in, biases 0.2 (0 in the layers that give scores).

The modules and the auxiliary heads are in models/inception.py, the version of torchvision's
weights in models/googlenet_torchvision.py.
"""

from __future__ import annotations

import math
from typing import Any

from minidl import nn
from minidl.errors import Hint
from minidl.nn import init
from minidl.shapes import check_flag
from minidl.tensor import Tensor
from models.checks import check_pictures, scaled
from models.inception import AuxiliaryHead, AuxiliaryLoss, Inception, NaiveInception

__all__ = ["AuxiliaryLoss", "GoogLeNet", "googlenet", "googlenet_naive"]

# The kernels of each module, from left to right as in the table.
MODULES = {
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
SMALLEST = 31  # pixels that leave the last pooling a window
SMALLEST_WITH_HEADS = 79  # pixels that leave the auxiliary heads their 5x5


class GoogLeNet(nn.Module):
    """GoogLeNet; Szegedy et al. 2015. The module's text has its table.

    Args:
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        aux_logits: have two auxiliary heads, which answer in training only.
        naive: take modules without reductions, to see what those save.
        dropout: the part of the averages before fc that is dropped in training.
        aux_dropout: the part of an auxiliary head's units that is dropped in training.
        width: factor on all numbers of kernels and units, for a narrower net.

    Raises:
        ArgumentError: an argument is not one of these.

    Attributes:
        use_aux_heads: whether the auxiliary heads answer in training. Set it to False where they
            do not learn; without heads it is False from the start.

    Shapes: (N, in_channels, H, W), from 31 pixels on; in training with heads from 79. In training
    with heads it returns (scores, aux1_scores, aux2_scores), else scores: (N, num_classes) each,
    before softmax. AuxiliaryLoss takes both.

    >>> from models import GoogLeNet
    >>> net = GoogLeNet(num_classes=17, width=0.125)
    >>> len(net(minidl.ones(1, 3, 96, 96))), net.eval()(minidl.ones(1, 3, 96, 96)).shape
    (3, (1, 17))
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        aux_logits: bool = True,
        naive: bool = False,
        dropout: float = 0.4,
        aux_dropout: float = 0.7,
        width: float = 1.0,
    ):
        super().__init__()
        check_flag("GoogLeNet", "aux_logits", aux_logits)
        check_flag("GoogLeNet", "naive", naive)
        n1, n2 = scaled("GoogLeNet", width, 64, 192)
        self.in_channels = in_channels
        self.use_aux_heads = aux_logits
        self.conv1 = nn.Conv2d(in_channels, n1, 7, stride=2, padding=3)
        self.relu = nn.ReLU()
        self.pool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = nn.LocalResponseNorm(5)
        self.conv2_reduce = nn.Conv2d(n1, n1, 1)
        self.conv2 = nn.Conv2d(n1, n2, 3, padding=1)
        self.norm2 = nn.LocalResponseNorm(5)
        self.pool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        channels = n2
        for name, kernels in MODULES.items():
            module = make_module(channels, scaled("GoogLeNet", width, *kernels), naive)
            self.add_module(f"inception{name}", module)
            channels = module.out_channels
        self.pool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)  # behind 3b
        self.pool4 = nn.MaxPool2d(3, stride=2, ceil_mode=True)  # behind 4e
        if aux_logits:
            sizes = scaled("GoogLeNet", width, 128, 1024)
            from_4a, from_4d = self.inception4a.out_channels, self.inception4d.out_channels
            self.aux1 = AuxiliaryHead(from_4a, num_classes, *sizes, aux_dropout)
            self.aux2 = AuxiliaryHead(from_4d, num_classes, *sizes, aux_dropout)
        self.avgpool = nn.AdaptiveAvgPool2d(1)  # 7x7 at 224 pixels
        self.flatten = nn.Flatten()
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(channels, num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Any:
        heads = self.training and self.use_aux_heads
        self.check_input(x, heads)
        x = self.norm1(self.pool1(self.relu(self.conv1(x))))
        x = self.relu(self.conv2(self.relu(self.conv2_reduce(x))))
        x = self.pool2(self.norm2(x))
        x = self.pool3(self.inception3b(self.inception3a(x)))
        x = from_4a = self.inception4a(x)
        x = from_4d = self.inception4d(self.inception4c(self.inception4b(x)))
        x = self.pool4(self.inception4e(x))
        x = self.inception5b(self.inception5a(x))
        scores = self.fc(self.drop(self.flatten(self.avgpool(x))))
        return (scores, self.aux1(from_4a), self.aux2(from_4d)) if heads else scores

    def check_input(self, x: Tensor, heads: bool) -> None:
        """x fits, or the error says which pictures would."""
        smallest, hint = SMALLEST, ""
        if heads:
            smallest = SMALLEST_WITH_HEADS
            hint = Hint(
                f"{{aux_logits=}} trains with pictures from {SMALLEST} pixels on", aux_logits=False
            )
        check_pictures("GoogLeNet", x, self.in_channels, smallest, hint=hint)


def make_module(in_channels: int, kernels: list[int], naive: bool) -> Inception | NaiveInception:
    """One module of the table; the naive one has only its 1x1, 3x3 and 5x5 kernels."""
    if naive:
        n1x1, _, n3x3, _, n5x5, _ = kernels
        return NaiveInception(in_channels, n1x1, n3x3, n5x5)
    return Inception(in_channels, *kernels)


def start_weights(net: GoogLeNet) -> None:
    """Draw the weights that training starts from, as Caffe's xavier filler does."""
    for path, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            bound = math.sqrt(3 / init.fans(layer.weight)[0])
            init.uniform_(layer.weight, -bound, bound)
            gives_scores = path == "fc" or path.endswith("fc2")
            init.constant_(layer.bias, 0.0 if gives_scores else 0.2)


def googlenet(**arguments) -> GoogLeNet:
    """GoogLeNet with its auxiliary heads; the arguments are those of GoogLeNet.

    >>> from models import googlenet
    >>> googlenet(width=0.125).inception3a.reduce3x3.weight.shape
    (12, 24, 1, 1)
    """
    return GoogLeNet(**arguments)


def googlenet_naive(**arguments) -> GoogLeNet:
    """GoogLeNet of modules without reductions; the arguments are those of GoogLeNet."""
    return GoogLeNet(**{"naive": True, **arguments})
