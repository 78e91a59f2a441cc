"""Leaky rectified linear unit, each number in one pass over memory, see relu.py."""

from __future__ import annotations

from numba import njit, prange

from minidl.kernels.layout import flat, from_flat, memory_order
from minidl.kernels.memory import aligned

BLOCK = 2**14  # how many numbers a thread takes at a time
LARGE = 2**20  # so many are worth a second thread


def forward(x, negative_slope):
    return backward(x, x, negative_slope)


def backward(gy, x, negative_slope):
    order = memory_order(x)
    gx = aligned((x.size,), x.dtype)
    function = scale if x.size < LARGE else scale_blocks
    function(flat(gy, order), flat(x, order), gx, x.dtype.type(negative_slope))
    return from_flat(gx, x.shape, order)


@njit(nogil=True, cache=True)
def scale(gy, x, gx, slope):
    """gx = gy where x > 0, else slope gy. Forward is the same, with x in place of gy."""
    zero = x.dtype.type(0)
    for i in range(x.size):
        gx[i] = gy[i] if x[i] > zero else slope * gy[i]


@njit(parallel=True, cache=True)
def scale_blocks(gy, x, gx, slope):
    for start in prange((x.size + BLOCK - 1) // BLOCK):
        block = slice(start * BLOCK, (start + 1) * BLOCK)
        scale(gy[block], x[block], gx[block], slope)
