"""Training with servers: every weight has the bits of one process with as many slots."""

import pytest

import minidl
from minidl import callbacks, nn, optim
from minidl_dist import client as client_module
from minidl_dist import messages as m
from minidl_dist.client import Stopped
from minidl_dist.fingerprint import fingerprint
from tests.dist.in_one_process import World
from tests.dist.trainings import (
    EPOCHS,
    OPTIMIZERS,
    SLOTS,
    Anything,
    Once,
    assert_same,
    at,
    of_chief,
    train,
)


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


class TimeLimit(callbacks.Callback):
    """Ends the run of one worker after its first epoch, as a clock of its own might."""

    def __init__(self, here):
        self.here = here

    def on_epoch_end(self, run):
        if self.here:
            run.stop = True


@pytest.mark.parametrize("validate", [True, False])
def test_only_the_chief_ends_the_run_early(alone, validate):
    """Another worker that would is told which callback does it; the job goes on without it."""
    results = World(
        lambda name: train([TimeLimit(name == "worker1")], validate=validate), 1, 2
    ).run()  # fmt: skip
    error = results.pop("worker1")
    assert isinstance(error, minidl.errors.ArgumentError)
    assert "TimeLimit" in str(error) and "epoch 1" in str(error)
    assert len(of_chief(results)[2]) == EPOCHS


def test_the_chief_may_end_the_run_early_alone():
    found = of_chief(World(lambda name: train([TimeLimit(name == "worker0")]), 1, 3).run())
    assert len(found[2]) == 1


def test_a_worker_that_would_end_the_run_becomes_chief():
    """All others are gone or follow: it decides now."""
    faults = Once(
        lambda name, event: name == "worker1" and isinstance(event, m.Await)
        and event.key == "after epoch 1",
        lambda world, name: world.kill("worker0"),
    )  # fmt: skip
    world = World(lambda name: train([TimeLimit(name == "worker1")]), 1, 2, faults=faults)
    results = {k: v for k, v in world.run().items() if k != "worker0"}
    assert faults.done and len(of_chief(results)[2]) == 1


@pytest.mark.parametrize("mode", ["backup:1", "ssp:1", "async"])
def test_other_modes_learn(mode):
    """Not the same bits, but the same epochs, and every example counts once in them."""
    world = World(lambda name: train(epochs=6, clip=mode == "backup:1"), 2, 3, mode=mode)
    _, _, history = of_chief(world.run())
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4, 5, 6]
    assert [entry["step"] for entry in history] == [3, 6, 9, 12, 15, 18]
    assert history[-1]["loss"] < history[0]["loss"]


def test_the_state_is_serialized_only_where_it_is_needed():
    """At the steps that are saved; at others the training thread says only where it is."""
    told = []

    def faults(world, name, event):
        if isinstance(event, m.RunState):
            told.append((event.step, bool(event.blob)))

    World(lambda name: train(), 1, 1, faults=faults, save_every=4).run()
    assert {step for step, _ in told} == set(range(10))
    assert [step for step, has_blob in told if has_blob] == [4, 8, 9]


def test_a_checkpoint_without_the_optimizer_is_not_gone_on_with(tmp_path):
    save = callbacks.Checkpoint(tmp_path)
    World(lambda name: train([save], epochs=1), 1, 1).run()
    with pytest.raises(minidl.errors.CheckpointError, match="servers took the steps"):
        train([callbacks.Checkpoint(tmp_path / "other")], resume=save.path)


class Tells(callbacks.Callback):
    """Remembers what it saw of each epoch, as samples and alarms do."""

    watches, order = True, -10

    def __init__(self):
        self.told = []

    def on_epoch_end(self, run):
        self.told.append((run.epoch, minidl.zeros(1)) if self.order > 9 else run.epoch)

    def state_dict(self):
        return {"told": self.told}

    def load_state_dict(self, state):
        self.told = list(state["told"])


@pytest.mark.parametrize("step", [7, 9])
@pytest.mark.parametrize("validate", [True, False])
def test_what_the_chief_has_told_is_not_lost_with_it(step, validate):
    """Without a checkpoint, or a rollback that would bring it."""
    tellers = {f"worker{n}": Tells() for n in range(3)}
    faults = Once(
        lambda name, event: name == "worker0" and isinstance(event, m.RunState)
        and event.step == step, World.kill,
    )  # fmt: skip
    world = World(lambda name: train([tellers[name]], epochs=5, validate=validate), 1, 3,
                  faults=faults, save_every=0)  # fmt: skip
    results = {k: v for k, v in world.run().items() if k != "worker0"}
    chief = next(name for name, found in results.items() if not isinstance(found, Stopped))
    assert faults.done and chief != "worker0"
    assert tellers[chief].told == [1, 2, 3, 4, 5]


def test_a_watcher_whose_past_is_no_json_begins_anew():
    def tells(name):
        teller = tellers[name] = Tells()
        teller.order = 10
        return teller

    tellers = {}
    faults = Once(
        lambda name, event: name == "worker0" and isinstance(event, m.RunState)
        and event.step == 7, World.kill,
    )  # fmt: skip
    World(lambda name: train([tells(name)]), 1, 2, faults=faults, save_every=0).run()
    assert [epoch for epoch, _ in tellers["worker1"].told] == [3]


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


def test_a_chief_that_is_replaced_writes_nothing_more():
    """From the moment its node hears of it, whatever the training thread is at."""

    class Replaced(Watch):
        def on_epoch_end(self, run):
            super().on_epoch_end(run)
            world.clients["worker0"].take(m.Chief(False))

        def on_fit_end(self, run):
            self.seen.append("end")

    watches = [Replaced(), Replaced()]
    world = World(lambda name: train(watches, epochs=1), 1, 1)
    result = world.run()["worker0"]
    assert isinstance(result, Stopped) and result.code == 0
    assert len(watches[0].seen) == 1 + 3 + 1
    assert watches[1].seen == watches[0].seen[:-1]


def test_a_chief_that_was_replaced_before_it_knew_does_not_begin():
    watch = Watch()

    def faults(world, name, event):
        if isinstance(event, m.RunState) and event.step == 2:
            for is_chief in (False, True, False):  # the training thread hears of it in the end
                world.clients["worker0"].take(m.Chief(is_chief))

    world = World(lambda name: train([watch], epochs=1, validate=False), 1, 1, faults=faults)
    assert isinstance(world.run()["worker0"], Stopped)
    assert watch.seen == ["start", 1, 2]


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


@pytest.mark.parametrize("mode", ["ssp:2", "async"])
def test_there_is_no_norm_to_clip_where_slots_are_steps(mode):
    results = World(lambda name: train(), 1, 2, mode=mode).run()
    for error in results.values():
        assert isinstance(error, minidl.errors.ArgumentError), repr(error)
        assert "ClipGradients" in str(error) and mode in str(error)


def test_a_long_validation_says_that_it_goes_on(monkeypatch):
    """Or its worker would count as stuck: the coordinator looks whether anything happens."""
    monkeypatch.setattr(client_module, "PROGRESS", 0.0)
    said = []

    def look(world, name, event):
        if event == m.Doing("evaluating"):
            said.append(name)

    World(lambda name: train(), 1, 2, faults=look).run()
    assert len(said) >= EPOCHS * (1 + 3) and len(set(said)) == 1  # batches of the chief


def test_what_a_worker_is_is_looked_at_when_training_begins():
    found = []

    def look(world, name, event):
        if isinstance(event, m.Begin):
            found.append(event.fingerprint)

    with minidl.use_exact_conv(True):
        World(lambda name: train(epochs=1, validate=False), 1, 1, faults=look).run()
    (facts,) = found
    assert facts["exact_conv"] == "True" and facts["vectors"].endswith(" numbers")
    assert fingerprint()["exact_conv"] == "False"
    with minidl.use_cpu_kernels("reference"):
        assert fingerprint()["kernels"] == "reference"
