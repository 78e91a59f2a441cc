"""Long short-term memory: at each step one matrix product, and a few passes over the cells.

All of it is NumPy, written into arrays that are made once. What costs time beside the products is
tanh, five for each cell: NumPy computes 8 or 16 of them with one instruction, a loop compiled by
Numba one (and its threads would contend with those of the matrix product at every step).

Functions and shapes as in the reference kernel, which is written closer to the formulas.
"""

from __future__ import annotations

import numpy as np


def forward(z, h0, c0, w_hh, valid):
    T, N, H = len(z), *h0.shape
    h, c = np.empty((T + 1, N, H), z.dtype), np.empty((T + 1, N, H), z.dtype)
    gates = np.empty((T, N, 4 * H), z.dtype)
    h[0], c[0] = h0, c0
    for t in range(T):
        np.matmul(h[t], w_hh.T, out=gates[t])
        gates[t] += z[t]
        i, f, g, o = split(gates[t])
        for gate in (i, f, o):
            sigmoid(gate)
        np.tanh(g, out=g)
        np.multiply(f, c[t], out=c[t + 1])
        c[t + 1] += i * g
        np.tanh(c[t + 1], out=h[t + 1])
        h[t + 1] *= o
        keep_ended(h, c, t, valid[t])
    return h, c, gates


def backward(gy, gh, gc, c, gates, w_hh, valid):
    gz = np.empty_like(gates)
    tanh_c = np.tanh(c[1:])
    for t in reversed(range(len(gates))):
        i, f, g, o = split(gates[t])
        gzi, gzf, gzg, gzo = split(gz[t])
        gh_here = gh + gy[t]
        gc_here = gc + gh_here * o * (1 - tanh_c[t] * tanh_c[t])
        np.multiply(gc_here * g, i * (1 - i), out=gzi)
        np.multiply(gc_here * c[t], f * (1 - f), out=gzf)
        np.multiply(gc_here * i, 1 - g * g, out=gzg)
        np.multiply(gh_here * tanh_c[t], o * (1 - o), out=gzo)
        gz[t, ~valid[t]] = 0
        here = valid[t][:, None]
        gh = np.where(here, gz[t] @ w_hh, gh)
        gc = np.where(here, gc_here * f, gc)
    return gz, gh, gc


def keep_ended(h, c, t, valid):
    """Sequences that step t does not belong to keep the state and cell they had."""
    ended = ~valid
    h[t + 1, ended] = h[t, ended]
    c[t + 1, ended] = c[t, ended]


def split(gates):
    """Views of the four gates of one step, (N, H) each."""
    N, rows = gates.shape
    return gates.reshape(N, 4, rows // 4).swapaxes(0, 1)


def sigmoid(z):
    """In place."""
    z *= 0.5
    np.tanh(z, out=z)
    z *= 0.5
    z += 0.5
