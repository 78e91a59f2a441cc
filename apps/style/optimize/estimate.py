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

import numpy as np

import minidl
from apps.shared.photo import fitted_size, size_text
from apps.shared.warm_up import warm_up
from apps.style import needs
from apps.style.needs import Estimate, PeakMemory
from apps.style.optimize.loop import Task
from apps.style.optimize.objective import KEPT, Objective
from apps.style.optimize.plan import Plan
from apps.style.optimize.steps import HISTORY
from minidl.errors import ShapeError
from minidl.nn import Parameter

PROBE = 256  # pixels of the longer side of the picture that is measured
ARRAYS = {"adam": 12, "lbfgs": 10 + 2 * HISTORY}  # as large as the picture, 12 bytes a pixel
EVALUATIONS = {"adam": 1.0, "lbfgs": 1.25}  # in an iteration


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


def check_picture(found: Estimate, plan: Plan, hint: Callable[[int], str]) -> None:
    """Refuse what does not fit into memory.

    Args:
        found: the estimate.
        plan: of the run.
        hint: what to do, from the pixels of the longer side that fit.

    Raises:
        OptionError: it needs more than there is.
    """
    needs.check_memory(
        found.megabytes, "a picture of this size needs more memory than there is",
        {"size": size_text(plan.size)},
        lambda share: hint(needs.side_that_fits(plan.size, share)),
    )  # fmt: skip
