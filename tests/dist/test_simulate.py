"""Thousands of schedules of faults, and bugs that the simulator has to find."""

import pytest

import minidl
from minidl_dist import messages as m
from minidl_dist.checked import Checked, CheckedServer, Failure
from minidl_dist.coordinator import Coordinator
from minidl_dist.manifest import Collection
from minidl_dist.schedules import main, run_block
from minidl_dist.simulate import World
from minidl_dist.steps import Steps
from minidl_dist.toy import toy
from minidl_dist.window import Window
from minidl_dist.worker import Worker


@pytest.fixture(autouse=True, scope="module")
def plain_kernels():
    """Nothing here is large enough for compiled ones."""
    with minidl.use_cpu_kernels("reference"):
        yield


def first_failure(seeds, mode="sync", world=World, **classes):
    """(seed, what does not hold) of the first seed that fails, or None."""
    for seed in seeds:
        try:
            world(seed, mode, classes).run()
        except Exception as failure:
            return seed, failure
    return None


BLOCK = 50


@pytest.mark.parametrize("block", range(10))
@pytest.mark.parametrize("mode", ["sync", None], ids=["sync", "any"])
def test_a_thousand_schedules_keep_all_promises(mode, block):
    assert run_block((block * BLOCK, (block + 1) * BLOCK, mode, "none", False))[1] == []


# (seed, mode) of schedules that failed once.
ONCE_FAILED = [
    (29, "sync"), (30, "sync"), (556, None), (2859, "async"), (20_425, None), (20_942, None),
]  # fmt: skip


@pytest.mark.parametrize(("seed", "mode"), ONCE_FAILED)
def test_what_failed_once_does_not_again(seed, mode):
    assert first_failure([seed], mode) is None


@pytest.mark.slow
@pytest.mark.parametrize("block", range(6))
def test_so_do_six_thousand(block):
    """More than that by hand: python -m minidl_dist.schedules 100000 --mode any --processes 2"""
    first = 100_000 + 1000 * block
    assert run_block((first, first + 1000, None, "none", False))[1] == []


def test_what_happens_follows_from_the_seed():
    worlds = [World(7, None).run() for _ in range(2)]
    assert worlds[0].events == worlds[1].events and worlds[0].now == worlds[1].now


def test_what_fails_is_named_with_its_seed(monkeypatch, capsys):
    monkeypatch.setattr("minidl_dist.simulate.LIMIT", 2.0)
    assert main(["4", "--first", "5", "--mode", "any"]) == 1
    printed = capsys.readouterr().out
    assert "seed 5: no progress" in printed and "4 schedules" in printed


@pytest.mark.parametrize("servers", [1, 2, 3])
def test_another_number_of_servers_goes_on_from_a_checkpoint(servers):
    """A job that was cancelled in the middle; the same toy, the same disk."""
    first = World(3, "sync", faults=False, servers=2, toy=toy(7))
    first.call(1.8, first.cancel)
    first.run()
    assert first.result == ("cancelled", 0)
    assert 0 < first.disk["manifest"]["checkpoints"][-1]["step"] < first.plan.total_steps
    World(4, "sync", faults=False, servers=servers, toy=toy(7), disk=first.disk).run()


# --- planted bugs -------------------------------------------------------------------------------


class CountsRequests(Checked):
    """A repeated push is added again, as where requests are counted (MXNet, reference)."""

    def take(self, push):
        state = self.chunks[push.chunk]
        is_new = super().take(push)
        if not is_new and state.sum is not None and push.step == state.version:
            state.sum += push.values
        return is_new


class OneVersion(Checked):
    """The version before is forgotten as soon as there is a new one."""

    def weights(self, number, version):
        found = super().weights(number, version)
        return None if found is None or found[0] < self.chunks[number].version else found


class OrderOfArrival(Checked):
    """Slots are folded as they come."""

    def slots_that_count(self, step):
        slots = [slot for s, slot in self.heads if s == step]
        return slots if len(slots) == len(self.plan.slots_of(step)) else None


class SharedSnapshot(Checked):
    """A checkpoint holds the optimizer's arrays themselves, which go on changing."""

    def snapshot(self, number):
        found = super().snapshot(number)
        self.written()
        return found


class SlowDisks(World):
    """A checkpoint is still being written when the next steps are computed."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.slow_disks = dict.fromkeys(self.server_names, 50.0)


class NeverFreesStaged(Checked):
    """A contribution stays where it waited for its turn."""

    def add(self, state, slot):
        values = state.staged.get(slot)
        super().add(state, slot)
        if values is not None:
            state.staged[-1 - slot] = values  # a slot that no step has


class NeverForgetsHeads(Checked):
    def forget(self):
        pass


def with_aggregate(kind):
    return {"server": type("S", (CheckedServer,), {"aggregate_class": kind})}


class AcknowledgesFirst(CheckedServer):
    """A push is acknowledged, and then lost."""

    def from_worker(self, sender, message):
        if isinstance(message, m.Push) and message.chunk == 1 and self.folds % 7 == 3:
            self.acknowledge(sender, message, message.chunk)
        else:
            super().from_worker(sender, message)


class NoRewind(Worker):
    """A worker goes on where it is, whatever checkpoint the others go back to."""

    def reset(self):
        if getattr(self, "step", None) is None:
            super().reset()


class DropsWeights(Worker):
    """The weights of a step are given up when those of the next begin to come."""

    def compute(self):
        if not self.incoming:
            super().compute()


class MixesVersions(Worker):
    """Whatever version comes is taken."""

    def take_weights(self, server, weights):
        if self.want is not None and self.pulls[server].answered(weights.chunk, self.now):
            self.incoming[weights.chunk] = weights.values

    def fetch(self):
        """Asks for what there is, and not for the next step's."""
        super().fetch()
        for window in self.pulls.values():
            for message in window.waiting.values():
                message.version = min(message.version, self.step)


class NoRunState(Worker):
    """Who joins begins with the run's first state."""

    def join(self):
        if self.state_here is not None:
            self.state_here.blob = self.begun.blob
        super().join()


class NeverAsksAgain(Window):
    """Each request is sent once."""

    def due(self, now):
        for flight in self.flying.values():
            flight.sent = now + 1e9
        return super().due(now)


class AsksOnce(Worker):
    """And it does not say whom it waits for, or it would be started again, which heals it."""

    def waits_for(self):
        return ""

    def set_servers(self):
        for server in self.job.servers if self.job else ():
            self.pushes.setdefault(server, NeverAsksAgain())
            self.pulls.setdefault(server, NeverAsksAgain())


class TellsChangesOnly(Coordinator):
    """What is wanted is sent when it changes, not in every answer: a lost message is for ever."""

    def tell(self, name, if_news=False):
        super().tell(name, if_news=True)


class TrustsServers(Coordinator):
    """That a server was started again, and has forgotten everything, is not noticed."""

    def reset(self):
        super().reset()
        self.lives = Oblivious()


class Oblivious(dict):
    def setdefault(self, name, incarnation):
        return incarnation


class KeepsSlots(Coordinator):
    """The slots of a worker that is lost stay with it until the next step."""

    def choose_workers(self):
        hand_over, self.members.hand_over = self.members.hand_over, lambda *_: None
        try:
            return super().choose_workers()
        finally:
            self.members.hand_over = hand_over


class LowestIsChief(Coordinator):
    """The chief is always the first worker, even one that has just come."""

    def choose_workers(self):
        goes_on = super().choose_workers()
        self.members.chief = min(self.members.workers, default="")
        return goes_on


class AnyShard(Collection):
    def whole(self, step):
        return self.shards.get(step)


class ManifestFirst(Coordinator):
    """The manifest is written when the first shard is on the disk."""

    def reset(self):
        super().reset()
        self.checkpoints.collection = AnyShard(0)


class AddsNorms(Steps):
    def norm(self, server, norms):
        before = self.squares.setdefault(norms.step, {}).get(server, [])
        repeated = m.Norms(norms.generation, norms.step, before + norms.squares)
        return super().norm(server, repeated)


class DoubleNorm(Coordinator):
    """Sums of squares that come twice are added twice."""

    def roll_back(self, why):
        super().roll_back(why)
        if self.steps is not None:
            self.steps.__class__ = AddsNorms


class TakesAnyWeights(Worker):
    """The next step begins with whatever there is, however old."""

    def version_of(self, step):
        return 0


class WaitsAtTheFirst(Worker):
    """Reports are asked for again from the first that the thread has not seen. At a barrier, that
    is the same for as long as one is missing, of which an answer may not hold all."""

    def step_given(self):
        return self.given


class CountsWhatCame(Checked):
    """Each server takes the first slots that it has: shards do not agree which ones count."""

    def slots_that_count(self, step):
        came = sorted(slot for s, slot in self.heads if s == step)
        needed = self.mode.counted(self.plan, step)
        return came[:needed] if len(came) >= needed else None


# name -> what does not hold (the first word of the Failure), and the machines.
BUGS = {
    "no deduplication": ("bits", with_aggregate(CountsRequests)),
    "one version": ("versions", with_aggregate(OneVersion)),
    "folds in the order of arrival": ("bits", with_aggregate(OrderOfArrival)),
    "snapshot is not a copy": ("bits", with_aggregate(SharedSnapshot) | {"world": SlowDisks}),
    "acknowledged and lost": ("no progress", {"server": AcknowledgesFirst}),
    "a worker is not rewound": ("no progress", {"worker": NoRewind}),
    "worker drops its weights": ("no progress", {"worker": DropsWeights}),
    "worker mixes versions": ("bits", {"worker": MixesVersions}),
    "joins without the run's state": ("no progress", {"worker": NoRunState}),
    "requests are not repeated": ("no progress", {"worker": AsksOnce}),
    "edges instead of state": ("no progress", {"coordinator": TellsChangesOnly}),
    "a restart is not noticed": ("no progress", {"coordinator": TrustsServers}),
    "slots stay with the dead": ("no progress", {"coordinator": KeepsSlots}),
    "the chief changes": ("no progress", {"coordinator": LowestIsChief}),
    "manifest before shards": ("checkpoint", {"coordinator": ManifestFirst}),
    "norms are added twice": ("bits", {"coordinator": DoubleNorm}),
    "staged is never freed": ("memory", with_aggregate(NeverFreesStaged)),
    "heads are never forgotten": ("memory", with_aggregate(NeverForgetsHeads)),
}


BUGS_OF_MODES = {
    "ssp:1": ("staleness", {"worker": TakesAnyWeights}),
    "async": ("no progress", {"worker": WaitsAtTheFirst}),
    "backup:1": ("bits", with_aggregate(CountsWhatCame)),
}


@pytest.mark.parametrize("mode", BUGS_OF_MODES)
def test_so_is_one_of_a_mode(mode):
    kind, classes = BUGS_OF_MODES[mode]
    found = first_failure(range(100), mode, **classes)
    assert found is not None and str(found[1]).startswith(kind), found


@pytest.mark.parametrize("name", BUGS)
def test_a_planted_bug_is_found_within_a_hundred_seeds(name):
    kind, classes = BUGS[name]
    found = first_failure(range(100), **classes)
    assert found is not None, name
    assert isinstance(found[1], Failure) and str(found[1]).startswith(kind), found
