"""models/gan_projection.py, text_encoder.py and picture_encoder.py once more, in plain PyTorch."""

import torch
from torch import nn
from torch.nn.functional import leaky_relu, max_pool1d, one_hot, relu
from torch.nn.utils.parametrizations import spectral_norm


class ConditionalBatchNorm2d(nn.Module):
    def __init__(self, channels, condition):
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.affine = nn.Linear(condition, 2 * channels)

    def forward(self, x, condition):
        scale, shift = self.affine(condition)[:, :, None, None].chunk(2, 1)
        return self.norm(x) * (1 + scale) + shift


class Generator(nn.Module):
    def __init__(self, channels, noise, text, units):
        super().__init__()
        self.text = nn.Sequential(nn.Linear(text, units), nn.LeakyReLU(0.2))
        self.start = nn.Linear(noise + units, channels[0] * 16, bias=False)
        self.norms = nn.ModuleList(ConditionalBatchNorm2d(n, noise + units) for n in channels)
        pairs = list(zip(channels, channels[1:]))
        ups = [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False) for a, b in pairs]
        self.ups = nn.ModuleList([*ups, nn.ConvTranspose2d(channels[-1], 3, 4, 2, 1)])

    def forward(self, noise, text):
        condition = torch.cat([noise, self.text(text)], 1)
        x = self.start(condition).view(len(noise), -1, 4, 4)
        for norm, up in zip(self.norms, self.ups):
            x = up(relu(norm(x, condition)))
        return torch.tanh(x)


class Discriminator(nn.Module):
    def __init__(self, channels, text, units):
        super().__init__()
        self.convs = nn.ModuleList(
            spectral_norm(nn.Conv2d(a, b, 4, 2, 1)) for a, b in zip([3, *channels], channels)
        )
        self.features = spectral_norm(nn.Linear((channels[-1] + 1) * 16, units))
        self.score = spectral_norm(nn.Linear(units, 1))
        self.text = spectral_norm(nn.Linear(text, units, bias=False))

    def look(self, x):
        for conv in self.convs:
            x = leaky_relu(conv(x), 0.2)
        spread = x.std(0, correction=0).mean().expand(len(x), 1, 4, 4)
        return leaky_relu(self.features(torch.cat([x, spread], 1).flatten(1)), 0.2)

    def judge(self, seen, text):
        return self.score(seen).flatten() + (seen * self.text(text)).sum(1)

    def forward(self, x, text):
        return self.judge(self.look(x), text)


class PictureEncoder(nn.Module):
    def __init__(self, channels, out):
        super().__init__()
        layers = []
        for a, b in zip([3, *channels], channels):
            layers += [nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.features = nn.Sequential(*layers)
        self.out = nn.Linear(channels[-1] * 16, out)

    def forward(self, x):
        return self.out(self.features(x).flatten(1))


class WordLstm(nn.Module):
    def __init__(self, words, embedding, hidden, out):
        super().__init__()
        self.embedding = nn.Embedding(words, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.out = nn.Linear(hidden, out)

    def forward(self, numbers, lengths):
        states, _ = self.lstm(self.embedding(numbers))
        mask = (torch.arange(numbers.shape[1]) < lengths[:, None])[..., None]
        return self.out((states * mask).sum(1) / lengths[:, None])


class CharCnnRnn(nn.Module):
    """One sentence at a time, so that nothing stands behind its end."""

    def __init__(self, out, widths):
        super().__init__()
        pairs = zip([70, *widths], widths)
        self.convs = nn.ModuleList(nn.Conv1d(a, b, 4) for a, b in pairs)
        self.lstm = nn.LSTM(widths[-1], widths[-1], batch_first=True)
        self.out = nn.Linear(widths[-1], out)

    def forward(self, sentences):
        return torch.cat([self.encode(torch.tensor(numbers[:201])) for numbers in sentences])

    def encode(self, numbers):
        x = torch.zeros(1, 70, 201, dtype=self.out.weight.dtype)
        x[0, :, : len(numbers)] = one_hot(numbers, 71)[:, 1:].T
        for conv, step in zip(self.convs, (3, 3, 2)):
            x = max_pool1d(relu(conv(x)), 3, step)
        return self.out(self.lstm(x.transpose(1, 2))[0].mean(1))
