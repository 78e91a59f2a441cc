"""Local response normalization: sums over a window of channels, one window position at a time.

    d[c]  = k + (alpha/n) * sum_{j in window(c)} x[j]^2        window(c) = c - n//2 .. c + (n-1)//2
    y[c]  = x[c] * d[c]^-beta

Shapes: x, y, d, gy and gx are (N, C, H, W).
"""

from __future__ import annotations

import numpy as np


def forward(x, size, alpha, beta, k):
    """y, and d for backward."""
    d = k + (alpha / size) * window_sum(x * x, size // 2, (size - 1) // 2)
    return x * d**-beta, d


def backward(gy, x, d, size, alpha, beta):
    """gx[c]: directly through x[c], and through d[j] of every window that contains channel c.

    c is in window(j) when j - n//2 <= c <= j + (n-1)//2, that is c - (n-1)//2 <= j <= c + n//2:
    the window turned around.
    """
    through_d = window_sum(gy * x * d ** (-beta - 1), (size - 1) // 2, size // 2)
    return gy * d**-beta - (2 * alpha * beta / size) * x * through_d


def window_sum(values, before, after):
    """For each channel c the sum of values over channels c - before .. c + after."""
    C = values.shape[1]
    padded = np.pad(values, ((0, 0), (before, after), (0, 0), (0, 0)))
    total = np.zeros_like(values)
    for j in range(before + after + 1):
        total += padded[:, j : j + C]
    return total
