"""Local response normalization, one pixel at a time: its C values lie side by side in memory.

The window is summed afresh for every channel. A running sum that adds one square and takes one
away would need fewer additions, but what it takes away leaves rounding errors behind, and with
the usual 5 channels there is little to save.

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
    pixels, C = x.shape
    for pixel in prange(pixels):
        for c in range(C):
            total = k
            for j in range(max(0, c - size // 2), min(C, c + (size - 1) // 2 + 1)):
                total += alpha_n * (x[pixel, j] * x[pixel, j])
            d[pixel, c] = total
            y[pixel, c] = x[pixel, c] * negative_power(total, beta)


@njit(parallel=True, cache=True, error_model="numpy")
def normalize_gradient(gy, x, d, gx, size, factor, beta):
    pixels, C = x.shape
    for block in prange((pixels + PIXELS - 1) // PIXELS):
        to_d = np.empty(C, x.dtype)  # gy x d^(-beta-1) of one pixel
        for pixel in range(block * PIXELS, min(pixels, (block + 1) * PIXELS)):
            for c in range(C):
                direct = gy[pixel, c] * negative_power(d[pixel, c], beta)
                gx[pixel, c] = direct
                to_d[c] = direct * x[pixel, c] / d[pixel, c]
            for c in range(C):
                total = x.dtype.type(0)
                for j in range(max(0, c - (size - 1) // 2), min(C, c + size // 2 + 1)):
                    total += to_d[j]
                gx[pixel, c] -= factor * x[pixel, c] * total


@njit(cache=True, error_model="numpy")
def negative_power(d, beta):
    """d^-beta. 0.75, the value of the paper, needs two square roots instead of a power."""
    if beta == 0.75:
        return np.sqrt(np.sqrt(d)) / d
    return d**-beta
