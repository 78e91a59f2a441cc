"""Scripts with a loop of their own: the bits of one process, however many take part."""

import numpy as np
import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl.data import DataLoader
from minidl.errors import ArgumentError
from minidl_dist import connect
from minidl_dist import messages as m
from tests.dist.in_one_process import World
from tests.dist.trainings import EPOCHS, SLOTS, Once, assert_same, at, network
from tests.training.small import Digits, weights


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
