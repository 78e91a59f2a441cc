"""Vectors moved in memory: as they are or in part, as zeros, as columns, or into the cache ahead
of time.

Like all intrinsics (instructions.py), each is written in Python and as the code that emits
instructions, and **nothing checks that it stays inside**.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
    INDEX,
    WIDTH,
    ZEROS,
    data_pointer,
    fetch,
    load,
    part,
    place,
    python_or,
    store,
    where,
)


def copy_in_python(source, s, target, t):
    part(target, t)[:] = part(source, s)


@intrinsic
def compiled_copy(_, source, s, target, t):
    signature = types.void(source, INDEX, target, INDEX)

    def build(context, builder, signature, values):
        source = data_pointer(context, builder, signature.args[0], values[0])
        target = data_pointer(context, builder, signature.args[2], values[2])
        value = load(builder, place(builder, source, values[1]))
        store(builder, value, place(builder, target, values[3]))
        return context.get_dummy_value()

    return signature, build


def copy_where_in_python(source, s, mask, m, target, t):
    part(target, t)[:] = np.where(part(mask, m) != 0, part(source, s), source.dtype.type(0))


@intrinsic
def compiled_copy_where(_, source, s, mask, m, target, t):
    """A vector of source where the mask is not 0, and 0 elsewhere."""
    signature = types.void(source, INDEX, mask, INDEX, target, INDEX)

    def build(context, builder, signature, values):
        source, mask, target = (
            place(
                builder, data_pointer(context, builder, signature.args[i], values[i]), values[i + 1]
            )
            for i in (0, 2, 4)
        )
        store(builder, where(builder, load(builder, mask), load(builder, source)), target)
        return context.get_dummy_value()

    return signature, build


def clear_in_python(target, t):
    part(target, t)[:] = 0


@intrinsic
def compiled_clear(_, target, t):
    signature = types.void(target, INDEX)

    def build(context, builder, signature, values):
        target = data_pointer(context, builder, signature.args[0], values[0])
        store(builder, ZEROS, place(builder, target, values[1]))
        return context.get_dummy_value()

    return signature, build


def transpose_in_python(source, s, s_row, target, t, t_row):
    rows = [part(source, s + i * s_row) for i in range(WIDTH)]
    for j in range(WIDTH):
        part(target, t + j * t_row)[:] = [row[j] for row in rows]


@intrinsic
def compiled_transpose(_, source, s, s_row, target, t, t_row):
    """WIDTH x WIDTH numbers; `row` elements from one row to the next.

    The transpose of a matrix of four blocks is that of each block, with the two off the diagonal
    exchanged. Begun with the largest blocks, that is log2(WIDTH) rounds of exchanges between pairs
    of registers. Number by number, it would be WIDTH times as many loads and stores.
    """
    signature = types.void(source, INDEX, INDEX, target, INDEX, INDEX)

    def build(context, builder, signature, values):
        source, s, s_row, target, t, t_row = values
        source = data_pointer(context, builder, signature.args[0], source)
        target = data_pointer(context, builder, signature.args[3], target)
        rows = [load(builder, place(builder, source, s, (i, s_row))) for i in range(WIDTH)]
        size = WIDTH // 2
        while size:
            for i in range(WIDTH):
                if not i & size:
                    upper, lower = rows[i], rows[i + size]
                    rows[i], rows[i + size] = exchange_blocks(builder, upper, lower, size)
            size //= 2
        for j, row in enumerate(rows):
            store(builder, row, place(builder, target, t, (j, t_row)))
        return context.get_dummy_value()

    return signature, build


def exchange_blocks(builder, upper, lower, size):
    """Of two rows of blocks, the right half of each upper one goes where a left lower half was."""
    left = [not lane & size for lane in range(WIDTH)]
    new_upper = [j if left[j] else WIDTH + j - size for j in range(WIDTH)]
    new_lower = [j + size if left[j] else WIDTH + j for j in range(WIDTH)]
    lanes = ir.VectorType(ir.IntType(32), WIDTH)
    return [
        builder.shuffle_vector(upper, lower, ir.Constant(lanes, numbers))
        for numbers in (new_upper, new_lower)
    ]


def prefetch_in_python(array, start):
    """Nothing to see: it changes neither memory nor results."""


@intrinsic
def compiled_prefetch(_, array, start):
    signature = types.void(array, INDEX)

    def build(context, builder, signature, values):
        array = data_pointer(context, builder, signature.args[0], values[0])
        fetch(builder, place(builder, array, values[1]))
        return context.get_dummy_value()

    return signature, build


copy_vector = python_or(compiled_copy, copy_in_python)  # (source, start, target, start)
# (source, start, mask, start, target, start)
copy_vector_where = python_or(compiled_copy_where, copy_where_in_python)
clear_vector = python_or(compiled_clear, clear_in_python)  # (target, start)
# (source, start, row, target, start, row)
transpose_block = python_or(compiled_transpose, transpose_in_python)
# (array, start); an address outside of the array, or of all memory, does no harm
prefetch = python_or(compiled_prefetch, prefetch_in_python)


@njit(nogil=True, cache=True)
def fetch_part(number, parts, start, size, x):
    """Into the cache: one of some equal parts of so many numbers, which may lie behind the end."""
    lines = size // WIDTH
    for line in range(lines * number // parts, lines * (number + 1) // parts):
        prefetch(x, start + line * WIDTH)
