"""Long short-term memory: the walk through time, and back.

Steps are numbered in the order in which they are taken. z (T, N, 4H) is what the inputs contribute
to the gates, biases included; valid (T, N) says which steps belong to a sequence. Gates are in the
order i, f, g, o. h[t] and c[t] are the state and cell before step t, so h is (T + 1, N, H).
"""

from __future__ import annotations

import numpy as np


def forward(z, h0, c0, w_hh, valid):
    """h and c (T + 1, N, H), and the gates (T, N, 4H) for backward."""
    T, N, H = len(z), *h0.shape
    h, c = np.empty((T + 1, N, H), z.dtype), np.empty((T + 1, N, H), z.dtype)
    gates = np.empty((T, N, 4 * H), z.dtype)
    h[0], c[0] = h0, c0
    for t in range(T):
        zi, zf, zg, zo = np.split(z[t] + h[t] @ w_hh.T, 4, axis=1)
        i, f, g, o = sigmoid(zi), sigmoid(zf), np.tanh(zg), sigmoid(zo)
        gates[t] = np.concatenate([i, f, g, o], axis=1)
        here = valid[t][:, None]
        c[t + 1] = np.where(here, f * c[t] + i * g, c[t])
        h[t + 1] = np.where(here, o * np.tanh(c[t + 1]), h[t])
    return h, c, gates


def step(x, h, c, w_ih, w_hh, b):
    """The state and cell (N, H) after one step of all, from x (N, I); nothing is kept."""
    z = x @ w_ih.T + b
    h, c, _ = forward(z[None], h, c, w_hh, np.ones((1, len(x)), bool))
    return h[1], c[1]


def backward(gy, gh, gc, c, gates, w_hh, valid):
    """gz (T, N, 4H), and the gradients of h0 and c0.

    gy (T, N, H) has no effect where valid is False; gh and gc are gradients of h[T] and c[T].
    """
    gz = np.zeros_like(gates)
    for t in reversed(range(len(gates))):
        i, f, g, o = np.split(gates[t], 4, axis=1)
        here = valid[t][:, None]
        tanh_c = np.tanh(c[t + 1])
        gh_here = gh + gy[t]
        gc_here = gc + gh_here * o * (1 - tanh_c**2)
        gzi = gc_here * g * i * (1 - i)
        gzf = gc_here * c[t] * f * (1 - f)
        gzg = gc_here * i * (1 - g**2)
        gzo = gh_here * tanh_c * o * (1 - o)
        gz[t] = np.where(here, np.concatenate([gzi, gzf, gzg, gzo], axis=1), 0)
        gh = np.where(here, gz[t] @ w_hh, gh)
        gc = np.where(here, gc_here * f, gc)
    return gz, gh, gc


def sigmoid(z):
    """1 / (1 + exp(-z)), written so that exp never overflows."""
    return 0.5 * np.tanh(0.5 * z) + 0.5
