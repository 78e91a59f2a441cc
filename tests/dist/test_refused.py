"""What several machines cannot train is refused, and named."""

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.data import DataLoader
from minidl_dist.client import Stopped
from tests.dist.in_one_process import World
from tests.training.small import Digits


class LooksAtGradients(callbacks.Callback):
    def on_gradients(self, run):
        pass


def simple(model=None, optimizer=None, loader=None, **options):
    minidl.manual_seed(0)
    model = model or nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
    optimizer = (optimizer or optim.SGD)(model.parameters(), 0.1)
    loader = loader or DataLoader(Digits(8), 4)
    return minidl.fit(model, loader, nn.CrossEntropyLoss(), optimizer, **options)


def with_norm(norm):
    return nn.Sequential(nn.Conv2d(1, 2, 1), norm, nn.Flatten(), nn.Linear(24, 3))


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.last = nn.BatchNorm2d(1), nn.Linear(12, 3)

    def forward(self, x):
        return self.last(self.norm(self.norm(x)).reshape(len(x), 12))


class Counts(nn.Module):
    """A buffer that each batch changes, and nobody adds up."""

    def __init__(self, size=1):
        super().__init__()
        self.last = nn.Linear(12, 3)
        self.register_buffer("seen", minidl.zeros(size))

    def forward(self, x):
        if self.training:
            self.seen.data += 1
        return self.last(x.reshape(len(x), 12))


class Moves(callbacks.Callback):
    """Changes a layer that the optimizer does not hold, at one moment."""

    def __init__(self, moment):
        setattr(self, moment, self.move)

    def move(self, run):
        run.model.add.data += 1


class WithFixed(nn.Module):
    """A parameter that nobody learns, too large to be looked at after each slot."""

    def __init__(self):
        super().__init__()
        self.last, self.add = nn.Linear(12, 3), nn.Parameter(minidl.zeros(100_000))

    def forward(self, x):
        return self.last(x.reshape(len(x), 12))


def with_fixed(moment):
    minidl.manual_seed(0)
    model = WithFixed()
    return minidl.fit(
        model, DataLoader(Digits(8), 4), nn.CrossEntropyLoss(),
        optim.SGD(model.last.parameters(), 0.1), 2, callbacks=[Moves(moment)],
    )  # fmt: skip


class Evaluates(callbacks.Callback):
    """Looks at the model within a step, in evaluation mode or where it was not."""

    def __init__(self, training):
        self.training = training

    def on_loss(self, run):
        run.model.train(self.training)(run.inputs)
        run.model.train(not self.training)


def evaluated(training):
    model = with_norm(nn.BatchNorm2d(2))
    loader = DataLoader(Digits(8), 4)
    optimizer = optim.SGD(model.parameters(), 0.1)
    to_other = type("Switch", (callbacks.Callback,), {
        "on_epoch_start": lambda self, run: run.model.train(not training)})()  # fmt: skip
    return minidl.fit(model, loader, nn.CrossEntropyLoss(), optimizer, 1,
                      callbacks=[to_other, Evaluates(training)])  # fmt: skip


class Remembers(callbacks.Callback):
    def state_dict(self):
        return {"last": [minidl.zeros(5 << 18)]}


def large():
    return nn.Sequential(nn.Flatten(), nn.Linear(12, 10_000), nn.Linear(10_000, 120))


REFUSED = {
    "a buffer that changes": (lambda: simple(Counts()), ["seen"]),
    "a large buffer that changes": (lambda: simple(Counts(100_000)), ["seen"]),
    "a fixed parameter that changes": (lambda: with_fixed("on_step_start"), ["add"]),
    "a fixed parameter that changes later": (lambda: with_fixed("on_epoch_end"), ["add"]),
    "batch norm in evaluation in a slot": (
        lambda: evaluated(False), ["1 (BatchNorm2d)", "evaluation"],
    ),
    "batch norm in training in a slot": (
        lambda: evaluated(True), ["1 (BatchNorm2d)", "training"],
    ),
    "best weights": (
        lambda: simple(large(), callbacks=[callbacks.EarlyStopping("loss", restore_best=True)]),
        ["EarlyStopping", "5,320,480"],
    ),
    "average weights": (
        lambda: simple(large(), callbacks=[callbacks.AverageWeights()]), ["AverageWeights"],
    ),
    "any callback": (
        lambda: simple(callbacks=[Remembers()]), ["Remembers", "5,242,880"],
    ),
    "step function": (
        lambda: simple(step=lambda run, x, t: {"loss": 0.0}), ["step function", "one process"],
    ),
    "callback": (lambda: simple(callbacks=[LooksAtGradients()]), ["LooksAtGradients"]),
    "LBFGS": (lambda: simple(optimizer=optim.LBFGS), ["LBFGS", "SGD, Adam"]),
    "spectral norm": (
        lambda: simple(nn.Sequential(nn.Flatten(), nn.spectral_norm(nn.Linear(12, 3)))),
        ["1.parametrizations.weight.0 (SpectralNorm)"],
    ),
    "momentum=None": (
        lambda: simple(with_norm(nn.BatchNorm2d(2, momentum=None))), ["1 (BatchNorm2d)"],
    ),
    "instance norm": (
        lambda: simple(with_norm(nn.InstanceNorm2d(2, track_running_stats=True))),
        ["only batch norm"],
    ),
    "used twice": (lambda: simple(Twice()), ["used once", "norm", "uses"]),
    "a loader that only goes on": (
        lambda: simple(loader=type("Loader", (), {
            "__iter__": lambda self: iter(()), "__len__": lambda self: 2})()),
        ["batch(epoch, b)"],
    ),
    "a metric": (
        lambda: simple(metrics={"worst": type("Worst", (minidl.metrics.Metric,), {
            "state": ("largest",), "reset": lambda self: None})()}),
        ["worst", "define its merge"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name):
    call, texts = REFUSED[name]
    results = World(lambda _: call(), 1, 1).run()
    error = str(results["worker0"])
    assert isinstance(results["worker0"], minidl.errors.MinidlError), repr(results["worker0"])
    for text in texts:
        assert text in error


def test_a_gradient_that_is_not_finite_stops_the_job_and_is_named():
    def bad(name):
        model = nn.Sequential(nn.Flatten(), nn.Linear(12, 3))
        x = np.ones((4, 12), np.float32)
        x[0, 0] = np.nan
        batch = minidl.tensor(x), minidl.tensor([0, 1, 2, 0])
        return minidl.fit(
            model, [batch], nn.CrossEntropyLoss(), optim.SGD(model.parameters(), 0.1),
            callbacks=[callbacks.StopOnNaN()],
        )  # fmt: skip

    result = World(bad, 1, 1).run()["worker0"]
    assert isinstance(result, Stopped) and result.code != 0
    assert "1.weight" in result.reason or "1.bias" in result.reason


def test_models_that_differ_are_told_apart():
    def other(name):
        minidl.manual_seed(0)
        hidden = 5 if name == "worker1" else 4
        return simple(nn.Sequential(nn.Flatten(), nn.Linear(12, hidden), nn.Linear(hidden, 3)))

    results = World(other, 1, 2).run()
    (stopped,) = [r for r in results.values() if isinstance(r, Stopped) and r.code]
    assert "worker1" in stopped.reason and "tensor 1.weight: shape" in stopped.reason
