"""One step of an LSTM whose weights lie in panels, of which nothing is kept.

A thread takes a strip of cells, those of a panel, through both products and the pass over the
cells (vector/gates.py): the threads meet once.

What an input adds to the gates, W_ih x, is written to a *table* (strips, rows, 4 PANEL), where the
numbers of an input's four gates lie side by side. It may have rows from earlier steps, and many
sequences may read the same row. So may they go on from the same state: each product is computed
once, of different inputs and different states.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.gates import step_cells
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import BLOCKS, LARGE, PANEL, check_blocks
from minidl.kernels.cpu.vector.panels import GAP, multiply_rows, rows_of_blocks
from minidl.kernels.memory import scratch

ROW = 4 * PANEL  # numbers of an input in a strip of the table


def room_for(rows: int) -> int:
    """Rows that are enough for the blocks of a product of `rows` or fewer."""
    return rows + LARGE


def step_with_panels(x, new, first, table, places, h, c, parents, of_input, of_state, b):
    """The state and cell (N, H) after one step.

    Args:
        x: inputs, row by row in memory, (M, I).
        new: which of them are not in the table yet, int64 (n,).
        first: from this row on, they are written there. It has room_for(n) rows from there.
        table: (H / PANEL, rows, 4 PANEL).
        places: the row of each sequence, int64 (N,).
        h, c: (S, H).
        parents: which of these each sequence goes on from, int64 (N,).
        of_input, of_state: the weights as panels.
        b: (4H,).
    """
    N, H = len(places), h.shape[1]
    h_next, c_next = np.empty((N, H), h.dtype), np.empty((N, H), h.dtype)
    size = (room_for(N) + 1) * ROW
    a_size, own_size = (room_for(N) * (panels.shape[1] + GAP) for panels in (of_input, of_state))
    moved = of_state.size + (of_input.size if len(new) else 0)
    with scratch(a_size, own_size, get_num_threads() * size) as (a, own, work), threads_for(moved):
        step_strips(
            BLOCKS, x, new, first, table.reshape(-1), places, np.ascontiguousarray(h),
            np.ascontiguousarray(c).reshape(-1), parents, a, own, of_input, of_state,
            np.ascontiguousarray(b), work, size, h_next, c_next,
        )  # fmt: skip
    return h_next, c_next


def step_alone(x, which, h, c, parents, of_input, of_state, b):
    """The same with the inputs x[which], int64 (N,), and a table for this step alone."""
    N, H = len(which), h.shape[1]
    rows = room_for(N)
    with scratch(4 * H * rows) as (memory,):
        table = memory[: 4 * H * rows].reshape(H // PANEL, rows, ROW)
        places = np.arange(N)
        return step_with_panels(
            x, which, 0, table, places, h, c, parents, of_input, of_state, b
        )  # fmt: skip


@njit(parallel=True, cache=True)
def step_strips(
    blocks, x, new, first, table, places, h, c, parents, a, own, of_input, of_state, b, work, size,
    h_next, c_next,
):  # fmt: skip
    check_blocks(blocks, BLOCKS)
    used, shares = distinct(parents, len(h))
    copy_rows(x, new, a)
    copy_rows(h, used, own)
    strips = h.shape[1] // PANEL
    of_strip = len(table) // strips
    for number in prange(strips):
        mine = get_thread_id() * size
        gates = table[number * of_strip : (number + 1) * of_strip]
        step_strip(
            number, a, len(new), first, gates, places, own, len(used), shares, c, parents, of_input,
            of_state, b, work[mine : mine + size], h_next, c_next,
        )  # fmt: skip


@njit(nogil=True, cache=True)
def distinct(parents, count):
    """Which of `count` numbers there are, in order, and where in that list each of parents is."""
    where = np.full(count, -1)
    for parent in parents:
        where[parent] = 0
    used = np.empty(count, np.int64)
    n = 0
    for number in range(count):
        if where[number] == 0:
            where[number] = n
            used[n] = number
            n += 1
    return used[:n], where[parents]


@njit(nogil=True, cache=True)
def copy_rows(matrix, which, a):
    """Rows of a matrix as multiply_rows reads them, and zeros that fill up its blocks."""
    K, n = matrix.shape[1], len(which)
    step = K + GAP
    for i in range(n):
        a[i * step : i * step + K] = matrix[which[i]]
    a[n * step : rows_of_blocks(n) * step] = 0


@njit(nogil=True, cache=True)
def step_strip(
    number, a, n_new, first, table, places, own, n_states, shares, c, parents, of_input, of_state,
    b, work, h_next, c_next,
):  # fmt: skip
    """One step of a panel of cells. The last row of `work` is for gates, which nobody reads."""
    N, H = h_next.shape
    cell = number * PANEL
    for gate in range(4):
        panel = gate * H // PANEL + number
        x_panel, h_panel = of_input[panel].ravel(), of_state[panel].ravel()
        start = first * ROW + gate * PANEL
        multiply_rows(n_new, of_input.shape[1], a, x_panel, table, start, ROW, 0)
        for i in range(n_states):
            for j in range(PANEL):
                work[i * ROW + gate * PANEL + j] = b[gate * H + cell + j]
        multiply_rows(n_states, H, own, h_panel, work, gate * PANEL, ROW, 1)
    unread = len(work) - ROW
    for n in range(N):
        step_cells(
            PANEL // WIDTH, work, shares[n] * ROW, PANEL, table, places[n] * ROW, PANEL, work,
            unread, PANEL, c, parents[n] * H + cell, c_next[n], cell, h_next[n], cell,
        )  # fmt: skip
