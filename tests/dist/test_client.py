"""Training with servers: every weight has the bits of one process with as many slots."""

import random

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.data import DataLoader
from minidl.errors import ArgumentError
from minidl_dist import connect
from minidl_dist import messages as m
from minidl_dist.client import Stopped
from tests.dist.in_one_process import World
from tests.training.small import Digits, weights

EPOCHS, SLOTS = 3, 3


def network():
    """Batch norm, dropout, an unused layer, several pieces in a chunk, and memory in any order."""
    minidl.manual_seed(7)
    net = nn.Sequential(
        nn.Conv2d(1, 4, (2, 1), bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(0.3),
        nn.Flatten(), nn.Linear(4 * 2 * 4, 5), nn.BatchNorm1d(5), nn.Linear(5, 3),
    )  # fmt: skip
    net.unused = nn.Linear(3, 2)
    net.forward = lambda x, run=nn.Sequential.forward: run(only(net), x)
    return net


def only(net):
    return nn.Sequential(*(module for name, module in net.named_children() if name != "unused"))


OPTIMIZERS = {
    "SGD": lambda groups: optim.SGD(groups, 0.05, momentum=0.9, nesterov=True),
    "Adam": lambda groups: optim.Adam(groups, 0.01),
    "AdamW": lambda groups: optim.AdamW(groups, 0.01, weight_decay=0.1),
    "RMSprop": lambda groups: optim.RMSprop(groups, 0.01, momentum=0.5, centered=True),
    "Adagrad": lambda groups: optim.Adagrad(groups, 0.05),
}


def train(look_on=(), optimizer="SGD", slots=SLOTS, epochs=EPOCHS, n=26, validate=True, **more):
    """A run with a schedule, clipping, two groups, and early stopping that watches validation.

    26 pictures in batches of 4: an epoch ends with a step of one slot of two pictures.
    """
    model = network()
    ps = list(model.parameters())
    groups = [
        {"params": [p for p in ps if p.ndim > 1], "weight_decay": 5e-4},
        {"params": [p for p in ps if p.ndim == 1], "lr_mult": 2.0},
    ]
    steps = OPTIMIZERS[optimizer](groups)
    schedule = callbacks.Schedule(optim.CosineAnnealingLR(steps, 20), every="step")
    plateau = callbacks.EarlyStopping("val_loss" if validate else "loss", patience=50)
    average = callbacks.AverageWeights(0.9)
    history = minidl.fit(
        model, DataLoader(Digits(n), 4, shuffle=True, seed=3), nn.CrossEntropyLoss(), steps, epochs,
        validation=DataLoader(Digits(8), 3) if validate else None, accumulate=slots,
        callbacks=[schedule, callbacks.ClipGradients(0.7), plateau, average, *look_on], **more,
    )  # fmt: skip
    clock = ("seconds", "images_per_second")
    history = [{k: v for k, v in entry.items() if k not in clock} for entry in history]
    return weights(model), weights(average.average), history


def assert_same(found, expected):
    for mine, theirs in zip(found[:2], expected[:2], strict=True):
        assert mine.keys() == theirs.keys()
        for name in theirs:
            assert mine[name].tobytes() == theirs[name].tobytes(), name
    assert found[2] == expected[2]


def of_chief(results):
    """What the chief's training returned; all others ended with the job."""
    (found,) = [r for r in results.values() if not isinstance(r, BaseException)]
    others = [r for r in results.values() if isinstance(r, BaseException)]
    assert all(isinstance(r, Stopped) and r.code == 0 for r in others), others
    return found


@pytest.fixture(scope="module")
def alone():
    return train()


@pytest.mark.parametrize("servers, workers", [(1, 1), (1, 2), (2, 3), (2, 4)])
def test_the_bits_are_those_of_one_process(alone, servers, workers):
    world = World(lambda name: train(), servers, workers)
    assert_same(of_chief(world.run()), alone)
    assert len({name for name, *_ in world.slots_computed}) == min(workers, SLOTS)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("slots", [1, 2])
def test_each_optimizer(optimizer, slots):
    def options(name=""):
        return train(optimizer=optimizer, slots=slots, epochs=1, validate=False)

    assert_same(of_chief(World(options, 2, 2).run()), options())


def test_a_worker_that_joins(alone):
    def faults(world, name, event):
        if isinstance(event, m.RunState) and event.step == 3 and "worker2" not in world.machines:
            world.boot("worker2")

    world = World(lambda name: train(), 1, 2, faults=faults)
    assert_same(of_chief(world.run()), alone)
    assert any(name == "worker2" for name, *_ in world.slots_computed)


class Once:
    """Does something at the first event that fits."""

    def __init__(self, fits, do):
        self.fits, self.do, self.done = fits, do, False

    def __call__(self, world, name, event):
        if not self.done and self.fits(name, event):
            self.done = True
            self.do(world, name)


def at(kind, step):
    return lambda name, event: isinstance(event, kind) and getattr(event, "step", step) == step


@pytest.mark.parametrize("kind", [m.RunState, m.SlotChunk, m.SlotDone])
@pytest.mark.parametrize("again", [False, True])
def test_a_worker_that_is_killed(alone, kind, again):
    """Before, within and after it pushed; with and without another life."""
    do = World.restart if again else World.kill
    faults = Once(lambda name, event: name != "worker0" and at(kind, 4)(name, event), do)
    world = World(lambda name: train(), 2, 3, faults=faults)
    found = world.run()
    assert faults.done
    if not again:
        found = {k: v for k, v in found.items() if v.__class__.__name__ != "Killed"}
    assert_same(of_chief(found), alone)


@pytest.mark.parametrize("step", [1, 5, 8])
def test_a_server_that_is_killed(alone, step):
    """All go back to the last checkpoint, or to the beginning, and take the same steps again."""
    faults = Once(at(m.SlotDone, step), lambda world, name: world.restart("server1"))
    world = World(lambda name: train(), 2, 2, faults=faults)
    assert_same(of_chief(world.run()), alone)
    assert faults.done and len(world.slots_computed) > EPOCHS * 7


@pytest.mark.parametrize("kind", [m.Publish, m.Doing, m.Await])
def test_a_server_that_is_killed_between_epochs(alone, kind):
    faults = Once(lambda name, event: isinstance(event, kind) and getattr(event, "state", "x"),
                  lambda world, name: world.restart("server0"))  # fmt: skip
    world = World(lambda name: train(), 2, 2, faults=faults)
    assert_same(of_chief(world.run()), alone)
    assert faults.done


def test_a_coordinator_that_is_killed(alone):
    faults = Once(at(m.SlotDone, 4), lambda world, name: world.restart("coordinator"))
    world = World(lambda name: train(), 2, 2, faults=faults)
    assert_same(of_chief(world.run()), alone)
    assert faults.done


@pytest.mark.parametrize("kind", [m.SlotDone, m.Doing, m.Publish, m.Ended])
def test_a_chief_that_is_killed(alone, kind):
    """Another worker becomes chief, wherever it is, and does what is left to be done."""
    found = Once(
        lambda name, event: name == "worker0" and isinstance(event, kind)
        and getattr(event, "state", "evaluating") == "evaluating"
        and getattr(event, "step", 5) >= 5,
        World.kill,
    )  # fmt: skip
    world = World(lambda name: train(), 2, 3, faults=found)
    results = world.run()
    assert found.done
    assert_same(of_chief({k: v for k, v in results.items() if k != "worker0"}), alone)


class Anything:
    """Kills and restarts processes now and then; a seed decides which, and when."""

    def __init__(self, seed):
        self.chance, self.left = random.Random(seed), 6

    def __call__(self, world, name, event):
        if self.left and self.chance.random() < 0.04:
            self.left -= 1
            lost = self.chance.choice(sorted(world.machines))
            world.restart(lost)


@pytest.mark.parametrize("seed", range(5))
def test_anything_may_be_killed(alone, seed):
    faults = Anything(seed)
    results = World(lambda name: train(), 2, 3, faults=faults).run()
    assert faults.left < 6
    assert_same(of_chief(results), alone)


def test_early_stopping_ends_all_at_once():
    def options(name=""):
        stop = callbacks.EarlyStopping("val_loss", patience=1, min_delta=9.0)
        return train([stop], epochs=9)

    world = World(options, 1, 2)
    found = of_chief(world.run())
    assert len(found[2]) == 2
    assert_same(found, options())


@pytest.mark.parametrize("mode", ["backup:1", "ssp:1", "async"])
def test_other_modes_learn(mode):
    """Not the same bits, but the same epochs, and every example counts once in them."""
    world = World(lambda name: train(epochs=6), 2, 3, mode=mode)
    _, _, history = of_chief(world.run())
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4, 5, 6]
    assert [entry["step"] for entry in history] == [3, 6, 9, 12, 15, 18]
    assert history[-1]["loss"] < history[0]["loss"]


def test_models_that_differ_are_told_apart():
    def other(name):
        minidl.manual_seed(0)
        hidden = 5 if name == "worker1" else 4
        return simple(nn.Sequential(nn.Flatten(), nn.Linear(12, hidden), nn.Linear(hidden, 3)))

    results = World(other, 1, 2).run()
    (stopped,) = [r for r in results.values() if isinstance(r, Stopped) and r.code]
    assert "worker1" in stopped.reason and "tensor 1.weight: shape" in stopped.reason


def test_a_checkpoint_without_the_optimizer_is_not_gone_on_with(tmp_path):
    save = callbacks.Checkpoint(tmp_path)
    World(lambda name: train([save], epochs=1), 1, 1).run()
    with pytest.raises(minidl.errors.CheckpointError, match="servers took the steps"):
        train([callbacks.Checkpoint(tmp_path / "other")], resume=save.path)


class Watch(callbacks.Callback):
    """Counts what it sees, and is seen to be called by one worker alone."""

    watches = True

    def __init__(self):
        self.seen = []

    def on_fit_start(self, run):
        self.seen.append("start")

    def on_step_end(self, run):
        self.seen.append(run.step)
        assert run.values["loss"] > 0

    def on_epoch_end(self, run):
        self.seen.append(run.metrics["val_loss"])


def test_the_chief_alone_is_watched(alone):
    watches = {f"worker{n}": Watch() for n in range(3)}
    World(lambda name: train([watches[name]]), 1, 3).run()
    seen = [watch.seen for watch in watches.values() if watch.seen]
    assert len(seen) == 1 and seen[0][0] == "start"
    assert [s for s in seen[0] if isinstance(s, int)] == list(range(1, 10))
    assert [s for s in seen[0] if isinstance(s, float)] == [e["val_loss"] for e in alone[2]]


def test_gradients_leave_while_backward_goes_on():
    """The last layer's chunks come first, before the slot is done."""
    order = []

    def faults(world, name, event):
        if isinstance(event, m.SlotChunk | m.SlotDone) and event.step == 0 and event.slot == 0:
            order.append(getattr(event, "chunk", "done"))

    def large(name):
        minidl.manual_seed(0)
        model = nn.Sequential(nn.Flatten(), *(nn.Linear(600, 600) for _ in range(3)))
        model.append(nn.Linear(600, 3))
        batches = [(minidl.randn(2, 600), minidl.tensor([0, 1]))]
        return minidl.fit(model, batches, nn.CrossEntropyLoss(), optim.SGD(model.parameters(), 0.1))

    World(large, 1, 1, faults=faults).run()
    chunks = order[:-1]
    assert order[-1] == "done" and len(chunks) > 4
    assert chunks.index(max(chunks)) < 2 and chunks.index(0) >= len(chunks) - 2


# --- scripts with a loop of their own ---------------------------------------------------------


def script(slots=SLOTS, weigh=True, **more):
    """The loop of dist/script.py's docstring, with a schedule and clipping."""
    model = network()
    optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)
    schedule = callbacks.Schedule(optim.StepLR(optimizer, 1, 0.5))
    ps = connect(model, optimizer, slots, [schedule, callbacks.ClipGradients(0.7)])
    loader = DataLoader(Digits(26), 4, shuffle=True, seed=3)
    for x, labels in ps.batches(loader, EPOCHS):
        loss = nn.functional.cross_entropy(model(x), labels)
        ps.step(loss, weight=len(labels) + 1 if weigh else None)
    clock = ("seconds", "images_per_second")
    totals = [{k: v for k, v in entry.items() if k not in clock} for entry in ps.history]
    return weights(model), {}, totals


def test_a_script_alone_is_fit():
    found = script(weigh=False)
    model = network()
    optimizer = optim.SGD(model.parameters(), 0.05, momentum=0.9)
    schedule = callbacks.Schedule(optim.StepLR(optimizer, 1, 0.5))
    minidl.fit(
        model, DataLoader(Digits(26), 4, shuffle=True, seed=3), nn.CrossEntropyLoss(), optimizer,
        EPOCHS, callbacks=[schedule, callbacks.ClipGradients(0.7)], accumulate=SLOTS,
    )  # fmt: skip
    assert_same(found, (weights(model), {}, found[2]))
    assert [entry["step"] for entry in found[2]] == [3, 6, 9]


@pytest.mark.parametrize("lost", [None, "server1", "worker1"])
def test_a_script_with_workers(lost):
    """All workers go on after the loop, with the same weights."""
    faults = Once(at(m.SlotDone, 5), lambda world, name: lost and world.restart(lost))
    results = World(lambda name: script(), 2, 2, default=SLOTS, faults=faults).run()
    expected = script()
    assert len(results) == 2 and faults.done
    for found in results.values():
        assert_same(found, expected)


def gan(together=True):
    """Two networks in one step; `together` False: by hand."""
    minidl.manual_seed(3)
    generator = nn.Sequential(nn.Linear(2, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))
    critic = nn.Sequential(nn.Linear(3, 8), nn.LeakyReLU(0.2), nn.Dropout(0.2), nn.Linear(8, 1))
    optimizers = [
        optim.Adam(generator.parameters(), 0.01, betas=(0.5, 0.9)),
        optim.Adam(critic.parameters(), 0.02),
    ]
    rng = np.random.default_rng(0)
    batches = [
        (minidl.tensor(rng.standard_normal((6, 3)).astype(np.float32)), None) for _ in range(5)
    ]

    def losses(real):
        fake = generator(minidl.randn(len(real), 2))
        return {"critic": (critic(fake.detach()) - critic(real)).mean(),
                "generator": -critic(fake).mean()}  # fmt: skip

    if together:
        ps = connect(
            {"generator": (generator, optimizers[0]), "critic": (critic, optimizers[1])}, slots=1
        )
        for real, _ in ps.batches(batches, epochs=2):
            ps.step(losses(real))
        assert [set(entry) >= {"critic", "generator"} for entry in ps.history] == [True, True]
    else:
        seed = minidl.random.new_seed()
        for step in range(10):
            minidl.random.begin(seed, step, 0)
            found = losses(batches[step % 5][0])
            found["critic"].backward()
            kept = [p.grad for p in critic.parameters()]
            found["generator"].backward()
            for p, grad in zip(critic.parameters(), kept):
                p.grad = grad
            for optimizer in optimizers:
                optimizer.step()
                optimizer.zero_grad()
    return weights(nn.ModuleDict({"generator": generator, "critic": critic})), {}, []


def test_two_networks_share_a_step():
    expected = gan(together=False)
    assert_same(gan(), expected)
    for found in World(lambda name: gan(), 2, 2).run().values():
        assert_same(found, expected)


def test_mistakes_of_scripts():
    model = nn.Linear(2, 1)
    batches = [(minidl.ones(4, 2), minidl.zeros(4, 1))] * 2

    def new():
        return connect(model, optim.SGD(model.parameters(), 0.1))

    with pytest.raises(ArgumentError, match="each batch is followed by"):
        list(new().batches(batches))
    with pytest.raises(ArgumentError, match="one step for each batch"):
        new().step(minidl.zeros(()))
    ps = new()
    next(ps.batches(batches))
    with pytest.raises(ArgumentError, match="weight is a number > 0"):
        ps.step(minidl.zeros((), requires_grad=True), weight=0)
    with pytest.raises(ArgumentError, match="trains once"):
        ps.batches(batches)
    with pytest.raises(ArgumentError, match="loader"):
        new().batches(3)
    adam = optim.Adam(nn.Linear(1, 1).parameters())
    pairs = {"a": (model, optim.SGD(model.parameters(), 0.1)), "b": (nn.Linear(1, 1), adam)}
    with pytest.raises(ArgumentError, match="of one kind"):
        connect(pairs)
    ps = connect({"a": pairs["a"]})
    next(ps.batches(batches))
    with pytest.raises(ArgumentError, match="a loss for each model"):
        ps.step({"b": minidl.zeros((), requires_grad=True)})


# --- what several machines cannot do ------------------------------------------------------------


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


REFUSED = {
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
