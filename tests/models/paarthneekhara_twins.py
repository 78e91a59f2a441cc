"""Generator and discriminator of models/gan_paarthneekhara.py once more, in plain PyTorch."""

import torch
from torch import nn


class Generator(nn.Module):
    def __init__(self, F, noise, text, units):
        super().__init__()
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(0.2))
        self.start = nn.Linear(noise + units, 8 * F * 16)
        layers = []
        for a, b in ((8 * F, 4 * F), (4 * F, 2 * F), (2 * F, F), (F, 3)):
            layers += [nn.BatchNorm2d(a), nn.ReLU(), nn.ConvTranspose2d(a, b, 5, 2, 2, 1)]
        self.up = nn.Sequential(*layers, nn.Tanh())

    def forward(self, noise, text):
        x = self.start(torch.cat([noise, self.text(text)], 1))
        return self.up(x.view(len(x), -1, 4, 4))


class Discriminator(nn.Module):
    def __init__(self, F, text, units):
        super().__init__()
        layers = [nn.Conv2d(3, F, 5, 2, 2), nn.LeakyReLU(0.2)]
        for a, b in ((F, 2 * F), (2 * F, 4 * F), (4 * F, 8 * F)):
            layers += [nn.Conv2d(a, b, 5, 2, 2), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(0.2))
        self.score = nn.Sequential(
            nn.Conv2d(8 * F + units, 8 * F, 1), nn.BatchNorm2d(8 * F), nn.LeakyReLU(0.2),
            nn.Conv2d(8 * F, 1, 4),
        )  # fmt: skip

    def forward(self, pictures, text):
        x = self.features(pictures)
        words = self.text(text)[:, :, None, None].expand(-1, -1, 4, 4)
        return self.score(torch.cat([x, words], 1)).flatten()
