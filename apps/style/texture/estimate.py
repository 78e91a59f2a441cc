"""How long a synthesis will take, told before its first step."""

from __future__ import annotations

import time

import numpy as np

from apps.style.texture.efros_leung import EfrosLeung
from apps.style.texture.quilting import Quilting

COMPILING = 8  # steps at first that may compile, for one thread and for several: they do not count
TRIAL = 0.3  # seconds of steps from which the time is estimated
LEAST = 8  # of them, however long they take


def expected_seconds(trial: EfrosLeung | Quilting, left: float) -> float:
    """Time a few steps in the middle of a synthesis.

    What lies around them is the sample, mirrored: the search does not find it as it is, which would
    be fast.

    Args:
        trial: a synthesis before its first step, which is used up.
        left: how many searches are to come.
    """
    material, (H, W) = trial.canvas.material, trial.canvas.size
    height, width = material.copied.shape
    rows, columns = np.arange(H) % height, width - 1 - np.arange(W) % width
    source = rows[:, None] * width + columns
    usable = np.flatnonzero(material.copied)
    elsewhere = np.random.default_rng(0).choice(usable, (H, W))
    trial.skip_to_middle(np.where(material.copied.flat[source], source, elsewhere))
    taken = 0
    start, before = time.perf_counter(), trial.searched
    while taken < COMPILING + LEAST or time.perf_counter() - start < TRIAL:
        if not trial.step():
            break
        taken += 1
        if taken == COMPILING:
            start, before = time.perf_counter(), trial.searched
    return (time.perf_counter() - start) / max(1, trial.searched - before) * left
