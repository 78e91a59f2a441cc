"""A run that was stopped and resumed ends with the same weights, bit for bit.

Here exceptions stop it, inside one process; tests/training/test_killed.py kills processes.
"""

import pytest

import minidl
from minidl import callbacks, nn, optim
from tests.training.long_run import EPOCHS, STEPS, Crash, assert_same_run, metrics, parts, train
from tests.training.small import Net, assert_same_weights, make_loader, weights


@pytest.mark.parametrize("every_steps", [1, 3])
@pytest.mark.parametrize(
    "moment, step",
    [
        ("on_step_start", 0), ("on_loss", 1), ("on_gradients", 4), ("on_step_end", 5),
        ("on_validation_step_end", 5), ("on_epoch_end", 10), ("on_epoch_start", 10),
        ("on_loss", 13), ("on_validation_step_end", 20),
    ],
)  # fmt: skip
def test_resume_after_a_crash(tmp_path, whole, moment, step, every_steps):
    with pytest.raises(MemoryError):
        train(tmp_path, Crash(moment, step), every_steps=every_steps)
    train(tmp_path, resume=True, every_steps=every_steps)
    assert_same_run(tmp_path, whole)


def test_resume_after_each_step_in_turn(tmp_path, whole):
    """Twenty crashes, one per step."""
    for step in range(1, EPOCHS * STEPS):
        with pytest.raises(MemoryError):
            train(tmp_path, Crash("on_gradients", step), resume=step > 1)
    train(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


def test_resume_with_another_optimizer_kind(tmp_path):
    whole = tmp_path / "whole"
    train(whole, optimizer="adam")
    with pytest.raises(MemoryError):
        train(tmp_path / "cut", Crash("on_loss", 8), optimizer="adam")
    train(tmp_path / "cut", resume=True, optimizer="adam")
    assert_same_run(tmp_path / "cut", whole)


def test_resume_with_more_epochs(tmp_path, whole):
    train(tmp_path, epochs=2)
    train(tmp_path, epochs=EPOCHS, resume=True)
    assert_same_run(tmp_path, whole)


def test_resume_of_a_finished_run_changes_nothing(tmp_path, whole):
    model = train(tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    again = train(tmp_path, resume=True)
    assert_same_weights(weights(model), weights(again))
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert metrics(tmp_path) == metrics(whole)


def test_resume_knows_the_rate_of_the_last_step(tmp_path):
    """Cut after the last step of an epoch, when the schedule has set the next rate already."""

    def rates(folder, *more, resume=False):
        model, loader, loss, optimizer = parts()
        schedule = callbacks.Schedule(optim.StepLR(optimizer, 1, gamma=0.5), every="step")
        checkpoint = callbacks.Checkpoint(folder, every_steps=1)
        history = minidl.fit(model, loader, loss, optimizer, 2, make_loader(shuffle=False),
                             [schedule, checkpoint, *more],
                             resume=checkpoint.path if resume else None)  # fmt: skip
        return [entry["lr"] for entry in history]

    expected = rates(tmp_path / "whole")
    with pytest.raises(MemoryError):
        rates(tmp_path / "cut", Crash("on_validation_step_end", 5))
    assert rates(tmp_path / "cut", resume=True) == expected


def test_resume_from_a_plain_list(tmp_path):
    """A loader without a position: batches that were done are skipped."""
    batches = list(make_loader(shuffle=False))

    def run(folder, *more, resume=False):
        minidl.manual_seed(0)
        model = Net()
        optimizer = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
        checkpoint = callbacks.Checkpoint(folder, every_steps=1)
        minidl.fit(model, batches, nn.CrossEntropyLoss(), optimizer, 2,
                   callbacks=[checkpoint, *more],
                   resume=checkpoint.path if resume else None)  # fmt: skip
        return weights(model)

    expected = run(tmp_path / "whole")
    with pytest.raises(MemoryError):
        run(tmp_path / "cut", Crash("on_loss", 3))
    assert_same_weights(run(tmp_path / "cut", resume=True), expected)


def test_tensorboard_shows_each_step_once(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    with pytest.raises(MemoryError):
        train(tmp_path, Crash("on_epoch_end", 10), every_steps=3)  # the last save was at step 9
    train(tmp_path, resume=True)
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert [point.step for point in events.Scalars("step/loss")] == list(range(1, 21))
    assert [point.step for point in events.Scalars("validation/loss")] == [5, 10, 15, 20]
