"""One step of Adagrad in one pass over memory: the lines of the reference kernel, number by number.

The results are the same, bit for bit.
"""

from __future__ import annotations

import math

from numba import njit, prange

from minidl.kernels.layout import flat, flat_views, memory_order
from minidl.kernels.reference import adagrad as reference

BLOCK = 2**14  # how many numbers a thread takes at a time
LARGE = 2**18  # so many are worth a second thread


def step(p, g, s, lr, eps, weight_decay):
    order = memory_order(p)
    changed = flat_views(order, p, s)
    if changed is None:
        reference.step(p, g, s, lr, eps, weight_decay)
        return
    numbers = map(p.dtype.type, (lr, eps, weight_decay))
    function = shrink if p.size < LARGE else shrink_blocks
    p, s = changed
    function(p, flat(g, order), s, *numbers)


# error_model: as in adam.py, a division by 0 gives what it does in NumPy.
@njit(nogil=True, cache=True, error_model="numpy")
def shrink(p, g, s, lr, eps, weight_decay):
    for i in range(p.size):
        slope = g[i] + weight_decay * p[i] if weight_decay else g[i]
        s[i] += slope * slope
        p[i] -= lr * (slope / (math.sqrt(s[i]) + eps))


@njit(parallel=True, cache=True, error_model="numpy")
def shrink_blocks(p, g, s, lr, eps, weight_decay):
    for start in prange((p.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        shrink(p[block], g[block], s[block], lr, eps, weight_decay)
