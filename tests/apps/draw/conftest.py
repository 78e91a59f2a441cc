"""A few drawn flowers in files, and a run that has learned a little of them."""

import pytest

from apps.draw.data import Pairs, pairs_of
from tests.apps.conftest import minidl
from tests.apps.flowers import made_up

QUICK = {"--size": 32, "--ngf": 4, "--ndf": 4, "--noise": 4, "--embedding": 8, "--batch-size": 8,
         "--encoder-batch": 8, "--augment": "none"}  # fmt: skip
OF_TEXT = ("--embedding", "--encoder-batch")


@pytest.fixture(scope="session")
def pairs() -> Pairs:
    return pairs_of(made_up(), is_flowers=True)


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
