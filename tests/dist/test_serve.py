"""What the coordinator's process tells the launcher: how far, how fast, how stale."""

import subprocess
import sys
import threading

import pytest

from minidl_dist import messages as m
from minidl_dist import serve
from minidl_dist.record import Recorder
from minidl_dist.serve import Prepared, Reporter, staleness_of, status_of
from tests.dist.test_machines import coordinator, hello, offer


class Steps:
    """A coordinator that says each time that the next step is done, by 64 examples."""

    def __init__(self):
        self.step = -1

    def handle(self, event, now):
        self.step += 1
        reports = [{"weight": 32.0, "values": {"count": 32}}] * 2
        return [m.Send(name, m.StepDone(1, self.step, reports)) for name in ("worker0", "worker1")]


@pytest.fixture
def told(monkeypatch):
    found = []
    monkeypatch.setattr(serve, "tell_launcher", found.append)
    monkeypatch.setattr(serve, "status_of", lambda machine: {"messages": {}, "steps": {}})
    return found


def test_examples_per_second_are_those_of_the_last_seconds(told):
    reporter = Reporter(Steps())
    reporter.machine.members = coordinator().members
    for tick in range(40):
        reporter.handle(m.Timer("tick"), tick * 0.5)
    assert told[-1]["examples_per_second"] == 128.0
    for tick in range(40):  # half as fast
        reporter.handle(m.Timer("tick"), 20 + tick * 1.0)
    assert told[-1]["examples_per_second"] == 64.0
    assert len(reporter.examples) <= serve.WINDOW + 1


def test_the_same_is_said_again_now_and_then(told):
    machine = coordinator()
    reporter = Reporter(machine)
    for tick in range(100):
        reporter.handle(m.Timer("tick"), tick * 0.25)
    assert 4 <= len(told) <= 6


def test_what_is_known_of_processes():
    c = coordinator()
    for name in ("server0", "worker0"):
        c.handle(hello(name), 0.1)
    offer(c)
    counts = {"server0": {"garbage": 1, serve.MEAN: 1.5, serve.MOST: 4}, "worker0": {"repeated": 2}}
    for name, troubles in counts.items():
        beat = m.Beat(name, 1, 1, c.generation, 0, 3, "serving", 0, c.plan.hash, troubles=troubles)
        c.handle(m.Received(name, beat), 0.2)
    found = status_of(c)
    assert found["messages"] == {"server0": {"garbage": 1}, "worker0": {"repeated": 2}}
    assert found["staleness"] == {"mean": 1.5, "most": 4}
    assert found["steps"] == {"server0": 3, "worker0": 3}


def test_staleness_of_a_server():
    tap = Recorder(None)
    assert staleness_of(tap) == {}
    tap.stale.extend([0, 0, 0])
    assert staleness_of(tap) == {}
    tap.stale.extend([4, 1])
    assert staleness_of(tap) == {serve.MEAN: 1.0, serve.MOST: 4}


def test_a_server_imports_numba_once_when_all_values_are_there(monkeypatch):
    loaded = threading.Semaphore(0)
    monkeypatch.setattr(serve, "import_numba", loaded.release)

    class Phases:
        phase = "empty"

        def handle(self, event, now):
            return []

    tap = Prepared(Phases())
    tap.handle(m.Timer("tick"), 0.0)
    assert not loaded.acquire(timeout=0.1)
    tap.machine.phase = "serving"
    for tick in range(3):
        tap.handle(m.Timer("tick"), float(tick))
    assert loaded.acquire(timeout=10) and not loaded.acquire(timeout=0.1)


def test_nothing_else_imports_it_before():
    code = "import sys; from minidl_dist import serve; print('numba' in sys.modules)"
    code += "; serve.import_numba(); print('numba' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.split() == ["False", "True"]
