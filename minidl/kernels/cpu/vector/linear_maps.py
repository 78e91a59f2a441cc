"""Small linear maps of grids of vectors, as Winograd's transforms are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
    FLOAT,
    FUSE,
    INDEX,
    VECTOR,
    WIDTH,
    ZEROS,
    data_pointer,
    load,
    part,
    place,
    python_or,
    splat,
    store,
    where,
)


def transform_of(line: Callable, size: int) -> Any:
    """A compiled function that applies `line` to the columns of a grid, then to the rows.

    For line(x) = M x it computes Y = M X M^T, where each element of X is a vector.

    Args:
        line: takes `size` values, returns a tuple; made of + - and factor * value.
        size: X is size x size.

    Returns:
        transform(source, start, row, column, target, start, row, column): `row` and `column` say
        how many elements lie from one row or column of the grid to the next.
    """

    def in_python(source, s, s_row, s_column, target, t, t_row, t_column):
        columns = columns_of(source, s, s_row, s_column, size)
        write_rows(rows_of(line, columns), target, t, t_row, t_column)

    @intrinsic
    def transform(_, source, s, s_row, s_column, target, t, t_row, t_column):
        signature = types.void(source, *[INDEX] * 3, target, *[INDEX] * 3)

        def build(context, builder, signature, values):
            source, s, s_row, s_column, target, t, t_row, t_column = values
            source = data_pointer(context, builder, signature.args[0], source)
            target = data_pointer(context, builder, signature.args[4], target)
            columns = load_columns(builder, source, s, s_row, s_column, size)
            store_rows(builder, rows_of(line, columns), target, t, t_row, t_column)
            return context.get_dummy_value()

        return signature, build

    return python_or(transform, in_python)


def masked_transform_of(line: Callable, size: int) -> Any:
    """transform_of for a grid of which only those numbers count whose `mask` is not 0.

    Returns:
        transform(source, mask, start, row, column, target, start, row, column): both lie alike.
    """

    def in_python(source, mask, s, s_row, s_column, target, t, t_row, t_column):
        zero = source.dtype.type(0)
        both = zip(*(columns_of(array, s, s_row, s_column, size) for array in (source, mask)))
        columns = ([np.where(m != 0, x, zero) for x, m in zip(*pair)] for pair in both)
        write_rows(rows_of(line, columns), target, t, t_row, t_column)

    @intrinsic
    def transform(_, source, mask, s, s_row, s_column, target, t, t_row, t_column):
        signature = types.void(source, mask, *[INDEX] * 3, target, *[INDEX] * 3)

        def build(context, builder, signature, values):
            source, mask, s, s_row, s_column, target, t, t_row, t_column = values
            source = data_pointer(context, builder, signature.args[0], source)
            mask = data_pointer(context, builder, signature.args[1], mask)
            target = data_pointer(context, builder, signature.args[5], target)
            both = zip(
                *(load_columns(builder, p, s, s_row, s_column, size) for p in (source, mask))
            )
            columns = ([x.where(m) for x, m in zip(*pair)] for pair in both)
            store_rows(builder, rows_of(line, columns), target, t, t_row, t_column)
            return context.get_dummy_value()

        return signature, build

    return python_or(transform, in_python)


def bounded_transform_of(line: Callable, size: int) -> Any:
    """transform_of with an activation of the results: `slope` times those below 0 (1 for none), and
    of these at least `least` (0 for a ReLU, else minus infinity). NaN stays NaN.

    Returns:
        transform(source, start, row, column, least, slope, target, start, row, column)
    """

    def in_python(source, s, s_row, s_column, least, slope, target, t, t_row, t_column):
        def bound(x):
            return np.maximum(np.where(x <= 0, slope * x, x), least)

        columns = columns_of(source, s, s_row, s_column, size)
        rows = ([bound(x) for x in row] for row in rows_of(line, columns))
        write_rows(rows, target, t, t_row, t_column)

    @intrinsic
    def transform(_, source, s, s_row, s_column, least, slope, target, t, t_row, t_column):
        signature = types.void(source, *[INDEX] * 3, least, slope, target, *[INDEX] * 3)

        def build(context, builder, signature, values):
            source, s, s_row, s_column, least, slope, target, t, t_row, t_column = values
            source = data_pointer(context, builder, signature.args[0], source)
            target = data_pointer(context, builder, signature.args[6], target)
            least, slope = (Lanes(builder, splat(builder, number)) for number in (least, slope))
            columns = load_columns(builder, source, s, s_row, s_column, size)
            rows = ([x.bounded(least, slope) for x in row] for row in rows_of(line, columns))
            store_rows(builder, rows, target, t, t_row, t_column)
            return context.get_dummy_value()

        return signature, build

    return python_or(transform, in_python)


# Columns are loaded and rows are stored one by one, between the arithmetic: more of them at a time
# than there are registers would go through memory.


def rows_of(line: Callable, columns: Iterable) -> Iterator:
    """The rows of M X M^T, from the columns of X."""
    done = [line(*column) for column in columns]
    for row in zip(*done):
        yield line(*row)


def columns_of(array, start, row, column, size):
    for j in range(size):
        yield [part(array, start + i * row + j * column) for i in range(size)]


def write_rows(rows, array, start, row, column):
    for i, vectors in enumerate(rows):
        for j, vector in enumerate(vectors):
            part(array, start + i * row + j * column)[:] = vector


def load_columns(builder, pointer, start, row, column, size):
    for j in range(size):
        places = [place(builder, pointer, start, (i, row), (j, column)) for i in range(size)]
        yield [Lanes(builder, load(builder, p)) for p in places]


def store_rows(builder, rows, pointer, start, row, column):
    for i, vectors in enumerate(rows):
        for j, lanes in enumerate(vectors):
            store(builder, lanes.value, place(builder, pointer, start, (i, row), (j, column)))


class Lanes:
    """A vector in a register; + - * emit the instruction that computes them."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def __add__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fadd(self.value, other.value, flags=FUSE))

    def __sub__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fsub(self.value, other.value, flags=FUSE))

    def where(self, mask: Lanes) -> Lanes:
        return Lanes(self.builder, where(self.builder, mask.value, self.value))

    def bounded(self, least: Lanes, slope: Lanes) -> Lanes:
        """slope times this where that is less than 0, and no less than `least`; NaN stays NaN."""
        below = self.builder.fcmp_ordered("<=", self.value, ZEROS)
        scaled = self.builder.fmul(slope.value, self.value)
        value = self.builder.select(below, scaled, self.value)
        small = self.builder.fcmp_ordered("<=", value, least.value)
        return Lanes(self.builder, self.builder.select(small, least.value, value))

    def __rmul__(self, factor: float) -> Lanes:
        constant = ir.Constant(VECTOR, [ir.Constant(FLOAT, float(factor))] * WIDTH)
        return Lanes(self.builder, self.builder.fmul(constant, self.value, flags=FUSE))
