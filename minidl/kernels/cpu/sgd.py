"""One step of SGD in one pass over memory: the lines of the reference kernel, number by number.

NumPy walks over p, g and v once for each arithmetic operation. A network like AlexNet has most of
its parameters where each is used once per picture, so that these walks take a good part of a step.
The results are the same, bit for bit.
"""

from __future__ import annotations

from numba import njit, prange

from minidl.kernels.layout import flat, flat_views, memory_order
from minidl.kernels.reference import sgd as reference

BLOCK = 2**14  # how many numbers a thread takes at a time
LARGE = 2**19  # so many are worth a second thread


def step(p, g, v, lr, momentum, dampening, weight_decay, nesterov):
    order = memory_order(p)
    changed = flat_views(order, p, v if momentum else p)
    if changed is None:
        reference.step(p, g, v, lr, momentum, dampening, weight_decay, nesterov)
        return
    number = p.dtype.type
    (p, v), g = changed, flat(g, order)
    if momentum:
        rates = number(lr), number(momentum), number(1 - dampening), number(weight_decay)
        function = accelerate if p.size < LARGE else accelerate_blocks
        function(p, g, v, *rates, nesterov)
    else:
        function = descend if p.size < LARGE else descend_blocks
        function(p, g, number(lr), number(weight_decay))


@njit(nogil=True, cache=True)
def descend(p, g, lr, weight_decay):
    for i in range(p.size):
        slope = g[i] + weight_decay * p[i] if weight_decay else g[i]
        p[i] -= lr * slope


@njit(nogil=True, cache=True)
def accelerate(p, g, v, lr, momentum, share, weight_decay, nesterov):
    for i in range(p.size):
        slope = g[i] + weight_decay * p[i] if weight_decay else g[i]
        v[i] = momentum * v[i] + share * slope
        p[i] -= lr * (slope + momentum * v[i] if nesterov else v[i])


@njit(parallel=True, cache=True)
def descend_blocks(p, g, lr, weight_decay):
    for start in prange((p.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        descend(p[block], g[block], lr, weight_decay)


@njit(parallel=True, cache=True)
def accelerate_blocks(p, g, v, lr, momentum, share, weight_decay, nesterov):
    for start in prange((p.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        accelerate(p[block], g[block], v[block], lr, momentum, share, weight_decay, nesterov)
