"""Generator and discriminator of models/gan_cls.py once more, in plain PyTorch."""

import torch
from torch import nn


class Residual(nn.Module):
    def __init__(self, channels, narrow, activation):
        super().__init__()
        sizes = [(channels, narrow, 1), (narrow, narrow, 3), (narrow, channels, 3)]
        for i, (before, after, window) in enumerate(sizes, 1):
            setattr(self, f"conv{i}", nn.Conv2d(before, after, window, padding=window // 2))
            setattr(self, f"bn{i}", nn.BatchNorm2d(after))
        self.activation = activation

    def forward(self, x):
        out = self.activation(self.bn1(self.conv1(x)))
        out = self.activation(self.bn2(self.conv2(out)))
        return self.activation(x + self.bn3(self.conv3(out)))


def halved(before, after):
    return nn.Conv2d(before, after, 4, 2, 1)


def doubled(before, after):
    return nn.ConvTranspose2d(before, after, 4, 2, 1)


class Generator(nn.Module):
    def __init__(self, F, noise, text, units):
        super().__init__()
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(0.2))
        self.start = nn.Sequential(
            nn.ConvTranspose2d(noise + units, 8 * F, 4), nn.BatchNorm2d(8 * F)
        )
        self.residual1 = Residual(8 * F, 2 * F, nn.ReLU())
        self.up1 = nn.Sequential(doubled(8 * F, 4 * F), nn.BatchNorm2d(4 * F))
        self.residual2 = Residual(4 * F, F, nn.ReLU())
        self.up2 = nn.Sequential(
            doubled(4 * F, 2 * F), nn.BatchNorm2d(2 * F), nn.ReLU(),
            doubled(2 * F, F), nn.BatchNorm2d(F), nn.ReLU(), doubled(F, 3), nn.Tanh(),
        )  # fmt: skip

    def forward(self, noise, text):
        x = torch.cat([noise, self.text(text)], 1)[:, :, None, None]
        return self.up2(self.residual2(self.up1(self.residual1(self.start(x)))))


class Discriminator(nn.Module):
    def __init__(self, F, text, units):
        super().__init__()
        self.features = nn.Sequential(
            halved(3, F), nn.LeakyReLU(0.2),
            halved(F, 2 * F), nn.BatchNorm2d(2 * F), nn.LeakyReLU(0.2),
            halved(2 * F, 4 * F), nn.BatchNorm2d(4 * F), nn.LeakyReLU(0.2),
            halved(4 * F, 8 * F), nn.BatchNorm2d(8 * F),
        )  # fmt: skip
        self.residual = Residual(8 * F, 2 * F, nn.LeakyReLU(0.2))
        self.text = nn.Sequential(nn.Linear(text, units), nn.BatchNorm1d(units), nn.LeakyReLU(0.2))
        self.score = nn.Sequential(
            nn.Conv2d(8 * F + units, 8 * F, 1), nn.BatchNorm2d(8 * F), nn.LeakyReLU(0.2),
            nn.Conv2d(8 * F, 1, 4),
        )  # fmt: skip

    def forward(self, pictures, text):
        x = self.residual(self.features(pictures))
        words = self.text(text)[:, :, None, None].expand(-1, -1, 4, 4)
        return self.score(torch.cat([x, words], 1)).reshape(len(pictures))
