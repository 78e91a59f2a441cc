"""A small CNN that brings pictures to where their sentences are (models/text_encoder.py).

With w channels, for 32 pixels:

                                              out
    conv 4/2  w, batch norm, leaky relu    w x 16 x 16
    conv 4/2 2w, batch norm, leaky relu   2w x  8 x  8
    conv 4/2 4w, batch norm, leaky relu   4w x  4 x  4
    linear                                128

For 64 pixels there is one more layer of 4w channels. It is used while a text encoder is trained,
and to say which sentence fits a picture. Reed et al. 2016b have a GoogLeNet in its place.
"""

from __future__ import annotations

from minidl import nn
from minidl.tensor import Tensor
from models.checks import check_pictures
from models.gan_cls import SLOPE
from models.gan_projection import START, widths


class PictureEncoder(nn.Module):
    """What a picture shows, as a vector.

    Args:
        width: w of the module's table.
        out: numbers of the vector.
        size: height and width of the pictures, 32 or 64.
        in_channels: of the pictures.

    Shapes: (N, in_channels, size, size) -> (N, out).

    >>> import minidl
    >>> from models.picture_encoder import PictureEncoder
    >>> PictureEncoder(width=2)(minidl.ones(4, 3, 32, 32)).shape
    (4, 128)
    """

    def __init__(self, width: int = 32, out: int = 128, size: int = 32, in_channels: int = 3):
        super().__init__()
        self.size, self.in_channels = size, in_channels
        channels = widths("PictureEncoder", width, size)
        layers: list[nn.Module] = []
        for before, after in zip([in_channels, *channels], channels):
            layers += [
                nn.Conv2d(before, after, 4, stride=2, padding=1), nn.BatchNorm2d(after),
                nn.LeakyReLU(SLOPE),
            ]  # fmt: skip
        self.features = nn.Sequential(*layers)
        self.out = nn.Linear(channels[-1] * START * START, out)

    def forward(self, pictures: Tensor) -> Tensor:
        check_pictures("PictureEncoder", pictures, self.in_channels, self.size, self.size)
        return self.out(self.features(pictures).flatten(1))
