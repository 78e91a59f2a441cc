"""Pictures and networks with weights drawn at random, small enough for tests."""

import numpy as np
import pytest

import minidl
import models
from apps.shared.photo import Photo

ARGUMENTS = {"squeezenet": {}, "vgg16": {"head": "average"}, "vgg19": {"head": "average"}}


@pytest.fixture(scope="session")
def weights(tmp_path_factory):
    """weights(name): a file with weights of a network, drawn at random."""
    folder = tmp_path_factory.mktemp("weights")

    def file(name):
        path = folder / f"{name}.safetensors"
        if not path.exists():
            minidl.manual_seed(0)
            minidl.io.save_checkpoint(path, models.build(name, **ARGUMENTS[name]))
        return str(path)

    return file


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    """A folder with content.png (72x56: a disc on a slope) and style.png (80x64: stripes)."""
    folder = tmp_path_factory.mktemp("pictures")
    rows, columns = np.mgrid[:56, :72].astype(np.float32)
    slope = np.stack([rows / 56, columns / 72, 0.5 + 0 * rows], axis=2)
    disc = (rows - 28) ** 2 + (columns - 36) ** 2 < 18**2
    slope[disc] = [0.9, 0.2, 0.1]
    Photo(slope).save(folder / "content.png")
    rows, columns = np.mgrid[:64, :80].astype(np.float32)
    wave = 0.5 + 0.4 * np.sin(0.5 * (rows + 0.5 * columns))
    noise = 0.1 * np.random.default_rng(0).random((64, 80, 3), np.float32)
    Photo(np.stack([wave, 0.6 - 0.4 * wave, 1 - wave], axis=2) * 0.9 + noise).save(
        folder / "style.png"
    )
    return folder
