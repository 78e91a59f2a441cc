"""LeNet-5 (LeCun et al. 1998, "Gradient-based learning applied to document recognition", II.B).

    layer  what it does                         output       parameters   multiply-accumulates
    C1     6 kernels 5x5, activation            6 x 28 x 28         156                117,600
    S2     pooling 2x2                          6 x 14 x 14
    C3     16 kernels 5x5 over all 6 maps      16 x 10 x 10       2,416                240,000
    S4     pooling 2x2                         16 x  5 x  5
    C5     120 units, each sees all of S4      120               48,120                 48,000
    F6     84 units                             84               10,164                 10,080
    output one score per class                  10                  850                    840
                                                                 61,706                416,520

This is LeNet-5 as it is taught. The paper differs in four places: S2 and S4 average, then scale
and shift by a learned pair per map and squash; the squashing function is 1.7159 tanh(2x/3); a map
of C3 sees only some maps of S2 (its table I, 1,516 parameters instead of 2,416); and the output
is a distance to a fixed picture of each digit (an RBF), not a linear layer with softmax.
`activation="tanh", pool="average"` comes nearest to it.
"""

from __future__ import annotations

from minidl import nn
from minidl.checks import check_tensor
from minidl.errors import ArgumentError, Hint
from minidl.shapes import is_int
from minidl.tensor import Tensor
from models.checks import check_pictures, choose

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh}
POOLS = {"max": nn.MaxPool2d, "average": nn.AvgPool2d}

SIDE = 32  # pixels: the net is made for 32x32, so that two 5x5 and two 2x2 windows leave 5x5


class LeNet5(nn.Module):
    """LeNet-5 for pictures of 32x32 pixels, or of 28x28 with padding=2.

    LeCun et al. 1998, section II.B; the module's text says where the paper differs.

    Args:
        num_classes: how many scores it gives.
        in_channels: 1 for grey pictures, 3 for colour.
        padding: rows and columns of zeros that C1 adds on each side, 0 to 15.
        activation: "relu" or "tanh".
        pool: "max" or "average".

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, in_channels, 32, 32) -> (N, num_classes), scores before softmax.

    >>> from models import LeNet5
    >>> LeNet5(num_classes=10)(minidl.ones(2, 1, 32, 32)).shape
    (2, 10)
    """

    def __init__(
        self,
        num_classes: int = 10,
        in_channels: int = 1,
        padding: int = 0,
        activation: str = "relu",
        pool: str = "max",
    ):
        super().__init__()
        make_activation = choose("LeNet5", "activation", activation, ACTIVATIONS)
        make_pool = choose("LeNet5", "pool", pool, POOLS)
        if not is_int(padding) or not 0 <= padding < SIDE // 2:
            raise ArgumentError(
                "LeNet5", f"padding is an int from 0 to {SIDE // 2 - 1}", {"padding": padding},
                "0 for pictures of 32x32, 2 for 28x28",
            )  # fmt: skip
        self.in_channels, self.padding = in_channels, padding
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, 6, 5, padding=padding),  # C1
            make_activation(),
            make_pool(2),  # S2
            nn.Conv2d(6, 16, 5),  # C3
            make_activation(),
            make_pool(2),  # S4
        )
        # The paper writes C5 as a convolution; its 5x5 window is the whole map, hence a Linear.
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Linear(16 * 5 * 5, 120),  # C5
            make_activation(),
            nn.Linear(120, 84),  # F6
            make_activation(),
            nn.Linear(84, num_classes),  # output
        )

    def forward(self, x: Tensor) -> Tensor:
        self.check_input(x)
        return self.classifier(self.features(x))

    def check_input(self, x: Tensor) -> None:
        """x fits, or the error says which pictures would."""
        check_tensor("LeNet5", input=x)
        side = SIDE - 2 * self.padding
        hint = ""
        if x.shape[2:] == (28, 28):
            hint = Hint("28x28 pictures need {padding=}, 2 pixels of padding in preprocessing, or "
                        "{size=}", padding=2, size=side)  # fmt: skip
        check_pictures("LeNet5", x, self.in_channels, side, side, hint)


def lenet5(**arguments) -> LeNet5:
    """A LeNet-5; the arguments are those of LeNet5.

    >>> from models import lenet5
    >>> sum(parameter.numel() for parameter in lenet5().parameters())
    61706
    """
    return LeNet5(**arguments)
