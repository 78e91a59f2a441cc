"""Photographs, a style picture, a loss network without downloads, and a model trained on them."""

import numpy as np
import pytest
from PIL import Image

import minidl as library
import models
from tests.apps.conftest import minidl


def photograph(height, width, seed):
    """Smooth colours, as photographs have."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(0, 256, (4, 5, 3)).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


@pytest.fixture(scope="session")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    (folder / "deep" / "er").mkdir(parents=True)
    photograph(70, 95, 0).save(folder / "a.png")
    photograph(120, 60, 1).save(folder / "deep" / "b.jpg")
    photograph(33, 40, 2).save(folder / "deep" / "er" / "c.png")
    (folder / "deep" / "notes.txt").write_text("no picture")
    return folder


@pytest.fixture(scope="session")
def style(tmp_path_factory):
    path = tmp_path_factory.mktemp("style") / "stripes.png"
    rows = 127 + 120 * np.sin(np.arange(80) / 2)[:, None, None] * np.array([1, -0.5, 0.2])
    Image.fromarray(np.broadcast_to(rows, (80, 90, 3)).round().astype(np.uint8)).save(path)
    return path


@pytest.fixture(scope="session")
def loss_weights(tmp_path_factory):
    """SqueezeNet with weights drawn at random: its features still tell pictures apart."""
    path = tmp_path_factory.mktemp("weights") / "squeezenet.safetensors"
    library.manual_seed(0)
    library.io.save_checkpoint(path, models.build("squeezenet"))
    return path


@pytest.fixture(scope="session")
def train(photos, style, loss_weights):
    """Call fast-train with a small network and few steps."""

    def call(model, *more, iterations=6, style=style):
        first = ["style", "fast-train", *([style, "--style-size", 64] if style else [])]
        return minidl(
            *first, "--data", photos, "-o", model, "--weights", loss_weights, "--width", 0.1,
            "--size", 64, "--batch-size", 2, "--iterations", iterations, *more,
        )  # fmt: skip

    return call


@pytest.fixture(scope="session")
def model(train, tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "stripes.safetensors"
    result = train(path)
    assert result.exit_code == 0, result.output
    return path
