"""How a job, or a question to it, ends where the other side is in no order."""

import asyncio
import io
import shlex
import sys
from pathlib import Path

import numpy as np

from minidl_dist import messages as m
from minidl_dist.launch.local import Local
from minidl_dist.launch.spec import SERVER, Launch
from minidl_dist.launch.supervisor import Supervisor
from minidl_dist.plan import Job
from minidl_dist.remote import PATIENCE, Question
from minidl_dist.server import Server
from minidl_dist.wire import encode
from tests.dist.said import coordinator, hello, offer, sent
from tests.dist.small_plan import small_plan


def test_an_error_with_long_facts_can_be_told_to_all():
    """Each fact fits into a message; the reason that is made of all of them did not."""
    c = coordinator()
    c.handle(hello(), 0.1)
    facts = {f"fact {n}": "x" * 60_000 for n in range(3)}
    effects = c.handle(m.Received("worker0", m.Failed("the data are torn", facts)), 0.2)
    (wanted,) = sent(effects, m.Wanted)
    assert wanted.stop.startswith("the data are torn\n  fact 0") and wanted.code == 1
    assert encode(wanted, m.COORDINATOR)


def test_a_job_goes_on_for_as_long_as_reports_come():
    """Of steps that were computed long ago, while all wait at a barrier: links were cut."""
    c = coordinator(missing=20.0, mode="async")
    for name in ("server0", "worker0"):
        c.handle(hello(name), 0.1)
    offer(c, batches_per_epoch=60)
    for tick in range(1, 200):
        for name, state in (("server0", "serving"), ("worker0", "waiting")):
            beat = m.Beat(name, 1, 1, c.generation, 0, 30, state, 0, c.plan.hash)
            c.handle(m.Received(name, beat), tick / 4)
        if tick % 60 == 1:
            report = m.Report(c.generation, tick // 60, 0, "worker0", 1.0, {"loss": 1.0})
            c.handle(m.Received("worker0", report), tick / 4)
        c.handle(m.Timer("tick"), tick / 4)
        assert c.stop is None


def test_a_bad_link_does_not_fill_the_log():
    """Each message that is dropped is counted, and the first is noted."""
    server = Server("server0", 1)
    plan = small_plan()
    welcome = m.Welcome(1, Job(("server0",)).to_dict(), plan.to_dict())
    server.handle(m.Received(m.COORDINATOR, welcome), 0.0)
    wanted = m.Wanted(1, 1, 1, 0, plan.total_steps, False, plan.hash)
    server.handle(m.Received(m.COORDINATOR, wanted), 0.0)
    notes = []
    for _ in range(5):
        chunk = plan.chunks[0]
        initial = m.Initial(1, 0, 7, np.zeros(chunk.size, chunk.dtype))
        effects = server.handle(m.Received("worker0", initial), 0.1)
        notes += [effect.facts["what"] for effect in effects if isinstance(effect, m.Note)]
    assert notes == ["damaged on the way: ignored"]
    assert server.all_troubles() == {"ignored": 5}


def test_a_job_that_is_reached_and_says_nothing_is_not_asked_for_ever():
    question, now, asked = Question("status"), 100.0, 0
    effects = question.handle(m.Started(), now)
    while not any(isinstance(effect, m.Exit) for effect in effects):
        asked += len(sent(effects, m.Query))
        now += next(effect.after for effect in effects if isinstance(effect, m.SetTimer))
        assert now < 100 + 3 * PATIENCE
        effects = question.handle(m.Timer("again"), now)
    assert effects[0].code == 1 and "does not answer" in effects[0].reason and asked > 5


# --- a server that has not reached the coordinator yet ------------------------------------------


class Held(Local):
    """Lets a server begin when a file is there."""

    def __init__(self, file):
        super().__init__()
        self.file = file

    async def start(self, name, role, threads):
        if role != SERVER:
            return await super().start(name, role, threads)
        begin = shlex.join(["exec", sys.executable, "-m", "minidl_dist.member"])
        held = f"until [ -e {shlex.quote(str(self.file))} ]; do sleep 0.01; done; {begin}"
        return await asyncio.create_subprocess_exec(
            "sh", "-c", held, stdin=-1, stdout=-1, stderr=-1, start_new_session=True
        )


def test_a_job_interrupted_before_a_server_reached_it_has_not_failed(tmp_path):
    """The server begins when the coordinator has gone, which only the launcher can tell it."""
    script = Path(__file__).with_name("small_job.py")
    launch = Launch([str(script)], servers=1, workers=1, slots=1, threads=1)
    output = io.StringIO(), io.StringIO()
    job = Supervisor(launch, tmp_path, Held(tmp_path / "go"), output)

    def watch():
        states = {child.name: child.state for child in job.children.values()}
        if list(states.values()) == ["running"] * 3 and not job.interrupted:
            job.interrupt("interrupted")
        if states["coordinator"] == "done":
            (tmp_path / "go").touch()

    job.watchers.append(watch)
    asyncio.run(asyncio.wait_for(job.run(), 60))
    assert job.failure is None, job.failure
    assert job.children["server0"].process.returncode == 0  # by itself: it was not killed


def test_a_server_ends_in_order_when_the_coordinator_has_gone():
    server = Server("server0", 1)
    server.handle(m.Started(), 0.0)
    assert not server.handle(m.Left("worker0", "done"), 0.1), "others come and go"
    effects = server.handle(m.Left(m.COORDINATOR, "done"), 0.2)
    assert [e.code for e in effects if isinstance(e, m.Exit)] == [0]
