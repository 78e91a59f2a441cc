"""The training loop, evaluation, and when callbacks are called."""

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.errors import ShapeError
from tests.training.small import (
    assert_same_weights,
    make,
    make_loader,
    regression_batches,
    weights,
)


def by_hand(model, loader, loss, optimizer, epochs):
    """The loop of fit's docstring, with its random numbers."""
    seed, step = minidl.random.new_seed(), 0
    for _ in range(epochs):
        model.train()
        for x, labels in loader:
            minidl.random.begin(seed, step, 0)
            optimizer.zero_grad()
            value = loss(model(x), labels)
            value.backward()
            optimizer.step()
            step += 1


# --- the loop -----------------------------------------------------------------------------------


def test_fit_is_the_hand_written_loop():
    fitted, loop = make(), make()
    minidl.manual_seed(5)
    minidl.fit(*fitted, epochs=3)
    minidl.manual_seed(5)
    by_hand(*loop, epochs=3)
    assert_same_weights(weights(fitted[0]), weights(loop[0]))


def test_the_module_does_not_hide_the_function():
    import minidl.training.fit  # noqa: F401

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


def test_validation_may_have_a_loss_of_its_own():
    """Training is the same, and the loss of the last epoch is that of the model as it is."""
    plain, smooth = nn.CrossEntropyLoss(), nn.CrossEntropyLoss(label_smoothing=0.3)
    held_out, found = make_loader(shuffle=False), {}
    for other in (None, plain):
        model, loader, _, optimizer = make()
        minidl.manual_seed(5)
        history = minidl.fit(model, loader, smooth, optimizer, 2, held_out, validation_loss=other)
        found[other] = [entry["loss"] for entry in history]
        expected = minidl.evaluate(model, held_out, other or smooth)["loss"]
        assert history[-1]["val_loss"] == pytest.approx(expected, rel=1e-6)
    assert found[None] == found[plain]


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
        assert run.loss.item() > 0 and run.outputs.shape == (len(run.targets), 3)
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
