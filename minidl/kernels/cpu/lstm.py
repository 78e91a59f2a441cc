"""Long short-term memory: at each step one matrix product, and one pass over the cells.

The product of the state with w_hh is NumPy's; everything else of a step (four gates, cell, state)
is fused into one compiled loop over the N H cells of the batch, each independent of the others.

Functions and shapes as in the reference kernel.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit, prange


def forward(z, h0, c0, w_hh, valid):
    T, N, H = len(z), *h0.shape
    h, c = np.empty((T + 1, N, H), z.dtype), np.empty((T + 1, N, H), z.dtype)
    gates = np.empty((T, N, 4 * H), z.dtype)
    h[0], c[0] = h0, c0
    for t in range(T):
        np.matmul(h[t], w_hh.T, out=gates[t])
        cells_forward(z[t], h[t], c[t], valid[t], gates[t], h[t + 1], c[t + 1])
    return h, c, gates


def backward(gy, gh, gc, c, gates, w_hh, valid):
    gz = np.empty_like(gates)
    gh, gc = gh.copy(), gc.copy()
    sent = np.empty_like(gh)
    for t in reversed(range(len(gates))):
        cells_backward(gy[t], gh, gc, c[t], c[t + 1], gates[t], valid[t], gz[t])
        np.matmul(gz[t], w_hh, out=sent)
        gh = np.where(valid[t][:, None], sent, gh)
    return gz, gh, gc


@njit(parallel=True, cache=True)
def cells_forward(z, h, c, valid, gates, h_next, c_next):
    """gates holds the product with w_hh when this starts, and the gates when it ends."""
    N, H = h.shape
    for cell in prange(N * H):
        n, k = cell // H, cell % H
        i = sigmoid(gates[n, k] + z[n, k])
        f = sigmoid(gates[n, H + k] + z[n, H + k])
        g = math.tanh(gates[n, 2 * H + k] + z[n, 2 * H + k])
        o = sigmoid(gates[n, 3 * H + k] + z[n, 3 * H + k])
        gates[n, k], gates[n, H + k], gates[n, 2 * H + k], gates[n, 3 * H + k] = i, f, g, o
        if valid[n]:
            c_next[n, k] = f * c[n, k] + i * g
            h_next[n, k] = o * math.tanh(c_next[n, k])
        else:
            c_next[n, k] = c[n, k]
            h_next[n, k] = h[n, k]


@njit(parallel=True, cache=True)
def cells_backward(gy, gh, gc, c, c_next, gates, valid, gz):
    """Fills gz, and turns gc from the gradient after the step into that before it."""
    N, H = gh.shape
    for cell in prange(N * H):
        n, k = cell // H, cell % H
        if valid[n]:
            i, f = gates[n, k], gates[n, H + k]
            g, o = gates[n, 2 * H + k], gates[n, 3 * H + k]
            tanh_c = math.tanh(c_next[n, k])
            gh_here = gh[n, k] + gy[n, k]
            gc_here = gc[n, k] + gh_here * o * (1 - tanh_c * tanh_c)
            gz[n, k] = gc_here * g * i * (1 - i)
            gz[n, H + k] = gc_here * c[n, k] * f * (1 - f)
            gz[n, 2 * H + k] = gc_here * i * (1 - g * g)
            gz[n, 3 * H + k] = gh_here * tanh_c * o * (1 - o)
            gc[n, k] = gc_here * f
        else:
            for row in range(4):
                gz[n, row * H + k] = 0


@njit(cache=True)
def sigmoid(z):
    return 0.5 * math.tanh(0.5 * z) + 0.5
