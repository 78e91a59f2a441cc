"""Processes that are killed with SIGKILL or interrupted while they train or save.

`python -m tests.training.test_killed` is the script they run.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from minidl import callbacks
from minidl.io import load_checkpoint, save_checkpoint
from tests.training.long_run import EPOCHS, STEPS, assert_same_run, parts, train
from tests.training.processes import Slow, kill_after_next_save, posix, start


class SaysSo(callbacks.Callback):
    """Prints "training" when the first step has been taken: every callback has started by then."""

    def on_step_end(self, run):
        if run.step == 1:
            print("training", flush=True)


def main(mode, folder):
    print("ready", flush=True)
    if mode == "train":
        train(folder, Slow(0.01), resume=True)
    elif mode == "interrupt":
        train(folder, SaysSo(), Slow(0.05), every_steps=None)
    elif mode == "save":
        model, _, _, optimizer = parts()
        for number in range(10**9):
            model[0].classifier.bias.data[...] = number % 2**24
            path = Path(folder) / "checkpoint.safetensors"
            save_checkpoint(path, model, optimizer, meta={"number": number})


@posix
def test_resume_after_kill_9(tmp_path, whole):
    """Killed again and again, each time a few steps further in the run."""
    rng = random.Random(0)
    kills = 0
    for _ in range(3):
        process = start(__name__, "train", tmp_path)
        path = tmp_path / "checkpoint.safetensors"
        kills += kill_after_next_save(process, path, rng.uniform(0.0, 0.06))
    assert kills >= 2
    process = start(__name__, "train", tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_same_run(tmp_path, whole)
    assert not list(tmp_path.glob("*.tmp"))


@posix
def test_kill_9_while_saving_leaves_a_whole_file(tmp_path):
    """A process that does nothing but save is killed at random: the file always loads."""
    rng, path, numbers = random.Random(1), tmp_path / "checkpoint.safetensors", []
    for _ in range(3):
        assert kill_after_next_save(start(__name__, "save", tmp_path), path, rng.uniform(0.0, 0.05))
        loaded = load_checkpoint(path)
        numbers.append(loaded.meta["number"])
        assert (loaded.model["0.classifier.bias"].data == numbers[-1]).all()
    assert max(numbers) > 1  # it was in the middle of saving again and again


@posix
def test_ctrl_c_saves_and_stops(tmp_path, whole):
    """SIGINT: the step is finished, the state saved, KeyboardInterrupt raised; then resume."""
    process = start(__name__, "interrupt", tmp_path)
    assert process.stdout.readline() == "training\n", process.stderr.read()
    time.sleep(0.3)
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


if __name__ == "__main__":
    main(*sys.argv[1:])
