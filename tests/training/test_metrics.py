"""Metrics: functions, objects, accuracy; what shows and uses them."""

import io

import numpy as np
import pytest

import minidl
from minidl import callbacks, metrics, nn
from minidl.errors import ArgumentError, CheckpointError
from tests.training.long_run import Crash
from tests.training.small import make, make_loader


class Recall(metrics.Metric):
    """Of one class: not a mean over batches. A slow one would not be live."""

    state = ("found", "present")

    def __init__(self, label=0):
        self.label = label
        self.computed = 0

    def reset(self):
        self.found, self.present = 0, 0

    def update(self, outputs, targets):
        here = targets.data == self.label
        self.found += int((outputs.data.argmax(1) == self.label)[here].sum())
        self.present += int(here.sum())

    def compute(self):
        self.computed += 1
        return self.found / self.present if self.present else None


def confidence(outputs, targets):
    return nn.functional.softmax(outputs, 1).amax(1).mean()


def chosen():
    return {"confidence": confidence, "recall": Recall(), "top2_accuracy": metrics.Accuracy(2)}


def train(*look_on, epochs=3, resume=None, measured=None):
    """Returns the history."""
    model, loader, loss, optimizer = make()
    return minidl.fit(
        model, loader, loss, optimizer, epochs, make_loader(shuffle=False), look_on, resume,
        metrics=chosen() if measured is None else measured,
    )  # fmt: skip


def test_metrics_are_those_of_the_whole_set():
    model, loader, loss, optimizer = make(dropout=0.0)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    x, labels = next(iter(make_loader(batch_size=24)))
    y = model(x)
    entry = minidl.fit(model, loader, loss, optimizer, 1, loader, metrics=chosen())[0]
    zeros = labels.data == 0
    ranks = (-y.data).argsort(1)
    expected = {
        "confidence": confidence(y, labels).item(),
        "recall": (y.data.argmax(1)[zeros] == 0).mean(),
        "top2_accuracy": (ranks[:, :2] == labels.data[:, None]).any(1).mean(),
    }
    assert 0 < expected["top2_accuracy"] < 1
    for name, value in expected.items():
        assert entry[name] == pytest.approx(value, rel=1e-6)
        assert entry[f"val_{name}"] == pytest.approx(value, rel=1e-6)
    assert "accuracy" not in entry
    found = minidl.evaluate(model, loader, metrics=chosen())
    assert found == {name: pytest.approx(value, rel=1e-6) for name, value in expected.items()}


def test_each_epoch_starts_anew_and_the_given_object_is_left_alone():
    recall = Recall()
    history = train(measured={"recall": recall})
    assert all(0 <= entry["recall"] <= 1 for entry in history)
    assert not hasattr(recall, "present") and recall.computed == 0
    assert len({entry["recall"] for entry in history}) > 1


def test_they_record_no_graph():
    def looks(outputs, targets):
        assert not minidl.is_grad_enabled()
        return 1.0

    assert train(epochs=1, measured={"looks": looks})[0]["looks"] == 1.0


def test_no_metrics():
    assert not any("accuracy" in name for name in train(measured={}, epochs=1)[0])


@pytest.mark.parametrize("step", [2, 5, 7, 14])
def test_resume_within_an_epoch(tmp_path, step):
    """The sums of every metric are part of the checkpoint."""
    expected = train()
    checkpoint = callbacks.Checkpoint(tmp_path, every_steps=1)
    with pytest.raises(MemoryError):
        train(checkpoint, Crash("on_gradients", step))
    history = train(checkpoint, resume=checkpoint.path)
    for entry, other in zip(history, expected, strict=True):
        for name in ("loss", "confidence", "recall", "top2_accuracy"):
            assert entry[name] == other[name] and entry[f"val_{name}"] == other[f"val_{name}"]


def test_resume_with_other_metrics(tmp_path):
    """Within an epoch their sums would be missing; after one there is nothing to miss."""
    for moment, step in (("on_loss", 7), ("on_epoch_start", 5)):
        checkpoint = callbacks.Checkpoint(tmp_path, every_steps=1)
        with pytest.raises(MemoryError):
            train(checkpoint, Crash(moment, step))
        if step == 5:
            history = train(checkpoint, resume=checkpoint.path, measured={"other": Recall()})
            assert "recall" in history[0] and "other" in history[1]
            continue
        more, less = chosen() | {"other": lambda y, t: 1.0}, chosen()
        del less["confidence"]  # a function, which has a sum and no state
        for others in ({"other": Recall()}, more, less):
            with pytest.raises(CheckpointError, match="with other metrics"):
                train(checkpoint, resume=checkpoint.path, measured=others)


# --- what shows and uses them -------------------------------------------------------------------


def test_progress_shows_them():
    console = pytest.importorskip("rich.console")
    out = console.Console(file=io.StringIO(), force_terminal=False)
    progress = callbacks.Progress(out)
    described = []

    class Listen(callbacks.Callback):
        order = 1

        def on_step_end(self, run):
            described.append(progress.describe(run))

    train(progress, Listen(), epochs=1)
    line = out.file.getvalue()
    for text in ("loss", "confidence 0.", "recall ", "val top2_accuracy ", " %", "val recall "):
        assert text in line
    assert " lr " not in line and "epoch 1/1" in line
    assert "confidence" in described[0] and "top2_accuracy" in described[0]
    assert "recall" not in described[0]  # it is computed once per epoch


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("accuracy", 0.97214, "97.21 %"), ("top5_accuracy", 1.0, "100.00 %"),
        ("loss", 0.12345, "0.1235"), ("g_loss", -1.5, "-1.5000"),
        ("perplexity", 12345.678, "12345.6780"),
        ("loss", 0.0, "0.0000"), ("loss", 0.00002, "2.000e-05"), ("loss", float("nan"), "nan"),
        ("loss", 3e20, "3.000e+20"),
    ],
)  # fmt: skip
def test_figures(name, value, text):
    from minidl.training.callbacks.progress import figure

    assert figure(name, value) == text


def test_monitors_watch_them(tmp_path):
    """A callback may add a score of its own, before others look at it."""

    class Score(callbacks.Callback):
        order = -1

        def on_epoch_end(self, run):
            run.metrics["val_distance"] = [5.0, 3.0, 4.0, 4.5, 1.0][run.epoch - 1]

    stopping = callbacks.EarlyStopping("val_distance", patience=2, mode="min")
    checkpoint = callbacks.Checkpoint(tmp_path, monitor="val_distance", mode="min")
    history = train(Score(), stopping, checkpoint, epochs=5)
    assert [entry["val_distance"] for entry in history] == [5.0, 3.0, 4.0, 4.5]
    best = minidl.io.load_checkpoint(checkpoint.best_path).meta["metrics"]
    assert best["epoch"] == 2 and "val_recall" in best
    stopping = callbacks.EarlyStopping("val_distance", patience=1, mode="max")
    assert len(train(Score(), stopping, epochs=5)) == 2


def test_tensorboard_shows_them(tmp_path):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    history = train(callbacks.TensorBoard(tmp_path))
    events = accumulator.EventAccumulator(str(tmp_path))
    events.Reload()
    assert set(events.Tags()["scalars"]) == {
        "step/loss", "lr", *(f"{part}/{name}" for part in ("train", "validation")
                             for name in ("loss", "confidence", "recall", "top2_accuracy")),
    }  # fmt: skip
    values = [point.value for point in events.Scalars("validation/recall")]
    assert values == pytest.approx([entry["val_recall"] for entry in history])


# --- accuracy -----------------------------------------------------------------------------------


def test_accuracy_of_k_guesses():
    y = minidl.tensor(np.float32([[3, 1, 2], [1, 3, 2], [1, 2, 3], [0, 0, np.nan]]))
    labels = minidl.tensor([0, 2, 0, 0])
    for k, expected in ((1, 1 / 4), (2, 3 / 4), (3, 1.0), (9, 1.0)):
        accuracy = metrics.Accuracy(k)
        accuracy.update(y, labels)
        assert accuracy.compute() == expected
    assert metrics.Accuracy().compute() is None


def test_the_default_is_accuracy_where_all_batches_are_classes():
    model = nn.Linear(2, 3)
    x = minidl.ones(4, 2)
    classes, soft = minidl.zeros(4, dtype="int64"), minidl.ones(4, 3)
    assert "accuracy" in minidl.evaluate(model, [(x, classes)])
    assert minidl.evaluate(model, [(x, classes), (x, soft), (x, classes)]) == {}
    with pytest.raises(ArgumentError, match="outputs are .N, classes."):
        minidl.evaluate(model, [(x, soft)], metrics={"accuracy": metrics.Accuracy()})


class Forgetful(metrics.Metric):
    def compute(self):
        return 1.0


def measure(found):
    return minidl.evaluate(nn.Linear(2, 1), [(minidl.ones(3, 2), None)], metrics=found)


MISTAKES = {
    "list": (lambda: measure([confidence]), "metrics are a dict"),
    "class": (lambda: measure({"recall": Recall}), "make an instance of it"),
    "number": (lambda: measure({"recall": 3}), "a metric is a function"),
    "name": (lambda: measure({3: confidence}), "the name of a metric is text"),
    "taken": (lambda: measure({"epoch": confidence}), "not one that fit uses itself"),
    "val_": (lambda: measure({"val_x": confidence}), "not one that fit uses itself"),
    "loss": (lambda: measure({"loss": confidence}), "loss is measured anyway"),
    "without state": (lambda: measure({"x": Forgetful()}), "names in `state` the attributes"),
    "many numbers": (lambda: measure({"x": lambda y, t: y}), "take its .mean()"),
    "text": (lambda: measure({"x": lambda y, t: "good"}), "x is one number for a batch"),
    "k": (lambda: metrics.Accuracy(0), "k is an int >= 1"),
    "mode": (lambda: callbacks.EarlyStopping(mode="low"), '"auto", "min" or "max"'),
    "mode of Checkpoint": (lambda: callbacks.Checkpoint("/tmp", mode=1), '"auto", "min" or "max"'),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, text = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)
