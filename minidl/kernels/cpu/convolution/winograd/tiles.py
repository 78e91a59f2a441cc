"""Tiles of pictures and kernels, from memory to their Winograd transforms and back.

Arrays are flat. Pictures lie channels last: x_size and y_size are (height, width, step), step being
the numbers from one pixel to the next, and the array begins at the first channel that is meant.
Transforms lie entry by entry (convolve.py).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minidl.kernels.cpu.convolution.winograd.transforms import (
    READS,
    transform_inputs,
    transform_kernel_3,
    transform_kernel_5,
    transform_masked_inputs,
    transform_outputs_2,
    transform_outputs_4,
)
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import PANEL
from minidl.kernels.cpu.vector.moves import (
    clear_vector,
    copy_vector,
    copy_vector_where,
    prefetch,
)

ENTRIES = READS * READS
LINE = 16  # numbers in a cache line
MOST_PREFETCHED = 32  # numbers in a pixel; with more, the processor sees by itself what follows


@njit(nogil=True, cache=True)
def tile_of(R):
    """Outputs of a tile, in each direction: 4 with three taps, 2 with five."""
    return READS + 1 - R


def count_tiles(N, H, W, tile):
    return N * -(-H // tile) * -(-W // tile)


def bounds_of(n, at_most):
    """Where blocks of 0 to n begin and end: about one size, an even number if there are several."""
    count = -(-n // at_most)
    count += count % 2 if count > 1 else 0
    return np.array([n * i // count for i in range(count + 1)] if n else [0])


@njit(nogil=True, cache=True)
def panels(columns):
    return (columns + PANEL - 1) // PANEL


@njit(nogil=True, cache=True)
def spread(size):
    """At least `size`, and an odd number of cache lines."""
    return ((size + LINE - 1) // LINE | 1) * LINE


@njit(nogil=True, cache=True)
def check_room(size, entry):
    """Numba's cache does not notice when a file changes that a compiled function was made of."""
    if size < ENTRIES * entry:
        raise ValueError("compiled for other block sizes: delete the __pycache__ folders of minidl")


@njit(nogil=True, cache=True)
def tile_place(number, tile, y_size):
    """Image, and the first row and column of outputs."""
    OH, OW, _ = y_size
    down, across = (OH + tile - 1) // tile, (OW + tile - 1) // tile
    n, rest = number // (down * across), number % (down * across)
    return n, rest // across * tile, rest % across * tile


@njit(nogil=True, cache=True)
def transform_picture(
    first, end, tile, C, x, is_masked, mask, x_size, padding, y_size, V, V_row, V_entry
):
    """V = B^T d B for some tiles: 6 x 6 pixels each, zero where they are outside of the picture.

    If it is masked, x counts only where the mask, which lies as x does, is not 0.
    """
    H, W, step = x_size
    around = np.empty(ENTRIES * WIDTH, np.float32)
    for number in range(first, end):
        n, oh, ow = tile_place(number, tile, y_size)
        h, v = oh - padding[0], ow - padding[1]
        inside = h >= 0 and v >= 0 and h + READS <= H and v + READS <= W
        for c in range(0, C, WIDTH):
            target = (number - first) * V_row + c
            prefetch_square(x, x_size, n, h + READS, v + (READS - tile) // 2, c, tile)
            source = ((n * H + h) * W + v) * step + c
            if inside and is_masked:
                transform_masked_inputs(
                    x, mask, source, W * step, step, V, target, READS * V_entry, V_entry
                )
            elif inside:
                transform_inputs(x, source, W * step, step, V, target, READS * V_entry, V_entry)
            else:
                copy_tile(x, is_masked, mask, x_size, n, h, v, c, READS, around)
                transform_inputs(
                    around, 0, READS * WIDTH, WIDTH, V, target, READS * V_entry, V_entry
                )


@njit(nogil=True, cache=True)
def prefetch_square(x, x_size, n, h, v, c, size):
    """The pixels of the tile below, while this one is computed.

    Of a few channels, a tile takes short pieces from many places, and the processor's own foresight
    begins too late.
    """
    H, W, step = x_size
    if step <= MOST_PREFETCHED and c % LINE == 0:
        first = ((n * H + h) * W + v) * step + c
        for i in range(size):
            for j in range(size):
                prefetch(x, first + (i * W + j) * step)


@njit(nogil=True, cache=True)
def copy_tile(x, is_masked, mask, x_size, n, h, v, c, size, tile):
    """size x size vectors of pixels, zeros where they are outside of the picture."""
    H, W, step = x_size
    for i in range(size):
        for j in range(size):
            if 0 <= h + i < H and 0 <= v + j < W:
                source = ((n * H + h + i) * W + v + j) * step + c
                if is_masked:
                    copy_vector_where(x, source, mask, source, tile, (i * size + j) * WIDTH)
                else:
                    copy_vector(x, source, tile, (i * size + j) * WIDTH)
            else:
                clear_vector(tile, (i * size + j) * WIDTH)


@njit(nogil=True, cache=True)
def write_outputs(first, end, tile, K, M, M_row, M_entry, least, y, y_size):
    """y = A^T m A, or `least` where that is less, for some tiles; of a tile that sticks out, the
    part inside."""
    OH, OW, step = y_size
    whole = np.empty(tile * tile * WIDTH, np.float32)
    for number in range(first, end):
        n, oh, ow = tile_place(number, tile, y_size)
        for k in range(0, K, WIDTH):
            source = (number - first) * M_row + k
            target = ((n * OH + oh) * OW + ow) * step + k
            prefetch_square(y, y_size, n, oh + tile, ow, k, tile)
            if oh + tile <= OH and ow + tile <= OW:
                outputs_of_tile(tile, M, source, M_entry, least, y, target, OW * step, step)
            else:
                outputs_of_tile(tile, M, source, M_entry, least, whole, 0, tile * WIDTH, WIDTH)
                for i in range(min(tile, OH - oh)):
                    for j in range(min(tile, OW - ow)):
                        here = target + (i * OW + j) * step
                        copy_vector(whole, (i * tile + j) * WIDTH, y, here)


@njit(nogil=True, cache=True)
def outputs_of_tile(tile, M, source, M_entry, least, y, target, row, column):
    if tile == 4:
        transform_outputs_4(M, source, READS * M_entry, M_entry, least, y, target, row, column)
    else:
        transform_outputs_2(M, source, READS * M_entry, M_entry, least, y, target, row, column)


@njit(nogil=True, cache=True)
def transform_weight(R, w, source, step, U, target, U_entry):
    """U = G g G^T of a vector of kernels; `step` numbers of w from one tap to the next."""
    row, down = R * step, READS * U_entry
    if R == 3:
        transform_kernel_3(w, source, row, step, U, target, down, U_entry)
    else:
        transform_kernel_5(w, source, row, step, U, target, down, U_entry)
