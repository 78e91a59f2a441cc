"""The inception module (Szegedy et al. 2015, "Going deeper with convolutions", figure 2).

    (a) naive                          (b) with reductions, the one that GoogLeNet has

    1x1 ────────────────┐              1x1 ──────────────────────┐
    3x3 ────────────────┤              1x1 reduce3x3 ──── 3x3 ───┤
    5x5 ────────────────┼─ cat         1x1 reduce5x5 ──── 5x5 ───┼─ cat
    max 3x3, stride 1 ──┘              max 3x3 ── 1x1 pool_proj ─┘

The 3x3 and 5x5 kernels of (a) look at all maps that enter, and its pooling passes all of them on:
from module to module there are more. (b) first mixes them down to a few by 1x1 kernels, which are
cheap. Multiply-accumulates where both get the same maps, those that enter (b) in GoogLeNet:

    module                (a)            (b)
    3a            303,464,448    128,049,152
    3b            854,196,224    304,267,264
    4a            307,077,120     73,608,192
    4b            378,929,152     87,908,352
    4c            404,619,264     99,850,240
    4d            431,915,008    118,515,712
    4e            655,699,968    169,996,288
    5a            258,306,048     51,079,168
    5b            287,006,720     70,697,984

In a net of modules (a) each also passes on what entered: 5b then gets 4048 maps instead of 832 and
sends 4944, and the nine modules take 12,085,441,536 multiply-accumulates instead of 1,103,972,352.
"""

from __future__ import annotations

from minidl import nn
from minidl.ops.joining import cat
from minidl.tensor import Tensor


class Inception(nn.Module):
    """The module with reductions: four branches whose maps are put one behind the other.

    Szegedy et al. 2015, figure 2(b).

    Args:
        in_channels: maps that enter.
        n1x1: kernels 1x1 of the first branch.
        reduce3x3, n3x3: kernels 1x1 and then 3x3 of the second.
        reduce5x5, n5x5: kernels 1x1 and then 5x5 of the third.
        pool_proj: kernels 1x1 behind the pooling of the fourth.

    Shapes: (N, in_channels, H, W) -> (N, n1x1 + n3x3 + n5x5 + pool_proj, H, W).

    >>> from models.inception import Inception
    >>> Inception(192, 64, 96, 128, 16, 32, 32)(minidl.ones(1, 192, 28, 28)).shape
    (1, 256, 28, 28)
    """

    def __init__(
        self,
        in_channels: int,
        n1x1: int,
        reduce3x3: int,
        n3x3: int,
        reduce5x5: int,
        n5x5: int,
        pool_proj: int,
    ):
        super().__init__()
        self.conv1x1 = nn.Conv2d(in_channels, n1x1, 1)
        self.reduce3x3 = nn.Conv2d(in_channels, reduce3x3, 1)
        self.conv3x3 = nn.Conv2d(reduce3x3, n3x3, 3, padding=1)
        self.reduce5x5 = nn.Conv2d(in_channels, reduce5x5, 1)
        self.conv5x5 = nn.Conv2d(reduce5x5, n5x5, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.pool_proj = nn.Conv2d(in_channels, pool_proj, 1)
        self.relu = nn.ReLU()
        self.out_channels = n1x1 + n3x3 + n5x5 + pool_proj

    def forward(self, x: Tensor) -> Tensor:
        relu = self.relu
        one = relu(self.conv1x1(x))
        three = relu(self.conv3x3(relu(self.reduce3x3(x))))
        five = relu(self.conv5x5(relu(self.reduce5x5(x))))
        pooled = relu(self.pool_proj(self.pool(x)))
        return cat([one, three, five, pooled], dim=1)


class NaiveInception(nn.Module):
    """The module without reductions; Szegedy et al. 2015, figure 2(a).

    Args:
        in_channels: maps that enter, all of which the pooling passes on.
        n1x1, n3x3, n5x5: kernels of each size.

    Shapes: (N, in_channels, H, W) -> (N, n1x1 + n3x3 + n5x5 + in_channels, H, W).

    >>> from models.inception import NaiveInception
    >>> NaiveInception(192, 64, 128, 32)(minidl.ones(1, 192, 28, 28)).shape
    (1, 416, 28, 28)
    """

    def __init__(self, in_channels: int, n1x1: int, n3x3: int, n5x5: int):
        super().__init__()
        self.conv1x1 = nn.Conv2d(in_channels, n1x1, 1)
        self.conv3x3 = nn.Conv2d(in_channels, n3x3, 3, padding=1)
        self.conv5x5 = nn.Conv2d(in_channels, n5x5, 5, padding=2)
        self.pool = nn.MaxPool2d(3, stride=1, padding=1)
        self.relu = nn.ReLU()
        self.out_channels = n1x1 + n3x3 + n5x5 + in_channels

    def forward(self, x: Tensor) -> Tensor:
        one = self.relu(self.conv1x1(x))
        three = self.relu(self.conv3x3(x))
        five = self.relu(self.conv5x5(x))
        return cat([one, three, five, self.pool(x)], dim=1)


class AuxiliaryHead(nn.Module):
    """A classifier on maps half way up, so that the layers below get a stronger gradient.

    Szegedy et al. 2015, section 5: average 5x5, stride 3; 128 kernels 1x1, ReLU; 1024 units, ReLU;
    70 % dropped; one score per class. At 224 pixels the average leaves 4x4; what it leaves of
    pictures of another size is averaged, or repeated, to that.

    Args:
        in_channels: maps that enter.
        num_classes: how many scores it gives.
        channels: kernels 1x1.
        hidden: units.
        dropout: the part of the units that is dropped in training.

    Shapes: (N, in_channels, H, W), from 5x5 on -> (N, num_classes).
    """

    def __init__(
        self,
        in_channels: int,
        num_classes: int,
        channels: int = 128,
        hidden: int = 1024,
        dropout: float = 0.7,
    ):
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3)
        self.avgpool = nn.AdaptiveAvgPool2d(4)  # changes nothing where pictures have 224 pixels
        self.conv = nn.Conv2d(in_channels, channels, 1)
        self.relu = nn.ReLU()
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(channels * 4 * 4, hidden)
        self.drop = nn.Dropout(dropout)
        self.fc2 = nn.Linear(hidden, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.conv(self.avgpool(self.pool(x))))
        x = self.relu(self.fc1(self.flatten(x)))
        return self.fc2(self.drop(x))


class AuxiliaryLoss(nn.Module):
    """The loss of the scores plus a part of the losses of the auxiliary heads.

    L = loss(scores) + weight (loss(aux1) + loss(aux2)); Szegedy et al. 2015, section 5.

    Args:
        loss: of scores and labels, say nn.CrossEntropyLoss().
        weight: of each auxiliary head; 0.3 in the paper.

    Shapes: what a network gives in training, (scores, aux1, aux2), or scores alone, and labels.

    >>> loss = AuxiliaryLoss(minidl.nn.CrossEntropyLoss(), weight=0.5)
    >>> scores = minidl.zeros(1, 2)
    >>> loss((scores, scores, scores), minidl.tensor([1]))  # 2 log 2
    tensor(1.3863)
    """

    def __init__(self, loss: nn.Module, weight: float = 0.3):
        super().__init__()
        self.loss, self.weight = loss, weight

    def forward(self, outputs: Tensor | tuple[Tensor, ...], target: Tensor) -> Tensor:
        if not isinstance(outputs, tuple):  # in evaluation there are no auxiliary scores
            return self.loss(outputs, target)
        scores, *auxiliary = outputs
        total = self.loss(scores, target)
        for more in auxiliary:
            total = total + self.weight * self.loss(more, target)
        return total

    def extra_repr(self) -> str:
        return f"weight={self.weight}"
