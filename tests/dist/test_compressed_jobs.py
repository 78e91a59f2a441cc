"""Jobs whose gradients are compressed: a fault changes no bit of theirs, either.

The oracle is one process in which each slot's gradients are packed and unpacked (packed.py).
"""

from dataclasses import replace

import pytest

import minidl
from minidl import callbacks
from minidl.training import slots
from minidl_dist import compress
from minidl_dist import coordinator as coordinator_module
from minidl_dist import messages as m
from minidl_dist.checked import CheckedServer, Failure
from minidl_dist.client import Stopped
from minidl_dist.coordinator import Coordinator
from minidl_dist.simulate import World as SimulatedWorld
from minidl_dist.toy import toy
from tests.dist.in_one_process import Killed, World
from tests.dist.packed import Packed
from tests.dist.trainings import Anything, Once, assert_same, at, of_chief, train

EVERY = 4
STATEFUL = ["1bit", "topk:0.2"]
ALL = ["bf16", *STATEFUL]


@pytest.fixture(autouse=True)
def all_is_small(monkeypatch):
    """Networks and toys have some dozens of elements, and trainings ten steps."""
    for name, value in {"SMALL": 2, "BLOCK": 8, "TOP_BLOCK": 6, "WARM_UP": 1}.items():
        monkeypatch.setattr(compress, name, value)


def alone(scheme, **options):
    of = Packed(scheme, EVERY)
    slots.use(of)
    try:
        found = train(**options)
    finally:
        slots.use(None)
    assert of.packed
    return found


def world(scheme, *counts, faults=None, mode="sync", **options):
    return World(
        lambda name: train(**options), *counts, faults=faults, mode=mode, compress=scheme,
        save_every=EVERY,
    )  # fmt: skip


def rollbacks(made):
    return sum("compression left over" in note.get("why", "") for note in made.notes)


@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("servers, workers", [(1, 1), (2, 3)])
def test_the_bits_are_those_of_one_process(scheme, servers, workers):
    assert_same(of_chief(world(scheme, servers, workers).run()), alone(scheme))


def test_they_are_not_those_without_compression():
    plain = train()
    for scheme in ALL:
        with pytest.raises(AssertionError):
            assert_same(alone(scheme), plain)


@pytest.mark.parametrize("scheme", ALL)
def test_each_optimizer_and_one_slot(scheme):
    options = {"optimizer": "Adam", "slots": 1, "epochs": 1}
    assert_same(of_chief(world(scheme, 2, 2, **options).run()), alone(scheme, **options))


@pytest.mark.parametrize("scheme", ["bf16", "1bit"])
@pytest.mark.parametrize("kind", [m.RunState, m.SlotChunk, m.SlotDone])
@pytest.mark.parametrize("again", [False, True])
def test_a_worker_that_is_killed_with_residuals(scheme, kind, again):
    """All go back to the checkpoint before, where there were none; bf16 has none."""
    faults = Once(
        lambda name, event: name == "worker1" and at(kind, 6)(name, event),
        World.restart if again else World.kill,
    )  # fmt: skip
    made = world(scheme, 2, 3, faults=faults)
    results = {name: found for name, found in made.run().items() if type(found) is not Killed}
    assert faults.done and rollbacks(made) == (scheme != "bf16")
    assert_same(of_chief(results), alone(scheme))


@pytest.mark.parametrize("kind", [m.SlotChunk, m.SlotDone])
def test_a_worker_that_is_killed_without_residuals_costs_no_rollback(kind):
    """In the step after a checkpoint: who computes its slot again finds the same bits."""
    faults = Once(lambda name, event: name == "worker1" and at(kind, 4)(name, event), World.kill)
    made = world("1bit", 2, 3, faults=faults)
    results = {name: found for name, found in made.run().items() if type(found) is not Killed}
    assert faults.done and not rollbacks(made)
    assert_same(of_chief(results), alone("1bit"))


@pytest.mark.parametrize("scheme", STATEFUL)
@pytest.mark.parametrize("name", ["server1", "coordinator"])
def test_a_server_or_the_coordinator_that_is_killed(scheme, name):
    faults = Once(at(m.SlotDone, 6), lambda world, _: world.restart(name))
    made = world(scheme, 2, 2, faults=faults)
    assert_same(of_chief(made.run()), alone(scheme))
    assert faults.done


def test_a_worker_that_joins_gets_slots_where_nothing_is_left_over():
    def faults(world, name, event):
        if isinstance(event, m.RunState) and event.step == 2 and "worker2" not in world.machines:
            world.boot("worker2")

    made = world("1bit", 1, 2, faults=faults, epochs=4)
    assert_same(of_chief(made.run()), alone("1bit", epochs=4))
    assert min(step for name, step, _ in made.slots_computed if name == "worker2") % EVERY == 0
    assert not rollbacks(made)


@pytest.mark.parametrize("seed", range(5))
def test_anything_may_be_killed(seed):
    results = world("1bit", 2, 3, faults=Anything(seed)).run()
    assert_same(of_chief(results), alone("1bit"))


@pytest.mark.parametrize("scheme", STATEFUL)
@pytest.mark.parametrize("mode", ["backup:1", "ssp:1", "async"])
def test_other_modes_learn(scheme, mode):
    made = world(scheme, 2, 3, mode=mode, epochs=6, clip=mode == "backup:1")
    _, _, history = of_chief(made.run())
    assert [entry["step"] for entry in history] == [3, 6, 9, 12, 15, 18]
    assert history[-1]["loss"] < history[0]["loss"]


class Nan(callbacks.Callback):
    """A gradient that is not finite, in one slot of one step."""

    def __init__(self, at):
        self.at = at

    def on_loss(self, run):
        if run.step == self.at:
            run.loss = run.loss * float("nan")


@pytest.mark.parametrize("scheme", ALL)
def test_a_gradient_that_is_not_finite_is_named_as_without_compression(scheme):
    results = world(scheme, 1, 2, look_on=[Nan(2)]).run()
    for error in results.values():
        assert isinstance(error, Stopped) and "a gradient is not finite: worker" in str(error)


# --- simulated ----------------------------------------------------------------------------------


def longer(seed):
    """A toy with some more steps between two checkpoints."""
    found = toy(seed % 300)
    plan = replace(found.plan, epochs=3 * found.plan.epochs)
    return replace(found, plan=plan, last_epoch=99, cache={})


def first_failure(seeds, scheme, mode="sync", coordinator=Coordinator):
    classes = {"server": CheckedServer, "coordinator": coordinator}
    for seed in seeds:
        simulated = SimulatedWorld(seed, mode, classes, toy=longer(seed), compress=scheme)
        with minidl.use_cpu_kernels("reference"):
            try:
                simulated.run()
            except Failure as failure:
                return seed, failure
    return None


@pytest.mark.parametrize("scheme", ALL)
def test_faults_change_no_bit(scheme):
    assert first_failure([29, 68, *range(5)], scheme) is None


@pytest.mark.parametrize("mode", ["backup:1", "ssp:1", "async"])
def test_nothing_hangs_or_contradicts_itself_in_other_modes(mode):
    assert first_failure(range(5), "1bit", mode) is None


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ALL)
@pytest.mark.parametrize("mode", ["sync", "backup:1", "ssp:1", "async"])
def test_nothing_does_in_more_schedules(scheme, mode):
    assert first_failure(range(1000, 1025), scheme, mode) is None


class GoesOnWithoutResiduals(Coordinator):
    """A slot whose worker was lost goes to another, as where nothing is compressed."""

    has_residuals = False


class ForgetsThatItWasLost(Coordinator):
    """A worker that comes again is taken for the one before."""

    def lose(self, name, why):
        scheme, self.scheme = self.scheme, compress.Scheme()
        super().lose(name, why)
        self.scheme = scheme


@pytest.mark.parametrize("bug", [GoesOnWithoutResiduals, ForgetsThatItWasLost])
def test_planted_bugs_of_the_coordinator_are_found(bug):
    found = first_failure([29, 68], "1bit", coordinator=bug)
    assert found is not None and str(found[1]).startswith(("bits", "run", "no progress", "worker"))


def test_slots_that_are_dealt_in_every_step_are_found(monkeypatch):
    monkeypatch.setattr(coordinator_module, "is_clear", lambda *_: True)
    assert "bits" in str(first_failure(range(12), "1bit"))


def test_residuals_that_no_checkpoint_has_are_found(monkeypatch):
    monkeypatch.setattr(compress.Codec, "is_whole", lambda *_: False)
    assert "bits" in str(first_failure([18, 23], "1bit"))
