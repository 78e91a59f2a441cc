"""Callbacks that change how a run goes on: Schedule, ClipGradients, EarlyStopping; mistakes."""

import math

import pytest

from minidl import callbacks, optim
from minidl.errors import ArgumentError
from tests.training.small import Scripted, assert_same_weights, fit_with, make, weights


def test_schedule_per_epoch_and_per_step():
    in_epochs = [0.1, 0.05, 0.025]
    in_steps = [0.1 / 2 ** (5 * n - 1) for n in (1, 2, 3)]  # at the last of each epoch's 5 steps
    for every, expected in (("epoch", in_epochs), ("step", in_steps)):
        parts = make()
        schedule = callbacks.Schedule(optim.StepLR(parts[3], 1, gamma=0.5), every=every)
        history = fit_with(schedule, epochs=3, model=parts)
        assert [entry["lr"] for entry in history] == pytest.approx(expected)


def test_schedule_plateau_watches_its_metric():
    parts = make()
    plateau = optim.ReduceLROnPlateau(parts[3], mode="max", factor=0.5, patience=0, threshold=10)
    history = fit_with(callbacks.Schedule(plateau, monitor="val_accuracy"), model=parts)
    assert [entry["lr"] for entry in history] == [0.1, 0.1, 0.05, 0.025]


def test_clip_gradients():
    class Norms(callbacks.Callback):
        order = 1
        seen = []

        def on_gradients(self, run):
            squares = [float((p.grad.data**2).sum()) for p in run.model.parameters()]
            self.seen.append(math.sqrt(sum(squares)))

    fit_with(callbacks.ClipGradients(0.01), Norms())
    assert Norms.seen == pytest.approx([0.01] * len(Norms.seen), rel=1e-3)


@pytest.mark.parametrize(
    "options, values, epochs",
    [
        ({"patience": 2}, [3, 2, 2, 2, 1], 4),
        ({"patience": 1}, [3, 2, 2, 2, 1], 3),
        ({"patience": 0}, [3, 2, 2, 2, 1], 3),
        ({"patience": 0}, [5, 4, 3, 2, 1], 5),
        ({"patience": 2}, [3, 4, 2, 3, 1], 5),
        ({"patience": 2, "min_delta": 0.5}, [3, 2.6, 2.4, 2.2, 2.0], 5),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2.4, 2.2, 2.0], 2),
        ({"patience": 2}, [math.nan, math.nan, 1, 1, 1], 2),
    ],
)
def test_early_stopping(options, values, epochs):
    stopping = callbacks.EarlyStopping("val_loss", **options)
    assert len(fit_with(Scripted(*values), stopping, epochs=5)) == epochs


def test_early_stopping_restores_the_best_weights():
    class Keep(callbacks.Callback):
        def on_epoch_end(self, run):
            if run.epoch == 2:
                self.weights = weights(run.model)

    parts, keep = make(), Keep()
    stopping = callbacks.EarlyStopping("val_loss", patience=1, restore_best=True)
    fit_with(Scripted(3, 1, 2, 2), keep, stopping, model=parts)
    assert_same_weights(weights(parts[0]), keep.weights)


@pytest.mark.parametrize("patience, epochs", [(1, 3), (2, 4), (3, 6)])
def test_a_stopped_run_goes_on_with_more_patience(tmp_path, patience, epochs):
    """And stops where it would have with that from the start."""
    path, values = tmp_path / "checkpoint.safetensors", [3, 2, 2, 2, 1, 1]

    def go_on(patience, **options):
        stopping = callbacks.EarlyStopping("val_loss", patience=patience)
        checkpoint = callbacks.Checkpoint(tmp_path, monitor=None)
        return len(fit_with(Scripted(*values), stopping, checkpoint, epochs=6, **options))

    assert go_on(1) == 3
    assert go_on(patience, resume=path) == epochs == go_on(patience)


def test_another_reason_to_stop_stays_one(tmp_path):
    class Stop(callbacks.Callback):
        def on_epoch_end(self, run):
            run.stop = run.epoch == 3

    def go_on(patience, **options):
        stopping = callbacks.EarlyStopping("val_loss", patience=patience)
        checkpoint = callbacks.Checkpoint(tmp_path, monitor=None)
        return len(fit_with(Scripted(1, 2, 2, 2, 2), stopping, Stop(), checkpoint, **options))

    assert go_on(3, epochs=5) == 3
    assert go_on(9, epochs=5, resume=tmp_path / "checkpoint.safetensors") == 3


def test_higher_accuracy_is_better():
    class Falling(callbacks.Callback):
        order = -1

        def on_epoch_end(self, run):
            run.metrics["val_accuracy"] = 1 - run.epoch / 10

    stopping = callbacks.EarlyStopping("val_accuracy", patience=1)
    assert len(fit_with(Falling(), stopping)) == 2


optimizer = make()[3]
scheduler = optim.StepLR(optimizer, 1)
MISTAKES = {
    "patience": (lambda: callbacks.EarlyStopping(patience=-1), "patience is an int >= 0"),
    "patience bool": (lambda: callbacks.EarlyStopping(patience=True), "patience is an int >= 0"),
    "min_delta": (lambda: callbacks.EarlyStopping(min_delta=-1), "min_delta is a number >= 0"),
    "min_delta text": (lambda: callbacks.EarlyStopping(min_delta="x"), "min_delta is a number"),
    "monitor": (lambda: callbacks.EarlyStopping(None), "monitor is the name of a metric"),
    "monitor of a schedule": (
        lambda: callbacks.Schedule(scheduler, monitor=3), "monitor is the name of a metric",
    ),
    "metric": (
        lambda: fit_with(callbacks.EarlyStopping("val_los")), "no metric 'val_los'",
    ),
    "no validation": (
        lambda: fit_with(callbacks.EarlyStopping(), validation=False), "fit(validation=...)",
    ),
    "scheduler": (lambda: callbacks.Schedule(0.1), "schedule of minidl.optim"),
    "unit": (lambda: callbacks.Schedule(optim.StepLR(optimizer, 1), "batch"), '"epoch" or "step"'),
    "plateau": (
        lambda: callbacks.Schedule(optim.ReduceLROnPlateau(optimizer), "step"), "once per epoch",
    ),
    "another optimizer": (
        lambda: fit_with(callbacks.Schedule(optim.StepLR(optimizer, 1))), "another optimizer",
    ),
    "max_norm": (lambda: callbacks.ClipGradients(-1), "max_norm"),
    "every_steps": (lambda: callbacks.Checkpoint("/tmp", every_steps=0), "every_steps"),
    "every_epochs": (lambda: callbacks.Checkpoint("/tmp", every_epochs=True), "every_epochs"),
    "checkpoint folder": (lambda: callbacks.Checkpoint(None), "folder is a path"),
    "checkpoint monitor": (lambda: callbacks.Checkpoint("/tmp", monitor=1), "a name or None"),
    "checkpoint meta": (lambda: callbacks.Checkpoint("/tmp", meta="x"), "meta is a dict"),
    "metrics path": (lambda: callbacks.Metrics(3), "path is a path"),
    "tensorboard folder": (lambda: callbacks.TensorBoard(b"x"), "folder is a path"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, text = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)
