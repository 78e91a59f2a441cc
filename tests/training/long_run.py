"""A run in which everything has a memory, for tests that stop it and let it go on."""

import json
from pathlib import Path

import numpy as np

import minidl
from minidl import callbacks, nn, optim
from minidl.data import transforms
from minidl.io import load_checkpoint
from tests.training.small import Net, make_loader

EPOCHS = 4
STEPS = 5  # in an epoch
OPTIMIZERS = {
    "sgd": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9),
    "adam": lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True),
}


def parts(optimizer="sgd"):
    """All that has a memory: dropout, augmentation, momentum, schedules, early stopping."""
    minidl.manual_seed(0)
    model = nn.Sequential(Net(), nn.BatchNorm1d(3))
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    flip = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToFloat()])
    return model, make_loader(transform=flip, num_workers=2), nn.CrossEntropyLoss(), optimizer


def train(folder, *more, epochs=EPOCHS, resume=False, every_steps=1, optimizer="sgd"):
    """One run with many callbacks; returns the model."""
    folder = Path(folder)
    model, loader, loss, optimizer = parts(optimizer)
    checkpoint = callbacks.Checkpoint(folder, every_steps=every_steps, monitor="val_loss")
    # Nothing is ever ten times better, so the rate falls after the second and the fourth epoch.
    plateau = optim.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.9, patience=0, threshold=10.0, cooldown=1
    )
    minidl.fit(
        model,
        loader,
        loss,
        optimizer,
        epochs,
        validation=make_loader(shuffle=False),
        callbacks=[
            checkpoint,
            callbacks.Schedule(plateau),
            callbacks.EarlyStopping("val_loss", patience=50, restore_best=True),
            callbacks.Metrics(folder / "metrics.jsonl"),
            callbacks.TensorBoard(folder),
            callbacks.StopOnNaN(),
            *more,
        ],
        resume=checkpoint.path if resume and checkpoint.path.exists() else None,
    )
    return model


def assert_same_run(folder, expected):
    """Last checkpoint, best model, metrics and learning rates are those of the other run."""
    for name in ("checkpoint.safetensors", "best.safetensors"):
        ours, theirs = load_checkpoint(folder / name), load_checkpoint(expected / name)
        assert ours.model.keys() == theirs.model.keys()
        for key in theirs.model:
            np.testing.assert_array_equal(ours.model[key].data, theirs.model[key].data, err_msg=key)
    ours = load_checkpoint(folder / "checkpoint.safetensors")
    theirs = load_checkpoint(expected / "checkpoint.safetensors")
    assert ours.run["position"] == theirs.run["position"]
    for number, state in theirs.optimizer["state"].items():
        for key, value in state.items():
            mine = ours.optimizer["state"][number][key]
            np.testing.assert_array_equal(
                getattr(mine, "data", mine), getattr(value, "data", value)
            )
    assert metrics(folder) == metrics(expected)


def metrics(folder):
    """The lines of metrics.jsonl but for the clock's figures."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "images_per_second")
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


class Crash(callbacks.Callback):
    """Raises at one moment of one step."""

    def __init__(self, moment, step):
        def crash(run):
            if run.step == step:
                raise MemoryError("out of luck")

        setattr(self, moment, crash)
