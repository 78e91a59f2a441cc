"""A GAN on the points of a ring: two optimizers, averaged weights, trained by fit(step=...).

`python -m tests.training.gan FOLDER` is the script that tests kill.
"""

import sys
from pathlib import Path

import numpy as np

import minidl
from minidl import callbacks, nn, optim
from tests.training.processes import Slow

softplus = nn.functional.softplus
EPOCHS = 4


def mlp(inputs, outputs):
    return nn.Sequential(nn.Linear(inputs, 8), nn.LeakyReLU(0.2), nn.Linear(8, outputs))


class GAN(nn.Module):
    """Both networks, and the average of the generator's weights, which draws."""

    def __init__(self):
        super().__init__()
        self.generator, self.critic = mlp(3, 2), mlp(2, 1)
        self.average = mlp(3, 2).freeze()
        self.average.load_state_dict(self.generator.state_dict())

    def forward(self, noise):
        return self.average(noise)

    def follow(self):
        """Move the average a little towards the generator."""
        for mean, now in zip(self.average.parameters(), self.generator.parameters(), strict=True):
            mean.data[...] = 0.9 * mean.data + 0.1 * now.data


def critic_loss(model, real, fake):
    return softplus(-model.critic(real)).mean() + softplus(model.critic(fake)).mean()


def step(run, real, targets):
    """The critic at each batch, the generator at every other one."""
    model, fake = run.model, run.model.generator(minidl.randn(len(real), 3))
    loss = critic_loss(model, real, fake.detach())
    run.minimize(loss, "critic")
    values = {"critic_loss": loss, "real_accuracy": (model.critic(real).data > 0).mean()}
    if run.batch % 2 == 1:
        values["generator_loss"] = softplus(-model.critic(fake)).mean()
        run.minimize(values["generator_loss"], "generator")
        model.follow()
    return values


def by_hand(model, optimizers, epochs):
    seed = minidl.random.new_seed()
    for epoch in range(epochs):
        for number, (real, _) in enumerate(points()):
            minidl.random.begin(seed, epoch * 5 + number, 0)
            fake = model.generator(minidl.randn(len(real), 3))
            optimizers["critic"].zero_grad()
            critic_loss(model, real, fake.detach()).backward()
            optimizers["critic"].step()
            if number % 2 == 1:
                optimizers["generator"].zero_grad()
                softplus(-model.critic(fake)).mean().backward()
                optimizers["generator"].step()
                model.follow()


def points():
    """Five batches without targets; the last is smaller."""
    angles = np.random.default_rng(0).uniform(0, 2 * np.pi, 28)
    ring = np.stack([np.cos(angles), np.sin(angles)], 1).astype(np.float32)
    return [(minidl.tensor(ring[i : i + 6]), None) for i in range(0, 28, 6)]


def parts():
    minidl.manual_seed(0)
    model = GAN()
    optimizers = {
        "generator": optim.Adam(model.generator.parameters(), lr=0.01, betas=(0.5, 0.9)),
        "critic": optim.RMSprop(model.critic.parameters(), lr=0.02),
    }
    return model, optimizers


def train(folder=None, *more, epochs=EPOCHS, resume=False, function=step):
    """The model and the history."""
    model, optimizers = parts()
    look_on = list(more)
    checkpoint = None
    if folder is not None:
        checkpoint = callbacks.Checkpoint(folder, every_steps=1, monitor=None)
        halve = [
            optim.StepLR(optimizers[name], n, 0.5) for n, name in ((1, "critic"), (2, "generator"))
        ]
        look_on += [
            checkpoint, callbacks.StopOnNaN(), callbacks.Metrics(Path(folder) / "metrics.jsonl"),
            *(callbacks.Schedule(one) for one in halve), callbacks.ClipGradients(0.5),
        ]  # fmt: skip
    go_on = checkpoint.path if resume and checkpoint.path.exists() else None
    history = minidl.fit(
        model, points(), None, optimizers, epochs, callbacks=look_on, resume=go_on, step=function
    )
    return model, history


if __name__ == "__main__":
    print("ready", flush=True)
    train(sys.argv[1], Slow(0.01), resume=True)
