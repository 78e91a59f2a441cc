"""Tiles of pictures and kernels, from memory to their Winograd transforms and back.

Arrays are flat. Pictures lie channels last, and views say where (views.py). Transforms lie entry by
entry (convolve.py). R is the number of taps in each direction: two, three or five.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minidl.kernels.cpu.convolution.winograd.transforms import (
    READS,
    READS_OF_TWO,
    transform_inputs,
    transform_inputs_of_two,
    transform_kernel_2,
    transform_kernel_3,
    transform_kernel_5,
    transform_masked_inputs,
    transform_masked_inputs_of_two,
    transform_outputs_2,
    transform_outputs_4,
    transform_outputs_of_two,
)
from minidl.kernels.cpu.convolution.winograd.views import (
    COLUMNS,
    LEFT,
    NEXT_PIXEL,
    NEXT_ROW,
    ROWS,
    TOP,
    pixel_at,
)
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.cpu.vector.matrix_product import PANEL
from minidl.kernels.cpu.vector.moves import (
    clear_vector,
    copy_vector,
    copy_vector_where,
    prefetch,
)

LINE = 16  # numbers in a cache line
MOST_PREFETCHED = 32  # numbers in a pixel; with more, the processor sees by itself what follows


@njit(nogil=True, cache=True)
def reads_of(R):
    """Inputs that a tile reads, in each direction."""
    return READS_OF_TWO if R == 2 else READS


@njit(nogil=True, cache=True)
def entries_of(R):
    """Products of a tile."""
    return reads_of(R) * reads_of(R)


@njit(nogil=True, cache=True)
def tile_of(R):
    """Outputs of a tile, in each direction: 4 with two or three taps, 2 with five."""
    return reads_of(R) + 1 - R


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
def check_room(size, R, entry):
    """Numba's cache does not notice when a file changes that a compiled function was made of."""
    if size < entries_of(R) * entry:
        raise ValueError("compiled for other block sizes: delete the __pycache__ folders of minidl")


@njit(nogil=True, cache=True)
def tile_place(number, tile, y_view):
    """Image, and the first row and column of outputs."""
    down = (y_view[ROWS] + tile - 1) // tile
    across = (y_view[COLUMNS] + tile - 1) // tile
    n, rest = number // (down * across), number % (down * across)
    return n, rest // across * tile, rest % across * tile


@njit(nogil=True, cache=True)
def transform_pictures(first, end, R, C, start, channels, source, y_view, V, V_row, V_entry):
    """V for some tiles and some of the C channels, those of each view behind those of the last.

    Args:
        start, channels: the first of them, and how many.
        source: (x, is_masked, mask, views). If it is masked, x counts only where the mask, which
            lies as x does, is not 0.
    """
    x, is_masked, mask, views = source
    of_view, done = C // len(views), 0
    while done < channels:
        number, c = (start + done) // of_view, (start + done) % of_view
        some = min(of_view - c, channels - done)
        transform_picture(
            first, end, R, some, x[c:], is_masked, mask[c:], views[number], y_view,
            V[done:], V_row, V_entry,
        )  # fmt: skip
        done += some


@njit(nogil=True, cache=True)
def transform_picture(first, end, R, C, x, is_masked, mask, view, y_view, V, V_row, V_entry):
    """V = B^T d B for some tiles, with zeros where their pixels are outside of the picture."""
    tile, reads, row, step = tile_of(R), reads_of(R), view[NEXT_ROW], view[NEXT_PIXEL]
    around = np.empty(READS * READS * WIDTH, np.float32)
    for number in range(first, end):
        n, oh, ow = tile_place(number, tile, y_view)
        h, v = oh - view[TOP], ow - view[LEFT]
        inside = h >= 0 and v >= 0 and h + reads <= view[ROWS] and v + reads <= view[COLUMNS]
        if not inside:
            clear_tile(reads, around)
        for c in range(0, C, WIDTH):
            target = (number - first) * V_row + c
            prefetch_square(x, view, n, h + reads, v + (reads - tile) // 2, c, tile)
            if inside:
                source = pixel_at(view, n, h, v) + c
                inputs_of_tile(R, x, is_masked, mask, source, row, step, V, target, V_entry)
            else:
                copy_tile(x, is_masked, mask, view, n, h, v, c, reads, around)
                inputs_of_tile(
                    R, around, False, around, 0, reads * WIDTH, WIDTH, V, target, V_entry
                )


@njit(nogil=True, cache=True)
def inputs_of_tile(R, x, is_masked, mask, source, row, column, V, target, V_entry):
    down = reads_of(R) * V_entry
    if R == 2 and is_masked:
        transform_masked_inputs_of_two(x, mask, source, row, column, V, target, down, V_entry)
    elif R == 2:
        transform_inputs_of_two(x, source, row, column, V, target, down, V_entry)
    elif is_masked:
        transform_masked_inputs(x, mask, source, row, column, V, target, down, V_entry)
    else:
        transform_inputs(x, source, row, column, V, target, down, V_entry)


@njit(nogil=True, cache=True)
def prefetch_square(x, view, n, h, v, c, size):
    """The pixels of the tile below, while this one is computed.

    Of a few channels, a tile takes short pieces from many places, and the processor's own foresight
    begins too late.
    """
    row, step = view[NEXT_ROW], view[NEXT_PIXEL]
    if step <= MOST_PREFETCHED and c % LINE == 0:
        first = pixel_at(view, n, h, v) + c
        for i in range(size):
            for j in range(size):
                prefetch(x, first + i * row + j * step)


@njit(nogil=True, cache=True)
def clear_tile(size, tile):
    """Zeros, for what is outside of the picture: copy_tile leaves them there."""
    for i in range(size * size):
        clear_vector(tile, i * WIDTH)


@njit(nogil=True, cache=True)
def copy_tile(x, is_masked, mask, view, n, h, v, c, size, tile):
    """Of size x size vectors of pixels those that are inside of the picture."""
    left, right = max(0, -v), min(size, view[COLUMNS] - v)
    for i in range(max(0, -h), min(size, view[ROWS] - h)):
        for j in range(left, right):
            source, target = pixel_at(view, n, h + i, v + j) + c, (i * size + j) * WIDTH
            if is_masked:
                copy_vector_where(x, source, mask, source, tile, target)
            else:
                copy_vector(x, source, tile, target)


@njit(nogil=True, cache=True)
def write_outputs(first, end, R, K, M, M_row, M_entry, least, slope, y, view):
    """y = A^T m A for some tiles: `slope` times what is below 0, then no less than `least`. Of a
    tile that sticks out, the part inside."""
    tile, OH, OW = tile_of(R), view[ROWS], view[COLUMNS]
    row, step = view[NEXT_ROW], view[NEXT_PIXEL]
    whole = np.empty(tile * tile * WIDTH, np.float32)
    for number in range(first, end):
        n, oh, ow = tile_place(number, tile, view)
        for k in range(0, K, WIDTH):
            source = (number - first) * M_row + k
            target = pixel_at(view, n, oh, ow) + k
            prefetch_square(y, view, n, oh + tile, ow, k, tile)
            if oh + tile <= OH and ow + tile <= OW:
                outputs_of_tile(R, M, source, M_entry, least, slope, y, target, row, step)
            else:
                outputs_of_tile(R, M, source, M_entry, least, slope, whole, 0, tile * WIDTH, WIDTH)
                for i in range(min(tile, OH - oh)):
                    for j in range(min(tile, OW - ow)):
                        here = target + i * row + j * step
                        copy_vector(whole, (i * tile + j) * WIDTH, y, here)


@njit(nogil=True, cache=True)
def outputs_of_tile(R, M, source, M_entry, least, slope, y, target, row, column):
    down = reads_of(R) * M_entry
    if R == 2:
        transform_outputs_of_two(M, source, down, M_entry, least, slope, y, target, row, column)
    elif R == 3:
        transform_outputs_4(M, source, down, M_entry, least, slope, y, target, row, column)
    else:
        transform_outputs_2(M, source, down, M_entry, least, slope, y, target, row, column)


@njit(nogil=True, cache=True)
def transform_weight(R, w, source, row, column, U, target, U_entry):
    """U = G g G^T of a vector of kernels, whose taps lie so many numbers apart."""
    down = reads_of(R) * U_entry
    if R == 2:
        transform_kernel_2(w, source, row, column, U, target, down, U_entry)
    elif R == 3:
        transform_kernel_3(w, source, row, column, U, target, down, U_entry)
    else:
        transform_kernel_5(w, source, row, column, U, target, down, U_entry)
