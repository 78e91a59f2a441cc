"""The training loop, evaluation, and the callbacks one by one."""

import json
import math
import threading

import numpy as np
import pytest

import minidl
from minidl import Tensor, callbacks, nn, optim
from minidl.errors import ArgumentError, CheckpointError, NonFiniteError, ShapeError
from tests.training import (
    Digits,
    Net,
    assert_same_weights,
    make,
    make_loader,
    regression_batches,
    weights,
)


def by_hand(model, loader, loss, optimizer, epochs):
    """The loop of fit's docstring."""
    for _ in range(epochs):
        model.train()
        for x, labels in loader:
            optimizer.zero_grad()
            value = loss(model(x), labels)
            value.backward()
            optimizer.step()


# --- the loop -----------------------------------------------------------------------------------


def test_fit_is_the_hand_written_loop():
    fitted, loop = make(), make()
    minidl.manual_seed(5)
    minidl.fit(*fitted, epochs=3)
    minidl.manual_seed(5)
    by_hand(*loop, epochs=3)
    assert_same_weights(weights(fitted[0]), weights(loop[0]))


def test_the_module_does_not_hide_the_function():
    import minidl.fit  # noqa: F401

    assert callable(minidl.fit) and minidl.fit.__name__ == "fit"


def test_learns_and_returns_history():
    model, loader, loss, optimizer = make()
    history = minidl.fit(model, loader, loss, optimizer, 20, validation=make_loader(shuffle=False))
    assert [entry["epoch"] for entry in history] == list(range(1, 21))
    assert [entry["step"] for entry in history] == list(range(5, 101, 5))
    assert history[-1]["loss"] < 0.5 * history[0]["loss"]
    assert history[-1]["val_accuracy"] > 0.9
    assert all(entry["lr"] == 0.1 for entry in history)
    assert all(entry["seconds"] > 0 and entry["images_per_second"] > 0 for entry in history)
    assert model.training


def test_metrics_are_means_over_examples():
    """Batches of 5, 5, 5, 5 and 4: the short one counts for less."""
    model, loader, loss, optimizer = make(dropout=0.0)
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    entry = minidl.fit(model, loader, loss, optimizer, validation=make_loader(batch_size=24))[0]
    x, labels = next(iter(make_loader(batch_size=24)))
    y = model(x)
    assert entry["loss"] == pytest.approx(loss(y, labels).item(), rel=1e-6)
    assert entry["val_loss"] == pytest.approx(entry["loss"], rel=1e-6)
    accuracy = (y.data.argmax(1) == labels.data).mean()
    assert entry["accuracy"] == entry["val_accuracy"] == accuracy


def test_regression_has_no_accuracy():
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    batches = regression_batches()
    history = minidl.fit(model, batches, nn.MSELoss(), optimizer, 30, validation=batches)
    assert "accuracy" not in history[-1] and "val_accuracy" not in history[-1]
    assert history[-1]["val_loss"] < 1e-3
    np.testing.assert_allclose(model.weight.data, [[1.0, -2.0]], atol=0.05)


class Recorder(callbacks.Callback):
    """Writes down when it is called."""

    def __init__(self, name="", log=None):
        self.name, self.log = name, [] if log is None else log

    def note(self, moment, run):
        self.log.append(self.name + moment)

    def on_fit_start(self, run):
        self.note("fit_start", run)

    def on_epoch_start(self, run):
        assert run.model.training
        self.note(f"epoch_start {run.epoch}", run)

    def on_step_start(self, run):
        self.before = weights(run.model)
        self.note(f"step_start {run.step}", run)

    def on_loss(self, run):
        assert run.loss.item() > 0 and run.y.shape == (len(run.labels), 3)
        assert all(p.grad is None for p in run.model.parameters())
        self.note("loss", run)

    def on_gradients(self, run):
        assert all(p.grad is not None for p in run.model.parameters())
        assert_same_weights(self.before, weights(run.model))
        self.note("gradients", run)

    def on_step_end(self, run):
        assert (self.before["classifier.weight"] != run.model.classifier.weight.data).any()
        self.note(f"step_end {run.step}", run)

    def on_validation_step_end(self, run):
        assert not run.model.training and not minidl.is_grad_enabled()
        self.note("validation_step_end", run)

    def on_epoch_end(self, run):
        assert run.metrics is run.history[-1]
        self.note(f"epoch_end {run.metrics['epoch']}", run)

    def on_fit_end(self, run):
        self.note(f"fit_end {type(run.error).__name__}", run)


def test_callbacks_are_called_at_their_moments():
    model, _, loss, optimizer = make()
    recorder = Recorder()
    minidl.fit(model, make_loader(batch_size=12), loss, optimizer, 2,
               validation=make_loader(batch_size=24), callbacks=recorder)  # fmt: skip

    def step(n):
        return [f"step_start {n}", "loss", "gradients", f"step_end {n + 1}"]

    assert recorder.log == [
        "fit_start",
        "epoch_start 1", *step(0), *step(1), "validation_step_end", "epoch_end 1",
        "epoch_start 2", *step(2), *step(3), "validation_step_end", "epoch_end 2",
        "fit_end NoneType",
    ]  # fmt: skip


def test_callbacks_are_called_by_order():
    log = []
    late, early, first = Recorder("late ", log), Recorder("early ", log), Recorder("first ", log)
    late.order, first.order = 1, -1
    minidl.fit(*make(), callbacks=[late, early, first])
    assert log[:3] == ["first fit_start", "early fit_start", "late fit_start"]


def test_stop_ends_after_the_epoch():
    class Stop(callbacks.Callback):
        def on_step_end(self, run):
            run.stop = run.step == 7

        def on_epoch_end(self, run):
            run.stop = run.epoch == 2

    assert len(minidl.fit(*make(), epochs=9, callbacks=[Stop()])) == 2


def test_fit_end_is_called_after_an_error():
    recorder = Recorder()
    model, _, loss, optimizer = make()
    with pytest.raises(ShapeError, match="Net.features.0"):
        batch = minidl.ones(1, 2, 3, 4), minidl.zeros(1, dtype="int64")
        minidl.fit(model, [batch], loss, optimizer, callbacks=[recorder])
    assert recorder.log[-1] == "fit_end ShapeError"


class Fails(callbacks.Callback):
    """Fails at the end, and before, if a step is given."""

    def __init__(self, step=None):
        self.step = step

    def on_step_end(self, run):
        if run.step == self.step:
            raise MemoryError("first")

    def on_fit_end(self, run):
        raise OSError("second")


def test_every_callback_ends_and_the_first_error_counts():
    for step, error in ((3, MemoryError), (None, OSError)):
        recorder = Recorder()
        with pytest.raises(error):
            minidl.fit(*make(), callbacks=[Fails(step), recorder])
        assert recorder.log[-1].startswith("fit_end")


def test_zero_epochs():
    assert minidl.fit(*make(), epochs=0) == []


class GivesNothing:
    """A loader without a length and without a batch."""

    def __iter__(self):
        return iter([])


def returns(value):
    """A loss function that returns the value for any batch."""
    return lambda y, labels: value


model, loader, loss, optimizer = make()
MISTAKES = {
    "model": (lambda: minidl.fit(loader, loader, loss, optimizer), "minidl.nn.Module"),
    "model class": (lambda: minidl.fit(Net, loader, loss, optimizer), "make an instance"),
    "loader": (lambda: minidl.fit(model, 3, loss, optimizer), "loader is something"),
    "generator": (
        lambda: minidl.fit(model, (b for b in []), loss, optimizer), "once per epoch",
    ),
    "no loader": (lambda: minidl.fit(model, None, loss, optimizer), "loader is something"),
    "empty": (lambda: minidl.fit(model, [], loss, optimizer), "loader is empty"),
    "no batch": (
        lambda: minidl.fit(model, GivesNothing(), loss, optimizer), "loader gave no batch",
    ),
    "no pairs": (lambda: minidl.fit(model, [3], loss, optimizer), "pairs (x, labels)"),
    "three in a batch": (
        lambda: minidl.fit(model, [(1, 2, 3)], loss, optimizer), "tuple of 3",
    ),
    "labels": (
        lambda: minidl.fit(model, [(minidl.ones(1), np.ones(1))], loss, optimizer),
        "wrap it: minidl.tensor(labels)",
    ),
    "0-d labels": (
        lambda: minidl.fit(model, [(minidl.ones(1), minidl.tensor(1))], loss, optimizer),
        "a row for each",
    ),
    "batch without examples": (
        lambda: minidl.fit(model, [(minidl.ones(0, 1), minidl.ones(0))], loss, optimizer),
        "one or more examples",
    ),
    "validation empty": (
        lambda: minidl.fit(model, loader, loss, optimizer, validation=[]), "validation is empty",
    ),
    "validation without batch": (
        lambda: minidl.fit(*make(), validation=GivesNothing()), "validation gave no batch",
    ),
    "validation pairs": (lambda: minidl.fit(*make(), validation=[3]), "pairs (x, labels)"),
    "loss is a float": (
        lambda: minidl.fit(model, loader, returns(1.5), optimizer), "returns a Tensor",
    ),
    "loss is an array": (
        lambda: minidl.fit(model, loader, returns(np.ones(())), optimizer), "returns a Tensor",
    ),
    "loss is a pair": (
        lambda: minidl.fit(model, loader, returns((1, 2)), optimizer), "(1, 2)",
    ),
    "loss per example": (
        lambda: minidl.fit(model, loader, returns(minidl.ones(5)), optimizer), "take its .mean()",
    ),
    "optimizer of another model": (
        lambda: minidl.fit(Net(), loader, loss, optimizer), "no parameter of the model",
    ),
    "validation": (
        lambda: minidl.fit(model, loader, loss, optimizer, validation=1), "validation is something",
    ),
    "loss": (lambda: minidl.fit(model, loader, "mse", optimizer), "loss is called"),
    "loss class": (lambda: minidl.fit(model, loader, nn.MSELoss, optimizer), "make an instance"),
    "optimizer": (lambda: minidl.fit(model, loader, loss, 0.1), "minidl.optim.SGD"),
    "epochs": (lambda: minidl.fit(model, loader, loss, optimizer, -1), "epochs is an int >= 0"),
    "epochs float": (lambda: minidl.fit(model, loader, loss, optimizer, 1.5), "epochs"),
    "callback class": (
        lambda: minidl.fit(model, loader, loss, optimizer, callbacks=[callbacks.Progress]),
        "make an instance",
    ),
    "callback": (
        lambda: minidl.fit(model, loader, loss, optimizer, callbacks=[print]), "Callback instances",
    ),
    "no callbacks": (
        lambda: minidl.fit(model, loader, loss, optimizer, callbacks=None), "Callback instances",
    ),
    "evaluate nothing": (lambda: minidl.evaluate(model, []), "gave no batch"),
    "evaluate pairs": (lambda: minidl.evaluate(model, [(1, 2, 3)]), "evaluate: the loader gives"),
    "evaluate no loader": (lambda: minidl.evaluate(model, 3), "loader can be iterated"),
    "evaluate no loss": (lambda: minidl.evaluate(model, loader, 3), "loss is called with"),
    "evaluate a float": (
        lambda: minidl.evaluate(model, loader, returns(1.5)), "evaluate: loss returns a Tensor",
    ),
    "evaluate no model": (lambda: minidl.evaluate(3, []), "minidl.nn.Module"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, text = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)


def test_evaluate():
    """In evaluation mode, without a graph; each module's flag is as it was."""
    model, loader, loss, _ = make()
    model.features.eval()
    seen = []
    model.dropout.register_forward_hook(lambda m, x, y: seen.append((m.training, y.requires_grad)))
    result = minidl.evaluate(model, loader, loss)
    assert seen and set(seen) == {(False, False)}
    assert model.training and not model.features.training and not model.features[0].training
    x, labels = next(iter(make_loader(batch_size=24)))
    model.eval()
    assert result["loss"] == pytest.approx(loss(model(x), labels).item(), rel=1e-6)
    assert minidl.evaluate(model, loader) == {"accuracy": result["accuracy"]}


# --- Schedule, ClipGradients, EarlyStopping -----------------------------------------------------


def fit_with(*chosen, epochs=4, validation=True, model=None):
    model, loader, loss, optimizer = model or make()
    held_out = make_loader(shuffle=False) if validation else None
    return minidl.fit(model, loader, loss, optimizer, epochs, held_out, chosen)


def test_schedule_per_epoch_and_per_step():
    for every, expected in (("epoch", [0.1, 0.05, 0.025]), ("step", [0.1 / 16, 0.1 / 2**9])):
        parts = make()
        schedule = callbacks.Schedule(optim.StepLR(parts[3], 1, gamma=0.5), every=every)
        history = fit_with(schedule, epochs=3, model=parts)
        expected = expected if every == "epoch" else [0.1 / 2 ** (5 * n) for n in (1, 2, 3)]
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


class Scripted(callbacks.Callback):
    """Replaces val_loss by given values."""

    order = -1

    def __init__(self, *values):
        self.values = values

    def on_epoch_end(self, run):
        run.metrics["val_loss"] = self.values[run.epoch - 1]


@pytest.mark.parametrize(
    "options, values, epochs",
    [
        ({"patience": 1}, [3, 2, 2, 2, 1], 4),
        ({"patience": 0}, [3, 2, 2, 2, 1], 3),
        ({"patience": 1}, [3, 4, 2, 3, 1], 5),
        ({"patience": 1, "min_delta": 0.5}, [3, 2.6, 2.4, 2.2, 2.0], 5),
        ({"patience": 0, "min_delta": 0.5}, [3, 2.6, 2.4, 2.2, 2.0], 2),
        ({"patience": 1}, [math.nan, math.nan, 1, 1, 1], 2),
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


def test_higher_accuracy_is_better():
    class Falling(callbacks.Callback):
        order = -1

        def on_epoch_end(self, run):
            run.metrics["val_accuracy"] = 1 - run.epoch / 10

    stopping = callbacks.EarlyStopping("val_accuracy", patience=0)
    assert len(fit_with(Falling(), stopping)) == 2


CALLBACK_MISTAKES = {
    "patience": (lambda: callbacks.EarlyStopping(patience=-1), "patience is an int >= 0"),
    "min_delta": (lambda: callbacks.EarlyStopping(min_delta=-1), "min_delta is >= 0"),
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
}  # fmt: skip


@pytest.mark.parametrize("mistake", CALLBACK_MISTAKES)
def test_callback_error_message(mistake):
    call, text = CALLBACK_MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)


# --- Metrics and Checkpoint ---------------------------------------------------------------------


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


# --- StopOnNaN ----------------------------------------------------------------------------------


class Log(nn.Module):
    def forward(self, x):
        return x.log()


class Broken(nn.Module):
    """Takes a logarithm of what may be negative, deep inside; dropout comes before it."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(12, 3))
        self.block = nn.Sequential(nn.ReLU(), Log(), nn.Linear(3, 3))

    def forward(self, x):
        return self.block(self.stem(x))


def nan_error(model, loss=None, loader=None, before=None):
    minidl.manual_seed(0)
    optimizer = optim.SGD(model.parameters(), lr=0.5)
    if before:
        before(model)
    with pytest.raises(NonFiniteError) as caught:
        minidl.fit(model, loader or make_loader(), loss or nn.CrossEntropyLoss(), optimizer, 3,
                   callbacks=[callbacks.StopOnNaN()])  # fmt: skip
    return str(caught.value)


ignore_numpy = pytest.mark.filterwarnings("ignore::RuntimeWarning")


@ignore_numpy
def test_nan_names_the_first_module():
    model = Broken()
    message = nan_error(model)
    assert "that of Broken.block.1 (Log)" in message
    for text in ("epoch  1", "step   1", "lr     0.5", "lower the learning rate"):
        assert text in message
    assert all(np.isfinite(p.data).all() for p in model.parameters())  # the step was not taken
    assert not any(module.hooks_after for module in model.modules())


@ignore_numpy
def test_nan_in_a_container_itself():
    class Overflow(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))

        def forward(self, x):
            return (self.inner(x) * 1e4).exp()

    message = nan_error(nn.Sequential(Overflow(), nn.Linear(3, 3)))
    assert "that of Sequential.0 (Overflow)" in message


@ignore_numpy
def test_nan_in_the_loss_function():
    def log_loss(y, labels):
        return (y.sum() * 0 - 1).log()

    message = nan_error(Net(), log_loss)
    assert "the model's output is finite, log_loss makes it so" in message


def test_nan_in_the_data():
    x = minidl.ones(2, 1, 3, 4)
    x.data[1, 0, 2, 3] = np.nan
    assert "input batch holds NaN" in nan_error(Net(), loader=[(x, minidl.tensor([0, 1]))])


def test_nan_in_the_labels():
    x, target = regression_batches(1)[0]
    target.data[3] = np.inf
    assert "labels hold NaN" in nan_error(nn.Linear(2, 1), nn.MSELoss(), [(x, target)])


@ignore_numpy
def test_nan_in_parameters():
    def spoil(model):
        model.features[0].weight.data[0] = np.inf
        model.classifier.bias.data[1] = np.nan

    message = nan_error(Net(), before=spoil)
    assert "an earlier step left NaN or inf in features.0.weight, classifier.bias" in message


def test_nan_in_a_buffer():
    class KeepStatistics(callbacks.Callback):
        """Fine-tuning with frozen statistics: a callback may change modes after train()."""

        def on_epoch_start(self, run):
            run.model[1].eval()

    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(12), nn.Linear(12, 3))
    model[1].running_mean.data[2] = np.nan
    with pytest.raises(NonFiniteError, match="in the buffer 1.running_mean"):
        minidl.fit(model, make_loader(), nn.CrossEntropyLoss(), optim.SGD(model.parameters()), 1,
                   callbacks=[callbacks.StopOnNaN(), KeepStatistics()])  # fmt: skip


@ignore_numpy
def test_nan_in_a_gradient_alone():
    """The square root of 0 is 0, its slope is infinite."""

    class Root(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Parameter(np.zeros(3, np.float32))
            self.other = nn.Linear(12, 3)

        def forward(self, x):
            return self.other(x.reshape(x.shape[0], 12)) + (self.scale * self.scale).sum().sqrt()

    model = Root()
    message = nan_error(model)
    assert "the loss is finite, but not its gradient by scale" in message
    assert (model.scale.data == 0).all()


@ignore_numpy
def test_diverging_run_stops_with_the_weights_named():
    """With a learning rate far too large, whatever breaks first is named."""
    model = nn.Linear(2, 1)
    optimizer = optim.SGD(model.parameters(), lr=1e12)
    with pytest.raises(NonFiniteError, match="lower the learning rate"):
        minidl.fit(model, regression_batches(), nn.MSELoss(), optimizer, 20,
                   callbacks=[callbacks.StopOnNaN()])  # fmt: skip


# --- TensorBoard and Progress -------------------------------------------------------------------


def read_events(folder):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return events


def points(events, tag):
    return [(point.step, point.value) for point in events.Scalars(tag)]


def test_tensorboard(tmp_path):
    parts = make()
    history = fit_with(callbacks.TensorBoard(tmp_path, filters=True), epochs=2, model=parts)
    events = read_events(tmp_path)
    for tag, name in (
        ("train/loss", "loss"), ("train/accuracy", "accuracy"), ("validation/loss", "val_loss"),
        ("validation/accuracy", "val_accuracy"), ("lr", "lr"),
    ):  # fmt: skip
        expected = [(entry["step"], pytest.approx(entry[name], rel=1e-6)) for entry in history]
        assert points(events, tag) == expected
    assert [step for step, _ in points(events, "step/loss")] == list(range(1, 11))
    image = events.Images("filters")[-1]
    assert image.encoded_image_string.startswith(b"\x89PNG")
    # 4 kernels of 1x4 as 2x2 cells with a border pixel, four times as large
    assert (image.width, image.height) == (2 * 5 * 4, 2 * 2 * 4)


def test_tensorboard_on_a_full_disk(tmp_path, monkeypatch):
    import errno

    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    writer = pytest.importorskip("tensorboard.summary.writer.event_file_writer").EventFileWriter
    monkeypatch.setattr(writer, "flush", full)
    with pytest.raises(CheckpointError, match="TensorBoard: cannot write events: the disk is full"):
        fit_with(callbacks.TensorBoard(tmp_path))


def test_tensorboard_folder_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="TensorBoard: cannot write events"):
        fit_with(callbacks.TensorBoard(tmp_path / "file"))


def test_tile_shows_each_kernel():
    from minidl.callbacks.tensorboard import tile

    weight = np.zeros((3, 1, 2, 2), np.float32)
    weight[0, 0, 0, 1] = 5.0
    weight[2, 0, 1, 0] = -1.0
    picture = tile(weight, scale=1)
    assert picture.shape == (6, 6, 3) and picture.dtype == np.uint8
    assert picture[:2, :2, 0].tolist() == [[0, 255], [0, 0]]
    assert picture[3:5, :2, 0].tolist() == [[255, 255], [0, 255]]


def console(terminal):
    rich_console = pytest.importorskip("rich.console")
    import io

    return rich_console.Console(file=io.StringIO(), force_terminal=terminal, width=60)


def test_progress_without_a_terminal():
    out = console(False)
    fit_with(callbacks.Progress(out), epochs=2)
    lines = out.file.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[1].startswith("epoch 2/2  loss 0.") or lines[1].startswith("epoch 2/2  loss 1.")
    for text in ("accuracy", " %  val loss", "val accuracy", "images/s", "0:00"):
        assert text in lines[1]


def test_progress_on_a_terminal():
    out = console(True)
    model, _, loss, optimizer = make()
    loader = make_loader(batch_size=1)
    minidl.fit(model, loader, loss, optimizer, 2, make_loader(), callbacks.Progress(out))
    text = out.file.getvalue()
    assert "\x1b[2K" in text  # a line is cleared and drawn again: the bar
    for epoch in (1, 2):
        assert len([line for line in text.split("\n") if f"epoch {epoch}/2  loss" in line]) == 1


def test_progress_describes_a_step():
    progress = callbacks.Progress(console(False))
    described = []

    class Listen(callbacks.Callback):
        order = 1

        def on_step_end(self, run):
            described.append(progress.describe(run))

    fit_with(progress, Listen(), epochs=1)
    assert "loss" in described[0] and "accuracy" in described[0] and "left" not in described[0]
    assert "images/s" in described[-1] and "0:00 left" in described[-1]


def test_progress_says_that_it_compiles(monkeypatch):
    """While Numba's compiler lock is held, and only then."""
    lock = pytest.importorskip("numba.core.compiler_lock").global_compiler_lock
    from minidl.callbacks import progress

    assert not progress.is_compiling()
    with lock:
        assert progress.is_compiling()
        shown = callbacks.Progress(console(False))
        shown.say_compiling()
    assert not progress.is_compiling()


def test_clock():
    from minidl.callbacks.progress import clock

    assert [clock(s) for s in (0, 9.6, 187, 3723)] == ["0:00", "0:10", "3:07", "1:02:03"]


def test_tensor_inputs_in_containers():
    from minidl.callbacks.nan import is_finite

    bad = Tensor(np.array([1.0, np.nan]))
    assert is_finite(({"a": [Tensor(np.ones(2))]}, 3, None))
    assert not is_finite(({"a": [bad]},))
    assert is_finite(Tensor(np.array([1, 2])))


def test_dataset_helper_can_be_learned():
    assert len(Digits()) == 24 and set(Digits().labels) == {0, 1, 2}
