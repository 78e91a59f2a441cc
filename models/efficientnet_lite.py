"""EfficientNet-Lite0 (Tan and Le 2019, "EfficientNet: rethinking model scaling for convolutional
neural networks", table 1, in the variant for small devices that TensorFlow released in 2020).

             expands  maps  blocks  stride  kernel  output           parameters      mult.-acc.
    stem        conv    32               2       3    32 x 112 x 112        928      10,838,016
    blocks 0       1    16       1       1       3    16 x 112 x 112        896      10,035,200
           1-2     6    24       2       2       3    24 x  56 x  56     13,968      54,942,720
           3-4     6    40       2       2       5    40 x  28 x  28     39,712      37,933,056
           5-7     6    80       3       2       3    80 x  14 x  14    198,480      43,512,000
           8-10    6   112       3       1       5   112 x  14 x  14    446,784      86,007,936
          11-14    6   192       4       2       5   192 x   7 x   7  1,652,640      91,158,816
          15       6   320       1       1       3   320 x   7 x   7    605,440      29,409,408
    head        conv  1280               1       1  1280 x   7 x   7    412,160      20,070,400
    avgpool  average of each map                    1280
    fc       dropout 0.2; one score per class       1000              1,281,000       1,280,000
                                                                      4,652,008     385,187,552

    block, expanding n maps by e:   1x1, e n -> depthwise kernel, e n -> 1x1, maps  (+ what entered)

Blocks are those of MobileNetV2 (Sandler et al. 2018, figure 4): thin maps are expanded, each of
the many maps is filtered by a kernel of its own (depthwise: groups = channels), and they are
projected onto few again, without a nonlinearity. The first block of a row has the stride; where
neither size nor number of maps changes, what entered is added. Behind each convolution stands a
batch norm, behind all but the projections ReLU6, min(max(x, 0), 6).

The Lite variant has no squeeze-and-excitation, and ReLU6 in place of swish: what small devices
compute in 8 bits. (Its larger members, Lite1 to Lite4, keep stem and head at these numbers.)
Padding is TensorFlow's SAME: where a stride leaves an uneven rest, the row more is at the bottom
and the column at the right.
"""

from __future__ import annotations

from minidl import nn
from minidl.nn import init
from minidl.tensor import Tensor
from models.checks import check_pictures, scaled

# expansion, maps, blocks, stride, kernel: the rows of the table.
ROWS = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
STEM, HEAD = 32, 1280
EPS = 1e-3  # of the batch norms, as in TensorFlow


class InvertedResidual(nn.Module):
    """Expand, filter, project (Sandler et al. 2018, section 3.3).

    Args:
        in_channels: maps that enter.
        channels: maps that leave.
        expansion: how many times as many are filtered; 1: those that enter, without expanding.
        kernel, stride: of the depthwise convolution.
    """

    def __init__(self, in_channels: int, channels: int, expansion: int, kernel: int, stride: int):
        super().__init__()
        many = in_channels * expansion
        self.expands = expansion > 1
        self.adds = stride == 1 and in_channels == channels
        if self.expands:
            self.expand = nn.Conv2d(in_channels, many, 1, bias=False)
            self.bn0 = nn.BatchNorm2d(many, eps=EPS)
        self.depthwise = nn.Conv2d(
            many, many, kernel, stride, padding="same_upper", groups=many, bias=False
        )
        self.bn1 = nn.BatchNorm2d(many, eps=EPS)
        self.project = nn.Conv2d(many, channels, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels, eps=EPS)
        self.relu = nn.ReLU6()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn0(self.expand(x))) if self.expands else x
        y = self.relu(self.bn1(self.depthwise(y)))
        y = self.bn2(self.project(y))
        return y + x if self.adds else y


class EfficientNetLite(nn.Module):
    """EfficientNet-Lite0; Tan and Le 2019. The module's text has its table.

    Weights of convolutions start normal with variance 2 / fan_out as in the authors' program (of a
    depthwise one, 2 / area of the kernel), batch norms at 1 and 0, fc as any Linear. The blocks
    that the program drops at random in training (Huang et al. 2016) are not dropped here. Running
    averages keep 0.9 of what they were, not 0.99: in a few hundred steps of fine-tuning those of
    the program would lag behind.

    Args:
        num_classes: how many scores it gives.
        in_channels: 3 for colour pictures, 1 for grey.
        dropout: the part of the averages that is dropped in training.
        width: factor on all numbers of maps, for a narrower net.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, H, W) of any size -> (N, num_classes), scores before softmax. Pictures
    of less than 33 pixels leave a single pixel to average at the end.

    >>> from models import EfficientNetLite
    >>> EfficientNetLite(num_classes=17, width=0.25)(minidl.ones(2, 3, 64, 64)).shape
    (2, 17)
    """

    def __init__(
        self,
        num_classes: int = 1000,
        in_channels: int = 3,
        dropout: float = 0.2,
        width: float = 1.0,
    ):
        super().__init__()
        stem, head, *widths = scaled("EfficientNetLite", width, STEM, HEAD, *(r[1] for r in ROWS))
        self.in_channels = in_channels
        self.stem = nn.Conv2d(in_channels, stem, 3, stride=2, padding="same_upper", bias=False)
        self.bn0 = nn.BatchNorm2d(stem, eps=EPS)
        self.blocks, entering = make_blocks(stem, widths)
        self.head = nn.Conv2d(entering, head, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(head, eps=EPS)
        self.relu = nn.ReLU6()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.drop = nn.Dropout(dropout)
        self.fc = nn.Linear(head, num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("EfficientNetLite", x, self.in_channels)
        x = self.blocks(self.relu(self.bn0(self.stem(x))))
        x = self.avgpool(self.relu(self.bn1(self.head(x))))
        return self.fc(self.drop(self.flatten(x)))


def make_blocks(entering: int, widths: list[int]) -> tuple[nn.Sequential, int]:
    """The blocks of all rows, and how many maps leave them."""
    blocks = []
    for (expansion, _, count, stride, kernel), channels in zip(ROWS, widths):
        for i in range(count):
            block = InvertedResidual(entering, channels, expansion, kernel, 1 if i else stride)
            blocks.append(block)
            entering = channels
    return nn.Sequential(*blocks), entering


def start_weights(net: EfficientNetLite) -> None:
    """Draw the weights that training starts from."""
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            depthwise = layer.groups > 1
            mode = "fan_in" if depthwise else "fan_out"  # a depthwise kernel's area is its fan_in
            init.kaiming_normal_(layer.weight, mode=mode, nonlinearity="relu")


def efficientnet_lite0(**arguments) -> EfficientNetLite:
    """EfficientNet-Lite0; the arguments are those of EfficientNetLite.

    >>> from models import efficientnet_lite0
    >>> efficientnet_lite0().blocks[3].depthwise.weight.shape
    (144, 1, 5, 5)
    """
    return EfficientNetLite(**arguments)
