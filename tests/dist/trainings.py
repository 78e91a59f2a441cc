"""A small training with all that makes a step depend on the past, and faults for it."""

import random

import minidl
from minidl import callbacks, nn, optim
from minidl.data import DataLoader
from minidl_dist.client import Stopped
from tests.training.small import Digits, weights

EPOCHS, SLOTS = 3, 3


def network():
    """Batch norm, dropout, an unused layer, several pieces in a chunk, and memory in any order."""
    minidl.manual_seed(7)
    net = nn.Sequential(
        nn.Conv2d(1, 4, (2, 1), bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(4 * 2 * 4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3),
    )  # fmt: skip
    net.unused = nn.Linear(3, 2)
    net.forward = lambda x, run=nn.Sequential.forward: run(only(net), x)
    return net


def only(net):
    return nn.Sequential(*(module for name, module in net.named_children() if name != "unused"))


OPTIMIZERS = {
    "SGD": lambda groups: optim.SGD(groups, 0.05, momentum=0.9, nesterov=True),
    "Adam": lambda groups: optim.Adam(groups, 0.01),
    "AdamW": lambda groups: optim.AdamW(groups, 0.01, weight_decay=0.1),
    "RMSprop": lambda groups: optim.RMSprop(groups, 0.01, momentum=0.5, centered=True),
    "Adagrad": lambda groups: optim.Adagrad(groups, 0.05),
}


def train(
    look_on=(), optimizer="SGD", slots=SLOTS, epochs=EPOCHS, n=26, validate=True, clip=True, **more
):
    """A run with a schedule, clipping, two groups, and early stopping that watches validation.

    26 pictures in batches of 4: an epoch ends with a step of one slot of two pictures.
    """
    model = network()
    ps = list(model.parameters())
    groups = [
        {"params": [p for p in ps if p.ndim > 1], "weight_decay": 5e-4},
        {"params": [p for p in ps if p.ndim == 1], "lr_mult": 2.0},
    ]
    steps = OPTIMIZERS[optimizer](groups)
    schedule = callbacks.Schedule(optim.CosineAnnealingLR(steps, 20), every="step")
    plateau = callbacks.EarlyStopping("val_loss" if validate else "loss", patience=50)
    average = callbacks.AverageWeights(0.9)
    clips = [callbacks.ClipGradients(0.7)] if clip else []
    history = minidl.fit(
        model, DataLoader(Digits(n), 4, shuffle=True, seed=3), nn.CrossEntropyLoss(), steps, epochs,
        validation=DataLoader(Digits(8), 3) if validate else None, accumulate=slots,
        callbacks=[schedule, *clips, plateau, average, *look_on], **more,
    )  # fmt: skip
    clock = ("seconds", "images_per_second")
    history = [{k: v for k, v in entry.items() if k not in clock} for entry in history]
    return weights(model), weights(average.average), history


def assert_same(found, expected):
    for mine, theirs in zip(found[:2], expected[:2], strict=True):
        assert mine.keys() == theirs.keys()
        for name in theirs:
            assert mine[name].tobytes() == theirs[name].tobytes(), name
    assert found[2] == expected[2]


def of_chief(results):
    """What the chief's training returned; all others ended with the job."""
    (found,) = [r for r in results.values() if not isinstance(r, BaseException)]
    others = [r for r in results.values() if isinstance(r, BaseException)]
    assert all(isinstance(r, Stopped) and r.code == 0 for r in others), others
    return found


class Once:
    """Does something at the first event that fits."""

    def __init__(self, fits, do):
        self.fits, self.do, self.done = fits, do, False

    def __call__(self, world, name, event):
        if not self.done and self.fits(name, event):
            self.done = True
            self.do(world, name)


def at(kind, step):
    return lambda name, event: isinstance(event, kind) and getattr(event, "step", step) == step


class Anything:
    """Kills and restarts processes now and then; a seed decides which, and when."""

    def __init__(self, seed):
        self.chance, self.left = random.Random(seed), 6

    def __call__(self, world, name, event):
        if self.left and self.chance.random() < 0.04:
            self.left -= 1
            lost = self.chance.choice(sorted(world.machines))
            world.restart(lost)
