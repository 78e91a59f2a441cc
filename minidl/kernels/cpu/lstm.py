"""Long short-term memory: at each step one matrix product, and one pass over the cells.

Every step multiplies by the same weights. A BLAS brings them into the order in which it reads them
anew each time, and they are far larger than the few rows of a step. So for more than a few steps
they are brought into panels once (vector/matrix_product.py), and a thread takes a *strip* of
cells through a step, product and pass: the threads meet once a step. For a few steps, and where
panels do not fit (H is no multiple of one, float64), the product is the BLAS's, and the pass has
one thread. The two round differently.

What costs time in the pass is tanh, five for each cell. The C library computes them one by one;
written as a quotient of two polynomials, 8 or 16 take one instruction (vector/gates.py).

Functions and shapes as in the reference kernel, which is written closer to the formulas.
"""

from __future__ import annotations

import math

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels import unchanging
from minidl.kernels.cpu.matmul import product
from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.gates import LIMIT, P, Q, step_back, step_cells
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.lstm_step import step_alone
from minidl.kernels.cpu.vector.matrix_product import BLOCKS, PANEL, check_blocks
from minidl.kernels.cpu.vector.panels import (
    GAP,
    fill_panels,
    make_panels,
    multiply_rows,
    rows_of_blocks,
    size_of_rows,
    write_rows,
)
from minidl.kernels.memory import scratch

FEW_STEPS = 8  # fewer are not worth the panels
P0, P1, P2, P3, P4, P5, P6 = P
ONE, Q1, Q2, Q3 = Q
STRIP = 4 * PANEL  # cells that a thread takes at a time, or a panel where there are too few
WORK_PER_NUMBER = 16  # multiply-adds that take as long as to move a number


def forward(z, h0, c0, w_hh, valid):
    T, N, H = len(z), *h0.shape
    c, gates = np.empty((T + 1, N, H), z.dtype), np.empty((T, N, 4 * H), z.dtype)
    h = np.empty((T + 1, N, H), z.dtype)
    h[0], c[0] = h0, c0
    z, valid = np.ascontiguousarray(z), np.ascontiguousarray(valid)
    if has_panels(z, H):
        strip, rows = strip_of(H), rows_of_blocks(N)
        with (
            scratch(4 * H * H, size_of_rows(h0), get_num_threads() * rows * 4 * strip) as (
                panels, a, work,
            ),
            threads_for(N * 4 * H * H // WORK_PER_NUMBER),
        ):  # fmt: skip
            by_panel = panels[: w_hh.size].reshape(-1, H, PANEL)
            fill_panels(slice(0, len(by_panel)), np.ascontiguousarray(w_hh), by_panel)
            write_rows(h0, a)
            forward_strips(BLOCKS, strip, z, valid, panels, a, work, gates, h, c)
        return h, c, gates
    for t in range(T):
        product(h[t], w_hh.T, out=gates[t])
        gates[t] += z[t]
        step_forward(valid[t], gates[t], h[t], c[t], h[t + 1], c[t + 1])
    return h, c, gates


def step(x, h, c, w_ih, w_hh, b):
    """One step, of which nothing is kept. With panels where the weights are promised to stay as
    they are (kernels/unchanging.py), as in a search: they are made once."""
    panels = panels_of(h, w_ih, w_hh) if x.size else None
    if panels is not None:
        each = np.arange(len(x))
        return step_alone(np.ascontiguousarray(x), each, h, c, each, *panels, b)
    z = product(x, w_ih.T)
    z += b
    h, c, _ = forward(z[None], h, c, w_hh, np.ones((1, len(x)), bool))
    return h[1], c[1]


def panels_of(h, w_ih, w_hh):
    """Those of both matrices if these stay as they are and panels fit, or None."""
    if h.dtype != np.float32 or h.shape[1] % PANEL or not h.size:
        return None
    of_input = unchanging.prepared(w_ih, make_panels)
    of_state = unchanging.prepared(w_hh, make_panels)
    return None if of_input is None or of_state is None else (of_input, of_state)


def backward(gy, gh, gc, c, gates, w_hh, valid):
    gz = np.empty_like(gates)
    gy, gh, gc = np.ascontiguousarray(gy), gh.copy(), gc.copy()
    valid = np.ascontiguousarray(valid)
    T, N, H = gy.shape
    if has_panels(gy, H):
        strip, rows = strip_of(H), rows_of_blocks(N)
        with (
            scratch(4 * H * H, size_of_rows(gates[0]), get_num_threads() * rows * strip) as (
                panels, a, work,
            ),
            threads_for(N * 4 * H * H // WORK_PER_NUMBER),
        ):  # fmt: skip
            to_panels(w_hh, panels)
            write_rows(gates[0], a)  # and what fills up the rows; gz takes their place
            backward_strips(BLOCKS, strip, gy, valid, panels, a, work, gates, c, gh, gc, gz)
        return gz, gh, gc
    for t in reversed(range(T)):
        step_backward(gy[t], valid[t], gates[t], c[t], c[t + 1], gh, gc, gz[t])
        np.copyto(gh, product(gz[t], w_hh), where=valid[t][:, None])
    return gz, gh, gc


def has_panels(x, H):
    return x.dtype == np.float32 and H % PANEL == 0 and x.size > 0 and len(x) >= FEW_STEPS


def strip_of(H):
    return STRIP if H % STRIP == 0 and H // STRIP >= get_num_threads() else PANEL


def to_panels(b, panels):
    """A matrix as panels of its columns, one behind the other."""
    rows, columns = b.shape
    target = panels[: b.size].reshape(columns // PANEL, rows, PANEL)
    target[...] = b.reshape(rows, columns // PANEL, PANEL).transpose(1, 0, 2)


@njit(parallel=True, cache=True)
def forward_strips(blocks, strip, z, valid, panels, a, work, gates, h, c):
    check_blocks(blocks, BLOCKS)
    T, N, H = len(z), h.shape[1], h.shape[2]
    size = rows_of_blocks(N) * 4 * strip  # of a thread's part of work
    for t in range(T):
        copy_rows(h[t], a)
        for number in prange(H // strip):
            mine = get_thread_id() * size
            forward_strip(
                number * strip, strip, z[t], valid[t], panels, a, work[mine : mine + size],
                gates[t], h[t], c[t], h[t + 1], c[t + 1],
            )  # fmt: skip


@njit(nogil=True, cache=True)
def copy_rows(matrix, to):
    """As write_rows. (Written out in a parallel function, it would be a loop of threads.)"""
    rows, K = matrix.shape
    for i in range(rows):
        to[i * (K + GAP) : i * (K + GAP) + K] = matrix[i]


@njit(nogil=True, cache=True)
def forward_strip(first, strip, z, valid, panels, a, work, gates, h, c, h_next, c_next):
    """One step of the cells from `first` on."""
    N, H = h.shape
    for gate in range(4):
        for j in range(0, strip, PANEL):
            column = gate * H + first + j
            panel = panels[column * H : (column + PANEL) * H]
            multiply_rows(N, H, a, panel, work, gate * strip + j, 4 * strip, 0)
    end = first + strip
    for n in range(N):
        step_cells(
            strip // WIDTH, work, n * 4 * strip, strip, z[n], first, H, gates[n], first, H, c[n],
            first, c_next[n], first, h_next[n], first,
        )  # fmt: skip
        if not valid[n]:
            h_next[n, first:end] = h[n, first:end]
            c_next[n, first:end] = c[n, first:end]


@njit(parallel=True, cache=True)
def backward_strips(blocks, strip, gy, valid, panels, a, work, gates, c, gh, gc, gz):
    check_blocks(blocks, BLOCKS)
    T, N, H = gy.shape
    size = rows_of_blocks(N) * strip
    for t in range(T, -1, -1):
        if t < T:
            copy_rows(gz[t], a)
        for number in prange(H // strip):
            mine, first = get_thread_id() * size, number * strip
            if t < T:
                add_strip(first, strip, valid[t], panels, a, work[mine : mine + size], gh)
            if t > 0:
                strip_backward(
                    first, strip, gy[t - 1], valid[t - 1], gates[t - 1], c[t - 1], c[t], gh, gc,
                    gz[t - 1],
                )  # fmt: skip


@njit(nogil=True, cache=True)
def strip_backward(first, strip, gy, valid, gates, c, c_next, gh, gc, gz):
    """step_backward of the cells from `first` on, in vectors."""
    N, H = c.shape
    for n in range(N):
        if valid[n]:
            step_back(
                strip // WIDTH, gates[n], first, H, c[n], first, c_next[n], first, gy[n], first,
                gh[n], gc[n], first, gz[n], first, H,
            )  # fmt: skip
        else:
            for gate in range(4):
                for j in range(gate * H + first, gate * H + first + strip):
                    gz[n, j] = 0


@njit(nogil=True, cache=True)
def add_strip(first, strip, valid, panels, a, work, gh):
    """gh of the cells from `first` on, from gz of a step (in a) that the sequences belong to."""
    N, H = gh.shape
    for j in range(first, first + strip, PANEL):
        panel = panels[j * 4 * H : (j + PANEL) * 4 * H]
        multiply_rows(N, 4 * H, a, panel, work, j - first, strip, 0)
    for n in range(N):
        if valid[n]:
            for j in range(strip):
                gh[n, first + j] = work[n * strip + j]


@njit(nogil=True, cache=True)
def step_forward(valid, gates, h, c, h_next, c_next):
    """One step of all cells."""
    N, H = h.shape
    for n in range(N):
        cells_forward(valid[n], gates[n], h[n], c[n], h_next[n], c_next[n])


@njit(nogil=True, cache=True)
def cells_forward(valid, gates, h, c, h_next, c_next):
    """The cells of one sequence: from z in `gates` to the gates and the next.

    A sequence that the step does not belong to keeps the state and cell that it had.
    """
    H, half = len(h), h.dtype.type(0.5)
    i, f, g, o = gates[:H], gates[H : 2 * H], gates[2 * H : 3 * H], gates[3 * H :]
    for gate in (i, f, o):  # sigmoid(x) = tanh(x / 2) / 2 + 1 / 2
        scale(gate, half, half - half)
        tanh(gate)
        scale(gate, half, half)
    tanh(g)
    if valid:
        for j in range(H):
            c_next[j] = f[j] * c[j] + i[j] * g[j]
            h_next[j] = c_next[j]
        tanh(h_next)
        for j in range(H):
            h_next[j] *= o[j]
    else:
        h_next[:] = h
        c_next[:] = c


@njit(nogil=True, cache=True)
def step_backward(gy, valid, gates, c, c_next, gh, gc, gz):
    """gz of one step, and gc brought to the step before."""
    N, H = c.shape
    one = c.dtype.type(1)
    tanh_c = np.empty(H, c.dtype)
    for n in range(N):
        if not valid[n]:
            gz[n] = 0
            continue
        i, f, g, o = gates[n, :H], gates[n, H : 2 * H], gates[n, 2 * H : 3 * H], gates[n, 3 * H :]
        tanh_c[:] = c_next[n]
        tanh(tanh_c)
        for j in range(H):
            gh_here = gh[n, j] + gy[n, j]
            gc_here = gc[n, j] + gh_here * o[j] * (one - tanh_c[j] * tanh_c[j])
            gz[n, j] = gc_here * g[j] * i[j] * (one - i[j])
            gz[n, H + j] = gc_here * c[n, j] * f[j] * (one - f[j])
            gz[n, 2 * H + j] = gc_here * i[j] * (one - g[j] * g[j])
            gz[n, 3 * H + j] = gh_here * tanh_c[j] * o[j] * (one - o[j])
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
