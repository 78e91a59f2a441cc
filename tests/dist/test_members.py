"""Who computes which slot; and that this takes no longer for many workers than for few."""

import sys

import pytest

from minidl_dist import compress
from minidl_dist import messages as m
from minidl_dist.plan import Job
from minidl_dist.worker import Worker
from tests.dist.said import beat_of, coordinator, hello, offer, sent
from tests.dist.small_plan import small_plan


def test_a_beat_that_comes_late_does_not_replace_a_newer_one():
    c = coordinator()
    for name in ("server0", "worker0"):
        c.handle(hello(name), 0.1)
    offer(c)
    beat_of(c, "server0", 0, "serving")
    beat_of(c, "worker0", 1, "computing", count=7)
    beat_of(c, "worker0", -1, "joining", count=6)
    assert c.synced() == ["worker0"]


def test_a_slot_is_computed_by_who_follows_the_steps_where_nobody_can_join():
    """ssp: whoever joins gets weights and state at a barrier only, so until then it holds none."""
    c = coordinator(mode="ssp:3", save_every=0)
    for name in ("server0", "worker0", "worker1"):
        c.handle(hello(name), 0.1)
    offer(c, batches_per_epoch=8)
    beat_of(c, "worker1", -1, "joining")
    beat_of(c, "worker0", 0, "computing")
    beat_of(c, "server0", 0, "serving")
    assert c.members.owner == {0: "worker0", 1: "worker1"} and c.steps.is_barrier()
    for slot in (0, 1):  # worker1 was in step 0 before it had to begin anew
        report = m.Report(c.generation, 0, slot, f"worker{slot}", 1.0, {})
        c.handle(m.Received(f"worker{slot}", report), 0.3)
    assert c.steps.step == 1 and not c.steps.is_barrier()
    assert c.members.owner == {0: "worker0", 1: "worker0"}


def begun(mode, *workers):
    """A coordinator whose servers are ready at 0.2 s, and these workers there."""
    c = coordinator(mode=mode, save_every=0)
    for name in ("server0", *workers):
        c.handle(hello(name), 0.1)
    offer(c)
    for name in workers:
        beat_of(c, name, -1, "joining")
    beat_of(c, "server0", 0, "serving")
    return c


def test_the_first_slots_wait_for_a_worker_for_each_where_later_ones_could_not_join():
    """In async all slots stayed with the first worker until the next barrier, often an epoch."""
    c = begun("async", "worker0")
    assert c.ready and c.members.owner == {}
    c.handle(hello("worker1"), 0.5)
    beat_of(c, "worker1", -1, "joining")
    assert c.members.owner == {0: "worker0", 1: "worker1"}


def test_they_do_not_wait_for_long():
    c = begun("async", "worker0")
    c.handle(m.Timer("tick"), 5.1)
    assert c.members.owner == {}
    beat_of(c, "server0", 0, "serving")
    c.handle(m.Timer("tick"), 5.3)
    assert c.members.owner == {0: "worker0", 1: "worker0"}


def test_where_each_step_is_a_barrier_they_wait_for_those_that_are_about_to_join():
    """Or a second worker would load its kernels when the first has loaded them, and computed."""
    assert begun("sync", "worker0").members.owner == {0: "worker0", 1: "worker0"}
    for joins in (True, False):
        c = coordinator(save_every=0)
        for name in ("server0", "worker0", "worker1"):
            c.handle(hello(name), 0.1)
        offer(c)
        beat_of(c, "worker0", -1, "joining")
        beat_of(c, "worker1", -1, "starting")
        beat_of(c, "server0", 0, "serving")
        assert c.ready and c.members.owner == {}
        if joins:
            beat_of(c, "worker1", -1, "joining")
            assert c.members.owner == {0: "worker0", 1: "worker1"}
        else:
            beat_of(c, "worker0", -1, "joining")
            c.handle(m.Timer("tick"), 5.3)
            assert c.members.owner == {0: "worker0", 1: "worker0"}


def test_a_job_that_runs_waits_for_nobody_who_starts():
    """A worker that was killed soon after the start, say, and starts again."""
    c = begun("sync", "worker0")
    beat_of(c, "worker0", 0, "computing")
    c.handle(hello("worker1"), 0.5)
    for slot in (0, 1):
        c.handle(m.Received("worker0", m.Report(c.generation, 0, slot, "worker0", 1.0, {})), 0.6)
    assert c.steps.step == 1 and set(c.members.owner.values()) == {"worker0"}


def test_who_joins_is_given_the_state_of_the_run_as_soon_as_it_is_there():
    """And not after its next Beat, a second later."""
    c = coordinator(save_every=0)
    for name in ("server0", "worker0", "worker1", "worker2"):
        c.handle(hello(name), 0.1)
    offer(c)
    beat_of(c, "worker0", -1, "joining")
    beat_of(c, "worker1", -1, "joining")
    beat_of(c, "worker2", -1, "starting")
    state = m.RunState(c.generation, 0, b"state")
    effects = c.handle(m.Received("worker0", state), 0.3)
    given = [e.to for e in effects if isinstance(e, m.Send) and e.message == state]
    assert given == ["worker0", "worker1"]
    assert sent(beat_of(c, "worker2", -1, "joining"), m.RunState) == [state]


def test_who_can_join_says_so_at_once():
    """It is known as starting, and what it waits for comes with the answer to a Beat."""
    worker, plan, job = Worker("worker0", 1), small_plan(), Job(("server0",))
    worker.handle(m.Started(), 0.0)
    worker.handle(m.Received("coordinator", m.Welcome(1, job.to_dict(), plan.to_dict())), 0.1)
    wanted = m.Wanted(1, 1, 1, 0, plan.total_steps, True, plan.hash)
    worker.handle(m.Received("coordinator", wanted), 0.1)
    begin = worker.handle(m.Begin(plan, {}, b"state"), 0.2)
    assert sent(begin, m.Hello) and not sent(begin, m.Beat)
    (beat,) = sent(worker.handle(m.Received("coordinator", wanted), 0.21), m.Beat)
    assert (beat.state, beat.generation) == ("joining", 1)
    assert not sent(worker.handle(m.Received("coordinator", wanted), 0.22), m.Beat)


def test_a_worker_that_leaves_is_not_waited_for_when_all_begin_anew():
    """It will not join the new generation: its slots go to others, and it can end at once."""
    c = coordinator()
    for name in ("server0", "worker0", "worker1"):
        c.handle(hello(name), 0.1)
    offer(c)
    for name in ("worker0", "worker1"):
        beat_of(c, name, 0, "computing")
    beat_of(c, "server0", 0, "serving")
    assert c.members.owner == {0: "worker0", 1: "worker1"}
    c.handle(hello("server0", incarnation=2), 0.3)
    beat_of(c, "worker0", -1, "leaving")
    beat_of(c, "worker1", -1, "joining")
    beat = m.Beat("server0", 2, 1, c.generation, 0, 0, "serving", 0, c.plan.hash)
    c.handle(m.Received("server0", beat), 0.4)
    assert c.members.owner == {0: "worker1", 1: "worker1"}
    assert c.wanted("worker0").stop == "asked to stop" and not c.wanted("worker1").stop


def calls(function, *arguments, **options):
    """How many Python functions are called."""
    count = 0

    def look(frame, event, argument):
        nonlocal count
        count += event == "call"

    sys.setprofile(look)
    try:
        function(*arguments, **options)
    finally:
        sys.setprofile(None)
    return count


def test_a_beat_and_a_report_cost_as_much_with_hundreds_of_workers_as_with_ten():
    costs = []
    for n in (10, 300):
        c = coordinator(save_every=0)
        for i in range(n):
            c.handle(hello(f"worker{i}"), 0.1)
        c.handle(hello("server0"), 0.1)
        offer(c, slots=n, batches_per_epoch=3 * n)
        for i in range(n):
            beat_of(c, f"worker{i}", 0, "computing")
        beat_of(c, "server0", 0, "serving")
        assert len(c.members.held) == n
        report = m.Received("worker3", m.Report(c.generation, 0, 3, "worker3", 1.0, {}))
        costs.append((
            calls(beat_of, c, "worker3", 0, "waiting", count=1, progress=1),
            calls(c.handle, report, 0.3),
            calls(beat_of, c, "worker3", 0, "waiting", count=2, progress=2),
        ))  # fmt: skip
        told = sent(beat_of(c, "worker3", 0, "waiting", count=3), m.Wanted)
        assert [wanted.slots for wanted in told] == [[]]
    assert costs[0] == costs[1]


@pytest.mark.parametrize("mode", ["sync", "backup:1"])
def test_what_a_lost_worker_had_left_of_a_slot_is_missed_in_the_next_step(mode, monkeypatch):
    """It had reported the slot; nobody got it, since it was done, and the next step waited."""
    monkeypatch.setattr(compress, "WARM_UP", 1)
    c = coordinator(mode=mode, save_every=0, compress="1bit")
    for name in ("server0", "worker0", "worker1"):
        c.handle(hello(name), 0.1)
    offer(c, slots=4, batches_per_epoch=16)
    for name in ("worker0", "worker1"):
        beat_of(c, name, -1, "joining")
    beat_of(c, "server0", 0, "serving")
    assert c.members.owner == {0: "worker0", 1: "worker1", 2: "worker0", 3: "worker1"}

    def report(step, slot, name):
        report = m.Report(c.generation, step, slot, name, 1.0, {})
        effects = c.handle(m.Received(name, report), 0.3)
        return [effect.facts for effect in effects if isinstance(effect, m.Note)]

    for step in range(2):
        for name in ("worker0", "worker1"):
            beat_of(c, name, step, "computing", given=step)
        if step == 0:
            for slot, name in c.members.owner.items():
                report(0, slot, name)
    assert c.steps.step == 1
    report(1, 1, "worker1")
    c.handle(m.Left("worker1", "signal 9"), 0.3)
    notes = [note for slot in (0, 2, 3) for note in report(1, slot, "worker0")]
    assert notes[0]["why"] == "what compression left over of slot 1 was lost with its worker"
