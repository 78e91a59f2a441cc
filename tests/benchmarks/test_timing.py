"""Rounds in alternation, and what others spoil of them."""

import os
import subprocess
import sys

import pytest

from benchmarks import timing


class FakeWorker:
    """Takes a fixed time for each run, and notes when it was asked."""

    def __init__(self, name, seconds, log):
        self.name, self.seconds, self.log = name, seconds, log

    def run(self, times):
        self.log.append((self.name, times))
        return self.seconds * times, self.seconds * times


def test_sides_take_turns(monkeypatch):
    monkeypatch.setattr(timing, "busy_seconds", lambda: 0.0)
    log = []
    timings = timing.alternate([FakeWorker("a", 0.1, log), FakeWorker("b", 0.3, log)], rounds=4)
    assert log[:2] == [("a", 1), ("b", 1)]  # to see how long a run takes
    assert log[2:] == [("a", 3), ("b", 1)] * 4
    assert timings.spoiled == 0 and len(timings.seconds[0]) == 4
    assert timings.ratio(1, 0) == pytest.approx(3)
    assert timings.median(1) == pytest.approx(0.3)


def test_spoiled_rounds_do_not_count(monkeypatch):
    """Others take a processor in the first round, and then never again."""
    busy = iter([0.0, 1e6] + [0.0] * 100)
    monkeypatch.setattr(timing, "busy_seconds", lambda: next(busy))
    timings = timing.alternate([FakeWorker("a", 1.0, [])], rounds=3)
    assert timings.spoiled == 1 and timings.seconds == [[1.0, 1.0, 1.0]]


def test_a_machine_that_is_never_quiet(monkeypatch):
    monkeypatch.setattr(timing, "PAUSE", 0)
    clock = iter(range(0, 10**9, 10**6))
    monkeypatch.setattr(timing, "busy_seconds", lambda: float(next(clock)))
    timings = timing.alternate([FakeWorker("a", 1.0, [])], rounds=3)
    assert timings.spoiled == 3 * timing.MOST_TRIES and timings.seconds == [[]]


def test_a_worker_answers(tmp_path):
    """A real process: it runs what it is told to, and says what memory it had."""
    code = (
        "from benchmarks import timing\n"
        "kept = []\n"
        "timing.serve(lambda: kept.append(bytearray(10_000_000)))\n"
    )
    worker = timing.Worker("-c", code)
    try:
        before = worker.peak_mb()
        seconds, processor = worker.run(20)
        assert seconds > 0 and processor >= 0
        assert worker.peak_mb() >= before + 150
    finally:
        worker.close()


def test_a_worker_starts_with_the_settings_of_the_program():
    """What this process has set since for minidl's threads is not the other library's business."""
    program = (
        "import os\n"
        "from benchmarks import timing\n"
        "import minidl.kernels.cpu\n"
        "assert os.environ['OMP_WAIT_POLICY'] == 'passive'\n"
        "worker = timing.Worker('-c', 'import os; print(int(\"OMP_WAIT_POLICY\" in os.environ))')\n"
        "print(int(worker.process.stdout.readline()))\n"
    )
    environment = {k: v for k, v in os.environ.items() if k not in ("OMP_WAIT_POLICY",)}
    printed = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert printed.stdout == "0\n", printed.stderr


def test_a_worker_that_fails(capfd):
    worker = timing.Worker("-c", "raise SystemExit(3)")
    with pytest.raises(SystemExit, match="ended"):
        worker.run(1)
    worker.process.wait()
