"""A run that was killed and resumed ends with the same weights, bit for bit.

Real processes are killed with SIGKILL at random moments. `python -m tests.training.test_resume` is
the script they run.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.data import transforms
from minidl.errors import CheckpointError
from minidl.io import load_checkpoint, save_checkpoint
from tests.training.small import Net, assert_same_weights, make_loader, weights

EPOCHS = 4
STEPS = 5  # in an epoch
posix = pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")


class Slow(callbacks.Callback):
    """Gives the killer time to hit any step."""

    def __init__(self, seconds):
        self.seconds = seconds

    def on_step_end(self, run):
        time.sleep(self.seconds)


OPTIMIZERS = {
    "sgd": lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9),
    "adam": lambda ps: optim.Adam(ps, lr=0.01, amsgrad=True),
}


def parts(optimizer="sgd"):
    """All that has a memory: dropout, augmentation, momentum, schedules, early stopping."""
    minidl.manual_seed(0)
    model = nn.Sequential(Net(), nn.BatchNorm1d(3))
    optimizer = OPTIMIZERS[optimizer](model.parameters())
    flip = transforms.Compose([transforms.RandomHorizontalFlip(), transforms.ToFloat()])
    return model, make_loader(transform=flip, num_workers=2), nn.CrossEntropyLoss(), optimizer


def train(folder, *more, epochs=EPOCHS, resume=False, every_steps=1, optimizer="sgd"):
    """One run with many callbacks; returns the model."""
    folder = Path(folder)
    model, loader, loss, optimizer = parts(optimizer)
    checkpoint = callbacks.Checkpoint(folder, every_steps=every_steps, monitor="val_loss")
    # Nothing is ever ten times better, so the rate falls after the second and the fourth epoch.
    plateau = optim.ReduceLROnPlateau(
        optimizer, mode="max", factor=0.9, patience=0, threshold=10.0, cooldown=1
    )
    minidl.fit(
        model,
        loader,
        loss,
        optimizer,
        epochs,
        validation=make_loader(shuffle=False),
        callbacks=[
            checkpoint,
            callbacks.Schedule(plateau),
            callbacks.EarlyStopping("val_loss", patience=50, restore_best=True),
            callbacks.Metrics(folder / "metrics.jsonl"),
            callbacks.TensorBoard(folder),
            callbacks.StopOnNaN(),
            *more,
        ],
        resume=checkpoint.path if resume and checkpoint.path.exists() else None,
    )
    return model


def assert_same_run(folder, expected):
    """Last checkpoint, best model, metrics and learning rates are those of the other run."""
    for name in ("checkpoint.safetensors", "best.safetensors"):
        ours, theirs = load_checkpoint(folder / name), load_checkpoint(expected / name)
        assert ours.model.keys() == theirs.model.keys()
        for key in theirs.model:
            np.testing.assert_array_equal(ours.model[key].data, theirs.model[key].data, err_msg=key)
    ours = load_checkpoint(folder / "checkpoint.safetensors")
    theirs = load_checkpoint(expected / "checkpoint.safetensors")
    assert ours.run["position"] == theirs.run["position"]
    for number, state in theirs.optimizer["state"].items():
        for key, value in state.items():
            mine = ours.optimizer["state"][number][key]
            np.testing.assert_array_equal(
                getattr(mine, "data", mine), getattr(value, "data", value)
            )
    assert metrics(folder) == metrics(expected)


def metrics(folder):
    """The lines of metrics.jsonl but for the clock's figures."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    clock = ("seconds", "images_per_second")
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The folder of a run that nothing interrupts."""
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    assert [line["epoch"] for line in metrics(folder)] == [1, 2, 3, 4]
    assert len({line["lr"] for line in metrics(folder)}) > 1  # the schedule did something
    return folder


# --- stopped inside one process -----------------------------------------------------------------


class Crash(callbacks.Callback):
    """Raises at one moment of one step."""

    def __init__(self, moment, step):
        def crash(run):
            if run.step == step:
                raise MemoryError("out of luck")

        setattr(self, moment, crash)


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


# --- killed processes ---------------------------------------------------------------------------


def start(mode, folder):
    """This file as a script in another process; it says "ready" once it has imported."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.training.test_resume", mode, str(folder)],
        cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process


def main(mode, folder):
    print("ready", flush=True)
    if mode == "train":
        train(folder, Slow(0.01), resume=True)
    elif mode == "interrupt":
        train(folder, Slow(0.05), every_steps=None)
    elif mode == "save":
        model, _, _, optimizer = parts()
        for number in range(10**9):
            model[0].classifier.bias.data[...] = number % 2**24
            path = Path(folder) / "checkpoint.safetensors"
            save_checkpoint(path, model, optimizer, meta={"number": number})


def kill_after_next_save(process, path, seconds):
    """SIGKILL some time after the process has saved once; whether it was still running."""
    before = path.stat().st_mtime_ns if path.exists() else 0
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if path.exists() and path.stat().st_mtime_ns != before:
            break
        time.sleep(0.002)
    time.sleep(seconds)
    running = process.poll() is None
    process.kill()
    process.communicate()
    return running


@posix
def test_resume_after_kill_9(tmp_path, whole):
    """Killed again and again, each time a few steps further in the run."""
    rng = random.Random(0)
    kills = 0
    for _ in range(4):
        process = start("train", tmp_path)
        path = tmp_path / "checkpoint.safetensors"
        kills += kill_after_next_save(process, path, rng.uniform(0.0, 0.06))
    assert kills >= 2
    process = start("train", tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_same_run(tmp_path, whole)
    assert not list(tmp_path.glob("*.tmp"))


@posix
def test_kill_9_while_saving_leaves_a_whole_file(tmp_path):
    """A process that does nothing but save is killed at random: the file always loads."""
    rng, path, numbers = random.Random(1), tmp_path / "checkpoint.safetensors", []
    for _ in range(5):
        assert kill_after_next_save(start("save", tmp_path), path, rng.uniform(0.0, 0.05))
        loaded = load_checkpoint(path)
        numbers.append(loaded.meta["number"])
        assert (loaded.model["0.classifier.bias"].data == numbers[-1]).all()
    assert max(numbers) > 1  # it was in the middle of saving again and again


@posix
def test_ctrl_c_saves_and_stops(tmp_path, whole):
    """SIGINT: the step is finished, the state saved, KeyboardInterrupt raised; then resume."""
    process, metrics_file = start("interrupt", tmp_path), tmp_path / "metrics.jsonl"
    while not (metrics_file.exists() and metrics_file.stat().st_size) and process.poll() is None:
        time.sleep(0.01)  # until the first epoch has ended
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGINT or "KeyboardInterrupt" in errors, errors
    step = load_checkpoint(tmp_path / "checkpoint.safetensors").run["step"]
    assert 0 < step < EPOCHS * STEPS
    train(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


class PressCtrlC(callbacks.Callback):
    """The signal arrives at one moment; what was saved last is looked at when the run ends."""

    def __init__(self, moment, step):
        def press(run):
            if run.step == step:
                os.kill(os.getpid(), signal.SIGINT)

        setattr(self, moment, press)


@posix
@pytest.mark.parametrize(
    "moment, step, saved",
    [("on_loss", 7, 8), ("on_step_end", 7, 7), ("on_validation_step_end", 10, 10),
     ("on_epoch_end", 10, 10), ("on_epoch_end", 20, 20)],
)  # fmt: skip
def test_ctrl_c_at_any_moment(tmp_path, whole, moment, step, saved):
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, PressCtrlC(moment, step), every_steps=None)
    assert signal.getsignal(signal.SIGINT) is handler  # as it was
    assert load_checkpoint(tmp_path / "checkpoint.safetensors").run["step"] == saved
    train(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


@posix
def test_second_ctrl_c_does_not_wait(tmp_path):
    class PressTwice(callbacks.Callback):
        def on_loss(self, run):
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGINT)
            raise AssertionError("not interrupted")

    with pytest.raises(KeyboardInterrupt):
        train(tmp_path, PressTwice())


# --- checkpoints that do not fit ----------------------------------------------------------------


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
    "key", ["step", "batch", "lr", "totals", "history", "position", "callbacks"]
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


if __name__ == "__main__":
    main(*sys.argv[1:])
