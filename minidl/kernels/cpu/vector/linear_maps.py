"""Small linear maps of grids of vectors, as Winograd's transforms are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
    FLOAT,
    FUSE,
    INDEX,
    VECTOR,
    WIDTH,
    data_pointer,
    load,
    part,
    place,
    python_or,
    store,
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
        columns = [
            line(*[part(source, s + i * s_row + j * s_column) for i in range(size)])
            for j in range(size)
        ]
        for i in range(len(columns[0])):
            for j, values in enumerate(line(*[column[i] for column in columns])):
                part(target, t + i * t_row + j * t_column)[:] = values

    @intrinsic
    def transform(_, source, s, s_row, s_column, target, t, t_row, t_column):
        signature = types.void(source, *[INDEX] * 3, target, *[INDEX] * 3)

        def build(context, builder, signature, values):
            source, s, s_row, s_column, target, t, t_row, t_column = values
            source = data_pointer(context, builder, signature.args[0], source)
            target = data_pointer(context, builder, signature.args[4], target)
            columns = []
            for j in range(size):
                places = [place(builder, source, s, (i, s_row), (j, s_column)) for i in range(size)]
                columns.append(line(*[Lanes(builder, load(builder, p)) for p in places]))
            for i in range(len(columns[0])):
                for j, lanes in enumerate(line(*[column[i] for column in columns])):
                    store(
                        builder, lanes.value, place(builder, target, t, (i, t_row), (j, t_column))
                    )
            return context.get_dummy_value()

        return signature, build

    return python_or(transform, in_python)


class Lanes:
    """A vector in a register; + - * emit the instruction that computes them."""

    def __init__(self, builder: ir.IRBuilder, value: ir.Value):
        self.builder, self.value = builder, value

    def __add__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fadd(self.value, other.value, flags=FUSE))

    def __sub__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fsub(self.value, other.value, flags=FUSE))

    def __rmul__(self, factor: float) -> Lanes:
        constant = ir.Constant(VECTOR, [ir.Constant(FLOAT, float(factor))] * WIDTH)
        return Lanes(self.builder, self.builder.fmul(constant, self.value, flags=FUSE))
