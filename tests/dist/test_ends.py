"""How a job, or a question to it, ends where the other side is in no order."""

import numpy as np

from minidl_dist import messages as m
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
