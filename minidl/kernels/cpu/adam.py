"""One step of Adam in one pass over memory: the lines of the reference kernel, number by number.

The results are the same, bit for bit.
"""

from __future__ import annotations

import math

from numba import njit, prange

from minidl.kernels.layout import flat, flat_views, memory_order
from minidl.kernels.reference import adam as reference

BLOCK = 2**14  # how many numbers a thread takes at a time
LARGE = 2**18  # so many are worth a second thread


def step(p, g, m, v, largest, t, lr, beta1, beta2, eps, weight_decay, decay):
    order = memory_order(p)
    changed = flat_views(order, p, m, v, v if largest is None else largest)
    if changed is None:
        reference.step(p, g, m, v, largest, t, lr, beta1, beta2, eps, weight_decay, decay)
        return
    numbers = (
        lr / (1 - beta1**t), 1 - beta1, beta2, 1 - beta2, math.sqrt(1 - beta2**t), eps,
        weight_decay, 1 - lr * decay,
    )  # fmt: skip
    function = adapt if p.size < LARGE else adapt_blocks
    p, *others = changed
    function(p, flat(g, order), *others, largest is not None, *map(p.dtype.type, numbers))


# error_model: a division by 0, as where eps is 0, gives what it does in NumPy. Python's exception
# would end the loop half done, and the look for it keeps the compiler from using vectors.
@njit(nogil=True, cache=True, error_model="numpy")
def adapt(
    p, g, m, v, largest, amsgrad, rate, share1, beta2, share2, correction, eps, weight_decay, kept
):
    for i in range(p.size):
        slope = g[i] + weight_decay * p[i] if weight_decay else g[i]
        m[i] += share1 * (slope - m[i])
        v[i] = beta2 * v[i] + share2 * (slope * slope)
        size = v[i]
        if amsgrad:
            if largest[i] > size or largest[i] != largest[i]:  # only NaN differs from itself
                size = largest[i]
            largest[i] = size
        p[i] = kept * p[i] - rate * (m[i] / (math.sqrt(size) / correction + eps))


@njit(parallel=True, cache=True, error_model="numpy")
def adapt_blocks(
    p, g, m, v, largest, amsgrad, rate, share1, beta2, share2, correction, eps, weight_decay, kept
):
    for start in prange((p.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        adapt(
            p[block], g[block], m[block], v[block], largest[block], amsgrad,
            rate, share1, beta2, share2, correction, eps, weight_decay, kept,
        )  # fmt: skip
