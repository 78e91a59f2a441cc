"""What processes say to a coordinator, for tests of it alone."""

from minidl_dist import messages as m
from minidl_dist.coordinator import Coordinator
from minidl_dist.plan import Job
from tests.dist.small_plan import small_plan


def sent(effects, kind):
    return [e.message for e in effects if isinstance(e, m.Send) and isinstance(e.message, kind)]


def coordinator(servers=("server0",), **job):
    c = Coordinator(Job(servers, **job))
    c.handle(m.Started(), 0.0)
    c.handle(m.Loaded("manifest", None, "start"), 0.0)
    c.handle(m.Stored("manifest", m.CLAIM), 0.0)
    c.handle(m.Loaded("manifest", {"token": 1}, "claimed"), 0.0)
    return c


def hello(name="worker0", incarnation=1, version=m.VERSION, fingerprint=None, token=0):
    role = name.rstrip("0123456789")
    facts = fingerprint or {"numpy": "2.1"}
    return m.Received(name, m.Hello(role, name, incarnation, token, "", "", version, facts, ""))


def offer(c, name="worker0", **fields):
    plan = small_plan(**fields)
    return c.handle(m.Received(name, m.Offer(plan.to_dict())), 0.1)


def beat_of(c, name, step, state, count=0, given=0, progress=0):
    """A Beat of a process that follows the newest generation."""
    beat = m.Beat(
        name, 1, 1, c.generation, 0, step, state, progress, c.plan.hash, given=given, count=count
    )  # fmt: skip
    return c.handle(m.Received(name, beat), 0.2)
