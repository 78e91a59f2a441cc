"""One step of RMSprop in one pass over memory: the lines of the reference kernel, number by number.

The results are the same, bit for bit.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.layout import flat, flat_views, memory_order
from minidl.kernels.reference import rmsprop as reference

BLOCK = 2**14  # how many numbers a thread takes at a time
LARGE = 2**18  # so many are worth a second thread


def step(p, g, v, a, b, lr, alpha, eps, weight_decay, momentum):
    order = memory_order(p)
    changed = flat_views(order, p, v, v if a is None else a, v if b is None else b)
    if changed is None:
        reference.step(p, g, v, a, b, lr, alpha, eps, weight_decay, momentum)
        return
    numbers = lr, alpha, 1 - alpha, eps, weight_decay, momentum
    function = rescale if p.size < LARGE else rescale_blocks
    p, *others = changed
    function(p, flat(g, order), *others, a is not None, b is not None, *map(p.dtype.type, numbers))


# error_model: as in adam.py, a division by 0 gives what it does in NumPy.
@njit(nogil=True, cache=True, error_model="numpy")
def rescale(p, g, v, a, b, centered, summed, lr, alpha, share, eps, weight_decay, momentum):
    for i in range(p.size):
        slope = g[i] + weight_decay * p[i] if weight_decay else g[i]
        v[i] = alpha * v[i] + share * (slope * slope)
        size = v[i]
        if centered:
            a[i] += share * (slope - a[i])
            size -= a[i] * a[i]
        # np.sqrt: with NUMBA_DISABLE_JIT=1, math.sqrt raises where rounding made size negative.
        move = slope / (np.sqrt(size) + eps)
        if summed:
            b[i] = momentum * b[i] + move
            move = b[i]
        p[i] -= lr * move


@njit(parallel=True, cache=True, error_model="numpy")
def rescale_blocks(p, g, v, a, b, centered, summed, lr, alpha, share, eps, weight_decay, momentum):
    for start in prange((p.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        rescale(
            p[block], g[block], v[block], a[block], b[block], centered, summed,
            lr, alpha, share, eps, weight_decay, momentum,
        )  # fmt: skip
