"""A few drawn flowers in files, and a run that has learned a little of them."""

import json

import numpy as np
import pytest
from PIL import Image

from apps.draw.data import Pairs, pairs_of
from minidl.data.captioned import CaptionedDataset
from minidl.data.flowers import COMBINATIONS, captions, draw
from tests.apps.conftest import minidl

CLASSES = [0, 1, 97, 193, 194, 400, 401, 600, 800, 801, 1100, 1343]
QUICK = {"--size": 32, "--ngf": 4, "--ndf": 4, "--noise": 4, "--embedding": 8, "--batch-size": 8,
         "--encoder-batch": 8, "--augment": "none"}  # fmt: skip
OF_TEXT = ("--embedding", "--encoder-batch")


def made_up(per_class=4, seed=0):
    """Pictures of the classes above with their captions."""
    numbers = np.repeat(CLASSES, per_class)
    pictures = draw(COMBINATIONS[numbers], 32, np.random.default_rng(seed))
    texts = [captions(COMBINATIONS[number]) for number in numbers]
    return CaptionedDataset(pictures, texts, numbers)


@pytest.fixture(scope="session")
def pairs() -> Pairs:
    return pairs_of(made_up(), is_flowers=True)


@pytest.fixture(scope="session")
def jsonl(tmp_path_factory):
    """A file with 48 pictures to learn from and 12 to test."""
    folder = tmp_path_factory.mktemp("flowers")
    with open(folder / "flowers.jsonl", "w") as file:
        for split, dataset in (("train", made_up()), ("test", made_up(1, seed=1))):
            for i in range(len(dataset)):
                name = f"{split}-{i}.png"
                Image.fromarray(dataset.picture(i)).save(folder / name)
                line = {"image": name, "captions": dataset.captions[i], "split": split,
                        "class": str(dataset.classes[i])}  # fmt: skip
                print(json.dumps(line), file=file)
    return folder / "flowers.jsonl"


def arguments(jsonl, folder, *more):
    """The words of a quick run; an option in `more` takes the place of a usual one."""
    quick = {flag: value for flag, value in QUICK.items() if flag not in more}
    if "gan" in more:  # a plain one, which has no captions
        quick = {flag: value for flag, value in quick.items() if flag not in OF_TEXT}
    elif "--text-encoder" in more:
        del quick["--embedding"], quick["--encoder-batch"]
    words = [word for pair in quick.items() for word in pair]
    return ("draw", "train", "--data", jsonl, *words, "--output", folder, *more)


@pytest.fixture(scope="session")
def drawing_run(jsonl, tmp_path_factory):
    """A run folder."""
    folder = tmp_path_factory.mktemp("draw") / "run"
    result = minidl(*arguments(jsonl, folder, "--epochs", 3, "--encoder-epochs", 3))
    assert result.exit_code == 0, result.output
    return folder
