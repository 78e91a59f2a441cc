"""What this machine can do at best: the floors that the benchmarks compare with."""

from __future__ import annotations

import time

import numpy as np


def product_peak(size: int = 2048) -> float:
    """FLOP/s of NumPy's matrix product, the best of five: what this machine can do."""
    a = np.ones((size, size), np.float32)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best


def copy_bandwidth(size: int = 2**25) -> float:
    """Bytes per second that a copy of a large array reads and writes, the best of five."""
    x, y = np.ones(size, np.float32), np.ones(size, np.float32)
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        np.copyto(y, x)
        best = min(best, time.perf_counter() - start)
    return 2 * x.nbytes / best
