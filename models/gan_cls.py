"""GAN-CLS (Reed et al. 2016, "Generative adversarial text to image synthesis", figure 2).

F is ngf or ndf. The paper gives no widths; those here are of the authors' code (reedscot/icml2016),
whose two files differ: 128 units and a batch norm for the discriminator's text as in
main_cls_int.lua, leaky relu behind the third convolution as in main_cls.lua.

    Generator                              out          Discriminator                  out
    text 1024 -> 128, leaky relu           128          picture                    3 x 64 x 64
    with 100 numbers of noise              228          conv 4/2   F, leaky        F x 32 x 32
    deconv 4/1  8F, bn                8F x  4 x  4      conv 4/2  2F, bn, leaky   2F x 16 x 16
    residual    2F 1x1, 2F 3x3, 8F 3x3; relu            conv 4/2  4F, bn, leaky   4F x  8 x  8
    deconv 4/2  4F, bn                4F x  8 x  8      conv 4/2  8F, bn          8F x  4 x  4
    residual     F 1x1,  F 3x3, 4F 3x3; relu            residual  2F 1x1, 2F 3x3, 8F 3x3; leaky
    deconv 4/2  2F, bn, relu          2F x 16 x 16      text 1024 -> 128, bn, leaky at each pixel
    deconv 4/2   F, bn, relu           F x 32 x 32      conv 1/1  8F, bn, leaky   8F x  4 x  4
    deconv 4/2   3, tanh               3 x 64 x 64      conv 4/1   1               1

    parameters      18,909,699 (ngf 128)                            4,032,321 (ndf 64)

Without the text it is DCGAN (Radford et al. 2016), with residual blocks. A residual block is 1x1,
3x3 and 3x3 with batch norm behind each, added to its input. Leaky relu has slope 0.2. Weights
start normal of deviation 0.02 (Radford et al. 2016), those of batch norms around 1.
"""

from __future__ import annotations

import minidl
from minidl import nn
from minidl.checks import check_tensor
from minidl.errors import ShapeError
from minidl.nn import init
from minidl.tensor import Tensor
from models.checks import check_pictures

SIZE = 64  # pixels
SLOPE = 0.2
DEVIATION = 0.02


class Generator(nn.Module):
    """Draws pictures of 64 pixels from noise and a text's embedding; Reed et al. 2016, section 4.1.

    Args:
        ngf: F of the module's table.
        noise: numbers of noise.
        text: numbers of the embedding; 0 for pictures without a text.
        text_units: what the embedding is brought down to.
        out_channels: of the pictures.

    Shapes: (N, noise), (N, text) -> (N, out_channels, 64, 64), between -1 and 1.

    >>> from models.gan_cls import Generator
    >>> Generator(ngf=4)(minidl.randn(2, 100), minidl.randn(2, 1024)).shape
    (2, 3, 64, 64)
    """

    def __init__(
        self, ngf: int = 128, noise: int = 100, text: int = 1024, text_units: int = 128,
        out_channels: int = 3,
    ):  # fmt: skip
        super().__init__()
        self.sizes = noise, text
        units = text_units if text else 0
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(SLOPE)) if text else None
        self.start = nn.Sequential(
            nn.ConvTranspose2d(noise + units, 8 * ngf, 4), nn.BatchNorm2d(8 * ngf)
        )
        self.residual1 = Residual(8 * ngf, 2 * ngf, nn.ReLU())
        self.up1 = nn.Sequential(
            nn.ConvTranspose2d(8 * ngf, 4 * ngf, 4, stride=2, padding=1), nn.BatchNorm2d(4 * ngf)
        )
        self.residual2 = Residual(4 * ngf, ngf, nn.ReLU())
        self.up2 = nn.Sequential(
            nn.ConvTranspose2d(4 * ngf, 2 * ngf, 4, stride=2, padding=1), nn.BatchNorm2d(2 * ngf),
            nn.ReLU(),
            nn.ConvTranspose2d(2 * ngf, ngf, 4, stride=2, padding=1), nn.BatchNorm2d(ngf),
            nn.ReLU(),
            nn.ConvTranspose2d(ngf, out_channels, 4, stride=2, padding=1), nn.Tanh(),
        )  # fmt: skip
        draw_weights(self)

    def forward(self, noise: Tensor, text: Tensor | None = None) -> Tensor:
        check_vectors("Generator", self.sizes, noise=noise, text=text)
        x = noise if self.text is None else minidl.cat([noise, self.text(text)], 1)
        x = self.start(x.reshape(*x.shape, 1, 1))
        x = self.up1(self.residual1(x))
        return self.up2(self.residual2(x))


class Discriminator(nn.Module):
    """Tells whether a picture is real and fits its text; Reed et al. 2016, section 4.1.

    Args:
        ndf: F of the module's table.
        text: numbers of the embedding; 0 for pictures without a text.
        text_units: what the embedding is brought down to.
        in_channels: of the pictures.

    Shapes: (N, in_channels, 64, 64), (N, text) -> (N,), scores before the sigmoid.

    >>> from models.gan_cls import Discriminator
    >>> Discriminator(ndf=4)(minidl.ones(2, 3, 64, 64), minidl.randn(2, 1024)).shape
    (2,)
    """

    def __init__(
        self, ndf: int = 64, text: int = 1024, text_units: int = 128, in_channels: int = 3
    ):
        super().__init__()
        self.sizes, self.in_channels = (None, text), in_channels
        units = text_units if text else 0
        self.features = nn.Sequential(
            nn.Conv2d(in_channels, ndf, 4, stride=2, padding=1), nn.LeakyReLU(SLOPE),
            nn.Conv2d(ndf, 2 * ndf, 4, stride=2, padding=1), nn.BatchNorm2d(2 * ndf),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(2 * ndf, 4 * ndf, 4, stride=2, padding=1), nn.BatchNorm2d(4 * ndf),
            nn.LeakyReLU(SLOPE),
            nn.Conv2d(4 * ndf, 8 * ndf, 4, stride=2, padding=1), nn.BatchNorm2d(8 * ndf),
        )  # fmt: skip
        self.residual = Residual(8 * ndf, 2 * ndf, nn.LeakyReLU(SLOPE))
        self.text = (
            nn.Sequential(nn.Linear(text, units), nn.BatchNorm1d(units), nn.LeakyReLU(SLOPE))
            if text else None
        )  # fmt: skip
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
        return self.residual(self.features(pictures))

    def judge(self, seen: Tensor, text: Tensor | None = None) -> Tensor:
        """Scores (N,) of what `look` returned, with these texts."""
        check_vectors("Discriminator", self.sizes, text=text)
        if self.text is not None:
            seen = minidl.cat([seen, at_each_pixel(self.text(text), seen)], 1)
        return self.score(seen).reshape(len(seen))


class Residual(nn.Module):
    """Three convolutions with batch norms, added to what went in.

    Args:
        channels: in and out.
        narrow: between the convolutions.
        activation: between them, and at the end.
    """

    def __init__(self, channels: int, narrow: int, activation: nn.Module):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(channels, narrow, 1), nn.BatchNorm2d(narrow)
        self.conv2, self.bn2 = nn.Conv2d(narrow, narrow, 3, padding=1), nn.BatchNorm2d(narrow)
        self.conv3, self.bn3 = nn.Conv2d(narrow, channels, 3, padding=1), nn.BatchNorm2d(channels)
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        out = self.activation(self.bn1(self.conv1(x)))
        out = self.activation(self.bn2(self.conv2(out)))
        return self.activation(x + self.bn3(self.conv3(out)))


def at_each_pixel(vectors: Tensor, maps: Tensor) -> Tensor:
    """(N, D) as (N, D, H, W), with the H and W of some maps."""
    size = (*vectors.shape, *maps.shape[2:])
    return vectors.reshape(*vectors.shape, 1, 1).broadcast_to(size)


def draw_weights(net: nn.Module) -> None:
    """Normal values of a small deviation around 0, and around 1 for batch norms."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            init.normal_(module.weight, 0.0, DEVIATION)
            init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            init.normal_(module.weight, 1.0, DEVIATION)
            init.zeros_(module.bias)


def check_vectors(op: str, sizes: tuple, **vectors: Tensor | None) -> None:
    """Noise and text are (N, numbers), or absent where the network was made without.

    Raises:
        DtypeError: one is no Tensor.
        ShapeError: they are not.
    """
    for (name, x), size in zip(vectors.items(), sizes[-len(vectors) :]):
        if x is not None:
            check_tensor(op, **{name: x})
        if (x is None and size) or (x is not None and (x.ndim != 2 or x.shape[1] != size)):
            raise ShapeError(
                op, f"{name} is (N, {size})" if size else f"this network takes no {name}",
                {name: x},
            )  # fmt: skip
