"""How long a run will take and how much memory it needs, told before it starts.

Both are measured on a small version of the picture, the smallest of which the network can take: the
losses and their gradient once to compile the kernels and once to be measured. That is multiplied by
the number of pixels. Times are right within a quarter or so
on a machine that does nothing else; where compiling takes long, the first run is longer.

Memory is that of the features of one evaluation, by pixel, and of the arrays as large as the
picture: the picture, its gradient, the optimizer's, the content. What an objective keeps for every
shift comes on top.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import minidl
from apps.shared.options import OptionError
from apps.shared.page import duration
from apps.shared.photo import fitted_size
from apps.shared.warm_up import warm_up
from apps.style.optimize.loop import Task
from apps.style.optimize.objective import KEPT, Objective
from apps.style.optimize.plan import Plan
from apps.style.optimize.steps import HISTORY
from minidl.errors import ShapeError
from minidl.nn import Parameter

PROBE = 256  # pixels of the longer side of the picture that is measured
ARRAYS = {"adam": 12, "lbfgs": 10 + 2 * HISTORY}  # as large as the picture, 12 bytes a pixel
EVALUATIONS = {"adam": 1.0, "lbfgs": 1.25}  # in an iteration
ALLOWED = 0.9  # of the memory that is free
CONTAINER = "/sys/fs/cgroup"


@dataclass
class Estimate:
    """What a run needs.

    Args:
        seconds: of all iterations.
        megabytes: at most at one time, beside what the program has already.
    """

    seconds: float
    megabytes: float

    def __str__(self) -> str:
        memory = f"{self.megabytes:,.0f} MB"
        if self.megabytes >= 1e4:
            memory = f"{self.megabytes / 1000:,.1f} GB"
        return f"about {duration(max(self.seconds, 1))} and {memory}"


def estimate(plan: Plan, task: Task, note: Callable[[str], None] = lambda text: None) -> Estimate:
    """Measure one evaluation at a small size, and count.

    Args:
        plan: of the run.
        task: what will be minimised; its objective computes the small picture as a whole.
        note: called with a line of text where compiling takes long.

    Raises:
        ShapeError: the picture is too small for the network.
    """
    size, objective, x = probe(plan, task, note)
    x.grad = None
    minidl.empty_cache()
    with PeakMemory() as peak:
        start = time.perf_counter()
        objective.evaluate(x)
        seconds = time.perf_counter() - start
    counts = [pixels(task, scale.size) for scale in plan.scales]
    here = size[0] * size[1]
    computed = sum(scale.iterations * n for scale, (_, n) in zip(plan.scales, counts))
    total = seconds * computed / here * EVALUATIONS[plan.optimizer]
    features = peak.bytes * counts[-1][0] / here
    whole = plan.size[0] * plan.size[1]
    arrays = 12 * ARRAYS[plan.optimizer] * whole
    shifts = (plan.shift + 1) ** 2 if plan.optimizer == "adam" else 1
    kept = min(objective.kept.nbytes * whole / here * shifts, KEPT)
    kept = kept if counts[-1][0] == whole else 0  # in parts, nothing is kept
    return Estimate(total, (features + arrays + kept) / 1e6)


def probe(
    plan: Plan, task: Task, note: Callable[[str], None]
) -> tuple[tuple[int, int], Objective, Parameter]:
    """A small size, the objective there, evaluated once, and the first picture."""
    side = PROBE
    while True:
        size = plan.size if max(plan.size) <= side else fitted_size(plan.size, side)
        try:
            return size, *evaluated(task, size, note)
        except ShapeError:  # a long and narrow picture
            if size == plan.size:
                raise
        side *= 2


def evaluated(
    task: Task, size: tuple[int, int], note: Callable[[str], None]
) -> tuple[Objective, Parameter]:
    """The objective at a size and the first picture, after one evaluation."""
    objective = task.objective_at(size)
    x = Parameter(task.start_at(size, np.random.default_rng(0)))
    warm_up(lambda: objective.evaluate(x), note)
    return objective, x


def pixels(task: Task, size: tuple[int, int]) -> tuple[int, float]:
    """How many pixels' features are in memory at once, and how many an evaluation computes."""
    if task.pixels is None:
        return size[0] * size[1], size[0] * size[1]
    return task.pixels(size)


def check_memory(found: Estimate, plan: Plan, hint: Callable[[int], str]) -> None:
    """Refuse what does not fit into memory.

    Args:
        found: the estimate.
        plan: of the run.
        hint: what to do, from the pixels of the longer side that fit.

    Raises:
        OptionError: it needs more than there is.
    """
    free = free_megabytes()
    if free is None or found.megabytes <= ALLOWED * free:
        return
    side = int(max(plan.size) * (ALLOWED * free / found.megabytes) ** 0.5)
    raise OptionError(
        "a picture of this size needs more memory than there is",
        {"size": f"{plan.size[1]}x{plan.size[0]}", "needed": f"{found.megabytes:,.0f} MB",
         "free": f"{free:,.0f} MB"},
        hint(max(side, 1)),
    )  # fmt: skip


# --- what the system says -----------------------------------------------------------------------


class PeakMemory:
    """`with PeakMemory() as peak:` peak.bytes afterwards is by how much the process grew inside.

    Linux alone tells; elsewhere it is 0.
    """

    bytes = 0

    def __enter__(self) -> PeakMemory:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        except OSError:
            pass
        self.before = status_bytes("VmRSS")
        return self

    def __exit__(self, *exception: object) -> None:
        self.bytes = max(status_bytes("VmHWM") - self.before, 0)


def status_bytes(name: str) -> int:
    """A line of /proc/self/status, 0 where there is none."""
    return kilobytes("/proc/self/status", name) * 1024


def kilobytes(file: str, name: str) -> int:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def free_megabytes() -> float | None:
    """Memory that the process may still take: what is free, or less in a container; None where
    that is not known. Files that were read count as free: they stay until memory is needed."""
    found = (
        [kilobytes("/proc/meminfo", "MemAvailable") / 1000]
        if Path("/proc/meminfo").exists()
        else []
    )
    group = Path(CONTAINER)
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        used -= next((int(n) for k, n in map(str.split, lines) if k == "inactive_file"), 0)
        found += [] if limit == "max" else [(int(limit) - used) / 1e6]
    except (OSError, ValueError):
        pass
    return min(found) if found else None
