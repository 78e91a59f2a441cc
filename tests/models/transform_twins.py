"""The networks of models/transform_net.py once more, in plain PyTorch, under the same names."""

from torch import nn
from torch.nn import functional as F


def layer(before, after, window, stride=1, norm=nn.InstanceNorm2d):
    made = norm(after, affine=True)
    pad = nn.ReflectionPad2d(window // 2)
    return nn.Sequential(pad, nn.Conv2d(before, after, window, stride), made, nn.ReLU())


class Residual(nn.Module):
    def __init__(self, channels, norm):
        super().__init__()
        self.first = layer(channels, channels, 3, norm=norm)
        self.second = layer(channels, channels, 3, norm=norm)[:3]

    def forward(self, x):
        return x + self.second(self.first(x))


def doubled(before, after, norm=nn.InstanceNorm2d):
    return nn.Sequential(nn.Upsample(scale_factor=2), *layer(before, after, 3, norm=norm))


def blocks(count, channels, norm):
    made = nn.Sequential()
    for i in range(count):
        made.add_module(f"residual{i + 1}", Residual(channels, norm))
    return made


def last(channels):
    return nn.Sequential(nn.ReflectionPad2d(4), nn.Conv2d(channels, 3, 9), nn.Tanh())


class TransformNet(nn.Module):
    def __init__(self, width=1.0, residuals=5):
        super().__init__()
        a, b, c = (round(width * n) for n in (32, 64, 128))
        self.down1, self.down2 = layer(3, a, 9), layer(a, b, 3, 2)
        self.down3 = layer(b, c, 3, 2)
        self.residuals = blocks(residuals, c, nn.InstanceNorm2d)
        self.up1, self.up2 = doubled(c, b), doubled(b, a)
        self.draw = last(a)

    def forward(self, x):
        y = self.down3(self.down2(self.down1(x / 127.5 - 1)))
        y = 150 * self.draw(self.up2(self.up1(self.residuals(y)))) + 127.5
        return y[..., : x.shape[2], : x.shape[3]]


class SuperResolutionNet(nn.Module):
    def __init__(self, scale=4, width=1.0, residuals=4):
        super().__init__()
        c, norm = round(width * 64), nn.BatchNorm2d
        self.scale = scale
        self.first = layer(3, c, 9, norm=norm)
        self.residuals = blocks(residuals, c, norm)
        self.up = nn.Sequential()
        for i in range({2: 1, 4: 2}[scale]):
            self.up.add_module(f"up{i + 1}", doubled(c, c, norm))
        self.draw = last(c)

    def forward(self, x):
        details = 150 * self.draw(self.up(self.residuals(self.first(x / 127.5 - 1))))
        return F.interpolate(x, scale_factor=self.scale, mode="bilinear") + details
