"""Checkpoints that do not fit the run that should go on from them."""

import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.errors import CheckpointError
from minidl.io import load_checkpoint, save_checkpoint
from tests.training.long_run import Crash
from tests.training.small import Net, make_loader


def resume_error(path, model=None, chosen=(), loader=None):
    model = model or Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    with pytest.raises(CheckpointError) as caught:
        minidl.fit(model, loader or make_loader(), nn.CrossEntropyLoss(), optimizer, 2,
                   callbacks=chosen, resume=path)  # fmt: skip
    return str(caught.value)


@pytest.fixture
def saved(tmp_path):
    """The checkpoint of a small run with one callback that has state."""
    model = Net()
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    checkpoint = callbacks.Checkpoint(tmp_path, monitor=None, every_steps=1)
    with pytest.raises(MemoryError):
        minidl.fit(model, make_loader(batch_size=1), nn.CrossEntropyLoss(), optimizer, 2,
                   callbacks=[checkpoint, Crash("on_epoch_end", 24)])  # fmt: skip
    return checkpoint.path


def test_checkpoint_of_another_model(saved):
    assert "load_state_dict" in resume_error(saved, nn.Linear(3, 3))


def test_checkpoint_with_state_of_an_absent_callback(saved):
    message = resume_error(saved)
    assert "the state of a callback Checkpoint, which this run has not" in message


def test_checkpoint_of_another_data_set(saved):
    message = resume_error(saved, chosen=[callbacks.Checkpoint(saved.parent)])
    assert "cannot be used: an epoch has 5 batches" in message and "data set" in message


def test_checkpoint_without_a_run(tmp_path):
    save_checkpoint(tmp_path / "weights", Net())
    assert "no state of a run" in resume_error(tmp_path / "weights")


def test_checkpoint_missing(tmp_path):
    assert "no such file" in resume_error(tmp_path / "none")


@pytest.mark.parametrize(
    "key", ["step", "batch", "rates", "totals", "history", "position", "callbacks"]
)
def test_checkpoint_with_a_damaged_run(saved, key):
    content = load_checkpoint(saved)
    model = Net()
    model.load_state_dict(content.model)
    for value in (None, "x", [3], {"x": 1}):
        run = {**content.run, key: value}
        save_checkpoint(saved, model, optim.SGD(model.parameters(), lr=0.1), run)
        message = resume_error(saved, loader=make_loader(batch_size=1),
                               chosen=[callbacks.Checkpoint(saved.parent)])  # fmt: skip
        assert "fit: " in message


def test_checkpoint_with_sums_and_counts_that_are_no_numbers(saved):
    content = load_checkpoint(saved)
    for change in (
        {"totals": {**content.run["totals"], "sums": {"loss": ["1", "x"]}}},
        {"step": float("inf")},
        {"totals": {**content.run["totals"], "measured": float("inf")}},
    ):
        model = Net()
        save_checkpoint(saved, model, optim.SGD(model.parameters(), lr=0.1), content.run | change)
        message = resume_error(saved, loader=make_loader(batch_size=1),
                               chosen=[callbacks.Checkpoint(saved.parent)])  # fmt: skip
        assert "the state of the run cannot be used" in message
