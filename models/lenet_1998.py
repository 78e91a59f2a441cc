"""LeNet-5 as it was published (LeCun, Bottou, Bengio and Haffner 1998, "Gradient-based learning
applied to document recognition", section II.B, table I, figures 2 and 3, appendix A).

    layer  what it does                            output       parameters   multiply-accumulates
    C1     6 kernels 5x5, squash                   6 x 28 x 28         156                117,600
    S2     sum of 2x2, coefficient, bias, squash   6 x 14 x 14          12
    C3     16 maps that see 3, 4 or 6 of S2's     16 x 10 x 10       1,516                150,000
    S4     sum of 2x2, coefficient, bias, squash  16 x  5 x  5          32
    C5     120 units, each sees all of S4, squash  120              48,120                 48,000
    F6     84 units, squash                         84              10,164                 10,080
    output distance to the code of each class       10            (840 fixed)
                                                                    60,000                325,680

    squash(a) = 1.7159 tanh(2a/3), so that squash(1) = 1 and squash(-1) = -1
    distance: y_i = sum_j (x_j - code_ij)^2 over the 84 units x of F6

The codes are pictures of 7x12 pixels of +1 and -1: F6 learns to draw the digit that it saw. The
smallest distance wins. The net returns -y as its scores, so that the largest wins as in every
other net: -y is, up to a constant, the logarithm of a Gaussian density around each code.

Weights start uniform in +-2.4/fan_in, as in the paper (section II.B, before equation 8).
`models/lenet.py` is the net as it is taught today.
"""

from __future__ import annotations

import numpy as np

from minidl import nn
from minidl.checks import check_tensor
from minidl.errors import ArgumentError, Hint
from minidl.nn import init
from minidl.nn.checks import check_sizes
from minidl.ops.avg_pool2d import avg_pool2d
from minidl.ops.cross_entropy import cross_entropy
from minidl.ops.joining import cat, split
from minidl.ops.tanh import tanh
from minidl.shapes import is_int
from minidl.tensor import Tensor
from models.checks import check_pictures

SIDE = 32  # pixels: two 5x5 and two 2x2 windows leave 5x5

# Table I: a column for each map of C3, a row for each map of S2, X where the first sees the second.
TABLE_I = """
    X . . . X X X . . X X X X . X X
    X X . . . X X X . . X X X X . X
    X X X . . . X X X . . X . X X X
    . X X X . . X X X X . . X . X X
    . . X X X . . X X X X . X X . X
    . . . X X X . . X X X X . X X X
"""

# The codes of the digits, drawn in the manner of figure 3. The rows of an F6 code are read one
# after the other, # as +1 and . as -1.
DIGITS = """
    .......  .......  .......  .......  .......
    .#####.  ...##..  .#####.  #######  .....#.
    ##...##  ..###..  ##...##  #....##  ....##.
    #.....#  .####..  .....##  ....##.  ...#.#.
    #.....#  ...##..  .....##  ...##..  ..##.#.
    #.....#  ...##..  ....##.  ..####.  .##..#.
    #.....#  ...##..  ...##..  .....##  ##...#.
    #.....#  ...##..  ..##...  ......#  #######
    #.....#  ...##..  .##....  ......#  .....#.
    ##...##  ...##..  ##.....  ##...##  .....#.
    .#####.  .######  #######  .#####.  .....#.
    .......  .......  .......  .......  .......

    .......  .......  .......  .......  .......
    #######  ..####.  #######  .#####.  .#####.
    ##.....  .##....  ##...##  ##...##  ##...##
    ##.....  ##.....  .....##  #.....#  #.....#
    ######.  #......  ....##.  ##...##  ##...##
    ##...##  ######.  ....#..  .#####.  .######
    ......#  ##...##  ...##..  .#####.  ......#
    ......#  #.....#  ...#...  ##...##  ......#
    ......#  #.....#  ..##...  #.....#  .....##
    ##...##  ##...##  ..##...  ##...##  ....##.
    .#####.  .#####.  ..##...  .#####.  .####..
    .......  .......  .......  .......  .......
"""


class LeNet5of1998(nn.Module):
    """LeNet-5 with all that the paper has; the module's text has its table.

    Args:
        num_classes: how many scores it gives. Ten have the digits as their codes; for any other
            number the codes are drawn at random, of +1 and -1, which the paper mentions as the
            alternative (section II.B). They are buffers, saved with the weights.
        in_channels: 1 for grey pictures, 3 for colour.
        padding: rows and columns of zeros that C1 adds on each side, 0 to 15; 2 for 28x28 pixels.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, 32, 32) -> (N, num_classes), minus the distance to each code.

    >>> from models import LeNet5of1998
    >>> LeNet5of1998()(minidl.ones(2, 1, 32, 32)).shape
    (2, 10)
    """

    def __init__(self, num_classes: int = 10, in_channels: int = 1, padding: int = 0):
        super().__init__()
        if not is_int(padding) or not 0 <= padding < SIDE // 2:
            raise ArgumentError(
                "LeNet5of1998", f"padding is an int from 0 to {SIDE // 2 - 1}",
                {"padding": padding}, "0 for pictures of 32x32, 2 for 28x28",
            )  # fmt: skip
        self.in_channels, self.padding = in_channels, padding
        self.c1 = nn.Conv2d(in_channels, 6, 5, padding=padding)
        self.s2 = Subsampling(6)
        self.c3 = TableConv2d(TABLE_I, 5)
        self.s4 = Subsampling(16)
        self.flatten = nn.Flatten()
        self.c5 = nn.Linear(16 * 5 * 5, 120)  # a 5x5 convolution of the 5x5 maps
        self.f6 = nn.Linear(120, 84)
        self.squash = Squash()
        self.output = CodeDistance(84, num_classes)
        start_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        self.check_input(x)
        squash = self.squash
        x = squash(self.s2(squash(self.c1(x))))
        x = squash(self.s4(squash(self.c3(x))))
        x = squash(self.f6(squash(self.c5(self.flatten(x)))))
        return self.output(x)

    def check_input(self, x: Tensor) -> None:
        """x fits, or the error says which pictures would."""
        check_tensor("LeNet5of1998", input=x)
        side = SIDE - 2 * self.padding
        hint = ""
        if x.shape[2:] == (28, 28):
            hint = Hint("28x28 pictures need {padding=}, 2 pixels of padding in preprocessing, or "
                        "{size=}", padding=2, size=side)  # fmt: skip
        check_pictures("LeNet5of1998", x, self.in_channels, side, side, hint)


class Squash(nn.Module):
    """1.7159 tanh(2x/3) (LeCun et al. 1998, appendix A).

    +-1, the values of the codes, are where it bends most: units that reach them are not saturated.

    Shapes: any, kept.

    >>> from models.lenet_1998 import Squash
    >>> Squash()(minidl.tensor([-1.0, 0.0, 1.0]))
    tensor([-1.,  0.,  1.])
    """

    def forward(self, x: Tensor) -> Tensor:
        return tanh(x * (2 / 3)) * 1.7159


class Subsampling(nn.Module):
    """Half the size: the sum of each 2x2, times a coefficient of the map, plus a bias of the map.

    Args:
        channels: maps, with a coefficient and a bias each.

    Shapes: (N, channels, H, W) -> (N, channels, H / 2, W / 2).

    >>> from models.lenet_1998 import Subsampling
    >>> sum(parameter.numel() for parameter in Subsampling(6).parameters())
    12
    """

    def __init__(self, channels: int):
        super().__init__()
        self.weight = nn.Parameter(np.ones((channels, 1, 1), np.float32))
        self.bias = nn.Parameter(np.zeros((channels, 1, 1), np.float32))

    def forward(self, x: Tensor) -> Tensor:
        sums = avg_pool2d(x, 2, divisor_override=1)
        return sums * self.weight + self.bias


class TableConv2d(nn.Module):
    """A convolution each of whose maps sees only some of the maps that enter.

    Maps that see equally many are computed together, as a convolution with as many groups: the
    maps that they see are laid side by side, those of a group together. So there are no weights
    but those of the table, 1,516 with biases for table I of LeCun et al. 1998.

    Args:
        table: text with a row for each map that enters and a column for each that leaves, "X"
            where the second sees the first. Columns that see equally many stand together.
        kernel_size: height and width of the kernels.

    Shapes: (N, rows, H, W) -> (N, columns, OH, OW).

    >>> from models.lenet_1998 import TableConv2d
    >>> conv = TableConv2d("X . X\\n X X X\\n . X X", 3)
    >>> conv(minidl.ones(1, 3, 5, 5)).shape, [layer.weight.shape for layer in conv.sees]
    ((1, 3, 3, 3), [(2, 2, 3, 3), (1, 3, 3, 3)])
    """

    def __init__(self, table: str, kernel_size: int):
        super().__init__()
        rows = [line.split() for line in table.strip().splitlines()]
        seen = [[i for i, mark in enumerate(column) if mark == "X"] for column in zip(*rows)]
        self.sees = nn.ModuleList()
        self.order = []  # for each of these, the maps that enter it
        for count in dict.fromkeys(map(len, seen)):
            maps = [inputs for inputs in seen if len(inputs) == count]
            self.order.append(sum(maps, []))
            groups = len(maps)
            self.sees.append(nn.Conv2d(groups * count, groups, kernel_size, groups=groups))

    def forward(self, x: Tensor) -> Tensor:
        maps = split(x, 1, dim=1)
        seen = [cat([maps[i] for i in order], dim=1) for order in self.order]
        return cat([conv(inputs) for conv, inputs in zip(self.sees, seen)], dim=1)


class CodeDistance(nn.Module):
    """Minus the squared distance to the code of each class (LeCun et al. 1998, equation 7).

    scores[n, i] = -sum_j (x[n, j] - codes[i, j])^2

    Args:
        in_features: length of a code; 84 where they are the digits.
        num_classes: how many codes; 10 are the digits, others drawn at random.

    Raises:
        ArgumentError: one of them is not an int >= 1.

    Shapes: (N, in_features) -> (N, num_classes).

    >>> from models.lenet_1998 import CodeDistance
    >>> layer = CodeDistance(84, 10)
    >>> layer(layer.codes).argmax(dim=1)
    tensor([0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    """

    def __init__(self, in_features: int, num_classes: int):
        super().__init__()
        check_sizes("CodeDistance", in_features=in_features, num_classes=num_classes)
        if num_classes == 10 and in_features == 84:
            codes = Tensor(digit_codes())
        else:
            codes = Tensor(random_codes(num_classes, in_features))
        self.register_buffer("codes", codes)

    def forward(self, x: Tensor) -> Tensor:
        differences = x.unsqueeze(1) - self.codes  # (N, num_classes, in_features)
        return -(differences * differences).sum(2)


class MapLoss(nn.Module):
    """The paper's loss, its maximum a posteriori criterion (LeCun et al. 1998, equation 9).

    L = mean over the batch of  y_label + log(e^-j + sum_i e^-y_i)        y = -scores

    This is the cross-entropy with one class more, "none of these", whose distance is always j:
    when all classes are further away than that, pushing the wrong ones away gains nothing.

    Args:
        j: distance of the additional class, above 0. The paper names no value.

    Shapes: scores (N, C) and labels (N,) -> ().

    >>> from models.lenet_1998 import MapLoss
    >>> MapLoss(j=1.0)(minidl.tensor([[0.0, -2.0]]), minidl.tensor([0]))
    tensor(0.4076)
    """

    def __init__(self, j: float = 1.0):
        super().__init__()
        if isinstance(j, bool) or not isinstance(j, int | float) or not j > 0:
            raise ArgumentError("MapLoss", "j is a number above 0", {"j": j})
        self.j = j

    def forward(self, scores: Tensor, target: Tensor) -> Tensor:
        none = Tensor(np.full((scores.shape[0], 1), -self.j, scores.dtype))
        return cross_entropy(cat([scores, none], dim=1), target)

    def extra_repr(self) -> str:
        return f"j={self.j}"


def digit_codes() -> np.ndarray:
    """The picture DIGITS as an array of +1 and -1, (10, 84)."""
    halves = [half.split() for half in DIGITS.strip().split("\n\n")]  # twelve rows of five digits
    pictures = ["".join(half[digit::5]) for half in halves for digit in range(5)]
    return np.array([[1 if mark == "#" else -1 for mark in code] for code in pictures], np.float32)


def random_codes(num_classes: int, length: int) -> np.ndarray:
    """+1 and -1 with equal probability. Drawn from a generator of their own: always the same."""
    signs = np.random.default_rng(1998).integers(0, 2, (num_classes, length))
    return (2 * signs - 1).astype(np.float32)


def start_weights(net: LeNet5of1998) -> None:
    """Uniform in +-2.4 / fan_in, where fan_in is how many inputs a unit adds up."""
    for layer in net.modules():
        if isinstance(layer, Subsampling):
            fan_in = 4
        elif isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = init.fans(layer.weight)[0]
        else:
            continue
        for parameter in (layer.weight, layer.bias):
            init.uniform_(parameter, -2.4 / fan_in, 2.4 / fan_in)


def lenet5_1998(**arguments) -> LeNet5of1998:
    """LeNet-5 as published; the arguments are those of LeNet5of1998.

    >>> from models import lenet5_1998
    >>> sum(parameter.numel() for parameter in lenet5_1998().parameters())
    60000
    """
    return LeNet5of1998(**arguments)
