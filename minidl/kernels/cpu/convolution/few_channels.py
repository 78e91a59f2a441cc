"""The gradient of x where x has few channels: a picture, which is optimised or looked at.

What a pixel of gy sends back, to R S pixels of C channels, is a row of the product of gy with the
weights as a matrix, (OW, K) times (K, R S C). For three colours that is a panel or two of columns
(vector/matrix_product.py). A row of gy is multiplied and added to the R rows of gx that its windows
saw, while all of that is in the nearest cache:

    gx[oh sh + r - ph, ow sw + s - pw, c] += (gy[oh, ow] @ w)[r, s, c]

im2col.py does the same with a few hundred rows at a time and the products of a BLAS, for which so
few columns are unusual.
"""

from __future__ import annotations

import numpy as np
from numba import get_num_threads, get_thread_id, njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.cpu.vector.matrix_product import (
    BLOCKS,
    LARGE,
    PANEL,
    block_rows,
    check_blocks,
    multiply_panel,
)
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import scratch

MOST_TAPS = 48  # numbers that a pixel of gy sends back
WORK_PER_NUMBER = 16  # multiply-adds that take as long as to move a number
BANDS = 8  # of rows of gx, which threads share


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than im2col; see conv2d.choose."""
    K, C, R, S = w_shape
    if result != "gx" or array.dtype != np.float32 or dilation != (1, 1) or groups > 1:
        return False
    if array.size == 0 or min(x_shape) == 0 or array.shape[3] < LARGE:
        return False
    return 1 < R * S and R * S * C <= MOST_TAPS and K >= PANEL


def backward_input(gy, w, x_shape, stride, padding, dilation, groups, mask=None):
    (N, C, H, W), (K, _, R, S), gy = x_shape, w.shape, channels_last(gy)
    _, OH, OW, _ = gy.shape
    mask, is_masked = gy if mask is None else channels_last(mask), mask is not None
    columns = -(-R * S * C // PANEL) * PANEL
    weights = np.zeros((K, columns), np.float32)
    weights[:, : R * S * C] = w.transpose(0, 2, 3, 1).reshape(K, -1)
    weights = weights.reshape(K, -1, PANEL).transpose(1, 0, 2)  # panel behind panel
    gx = np.zeros((N, H, W * C), np.float32)
    bands = np.arange(min(BANDS, H) + 1) * H // min(BANDS, H)
    row, products = block_rows(OW) * K, block_rows(OW) * columns
    with (
        scratch(get_num_threads() * (row + products)) as (work,),
        threads_for(gy.size * R * S * C // WORK_PER_NUMBER),
    ):
        add_bands(
            BLOCKS, bands, gy.reshape(N, OH, OW * K), is_masked, mask.reshape(N, OH, OW * K),
            np.ascontiguousarray(weights).reshape(-1),
            (R, S * C, *stride, padding[0], padding[1], C), K, columns, work, row, products, gx,
        )  # fmt: skip
    return channels_first(gx.reshape(N, H, W, C))


@njit(parallel=True, cache=True)
def add_bands(
    blocks, bands, gy, is_masked, mask, weights, window, K, columns, work, row, products, gx
):
    """Each band of gx from all rows of gy that its pixels sent; at its edges two bands compute the
    same products."""
    check_blocks(blocks, BLOCKS)
    n_bands = len(bands) - 1
    for task in prange(len(gy) * n_bands):
        mine = get_thread_id() * (row + products)
        n, band = task // n_bands, task % n_bands
        add_band(
            bands[band], bands[band + 1], gy[n], is_masked, mask[n], weights, window, K, columns,
            work[mine : mine + row], work[mine + row : mine + row + products], gx[n],
        )  # fmt: skip


@njit(nogil=True, cache=True)
def add_band(first, end, gy, is_masked, mask, weights, window, K, columns, row, products, gx):
    """Rows first to end of gx of one picture."""
    R, _, sh, _, ph, _, _ = window
    pixels = gy.shape[1] // K
    for oh in range(len(gy)):
        top = oh * sh - ph
        if top + R <= first or top >= end:
            continue
        for i in range(pixels * K):
            row[i] = gy[oh, i] if not is_masked or mask[oh, i] != 0 else 0
        for p in range(columns // PANEL):
            multiply_panel(
                pixels, K, row, 0, K, 1, weights, p * K * PANEL, PANEL,
                products, p * PANEL, columns, 0,
            )  # fmt: skip
        for h in range(max(top, first), min(top + R, end)):
            add_row(pixels, h - top, products, columns, window, gx[h])


@njit(nogil=True, cache=True)
def add_row(pixels, r, products, columns, window, gx):
    """To a row of gx what row r of the windows sends; without what lies outside of the picture."""
    _, run, _, sw, _, pw, C = window
    for ow in range(pixels):
        start, source = (ow * sw - pw) * C, ow * columns + r * run
        # max also tells the compiler that no index is negative, so it makes a plain loop.
        begin, stop = max(start, 0), min(start + run, len(gx))
        at = max(source + begin - start, 0)
        for j in range(stop - begin):
            gx[begin + j] += products[at + j]
