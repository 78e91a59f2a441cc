"""Long short-term memory: at each step one matrix product, and one pass over the cells.

The product is the BLAS's. The pass is compiled and has one thread: it is short, and threads that
meet at every step would cost more than they do. What costs time in it is tanh, five for each cell.
The C library computes them one by one; written as a quotient of two polynomials, a loop of plain
sums and products, the compiler computes 8 or 16 with one instruction.

Functions and shapes as in the reference kernel, which is written closer to the formulas.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from minidl.kernels.blas import matmul

# tanh(x) = x P(x^2) / Q(x^2) for |x| < 7.9, and beyond that 1, from which it differs by less than
# 3e-7: a gate that is shut lets nothing through. The coefficients are those of the Eigen library
# (MathFunctionsImpl.h), over Q0, so that x P does not underflow. Off by 4e-7 at most.
LIMIT = np.float32(7.90531110763549805)
Q0 = 4.89352518554385e-03
P0, P1, P2, P3, P4, P5, P6 = (np.float32(p / Q0) for p in (
    4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
    -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16,
))  # fmt: skip
Q1, Q2, Q3 = (np.float32(q / Q0) for q in (
    2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06,
))  # fmt: skip
ONE = np.float32(1)


def forward(z, h0, c0, w_hh, valid):
    T, N, H = len(z), *h0.shape
    h, c = np.empty((T + 1, N, H), z.dtype), np.empty((T + 1, N, H), z.dtype)
    gates = np.empty((T, N, 4 * H), z.dtype)
    h[0], c[0] = h0, c0
    z = np.ascontiguousarray(z)
    for t in range(T):
        matmul(h[t], w_hh.T, out=gates[t])
        step_forward(z[t], valid[t], gates[t], h[t], c[t], h[t + 1], c[t + 1])
    return h, c, gates


def backward(gy, gh, gc, c, gates, w_hh, valid):
    gz = np.empty_like(gates)
    gy, gh, gc = np.ascontiguousarray(gy), gh.copy(), gc.copy()
    for t in reversed(range(len(gates))):
        step_backward(gy[t], valid[t], gates[t], c[t], c[t + 1], gh, gc, gz[t])
        np.copyto(gh, matmul(gz[t], w_hh), where=valid[t][:, None])
    return gz, gh, gc


@njit(nogil=True, cache=True)
def step_forward(z, valid, gates, h, c, h_next, c_next):
    """From w_hh h, in `gates`, to the gates, and to the next state and cell.

    A sequence that the step does not belong to keeps those that it had.
    """
    N, H = h.shape
    half = h.dtype.type(0.5)
    for n in range(N):
        row = gates[n]
        for j in range(4 * H):
            row[j] += z[n, j]
        # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2, for all gates but the third
        scale(row[: 2 * H], half, half - half)
        scale(row[3 * H :], half, half - half)
        tanh(row)
        scale(row[: 2 * H], half, half)
        scale(row[3 * H :], half, half)
        if valid[n]:
            i, f, g, o = row[:H], row[H : 2 * H], row[2 * H : 3 * H], row[3 * H :]
            for j in range(H):
                c_next[n, j] = f[j] * c[n, j] + i[j] * g[j]
                h_next[n, j] = c_next[n, j]
            tanh(h_next[n])
            for j in range(H):
                h_next[n, j] *= o[j]
        else:
            h_next[n] = h[n]
            c_next[n] = c[n]


@njit(nogil=True, cache=True)
def step_backward(gy, valid, gates, c, c_next, gh, gc, gz):
    """gz of one step, and gc brought from the next step to this one."""
    N, H = c.shape
    one = c.dtype.type(1)
    tanh_c = np.empty(H, c.dtype)
    for n in range(N):
        if not valid[n]:
            gz[n] = 0
            continue
        row, to = gates[n], gz[n]
        i, f, g, o = row[:H], row[H : 2 * H], row[2 * H : 3 * H], row[3 * H :]
        gzi, gzf, gzg, gzo = to[:H], to[H : 2 * H], to[2 * H : 3 * H], to[3 * H :]
        tanh_c[:] = c_next[n]
        tanh(tanh_c)
        for j in range(H):
            gh_here = gh[n, j] + gy[n, j]
            gc_here = gc[n, j] + gh_here * o[j] * (one - tanh_c[j] * tanh_c[j])
            gzi[j] = gc_here * g[j] * i[j] * (one - i[j])
            gzf[j] = gc_here * c[n, j] * f[j] * (one - f[j])
            gzg[j] = gc_here * i[j] * (one - g[j] * g[j])
            gzo[j] = gh_here * tanh_c[j] * o[j] * (one - o[j])
            gc[n, j] = gc_here * f[j]


@njit(nogil=True, cache=True)
def scale(x, factor, shift):
    for j in range(len(x)):
        x[j] = x[j] * factor + shift


@njit(nogil=True, cache=True, error_model="numpy")
def tanh(x):
    """In place; NaN stays NaN. (A check for division by zero would keep it from being vectors.)"""
    if x.itemsize == 8:
        for j in range(len(x)):
            x[j] = math.tanh(x[j])
        return
    for j in range(len(x)):
        v = x[j]
        s = v * v
        p = ((((((P6 * s + P5) * s + P4) * s + P3) * s + P2) * s + P1) * s + P0) * v
        quotient = p / (((Q3 * s + Q2) * s + Q1) * s + ONE)
        quotient = ONE if v > LIMIT else quotient
        x[j] = -ONE if v < -LIMIT else quotient
