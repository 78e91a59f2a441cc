"""A small GAN that draws from a text's embedding in minutes on a CPU.

The discriminator is a projection discriminator (Miyato and Koyama 2018): of a picture's features f
and a text t it makes the score w.f + b + (V t).f, so that what fits the text is a direction of its
own in f. All its layers have spectral norm (Miyato et al. 2018) and none batch norm; the standard
deviation of the features over the batch is one more map (Karras et al. 2018, section 3), which is
small where the generator draws the same picture again and again. In the generator, noise and text
set scale and shift of each batch norm (de Vries et al. 2017). With w channels, for 32 pixels:

    Generator                                     out          Discriminator             out
    text 128 -> 64, leaky relu                     64          picture           3 x 32 x 32
    with 32 numbers of noise: c                    96          conv 4/2   w, leaky   w x 16 x 16
    linear of c                           4w x  4 x 4          conv 4/2  2w, leaky  2w x  8 x  8
    norm by c, relu, deconv 4/2  2w       2w x  8 x 8          conv 4/2  4w, leaky  4w x  4 x  4
    norm by c, relu, deconv 4/2   w       w x 16 x 16          with the spread  (4w + 1) x 4 x 4
    norm by c, relu, deconv 4/2   3       3 x 32 x 32          linear, leaky: f              128
    tanh                                                       w.f + b + (V text).f            1

    parameters (w = 32)                       413,699                                    446,433

For 64 pixels there is one more layer of 4w channels beside the 4 x 4 pixels. Leaky relu has slope
0.2. Weights start as PyTorch's layers do; those that make scale and shift of a norm start small
(normal, deviation 0.02), so that each norm starts as a plain one.
"""

from __future__ import annotations

import minidl
from minidl import nn
from minidl.errors import ArgumentError
from minidl.nn import init
from minidl.tensor import Tensor
from models.checks import check_pictures
from models.gan_cls import DEVIATION, SLOPE, check_vectors

SIZES = (32, 64)  # pixels
START = 4  # pixels, from which the generator goes up and to which the discriminator goes down


class Generator(nn.Module):
    """Draws pictures from noise and a text's embedding.

    Args:
        width: w of the module's table.
        noise: numbers of noise.
        text: numbers of the embedding; 0 for pictures without a text.
        text_units: what the embedding is brought down to.
        size: height and width of the pictures, 32 or 64.
        out_channels: of the pictures.

    Shapes: (N, noise), (N, text) -> (N, out_channels, size, size), between -1 and 1.

    >>> from models.gan_projection import Generator
    >>> Generator(width=2)(minidl.randn(5, 32), minidl.randn(5, 128)).shape
    (5, 3, 32, 32)
    """

    def __init__(
        self, width: int = 32, noise: int = 32, text: int = 128, text_units: int = 64,
        size: int = 32, out_channels: int = 3,
    ):  # fmt: skip
        super().__init__()
        self.sizes = noise, text
        units = text_units if text else 0
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(SLOPE)) if text else None
        condition, channels = noise + units, widths("Generator", width, size)[::-1]
        self.start = nn.Linear(condition, channels[0] * START * START, bias=False)
        self.norms = nn.ModuleList([ConditionalBatchNorm2d(n, condition) for n in channels])
        self.ups = nn.ModuleList([
            nn.ConvTranspose2d(before, after, 4, stride=2, padding=1, bias=False)  # a norm follows
            for before, after in zip(channels, channels[1:])
        ])  # fmt: skip
        self.ups.append(nn.ConvTranspose2d(channels[-1], out_channels, 4, stride=2, padding=1))

    def forward(self, noise: Tensor, text: Tensor | None = None) -> Tensor:
        check_vectors("Generator", self.sizes, noise=noise, text=text)
        condition = noise if self.text is None else minidl.cat([noise, self.text(text)], 1)
        x = self.start(condition).reshape(len(noise), -1, START, START)
        for norm, up in zip(self.norms, self.ups):
            x = up(norm(x, condition, relu=True))
        return x.tanh()


class ConditionalBatchNorm2d(nn.Module):
    """Batch norm whose scale and shift are a linear function of a vector; de Vries et al. 2017.

    y = xhat (1 + g) + b, with (g, b) = linear(condition)

    Args:
        channels: of the pictures.
        condition: numbers of the vector.

    Shapes: (N, channels, H, W), (N, condition) -> (N, channels, H, W).
    """

    def __init__(self, channels: int, condition: int):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(condition, 2 * channels)
        init.normal_(self.affine.weight, 0.0, DEVIATION)
        init.zeros_(self.affine.bias)

    def forward(self, x: Tensor, condition: Tensor, relu: bool = False) -> Tensor:
        """relu: a ReLU follows, in the same pass over memory."""
        scale, shift = self.affine(condition).chunk(2, 1)
        return self.norm(x, 1 + scale, shift, relu=relu)


class Discriminator(nn.Module):
    """Tells whether a picture is real and fits its text.

    Args:
        width: w of the module's table.
        text: numbers of the embedding; 0 for pictures without a text.
        units: numbers of f.
        size: height and width of the pictures, 32 or 64.
        in_channels: of the pictures.

    Shapes: (N, in_channels, size, size), (N, text) -> (N,), scores.

    >>> from models.gan_projection import Discriminator
    >>> Discriminator(width=2)(minidl.ones(5, 3, 32, 32), minidl.randn(5, 128)).shape
    (5,)
    """

    def __init__(
        self, width: int = 32, text: int = 128, units: int = 128, size: int = 32,
        in_channels: int = 3,
    ):  # fmt: skip
        super().__init__()
        self.sizes, self.size, self.in_channels = (None, text), size, in_channels
        channels = widths("Discriminator", width, size)
        self.convs = nn.ModuleList([
            nn.spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in zip([in_channels, *channels], channels)
        ])  # fmt: skip
        self.features = nn.spectral_norm(nn.Linear((channels[-1] + 1) * START * START, units))
        self.score = nn.spectral_norm(nn.Linear(units, 1))
        self.text = nn.spectral_norm(nn.Linear(text, units, bias=False)) if text else None

    def forward(self, pictures: Tensor, text: Tensor | None = None) -> Tensor:
        return self.judge(self.look(pictures), text)

    def look(self, pictures: Tensor) -> Tensor:
        """f, (N, units), which `judge` compares with as many texts as one likes.

        The pictures are one batch, real or drawn: each sees how much they differ.
        """
        check_pictures("Discriminator", pictures, self.in_channels, self.size, self.size)
        x = pictures
        for conv in self.convs:
            x = conv(x, negative_slope=SLOPE)
        x = nn.functional.minibatch_std(x).flatten(1)
        return nn.functional.leaky_relu(self.features(x), SLOPE)

    def judge(self, seen: Tensor, text: Tensor | None = None) -> Tensor:
        """Scores (N,) of what `look` returned, with these texts."""
        check_vectors("Discriminator", self.sizes, text=text)
        scores = self.score(seen).flatten()
        return scores if self.text is None else scores + (seen * self.text(text)).sum(1)


def widths(op: str, width: int, size: int) -> list[int]:
    """Channels of the discriminator's layers, of which each halves height and width."""
    if size not in SIZES:
        raise ArgumentError(op, "size is 32 or 64", {"size": size})
    return [width * n for n in ((1, 2, 4) if size == SIZES[0] else (1, 2, 4, 4))]
