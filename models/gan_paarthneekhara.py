"""The GAN-CLS of github.com/paarthneekhara/text-to-image, on DCGAN's layers (Radford et al. 2016).

F is 64 in both. Its texts are skip-thought vectors (Kiros et al. 2015) of 2400 numbers.

    Generator                          out          Discriminator                      out
    text 2400 -> 256, leaky relu       256          picture                    3 x 64 x 64
    behind 100 numbers of noise        356          conv 5/2   F, leaky        F x 32 x 32
    linear, bn, relu          8F x  4 x  4          conv 5/2  2F, bn, leaky   2F x 16 x 16
    deconv 5/2  4F, bn, relu  4F x  8 x  8          conv 5/2  4F, bn, leaky   4F x  8 x  8
    deconv 5/2  2F, bn, relu  2F x 16 x 16          conv 5/2  8F, bn, leaky   8F x  4 x  4
    deconv 5/2   F, bn, relu   F x 32 x 32          text 2400 -> 256, leaky at each pixel
    deconv 5/2   3, tanh       3 x 64 x 64          conv 1/1  8F, bn, leaky   8F x  4 x  4
                                                    linear                     1

    parameters                   7,847,171                                       5,325,953

There are no residual blocks. Leaky relu has slope 0.2; weights start normal of deviation 0.02. The
repository's pictures are from 0 to 1, tanh / 2 + 1/2; here they are from -1 to 1. Of the three rows
and columns of zeros that a window of 5 with stride 2 needs, two stand in front, where TensorFlow
has them behind.
"""

from __future__ import annotations

import minidl
from minidl import nn
from minidl.tensor import Tensor
from models.checks import check_pictures
from models.gan_cls import SIZE, SLOPE, at_each_pixel, check_vectors, draw_weights


class Generator(nn.Module):
    """Draws pictures of 64 pixels from noise and a text's embedding.

    Args:
        ngf: F of the module's table.
        noise: numbers of noise.
        text: numbers of the embedding; 0 for pictures without a text.
        text_units: what the embedding is brought down to.
        out_channels: of the pictures.

    Shapes: (N, noise), (N, text) -> (N, out_channels, 64, 64), between -1 and 1.

    >>> from models.gan_paarthneekhara import Generator
    >>> Generator(ngf=2)(minidl.randn(2, 100), minidl.randn(2, 2400)).shape
    (2, 3, 64, 64)
    """

    def __init__(
        self, ngf: int = 64, noise: int = 100, text: int = 2400, text_units: int = 256,
        out_channels: int = 3,
    ):  # fmt: skip
        super().__init__()
        self.sizes = noise, text
        units = text_units if text else 0
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(SLOPE)) if text else None
        self.start = nn.Linear(noise + units, 8 * ngf * 4 * 4)
        channels = [8 * ngf, 4 * ngf, 2 * ngf, ngf]
        layers: list[nn.Module] = []
        for before, after in zip(channels, [*channels[1:], out_channels]):
            layers += [nn.BatchNorm2d(before), nn.ReLU(), doubled(before, after)]
        self.up = nn.Sequential(*layers, nn.Tanh())
        draw_weights(self)

    def forward(self, noise: Tensor, text: Tensor | None = None) -> Tensor:
        check_vectors("Generator", self.sizes, noise=noise, text=text)
        x = noise if self.text is None else minidl.cat([noise, self.text(text)], 1)
        return self.up(self.start(x).reshape(len(x), -1, 4, 4))


class Discriminator(nn.Module):
    """Tells whether a picture is real and fits its text.

    Args:
        ndf: F of the module's table.
        text: numbers of the embedding; 0 for pictures without a text.
        text_units: what the embedding is brought down to.
        in_channels: of the pictures.

    Shapes: (N, in_channels, 64, 64), (N, text) -> (N,), scores before the sigmoid.

    >>> from models.gan_paarthneekhara import Discriminator
    >>> Discriminator(ndf=2)(minidl.ones(2, 3, 64, 64), minidl.randn(2, 2400)).shape
    (2,)
    """

    def __init__(
        self, ndf: int = 64, text: int = 2400, text_units: int = 256, in_channels: int = 3
    ):
        super().__init__()
        self.sizes, self.in_channels = (None, text), in_channels
        units = text_units if text else 0
        layers: list[nn.Module] = [halved(in_channels, ndf), nn.LeakyReLU(SLOPE)]
        for n in (1, 2, 4):
            before, after = n * ndf, 2 * n * ndf
            layers += [halved(before, after), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)]
        self.features = nn.Sequential(*layers)
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(SLOPE)) if text else None
        self.score = nn.Sequential(
            nn.Conv2d(8 * ndf + units, 8 * ndf, 1), nn.BatchNorm2d(8 * ndf), nn.LeakyReLU(SLOPE),
            nn.Conv2d(8 * ndf, 1, 4),
        )  # fmt: skip
        draw_weights(self)

    def forward(self, pictures: Tensor, text: Tensor | None = None) -> Tensor:
        return self.judge(self.look(pictures), text)

    def look(self, pictures: Tensor) -> Tensor:
        """What is seen of pictures, (N, 8F, 4, 4); `judge` compares it with any number of texts."""
        check_pictures("Discriminator", pictures, self.in_channels, SIZE, SIZE)
        return self.features(pictures)

    def judge(self, seen: Tensor, text: Tensor | None = None) -> Tensor:
        """Scores (N,) of what `look` returned, with these texts."""
        check_vectors("Discriminator", self.sizes, text=text)
        if self.text is not None:
            seen = minidl.cat([seen, at_each_pixel(self.text(text), seen)], 1)
        return self.score(seen).reshape(len(seen))


def halved(before: int, after: int) -> nn.Module:
    """Half the height and width, and other channels."""
    return nn.Conv2d(before, after, 5, stride=2, padding=2)


def doubled(before: int, after: int) -> nn.Module:
    """The way back: twice the height and width."""
    return nn.ConvTranspose2d(before, after, 5, stride=2, padding=2, output_padding=1)
