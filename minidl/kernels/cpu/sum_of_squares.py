"""Sums of squares of blocks, in float64, in one pass over memory.

The square of a float32 is exact in float64, and a block's squares are added up in LANES sums that
are as many on every processor. So its sum has the same bits on every machine.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.squares import LANES, add_own_squares
from minidl.kernels.reference import sum_of_squares as reference


def of_blocks(x, block):
    if x.dtype != np.float32 or not x.flags.c_contiguous:
        return reference.of_blocks(x, block)
    sums = np.zeros(-(-x.size // block), np.float64)
    with threads_for(x.size):
        add_blocks(x, block, sums)
    return sums


@njit(parallel=True, cache=True)
def add_blocks(x, block, sums):
    for number in prange(len(sums)):
        start = number * block
        sums[number] = sum_of_block(x, start, min(block, len(x) - start))


@njit(nogil=True, cache=True)
def sum_of_block(x, start, n):
    lanes, whole = np.zeros(LANES), n // LANES
    add_own_squares(x, start, whole, lanes)
    total = 0.0
    for i in range(start + whole * LANES, start + n):
        number = np.float64(x[i])
        total += number * number
    for lane in range(LANES):
        total += lanes[lane]
    return total
