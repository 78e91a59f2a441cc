"""A run that has learned a little of a few drawn flowers."""

import pytest

import minidl as library
import models
from tests.apps.conftest import minidl

QUICK = {"--cnn": "small", "--size": 32, "--embedding": 8, "--hidden": 8, "--batch-size": 8}


def arguments(jsonl, folder, *more):
    """The words of a quick run; an option in `more` takes the place of a usual one."""
    words = [word for flag, value in QUICK.items() if flag not in more for word in (flag, value)]
    return ("caption", "train", "--data", jsonl, *words, "--output", folder, *more)


@pytest.fixture(scope="session")
def captioning_run(jsonl, tmp_path_factory):
    """A run folder."""
    folder = tmp_path_factory.mktemp("caption") / "run"
    result = minidl(*arguments(jsonl, folder, "--epochs", 2, "--keep", "last"))
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="session")
def lenet(tmp_path_factory):
    """Weights of a small CNN: LeNet that sees colours."""
    path = tmp_path_factory.mktemp("lenet") / "lenet.safetensors"
    library.manual_seed(0)
    library.io.save_checkpoint(path, models.build("lenet", in_channels=3))
    return path
