"""A data set that is learned in a second, and the command line on it."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from apps.cli import app
from tests.apps.browser import open_browser
from tests.apps.flowers import write_jsonl

NAMES = ["bottom", "left", "top"]


def picture(name, rng):
    """A 32x32 picture with a bright half, and noise."""
    pixels = rng.integers(0, 120, (32, 32)).astype(np.uint8)
    half = {"top": np.s_[:16], "bottom": np.s_[16:], "left": np.s_[:, :16]}[name]
    pixels[half] += 120
    return Image.fromarray(pixels)


@pytest.fixture(scope="session")
def halves(tmp_path_factory):
    """A folder with a folder per class and split: 24 pictures to train on and 6 to test each."""
    folder, rng = tmp_path_factory.mktemp("halves"), np.random.default_rng(0)
    for split, count in (("train", 24), ("test", 6)):
        for name in NAMES:
            (folder / split / name).mkdir(parents=True)
            for i in range(count):
                picture(name, rng).save(folder / split / name / f"{i}.png")
    return folder


@pytest.fixture(scope="session")
def trained(halves, tmp_path_factory):
    """A run folder of a network that has learned them."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    result = minidl("train", "lenet", "--data", halves, "--epochs", 6, "--output", folder)
    assert result.exit_code == 0, result.output
    return folder


@pytest.fixture(scope="session")
def jsonl(tmp_path_factory):
    """A file with 48 drawn flowers to learn from and 12 to test."""
    return write_jsonl(tmp_path_factory.mktemp("flowers"))


@pytest.fixture(scope="session")
def browser():
    """A headless Chromium without network, for pages."""
    driver = open_browser()
    yield driver
    driver.quit()


def minidl(*arguments):
    """Run the command in this process; result.output holds stdout and stderr."""
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def spawn(*arguments, **options):
    """Run the command in a process of its own."""
    command = [sys.executable, "-c", "from apps.cli import main; main()", *map(str, arguments)]
    environment = os.environ | options.pop("env", {})
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    return subprocess.Popen(command, env=environment, **(streams | options))


def last_json(text):
    return json.loads(text.splitlines()[-1])


def open_data(settings):
    """The data of a run, without a network."""
    from apps.classify.data import open_parts, prepare

    parts = open_parts(settings.data, settings.data_dir, settings.test_share, settings.val_share)
    return prepare(parts, settings.pixels, settings.augment, settings.recipe)
