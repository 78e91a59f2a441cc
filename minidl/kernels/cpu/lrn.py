"""Local response normalization, one pixel at a time: its C values lie side by side in memory.

The sum over a window is made for all channels at once, one neighbour after the other: such loops
run along vectors. A running sum that adds one square and takes one away would need fewer additions,
but what it takes away leaves rounding errors behind, and with the usual 5 channels there is little
to save.

Shapes as in the reference kernel; inside, arrays are (pixels, C). NumPy's error model: where d is
0, the result is NaN or infinite, not an exception.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.layout import channels_first, channels_last

PIXELS = 64  # that one thread takes at a time: they share a scratch row


def forward(x, size, alpha, beta, k):
    x = channels_last(x)
    y, d = np.empty_like(x), np.empty_like(x)
    number = x.dtype.type  # so that float32 stays float32 inside the compiled loops
    rows = (-1, x.shape[3]) if x.size else (0, 0)
    normalize(
        x.reshape(rows), y.reshape(rows), d.reshape(rows),
        size, number(alpha / size), number(beta), number(k),
    )  # fmt: skip
    return channels_first(y), channels_first(d)


def backward(gy, x, d, size, alpha, beta):
    gy, x, d = channels_last(gy), channels_last(x), channels_last(d)
    gx = np.empty_like(x)
    number = x.dtype.type
    rows = (-1, x.shape[3]) if x.size else (0, 0)
    normalize_gradient(
        gy.reshape(rows), x.reshape(rows), d.reshape(rows), gx.reshape(rows),
        size, number(2 * alpha * beta / size), number(beta),
    )  # fmt: skip
    return channels_first(gx)


@njit(parallel=True, cache=True, error_model="numpy")
def normalize(x, y, d, size, alpha_n, beta, k):
    for pixel in prange(len(x)):
        normalize_pixel(x[pixel], y[pixel], d[pixel], size, alpha_n, beta, k)


@njit(nogil=True, cache=True, error_model="numpy")
def normalize_pixel(x, y, d, size, alpha_n, beta, k):
    d[:] = k
    for offset in range(-(size // 2), (size - 1) // 2 + 1):
        neighbour, total = shifted(x, offset), shifted(d, -offset)
        for c in range(len(total)):
            total[c] += alpha_n * (neighbour[c] * neighbour[c])
    multiply_by_power(x, d, beta, y)


@njit(nogil=True, cache=True)
def shifted(x, offset):
    """A view of x[c + offset] for all c whose neighbour c + offset exists."""
    return x[max(0, offset) : max(0, min(len(x), len(x) + offset))]


@njit(parallel=True, cache=True, error_model="numpy")
def normalize_gradient(gy, x, d, gx, size, factor, beta):
    pixels, C = x.shape
    for block in prange((pixels + PIXELS - 1) // PIXELS):
        work = np.empty((2, C), x.dtype)
        for pixel in range(block * PIXELS, min(pixels, (block + 1) * PIXELS)):
            pixel_gradient(gy[pixel], x[pixel], d[pixel], gx[pixel], size, factor, beta, work)


@njit(nogil=True, cache=True, error_model="numpy")
def pixel_gradient(gy, x, d, gx, size, factor, beta, work):
    to_d, total = work[0], work[1]  # gy x d^(-beta-1), and its sums over windows
    multiply_by_power(gy, d, beta, gx)
    for c in range(len(to_d)):
        to_d[c] = gx[c] * x[c] / d[c]
    total[:] = 0
    for offset in range(-((size - 1) // 2), size // 2 + 1):
        neighbour, here = shifted(to_d, offset), shifted(total, -offset)
        for c in range(len(here)):
            here[c] += neighbour[c]
    for c in range(len(total)):
        gx[c] -= factor * x[c] * total[c]


@njit(nogil=True, cache=True, error_model="numpy")
def multiply_by_power(x, d, beta, y):
    """y = x d^-beta. 0.75, the value of the paper, needs two square roots instead of a power."""
    if beta == 0.75:
        for c in range(len(x)):
            y[c] = x[c] / (np.sqrt(d[c]) * np.sqrt(np.sqrt(d[c])))
    else:
        for c in range(len(x)):
            y[c] = x[c] * d[c] ** -beta
