"""Single machines: what they refuse, notice and say. What they do together is in test_simulate."""

from dataclasses import replace

import pytest

import minidl
from minidl_dist import messages as m
from minidl_dist.checksum import checksum
from minidl_dist.coordinator import Coordinator
from minidl_dist.plan import Job
from minidl_dist.server import Server
from minidl_dist.simulate import World
from minidl_dist.toy import toy
from minidl_dist.worker import Worker
from tests.dist.said import beat_of, coordinator, hello, offer, sent
from tests.dist.small_plan import push, small_plan, values


@pytest.fixture(autouse=True, scope="module")
def plain_kernels():
    with minidl.use_cpu_kernels("reference"):
        yield


def test_another_version_is_refused():
    (refused,) = sent(coordinator().handle(hello(version=99), 0.1), m.Refused)
    assert "version" in refused.rule and refused.received == {"yours": 99, "the job's": m.VERSION}


def test_a_model_that_differs_is_refused_by_the_name_of_the_tensor():
    c = coordinator()
    for name in ("worker0", "worker1"):
        c.handle(hello(name), 0.1)
    assert not sent(offer(c), m.Refused)
    other = {**small_plan().to_dict()}
    other["tensors"] = [other["tensors"][0], {**other["tensors"][1], "shape": [7]}]
    (refused,) = sent(c.handle(m.Received("worker1", m.Offer(other)), 0.2), m.Refused)
    assert "worker1" in refused.rule and "tensor b: shape" in refused.received["first difference"]
    assert c.stop is None


def test_more_servers_than_chunks_end_the_job():
    c = Coordinator(Job(tuple(f"server{i}" for i in range(9))))
    c.is_open = True
    c.handle(hello(), 0.1)
    (refused,) = sent(offer(c), m.Refused)
    assert refused.received == {"servers": "9", "chunks": "2"} and c.stop[1] == 2


def test_machines_that_differ_are_told_of_or_refused():
    for strict in (False, True):
        c = coordinator(strict=strict)
        c.handle(hello("worker0"), 0.1)
        effects = c.handle(hello("worker1", fingerprint={"numpy": "2.2"}), 0.1)
        assert bool(sent(effects, m.Refused)) is strict
        if not strict:
            (note,) = [e.facts for e in effects if isinstance(e, m.Note) and "alarm" in e.facts]
            assert note["numpy"] == "2.2; worker0: 2.1"


def test_a_newer_coordinator_ends_an_older_one():
    (end,) = coordinator().handle(hello(token=2), 0.1)
    assert end == m.Exit(1, "another coordinator has taken over")
    c = Coordinator(Job(("server0",)))
    (end,) = c.handle(m.Stored("manifest", m.CLAIM, error=m.FENCED), 0.0)
    assert isinstance(end, m.Exit) and end.code == 1


def test_what_an_earlier_life_said_is_not_heard():
    c = coordinator()
    c.handle(hello(incarnation=5), 0.1)
    assert c.handle(hello(incarnation=4), 0.2) == []
    beat = m.Beat("worker0", 4, 1, 0, 0, -1, "starting", 0, "")
    (wanted,) = sent(c.handle(m.Received("worker0", beat), 0.3), m.Wanted)
    assert wanted.hello


@pytest.mark.parametrize("missing", ["server0", "worker"])
def test_a_job_does_not_wait_for_ever(missing):
    c = coordinator(missing=5.0)
    for second in range(8):
        if missing != "server0":
            c.handle(hello("server0"), second)
        if missing != "worker":
            c.handle(hello("worker0"), second)
        c.handle(m.Timer("tick"), second)
    assert missing in c.stop[0] and c.stop[1] == 1


def test_a_lost_server_has_its_time_to_come_back_however_old_the_job_is():
    c = coordinator(missing=120.0)
    c.handle(hello("server0"), 1000.0)
    c.handle(hello("worker0"), 1000.0)
    c.handle(m.Left("server0", "signal 9"), 1000.0)
    for now in (1000.25, 1119.0, 1121.0):
        assert c.stop is None
        c.handle(hello("worker0"), now)
        c.handle(m.Timer("tick"), now)
    assert "server0 is missing" in c.stop[0]


def test_nobody_speaks_in_the_name_of_another():
    c = coordinator()
    for name in ("server0", "worker0", "worker1"):
        c.handle(hello(name), 0.1)
    offer(c)
    before = c.wanted("worker0")
    for wrong in (
        m.Hello("server", "server0", 99, 0, "tcp://evil:1", "K" * 40, m.VERSION, {}, ""),
        m.Hello("server", "worker0", 1, 0, "tcp://evil:1", "K" * 40, m.VERSION, {}, ""),
        m.Beat("worker1", 1, 1, c.generation, 0, 4, "done", 0, ""),
        m.Bye("worker1", "gone"),
        m.Report(c.generation, 0, 0, "worker1", 1.0, {}),
        m.Saved(c.generation, 0, "shard", "sha", [0, 1]),
    ):
        effects = c.handle(m.Received("worker0", wrong), 0.2)
        assert not sent(effects, object)
    assert c.wanted("worker0") == before and c.disowned == 6
    assert "worker1" in c.members.workers and not c.steps.reports


def test_a_server_that_is_lost_while_it_is_given_first_values_takes_all_back():
    """Not one Beat of its first life came, but it had acknowledged values."""
    c = coordinator()
    for name in ("server0", "worker0"):
        c.handle(hello(name), 0.1)
    offer(c)
    generation = c.generation
    c.handle(m.Left("server0", "signal 9"), 0.2)
    c.handle(hello("server0", incarnation=2), 0.3)
    assert c.generation == generation + 1
    c.handle(hello("server0", incarnation=2), 0.4)
    assert c.generation == generation + 1


def test_so_does_one_that_was_never_known_but_heard_of_the_generation():
    """It was there before this coordinator, and its Hello was lost, but a Beat was answered."""
    c = coordinator()
    c.handle(hello("worker0"), 0.1)
    offer(c)
    generation = c.generation
    (answer,) = sent(beat_of(c, "server0", -1, "empty"), m.Wanted)
    assert answer.hello and answer.generation == generation
    c.handle(hello("server0", incarnation=2), 0.3)
    assert c.generation == generation + 1


def test_damaged_and_foreign_values_do_no_harm():
    s = Server("server0", 1)
    job, plan = Job(("server0",)), small_plan()
    s.handle(m.Received("coordinator", m.Welcome(1, job.to_dict(), plan.to_dict())), 0.0)
    wanted = m.Wanted(1, 1, 1, 0, 6, False, plan.hash)
    s.handle(m.Received("coordinator", wanted), 0.0)
    for chunk, numbers in ((0, (0, 0, 0, 0)), (1, (1, 1))):
        first = m.Initial(1, chunk, checksum(values(*numbers)), values(*numbers))
        s.handle(m.Received("worker0", first), 0.0)
    assert s.phase == "serving"

    def answers(message):
        return [e.message for e in s.handle(m.Received("worker0", message), 1.0)
                if isinstance(e, m.Send)]  # fmt: skip

    damaged = push(0, (2, 0))
    damaged.values[0] = 3
    assert answers(damaged) == []  # it will come again
    assert isinstance(answers(push(0, (2, 0), chunk=7))[0], m.Refused)
    assert isinstance(answers(push(0, (1, 2, 3)))[0], m.Refused)
    assert answers(push(0, (2, 0), step=3)) == []
    assert answers(m.Push(**{**vars(push(0, (2, 0))), "generation": 9})) == [m.Stale(1)]
    assert answers(push(0, (2, 0))) == [m.Ack(1, 0, 0, 1)]
    first, second = answers(push(0, (5, 0)))
    assert isinstance(first, m.Failed) and first.received["worker"] == "worker0"
    assert isinstance(second, m.Refused) and "not deterministic" in second.rule
    for chunk in range(1000):
        assert isinstance(answers(m.Pull(1, 1, chunk)), list)
    assert set(s.parked) <= {0, 1}


def test_a_worker_whose_thread_raised_says_why():
    w = Worker("worker0", 1)
    effects = w.handle(m.Crashed("MemoryError"), 0.0)
    assert m.Exit(1, "MemoryError") in effects and sent(effects, m.Bye)


def run_of(number, **job):
    world = World(1, "sync", faults=False, servers=1, toy=toy(number))
    world.job = Job(**{**world.job.to_dict(), "servers": world.server_names, **job})
    for process in world.nodes.values():
        if process.name == "coordinator":
            process.machine = Coordinator(world.job)
    return world


def test_disks_of_different_speed_save_the_same_steps():
    """One takes as long as several steps; all files that are in no checkpoint are deleted."""
    number = next(n for n in range(300) if toy(n).plan.total_steps >= 9 and not toy(n).nan
                  and len(toy(n).plan.chunks) > 1 and toy(n).last_epoch == 99)  # fmt: skip
    world = World(1, "sync", faults=False, servers=2, toy=toy(number))
    world.job = Job(**{**world.job.to_dict(), "servers": world.server_names, "save_every": 1})
    world.nodes["coordinator"].machine = Coordinator(world.job)
    world.slow_disks["server1"] = 10.0
    steps, most = set(), 0
    look = world.happens

    def happens(process, what):
        nonlocal most
        look(process, what)
        manifest = world.disk.get("manifest", {"checkpoints": []})
        steps.update(entry["step"] for entry in manifest["checkpoints"])
        most = max(most, len([name for name in world.disk if name.startswith("shard")]))

    world.happens = happens
    world.run()
    between = steps - {0, world.plan.total_steps}
    assert len(between) >= 2 and most <= 2 * (3 + 1) + 2, (steps, most)
    left = [name for name in world.disk if name.startswith("shard")]
    assert len(left) == 2 * len(world.disk["manifest"]["checkpoints"])


def two_servers(**job):
    c = coordinator(("server0", "server1"), **job)
    for name in ("server0", "server1", "worker0"):
        c.handle(hello(name), 0.0)
    offer(c)
    return c


def saved(c, server, error=""):
    file = f"shard-{c.generation}-0-{server}"
    chunks = [] if error else [int(server[-1])]
    return m.Received(server, m.Saved(c.generation, 0, file, "sha", chunks, error))


FULL = "no space left on device"


def test_a_step_that_cannot_be_saved_is_given_up_and_its_files_are_deleted_once_it_is_over():
    c = two_servers(save_every=2)
    assert c.wanted("server0").save == 0
    shard = saved(c, "server0")
    c.handle(shard, 0.1)
    removed = m.Remove([shard.message.file])
    effects = c.handle(saved(c, "server1", FULL), 0.2)
    assert c.wanted("server0").save == 2
    assert removed not in effects + c.handle(shard, 0.2)  # the training may end here
    reports = [m.Report(c.generation, 0, slot, "worker0", 1.0, {}) for slot in (0, 1)]
    effects = [c.handle(m.Received("worker0", report), 0.3) for report in reports]
    assert removed in effects[1] and removed not in effects[0]
    assert removed in c.handle(shard, 0.3)  # said again, or of an older generation
    g = c.generation
    for generation, file in ((g, "manifest"), (g + m.GENERATIONS, "")):  # a newer coordinator's
        foreign = m.Saved(generation, 0, file or f"shard-{generation}-0-server0", "sha", [0])
        assert not c.handle(m.Received("server0", foreign), 0.3)


def test_a_step_that_was_given_up_can_still_be_the_last():
    """One server has written its shard and will not write it again; the other's disk was full."""
    c = two_servers(save_every=2)
    effects = c.handle(m.Received("worker0", m.RunState(c.generation, 0, b"run")), 0.1)
    effects += c.handle(saved(c, "server0"), 0.1)
    effects += c.handle(saved(c, "server1", FULL), 0.2)
    for server in ("server0", "server1"):
        beat_of(c, server, 0, "serving")
    effects += beat_of(c, "worker0", 0, "done")
    assert c.until == 0
    effects += c.handle(saved(c, "server0"), 0.3)
    effects += c.handle(saved(c, "server1"), 0.4)
    assert not any(isinstance(effect, m.Remove) for effect in effects)
    (run,) = [effect for effect in effects if isinstance(effect, m.Store)]
    (manifest,) = c.handle(m.Stored(run.name, "run"), 0.5)
    assert len(manifest.value["checkpoints"][-1]["files"]) == 2


def test_a_checkpoint_that_was_on_its_way_when_all_went_back_is_gone_on_from():
    c = Coordinator(Job(("server0",), save_every=1))
    c.is_open = True
    for name in ("server0", "worker0"):
        c.handle(hello(name), 0.0)
    offer(c)
    g = c.generation
    c.handle(m.Received("worker0", m.RunState(g, 0, b"run")), 0.1)
    c.handle(m.Received("server0", m.Saved(g, 0, f"shard-{g}-0-server0", "sha", [0, 1])), 0.1)
    c.handle(m.Stored(f"run-{g}-0", "run"), 0.2)  # the manifest is on its way
    assert c.handle(hello("server0", incarnation=2), 0.3) and c.base is None
    c.handle(m.Stored("manifest", "manifest"), 0.4)
    assert c.generation == g + 2 and c.base.step == 0
    state = m.Beat("server0", 2, 0, c.generation, 0, -1, "failed", 0, c.plan.hash)
    c.base = None  # as if that had been missed
    c.handle(m.Received("server0", state), 0.5)
    assert c.generation == g + 3 and c.base.step == 0


def test_the_run_state_of_an_older_generation_is_not_waited_for():
    c = Coordinator(Job(("server0",), save_every=1))
    c.is_open = True
    for name in ("server0", "worker0"):
        c.handle(hello(name), 0.0)
    offer(c)
    g = c.generation
    for step in range(100):  # only that of a step that somebody may need is kept
        c.handle(m.Received("worker0", m.RunState(g, step, b"run")), 0.1)
    assert set(c.states) == {0, c.plan.total_steps}
    c.handle(m.Received("server0", m.Saved(g, 0, f"shard-{g}-0-server0", "sha", [0, 1])), 0.1)
    assert c.checkpoints.writing
    c.handle(hello("server0", incarnation=2), 0.2)
    assert c.checkpoints.writing is None
    assert m.Remove([f"run-{g}-0"]) in c.handle(m.Stored(f"run-{g}-0", "run"), 0.3)


def test_a_job_that_is_stopped_waits_until_it_knows_how_far_everybody_is():
    """Async: one is further than it is known to be, and what it did must not be done again."""
    c = coordinator(mode="async", save_every=0)
    for name in ("server0", "worker0", "worker1"):
        c.handle(hello(name), 0.1)
    offer(c, epochs=9, batches_per_epoch=20)
    g = c.generation

    def beat(name, number, step):
        state = "serving" if name == "server0" else "computing"
        message = m.Beat(name, 1, 1, g, number, step, state, 0, c.plan.hash)
        return c.handle(m.Received(name, message), 0.2)

    for name in ("server0", "worker0", "worker1"):
        beat(name, 0, 0)
    held = c.handle(m.StopAsked("cancelled"), 0.3)
    assert c.stop is None and all(w.hold and w.until == 90 for w in sent(held, m.Wanted))
    number = max(w.number for w in sent(held, m.Wanted))
    beat("worker0", number, 1)
    beat("worker1", number - 2, 1)  # it has not heard of it
    assert c.hold and c.until == 90
    beat("worker1", number, 4)
    assert not c.hold and c.until == 5


def test_only_the_chief_of_this_generation_publishes():
    c = coordinator()
    for name in ("server0", "worker0", "worker1"):
        c.handle(hello(name), 0.1)
    offer(c)
    g = c.generation
    for name, step in (("server0", 0), ("worker0", 0), ("worker1", 0)):
        state = "serving" if name == "server0" else "computing"
        beat = m.Beat(name, 1, 1, g, 0, step, state, 0, c.plan.hash)
        c.handle(m.Received(name, beat), 0.2)
    assert c.members.chief == "worker0"
    old, new = (
        m.Publish(f"{g - 1} epoch 1", {"loss": 1.0}),
        m.Publish(f"{g} epoch 1", {"loss": 2.0}),
    )
    other = m.Publish(f"{g} epoch 1", {"loss": 3.0})
    assert not c.handle(m.Received("worker0", old), 0.3)
    assert not c.handle(m.Received("worker1", other), 0.3)
    assert not c.published
    assert sent(c.handle(m.Received("worker0", new), 0.4), m.Published)
    (answer,) = sent(c.handle(m.Received("worker1", other), 0.5), m.Published)
    assert answer.value == {"loss": 2.0} and c.published == {new.key: new.value}


def test_nobody_waits_for_a_coordinator_for_ever():
    job, plan = Job(("server0",), missing=20.0), small_plan()
    for machine in (Server("server0", 1), Worker("worker0", 1)):
        welcome = m.Welcome(1, job.to_dict(), plan.to_dict())
        machine.handle(m.Received("coordinator", welcome), 0.0)
        ends = []
        for tick in range(130):
            now = tick / 4 + 100.0 * (tick > 40)  # stopped and continued meanwhile
            ends += [(now, e) for e in machine.handle(m.Timer("tick"), now)
                     if isinstance(e, m.Exit)]  # fmt: skip
        assert 130.0 < ends[0][0] < 131.0 and "the coordinator for 20 s" in ends[0][1].reason


def test_a_job_in_which_all_wait_says_who_for_whom():
    c = coordinator(missing=20.0)
    for name in ("server0", "worker0"):
        c.handle(hello(name), 0.1)
    offer(c)
    for tick in range(1, 100):
        for name, state in (("server0", "serving"), ("worker0", "waiting")):
            beat = m.Beat(name, 1, 1, c.generation, 0, 0, state, 0, c.plan.hash)
            c.handle(m.Received(name, beat), tick / 4)
        c.handle(m.Timer("tick"), tick / 4)
    assert "nothing has happened for 20 s" in c.stop[0] and c.stop[1] == 1
    assert "worker0: waiting, step 0" in c.stop[0] and "0 of worker0" in c.stop[0]


@pytest.mark.parametrize("ways", [1, 2])
def test_a_worker_that_does_not_reach_a_server_is_named_and_replaced(ways):
    world = run_of(5)
    world.boot("worker7")
    name = next(name for name in world.nodes if name.startswith("worker"))
    links = [(name, "server0"), ("server0", name)]
    world.is_rough, world.cut = True, dict.fromkeys(links[:ways], 8.0)
    world.calm_at = 8.0
    world.run()
    why = next(facts["why"] for _, _, facts in world.notes if facts["what"] == "stuck")
    assert why == f"{name} gets no answer from server0"


def test_nan_stops_the_job_and_names_worker_and_tensor():
    number = next(n for n in range(300) if toy(n).nan)
    world = run_of(number, on_nan="stop")
    with pytest.raises(Exception, match=r"a gradient is not finite: worker\d, step \d+.*t0"):
        world.run()


def test_a_thread_that_hangs_is_noticed_and_replaced():
    world = run_of(5)
    world.call(0.6, world.hang)
    world.run()
    assert any(facts["what"] == "stuck" for _, _, facts in world.notes)


def slow_lines(world):
    """4 kB a second for each process; a message is 100 bytes and its values."""
    world.is_rough, world.rates = True, dict.fromkeys(world.nodes, 4000.0)


def slow_disks(world):
    world.slow_disks = dict.fromkeys(("coordinator", "server0"), 40.0)


def full_disks(world):
    world.full_disks = dict.fromkeys(("coordinator", "server0"), 10.0)


def straggler(world):
    name = next(name for name in world.nodes if name.startswith("worker"))
    world.nodes[name].trainer.pace = 20.0


@pytest.mark.parametrize("slow", [slow_lines, slow_disks, full_disks, straggler])
def test_nobody_is_believed_dead_who_is_only_slow(slow):
    world = run_of(7)
    world.boot("worker8")
    slow(world)
    world.run()
    assert world.result == ("finished", 0)
    over = next(i for i, note in enumerate(world.notes) if note[2]["what"] == "over")
    assert [note for note in world.notes[:over] if note[2]["what"] in ("lost", "stuck")] == []


@pytest.mark.parametrize("mode", ["ssp:3", "async"])
def test_many_reports_that_are_lost_before_a_barrier_come_again(mode):
    """Of more steps than one answer to a Beat holds. All waited for each other."""
    short = toy(next(n for n in range(300) if toy(n).plan.slots > 1 and not toy(n).nan))
    plan = replace(short.plan, batches_per_epoch=40 * short.plan.slots, epochs=2)
    world = World(1, mode, faults=False, servers=1, toy=replace(short, plan=plan, cache={}))
    world.job = replace(world.job, save_every=0)
    machine = world.nodes["coordinator"].machine = Coordinator(world.job)
    send, lost = world.send, set()

    def lose_some(process, to, message):
        if type(message) is m.StepDone and message.step > 2 and machine.steps.step < 40:
            lost.add(message.step)
        else:
            send(process, to, message)

    world.send = lose_some
    world.run()
    assert world.result == ("finished", 0) and lost >= set(range(3, 39))


def test_where_every_fourth_message_is_lost_nobody_is_believed_dead():
    """Requests were repeated so rarely that workers were given up; jobs took twice as long."""
    for number in range(8):
        world = run_of(number, dead=10.0, beat=1.0, limits={})
        world.is_rough, world.chances["drop"] = True, 0.25
        world.run()
        assert world.result == ("finished", 0)
        assert [note for note in world.notes if note[2]["what"] == "stuck"] == []


def test_all_are_killed_and_another_number_of_servers_goes_on():
    """At the start, while first values are sent, and in the middle of a step."""
    for at in (0.55, 1.5, 2.0):
        world = run_of(7)
        world.call(at, world.resize)
        world.run()
        assert world.lives["coordinator"] == 2 and world.result == ("finished", 0)


def test_a_server_that_saves_a_step_once_more_still_knows_the_one_before():
    """It forgot that it had saved step 0, was asked again, could not, and swept the shard away."""
    server = Server("server0", 1)
    good, bad = (m.Saved(server.generation, 9, "shard-9", "sha", [0], e) for e in ("", "disk full"))
    server.tell_saved(m.Saved(server.generation, 0, "shard-0", "sha", [0], ""))
    server.tell_saved(bad)
    server.tell_saved(good)
    assert {step: saved.file for step, saved in server.saved.items()} == {
        0: "shard-0",
        9: "shard-9",
    }
