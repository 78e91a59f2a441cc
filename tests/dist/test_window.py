"""Requests in flight: bounded, repeated when they are lost, and only then."""

import random
from collections import deque

import numpy as np
import pytest

from minidl_dist import messages as m
from minidl_dist.plan import Job
from minidl_dist.window import FIRST, LONGEST, SHORTEST, Route, Window
from minidl_dist.worker import Worker


def full(count=20, **options):
    window = Window(**options)
    for key in range(count):
        window.add(key, key)
    return window


def test_a_window_is_bounded_and_repeats_ever_less_often():
    window = full()
    assert window.due(0.0) == list(range(m.WINDOW))
    assert window.answered(3, 0.1) and window.due(0.1) == [m.WINDOW]
    times, now = [], 0.2
    while len(times) < 6:
        if 0 in window.due(now):
            times.append(now)
        now += 0.05
    gaps = np.diff([0.1, *times])
    assert gaps[0] == pytest.approx(SHORTEST, abs=0.06)  # as measured by the answer to 3
    assert gaps[-1] == pytest.approx(LONGEST, abs=0.1)


def test_whoever_is_heard_again_is_asked_again_soon():
    """Not after as long as one waits in a silence: an answer shows that the way is free again."""
    window = full(3)
    silence = [t / 4 for t in range(29) if window.due(t / 4)]
    assert silence == [0.0, 1.0, 3.0, 5.0, 7.0]
    window.answered(2, 7.1)
    assert window.due(7.9) == [] and window.due(7.1 + FIRST) == [0, 1]


def test_how_long_to_wait_is_measured():
    route = Route()
    window, late = full(route=route), full(route=route, measures=False)
    window.due(0.0), late.due(0.0)
    window.answered(0, 0.001)
    assert route.patience == SHORTEST
    window.answered(1, 0.6)
    assert route.patience == pytest.approx(2.4)
    late.answered(0, 0.9)  # what may wait at the server says nothing about the way
    assert route.patience == pytest.approx(2.4)
    window.due(100.0)
    window.answered(2, 100.1)  # to the first or to the second? so it says nothing, either
    assert route.patience == pytest.approx(2.4) and route.repeats == 6
    window.answered(8, 100.1)
    assert route.patience == pytest.approx(4 * 0.9 * 0.6)


def test_silence_makes_patient_but_not_for_as_long_as_a_server_lives():
    """A request that is alone was sent once in 30 s where others had been lost before it."""
    route = Route()
    route.took(0.01)
    for _ in range(9):
        route.was_silent()
    assert route.patience == LONGEST
    window, dead = full(1, route=route), Job(()).dead
    assert sum(bool(window.due(t / 4)) for t in range(int(4 * dead))) >= 5


def test_after_a_disconnection_all_in_flight_is_sent_at_once():
    window = full()
    window.due(0.0)
    window.answered(0, 0.1)
    window.reconnected()
    assert window.due(0.1) == [*range(1, m.WINDOW), m.WINDOW]
    assert window.due(0.2) == []


def test_a_server_that_is_not_ready_is_asked_again_soon():
    worker = Worker("worker0", 1)
    worker.job, worker.generation = Job(("server0",)), 5
    worker.set_servers()
    window = worker.pushes["server0"]
    window.add(0, "request")
    window.due(0.0)
    worker.handle(m.Received("server0", m.Stale(4)), 0.01)
    assert window.due(SHORTEST - 0.01) == [] and window.due(SHORTEST) == ["request"]


class Line:
    """The network of a server, which each connection has an equal part of: messages of 1 MiB."""

    def __init__(self, rate, windows, lost=0.0):
        self.seconds, self.windows, self.lost = 2**20 / rate, windows, lost
        self.queues = [deque() for _ in windows]
        self.sent, self.random = 0, random.Random(1)

    def run(self):
        """The time when everything is answered."""
        now, tick = 0.0, 0.0
        while any(map(len, self.windows)):
            for window, queue in zip(self.windows, self.queues):
                if tick <= now:  # a worker looks from time to time
                    self.put(queue, window.due(now))
            if tick <= now:
                tick = now + 0.25
            if not any(self.queues):
                now = tick
            for window, queue in zip(self.windows, self.queues):
                if queue:
                    self.sent += 1
                    now += self.seconds
                    if self.random.random() >= self.lost:
                        window.answered(queue.popleft(), now)
                        self.put(queue, window.due(now))
                    else:
                        queue.popleft()
        return now

    def put(self, queue, messages):
        """Behind the others; but for those that are in the queue already, see queued.py."""
        queue.extend(message for message in messages if message not in queue)


@pytest.mark.parametrize("workers", [1, 4, 16, 64])
def test_on_a_slow_line_nothing_is_sent_twice(workers):
    line = Line(12e6, [full(32) for _ in range(workers)])
    assert line.run() < 1.05 * 32 * workers * line.seconds
    assert line.sent < 1.2 * 32 * workers


def test_on_a_line_that_loses_messages_all_arrive():
    windows = [full(32) for _ in range(4)]
    line = Line(1e9, windows, lost=0.1)
    assert line.run() < 60
    assert line.sent < 1.5 * 4 * 32


def test_a_worker_repeats_its_requests_when_a_server_is_connected_again():
    worker = Worker("worker0", 1)
    worker.job = Job(("server0", "server1"))
    worker.set_servers()
    for server in worker.job.servers:
        worker.pulls[server].add(3, m.Pull(1, 2, 3))
        worker.pulls[server].due(0.0)
    worker.handle(m.Reconnected("server1"), 0.1)
    assert [len(worker.pulls[server].due(0.1)) for server in worker.job.servers] == [0, 1]
    effects = worker.handle(m.Reconnected(m.COORDINATOR), 0.1)
    assert [type(e.message) for e in effects if isinstance(e, m.Send)] == [m.Hello]
