"""Timings that can be believed on a machine that others use, too.

What is compared runs in alternation, a fraction of a second each, so that a slow minute slows all
of it, and what counts is the ratio within a round. Each side is a process of its own that waits
for its turn: two libraries in one process would share the settings of the memory allocator and of
OpenMP, and one library's threads may spin while the other computes. The kernel keeps books
(/proc/stat) of how much of the processors others had meanwhile; rounds that they spoiled are left
out and counted.
"""

from __future__ import annotations

import ctypes
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

SPOILED = 0.1  # of all processors' time for others: then a round does not count
SEGMENT = 0.3  # seconds of a turn at least, as the books count hundredths of a second
PAUSE = 0.1  # seconds before a turn: idle threads of the last (of GNU's OpenMP, BLAS) spin on
MOST_TRIES = 10  # rounds for each that should count
WARM_UP = 3  # runs before the first turn
# minidl's kernels tell OpenMP how to wait, by the environment (minidl/kernels/cpu/__init__.py).
# What they are compared with starts with the settings that it has by itself.
ENVIRONMENT = dict(os.environ)
TICK = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100


@dataclass
class Timings:
    """Seconds of each side in each round that counts, and how many rounds others spoiled."""

    seconds: list[list[float]]
    spoiled: int

    def median(self, side: int) -> float:
        return statistics.median(self.seconds[side])

    def ratio(self, side: int, other: int) -> float:
        """How many times as long as the other a side takes: the median over the rounds."""
        rounds = zip(self.seconds[side], self.seconds[other])
        return statistics.median(a / b for a, b in rounds)


class Worker:
    """A process that runs something a number of times when it is told to; see `serve`.

    Args:
        arguments: of Python, to start it.
    """

    def __init__(self, *arguments: str):
        self.process = subprocess.Popen(
            [sys.executable, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=ENVIRONMENT,
        )  # fmt: skip

    def ask(self, word: str) -> list[float]:
        """Send a word, and wait for the numbers of the answer.

        Raises:
            SystemExit: the process has ended; its traceback is on stderr.
        """
        try:
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()
            line = self.process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise SystemExit(f"a process of the benchmark ended: {self.process.args}")
        return [float(number) for number in line.split()]

    def run(self, times: int) -> tuple[float, float]:
        """Seconds that so many runs took, and the processor time that they used."""
        seconds, processor = self.ask(str(times))
        return seconds, processor

    def peak_mb(self) -> int:
        """The most memory the process has had so far."""
        return round(self.ask("peak")[0])

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def serve(function: Callable[[], object]) -> None:
    """What a Worker's process does: answer the words on stdin until there are no more."""
    for _ in range(WARM_UP):
        function()
    forget_peak()
    for word in sys.stdin:
        if word.strip() == "peak":
            print(peak_mb(), flush=True)
            continue
        start, before = time.perf_counter(), time.process_time()
        for _ in range(int(word)):
            function()
        print(time.perf_counter() - start, time.process_time() - before, flush=True)


def peak_mb() -> float:
    """The most memory this process has had, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def forget_peak() -> None:
    """Building a network takes memory that a step does not: the peak begins anew from here.

    What was freed goes back to the system first. Where there is no such file, the peak stays.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None) if os.name == "posix" else None
    if trim is not None:
        trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def alternate(workers: list[Worker], rounds: int) -> Timings:
    """Let workers run in turn until that many rounds count; MOST_TRIES times as many at most."""
    times = [max(1, round(SEGMENT / worker.run(1)[0])) for worker in workers]
    timings = Timings([[] for _ in workers], 0)
    for _ in range(MOST_TRIES * rounds):
        seconds, disturbed = [], False
        for worker, n in zip(workers, times):
            time.sleep(PAUSE)
            start, busy = time.perf_counter(), busy_seconds()
            taken, own = worker.run(n)
            others = busy_seconds() - busy - own
            disturbed |= others > SPOILED * (time.perf_counter() - start) * (os.cpu_count() or 1)
            seconds.append(taken / n)
        if disturbed:
            timings.spoiled += 1
        else:
            for kept, value in zip(timings.seconds, seconds):
                kept.append(value)
        if len(timings.seconds[0]) == rounds:
            break
    return timings


def busy_seconds() -> float:
    """Processor time of all processes since the start of the machine; 0 where nobody counts it."""
    try:
        numbers = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return 0.0
    user, nice, system, _idle, _wait, interrupts, soft, steal = map(int, numbers[:8])
    return (user + nice + system + interrupts + soft + steal) / TICK
