"""What the tests of the three ways share: small data, networks with weights, and runs."""

import os
import signal

import numpy as np
import pytest
from PIL import Image

import minidl as library
from tests.apps.conftest import minidl

COLOURS = {"blue": 2, "green": 1, "grey": None, "red": 0}


def paint(path, channel, rng, size=(36, 32)):
    """A picture with noise and, in one channel, brightness."""
    pixels = rng.integers(0, 140, (*size, 3)).astype(np.uint8)
    if channel is not None:
        pixels[..., channel] += 90
    Image.fromarray(pixels).save(path)


@pytest.fixture(scope="session")
def colours(tmp_path_factory):
    """A folder per class with 20 pictures, without a test part; 4 classes."""
    folder, rng = tmp_path_factory.mktemp("colours"), np.random.default_rng(3)
    for name, channel in COLOURS.items():
        (folder / name).mkdir()
        for i in range(20):
            paint(folder / name / f"{i}.png", channel, rng)
    return folder


def run(folder, *arguments):
    """`minidl train ... --output folder`, which must succeed; the result."""
    result = minidl("train", *arguments, "--output", folder)
    assert result.exit_code == 0, result.output
    return result


def weights_of(folder, name="checkpoint"):
    """Name -> array of a run's network."""
    checkpoint = library.io.load_checkpoint(folder / f"{name}.safetensors")
    return {name: tensor.data for name, tensor in checkpoint.model.items()}


def history_of(folder):
    return library.io.load_checkpoint(folder / "checkpoint.safetensors").run["history"]


def same(a, b, *names):
    """Whether tensors are equal, bit for bit: those of these layers, or all."""
    chosen = [n for n in a if not names or n.startswith(names)]
    assert chosen
    return all(a[n].tobytes() == b[n].tobytes() for n in chosen)


def changed(a, b):
    """Names of the tensors that differ."""
    return {name for name in a if a[name].shape != b[name].shape or not same(a, b, name)}


def interrupt_after(monkeypatch, calls):
    """Ctrl-C comes while the optimizer takes step number `calls`."""
    step, taken = library.optim.SGD.step, []

    def interrupting(self, *arguments):
        taken.append(1)
        if len(taken) == calls:
            os.kill(os.getpid(), signal.SIGINT)
        return step(self, *arguments)

    monkeypatch.setattr(library.optim.SGD, "step", interrupting)
