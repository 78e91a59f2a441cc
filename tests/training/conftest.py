"""The run that interrupted ones are compared with."""

import pytest

from tests.training.long_run import metrics, train


@pytest.fixture(scope="session")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    assert [line["epoch"] for line in metrics(folder)] == [1, 2, 3, 4]
    assert len({line["lr"] for line in metrics(folder)}) > 1  # the schedule did something
    return folder
