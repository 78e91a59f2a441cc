"""Callbacks that write: Metrics and Checkpoint."""

import json
import math
import os
import threading

import pytest

import minidl
from minidl import callbacks
from minidl.errors import CheckpointError
from tests.training.small import Scripted, assert_same_weights, fit_with, make, make_loader, weights


def test_metrics_file(tmp_path):
    path = tmp_path / "metrics.jsonl"

    class Look(callbacks.Callback):
        order = 1

        def on_epoch_end(self, run):
            assert len(path.read_text().splitlines()) == run.epoch  # there at once

    history = fit_with(Scripted(3, math.inf, 1, 0.5), callbacks.Metrics(path), Look())
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["val_loss"] for line in lines] == [3, None, 1, 0.5]
    assert lines[3] == history[3]
    fit_with(callbacks.Metrics(path), epochs=1)  # a new run starts a new file
    assert len(path.read_text().splitlines()) == 1


def test_metrics_file_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match="Metrics: cannot write the file: no such file"):
        fit_with(callbacks.Metrics(tmp_path / "none" / "metrics.jsonl"))


def test_checkpoint_files(tmp_path):
    parts = make()
    checkpoint = callbacks.Checkpoint(tmp_path / "run", monitor="val_loss", meta={"name": "net"})
    best = {}

    class Keep(callbacks.Callback):
        def on_epoch_end(self, run):
            best[run.epoch] = weights(run.model)

    fit_with(Scripted(3, 1, 2, 1), Keep(), checkpoint, model=parts)
    last = minidl.io.load_checkpoint(checkpoint.path)
    assert last.meta == {"name": "net"} and len(last.run["history"]) == 4
    assert_same_weights(weights(parts[0]), {n: t.data for n, t in last.model.items()})
    kept = minidl.io.load_checkpoint(checkpoint.best_path)
    assert kept.meta["name"] == "net" and kept.meta["metrics"]["epoch"] == 2  # first of equals
    assert_same_weights(best[2], {n: t.data for n, t in kept.model.items()})


def test_checkpoint_picks_a_metric(tmp_path):
    for validation, names in ((True, ["best", "checkpoint"]), (False, ["checkpoint"])):
        folder = tmp_path / str(validation)
        fit_with(callbacks.Checkpoint(folder), validation=validation)
        assert sorted(path.stem for path in folder.iterdir()) == names


class Saves(callbacks.Callback):
    """Notes after which steps a checkpoint was written."""

    order = 101

    def __init__(self, path):
        self.path, self.steps = path, []

    def look(self, run):
        if self.path.exists():
            step = minidl.io.load_checkpoint(self.path).run["step"]
            if step not in self.steps:
                self.steps.append(step)

    on_step_end = on_epoch_end = on_fit_end = look


@pytest.mark.parametrize(
    "options, steps",
    [
        ({}, [5, 10, 15]),
        ({"every_epochs": 2}, [10, 15]),
        ({"every_epochs": None}, [15]),
        ({"every_epochs": None, "every_steps": 4}, [4, 8, 12, 15]),
    ],
)
def test_checkpoint_times(tmp_path, options, steps):
    checkpoint = callbacks.Checkpoint(tmp_path, **options)
    saves = Saves(checkpoint.path)
    fit_with(checkpoint, saves, epochs=3)
    assert saves.steps == steps


def test_checkpoint_in_another_thread(tmp_path):
    """Signals belong to the main thread; elsewhere a run saves all the same."""
    thread = threading.Thread(target=fit_with, args=[callbacks.Checkpoint(tmp_path)])
    thread.start()
    thread.join()
    assert minidl.io.load_checkpoint(tmp_path / "checkpoint.safetensors").run["step"] == 20


def test_checkpoint_folder_cannot_be_made(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="cannot make the folder"):
        callbacks.Checkpoint(tmp_path / "file" / "run")


# --- a full disk --------------------------------------------------------------------------------


class FillDisk(callbacks.Callback):
    """From step 7 on, what one callback writes goes to /dev/full: the system says ENOSPC."""

    def __init__(self, what):
        self.what = what

    def on_step_end(self, run):
        if run.step != 7:
            return
        if isinstance(self.what, callbacks.TensorBoard):
            full = os.open("/dev/full", os.O_WRONLY)
            os.dup2(full, self.what.events.file.fileno())
            os.close(full)
        else:
            self.what.path.with_name(self.what.path.name + ".tmp").symlink_to("/dev/full")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
@pytest.mark.filterwarnings("error")  # also an exception in a thread or a destructor
@pytest.mark.parametrize("kind", ["Checkpoint", "Metrics", "TensorBoard"])
def test_full_disk(tmp_path, kind):
    """One clear error, nothing half-written, and the last good checkpoint goes on."""
    if kind == "TensorBoard":
        pytest.importorskip("tensorboard")
    checkpoint = callbacks.Checkpoint(tmp_path)
    what = {
        "Checkpoint": lambda: checkpoint,
        "Metrics": lambda: callbacks.Metrics(tmp_path / "metrics.jsonl"),
        "TensorBoard": lambda: callbacks.TensorBoard(tmp_path),
    }[kind]()
    with pytest.raises(CheckpointError, match="cannot write .*: the disk is full"):
        fit_with(*dict.fromkeys([checkpoint, what]), FillDisk(what))
    assert not list(tmp_path.glob("*.tmp"))
    resumed = make()
    again = callbacks.Checkpoint(tmp_path)
    minidl.fit(*resumed, 4, make_loader(shuffle=False), [again], resume=checkpoint.path)
    whole = make()  # seeds anew
    fit_with(model=whole)
    assert_same_weights(weights(resumed[0]), weights(whole[0]))
