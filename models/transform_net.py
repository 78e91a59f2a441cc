"""Image transformation networks (Johnson et al. 2016, "Perceptual losses for real-time style
transfer and super-resolution", section 3.1 and the tables of its supplement).

TransformNet draws a picture in the style that it was trained for. At 256 pixels and width 1:

    layer                                        output        parameters   multiply-accumulates
    down1     9x9, 32                          32 x 256 x 256       7,872            509,607,936
    down2     3x3, 64, stride 2                64 x 128 x 128      18,624            301,989,888
    down3     3x3, 128, stride 2              128 x  64 x  64      74,112            301,989,888
    residual1 ... residual5                   128 x  64 x  64   1,478,400          6,039,797,760
              each 3x3, 128; relu; 3x3, 128; added to its input
    up1       nearest pixels x 2; 3x3, 64      64 x 128 x 128      73,920          1,207,959,552
    up2       nearest pixels x 2; 3x3, 32      32 x 256 x 256      18,528          1,207,959,552
    draw      9x9, 3; 127.5 + 150 tanh          3 x 256 x 256       7,779            509,607,936
                                                                1,679,235         10,078,912,512
    at half the width                                             424,899          2,774,532,096

Behind each convolution but the last stands an instance norm (Ulyanov et al. 2016) and, except at
the end of a block, a ReLU; before each a frame of the picture mirrored at its edge. The paper has
batch norms, one frame of 40 pixels, and transposed convolutions in place of up1 and up2, with which
the sums are 8,266,973,184 and 2,321,547,264 multiply-accumulates: they leave a checkerboard (Odena
et al. 2016).

SuperResolutionNet enlarges pictures. For x4, and a picture of 72 pixels:

    first     9x9, 64                          64 x  72 x  72      15,744             80,621,568
    residual1 ... residual4, as above          64 x  72 x  72     296,448          1,528,823,808
    up1       nearest pixels x 2; 3x3, 64      64 x 144 x 144      37,056            764,411,904
    up2       the same                         64 x 288 x 288      37,056          3,057,647,616
    draw      9x9, 3; 150 tanh                  3 x 288 x 288      15,555          1,289,945,088
                                                                  401,859          6,721,449,984

with batch norms, as in the paper: contrast is part of the picture here, and an instance norm takes
it away. What draw gives is added to the picture enlarged bilinearly. The paper's network draws the
whole picture; details alone are learned in a small part of the steps.

Pixels go in and come out as numbers from 0 to 255; 150 tanh can leave that range, so clamp.
"""

from __future__ import annotations

from minidl import nn
from minidl.errors import ArgumentError
from minidl.nn import functional as F
from minidl.nn import init
from minidl.tensor import Tensor
from models.checks import check_pictures, scaled

MIDDLE = 127.5  # of the range of a pixel
REACH = 150.0  # so that black and white are within reach of tanh
SMALLEST = 5  # pixels: a frame of 4 mirrors 4 of them
SCALES = (2, 4)


class TransformNet(nn.Module):
    """Style in one pass; Johnson et al. 2016. The module's text has its table.

    Args:
        width: factor on the numbers of maps, for a narrower net.
        residuals: how many residual blocks.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, 3, H, W), from 5 pixels on -> the same size.

    >>> from models.transform_net import TransformNet
    >>> TransformNet(width=0.25)(minidl.full((1, 3, 21, 30), 127.5)).shape
    (1, 3, 21, 30)
    """

    def __init__(self, width: float = 1.0, residuals: int = 5):
        super().__init__()
        a, b, c = scaled("TransformNet", width, 32, 64, 128)
        self.down1 = layer(3, a, 9)
        self.down2 = layer(a, b, 3, stride=2)
        self.down3 = layer(b, c, 3, stride=2)
        self.residuals = nn.Sequential(
            {f"residual{i + 1}": Residual(c, nn.InstanceNorm2d) for i in range(residuals)}
        )
        self.up1 = nn.Sequential(nn.Upsample(scale_factor=2), *layer(c, b, 3))
        self.up2 = nn.Sequential(nn.Upsample(scale_factor=2), *layer(b, a, 3))
        self.draw = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(a, 3, 9), nn.Tanh())
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("TransformNet", x, 3, SMALLEST, hint="enlarge the picture")
        y = self.down3(self.down2(self.down1((x - MIDDLE) / MIDDLE)))
        y = self.draw(self.up2(self.up1(self.residuals(y))))
        return (y * REACH + MIDDLE)[:, :, : x.shape[2], : x.shape[3]]  # a multiple of 4 before


class SuperResolutionNet(nn.Module):
    """A larger picture in one pass; Johnson et al. 2016. The module's text has its table.

    Args:
        scale: how many times larger, 2 or 4.
        width: factor on the numbers of maps, for a narrower net.
        residuals: how many residual blocks.

    Raises:
        ArgumentError: an argument is not one of these.

    Shapes: (N, 3, H, W), from 5 pixels on -> (N, 3, scale H, scale W).

    >>> from models.transform_net import SuperResolutionNet
    >>> SuperResolutionNet(4, width=0.25).eval()(minidl.full((1, 3, 5, 9), 127.5)).shape
    (1, 3, 20, 36)
    """

    def __init__(self, scale: int = 4, width: float = 1.0, residuals: int = 4):
        super().__init__()
        if scale not in SCALES:
            raise ArgumentError("SuperResolutionNet", "scale is 2 or 4", {"scale": scale})
        self.scale = scale
        (c,) = scaled("SuperResolutionNet", width, 64)
        self.first = layer(3, c, 9, norm=nn.BatchNorm2d)
        self.residuals = nn.Sequential(
            {f"residual{i + 1}": Residual(c, nn.BatchNorm2d) for i in range(residuals)}
        )
        self.up = nn.Sequential({
            f"up{i + 1}": nn.Sequential(
                nn.Upsample(scale_factor=2), *layer(c, c, 3, norm=nn.BatchNorm2d)
            )
            for i in range(SCALES.index(scale) + 1)
        })  # fmt: skip
        self.draw = nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(c, 3, 9), nn.Tanh())
        draw_weights(self)

    def forward(self, x: Tensor) -> Tensor:
        check_pictures("SuperResolutionNet", x, 3, SMALLEST, hint="enlarge the picture")
        details = self.draw(self.up(self.residuals(self.first((x - MIDDLE) / MIDDLE)))) * REACH
        return F.interpolate(x, scale_factor=self.scale, mode="bilinear") + details


class Residual(nn.Module):
    """Two convolutions whose result is added to what enters, without a ReLU behind the sum
    (He et al. 2016, in the form of Gross and Wilber 2016, as the paper has it).

    Args:
        channels: maps that enter and leave.
        norm: the class of the norm behind each convolution.

    Shapes: (N, channels, H, W) -> the same.
    """

    def __init__(self, channels: int, norm: type):
        super().__init__()
        self.first = layer(channels, channels, 3, norm=norm)
        self.second = nn.Sequential(*list(layer(channels, channels, 3, norm=norm))[:-1])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x))


def layer(
    in_channels: int,
    out_channels: int,
    kernel: int,
    stride: int = 1,
    norm: type = nn.InstanceNorm2d,
) -> nn.Sequential:
    """Frame, convolution, norm with weight and bias, ReLU."""
    return nn.Sequential(
        nn.ReflectionPad2d(kernel // 2),
        nn.Conv2d(in_channels, out_channels, kernel, stride=stride),
        norm(out_channels, affine=True) if norm is nn.InstanceNorm2d else norm(out_channels),
        nn.ReLU(),
    )


def draw_weights(net: nn.Module) -> None:
    """Draw the weights that training starts from: the last layer's small, so tanh is steep."""
    for path, module in net.named_modules():
        if isinstance(module, nn.Conv2d):
            init.kaiming_normal_(module.weight, nonlinearity="relu")
            init.zeros_(module.bias)
            if path.startswith("draw."):
                module.weight.data *= 0.1
