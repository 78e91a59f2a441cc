"""Which pixels and taps meet in a depthwise convolution: the tables of vector/tap_products.py.

An output meets in each direction the taps for which there is a pixel. In a row these are *runs* of
some taps that lie side by side, as many in each run as divide the taps and have code; where taps or
pixels are further apart, runs of one tap. The outputs of a row are divided into *blocks* of a few.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np

KINDS = (1, 1), (2, 1), (3, 1), (5, 1), (3, 2), (5, 2)  # taps of a run, stride
KEPT = 256  # plans


class Plan(NamedTuple):
    """The tables, and how far it is from one to the next, in numbers.

    Attributes:
        starts: for each row of outputs where its rows begin, and the end of the last ones.
        rows: where a row of the picture begins, and that of the weights.
        runs: first pixel, first weight, first inside, first behind; see tap_products.py.
        blocks: (blocks, 5): number of the kind, first output, how many, first run, end of the runs.
        steps: from one pixel to the next, from one tap, from one output.
        ahead: how many new rows of the picture a row of outputs reads, and numbers in a row.
    """

    starts: np.ndarray
    rows: np.ndarray
    runs: np.ndarray
    blocks: np.ndarray
    steps: tuple[int, int, int]
    ahead: tuple[int, int]


@lru_cache(maxsize=KEPT)
def forward_plan(columns, K, window, size, out_size, stride, padding, dilation, room=None):
    """For blocks of so many columns. Weights have room for K channels, or more."""
    (R, S), (_, W), room = window, size, room or K
    rows = [
        [(h * W * K, r * S * room) for h, r in meets(oh, R, stride[0], padding[0], dilation[0])
         if 0 <= h < size[0]]
        for oh in range(out_size[0])
    ]  # fmt: skip
    taps = meets(0, S, stride[1], padding[1], dilation[1])
    kind, step = (taps_of_run(S), stride[1]), 1
    if dilation[1] > 1 or kind not in KINDS:
        kind, step = (1, 1), stride[1]
    runs, blocks = [], []
    add_blocks(runs, blocks, columns, kind, taps, step, W, range(out_size[1]), K, room)
    return plan_of(rows, runs, blocks, (step * K, room, K), (stride[0], W * K))


@lru_cache(maxsize=KEPT)
def backward_plan(columns, K, window, size, out_size, stride, padding, dilation):
    """For the gradient of x, which has out_size, from gy, which has size."""
    (R, S), (_, W) = window, size
    rows = [
        [(oh * W * K, r * S * K) for oh, r in sends(h, R, stride[0], padding[0], dilation[0])
         if 0 <= oh < size[0]]
        for h in range(out_size[0])
    ]  # fmt: skip
    runs, blocks = [], []
    for phase in range(min(stride[1], out_size[1])):
        taps = sends(phase, S, stride[1], padding[1], dilation[1])[::-1]  # from left to right
        kind = (taps_of_run(len(taps)) if dilation[1] == 1 else 1), 1
        outputs = range(phase, out_size[1], stride[1])
        add_blocks(runs, blocks, columns, kind, taps, 1, W, outputs, K, K)
    return plan_of(rows, runs, blocks, (K, -stride[1] * K, stride[1] * K), (1, W * K))


def meets(output, taps, stride, padding, dilation):
    """(pixel, tap) for each tap of an output's window."""
    return [(output * stride + tap * dilation - padding, tap) for tap in range(taps)]


def sends(pixel, taps, stride, padding, dilation):
    """(output, tap) for each output in whose window the pixel is, and the tap that reads it."""
    found = [(*divmod(pixel + padding - tap * dilation, stride), tap) for tap in range(taps)]
    return [(output, tap) for output, rest, tap in found if rest == 0]


def taps_of_run(taps):
    return next(n for n in (5, 3, 2, 1) if taps % n == 0)


def add_blocks(runs, blocks, columns, kind, taps, step, W, outputs, K, room):
    """Append the blocks of some outputs, and their runs.

    Args:
        taps: (pixel, tap) for the first of the outputs, from left to right.
        step: pixels from one of a run to the next.
    """
    length, stride = kind
    for j in range(0, len(outputs), columns):
        count, begin = min(columns, len(outputs) - j), len(runs)
        for pixel, tap in taps[::length]:
            pixel += j * stride * step
            first = max(0, -(pixel // step))
            end = min((count - 1) * stride + length, -((pixel - W) // step))
            runs.append((pixel * K, tap * room, first, end))
        blocks.append((KINDS.index(kind), outputs[j] * K, count, begin, len(runs)))


def plan_of(rows, runs, blocks, steps, ahead):
    starts = np.cumsum([0, *map(len, rows)])
    rows = [entry for row in rows for entry in row]
    return Plan(
        starts.astype(np.intp), np.array(rows, np.intp).reshape(-1),
        np.array(runs, np.intp).reshape(-1), np.array(blocks, np.intp).reshape(-1, 5), steps, ahead,
    )  # fmt: skip
