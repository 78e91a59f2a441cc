"""Sums of squares: of an array's numbers, and of differences between numbers and its windows.

    add_squares     weighted, of LANES neighbouring windows at a time, and whether any is still
                    small enough
    add_own_squares every LANES-th number's, in float64

Unlike most of this folder it serves float32 and float64, and a product is never fused with the
addition that follows: the sums have the same bits as NumPy's.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
    INDEX,
    WIDTH,
    data_pointer,
    part,
    place,
    python_or,
)

LANES = 32  # windows at a time
VECTORS = LANES // WIDTH


def add_squares_in_python(first, last, sample, start, offsets, values, weights, limit, sums):
    for tap in range(first, last):
        difference = part(sample, start + offsets[tap], LANES) - values[tap]
        sums += weights[tap] * (difference * difference)
    return bool((sums <= limit).any())


@intrinsic
def compiled_add_squares(_, first, last, sample, start, offsets, values, weights, limit, sums):
    """The sums stay in registers while the taps run."""
    number = sample.dtype
    signature = types.boolean(
        INDEX, INDEX, sample, INDEX, offsets, values, weights, number, sums
    )  # fmt: skip

    def build(context, builder, signature, arguments):
        first, last, _, start, _, _, _, limit, _ = arguments
        sample, offsets, values, weights, sums = (
            data_pointer(context, builder, signature.args[i], arguments[i]) for i in (2, 4, 5, 6, 8)
        )
        kind = ir.VectorType(limit.type, WIDTH)
        zero = start.type(0)
        pointers = [
            builder.bitcast(place(builder, sums, zero.type(i * WIDTH)), kind.as_pointer())
            for i in range(VECTORS)
        ]
        totals = [cgutils.alloca_once_value(builder, builder.load(p, align=4)) for p in pointers]
        with cgutils.for_range_slice(builder, first, last, zero.type(1)) as (tap, _):
            begin = builder.add(start, builder.load(place(builder, offsets, tap)))
            value = all_lanes(builder, builder.load(place(builder, values, tap)), kind)
            weight = all_lanes(builder, builder.load(place(builder, weights, tap)), kind)
            for i, total in enumerate(totals):
                pointer = place(builder, sample, begin, (i, zero.type(WIDTH)))
                window = builder.load(builder.bitcast(pointer, kind.as_pointer()), align=4)
                difference = builder.fsub(window, value)
                term = builder.fmul(weight, builder.fmul(difference, difference))
                builder.store(builder.fadd(builder.load(total), term), total)
        bits = ir.IntType(WIDTH)
        small = bits(0)
        for pointer, total in zip(pointers, totals):
            total = builder.load(total)
            builder.store(total, pointer, align=4)
            lanes = builder.fcmp_ordered("<=", total, all_lanes(builder, limit, kind))
            small = builder.or_(small, builder.bitcast(lanes, bits))
        return builder.icmp_unsigned("!=", small, bits(0))

    return signature, build


def all_lanes(builder, number, kind):
    """A vector of a kind whose lanes all hold the number."""
    undefined = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), kind.count), [0] * kind.count)
    return builder.shuffle_vector(first, undefined, lanes)


# (first tap, last tap + 1, sample, start, offsets, values, weights, limit, sums of LANES windows):
# adds the taps' weight * (sample[start + lane + offset] - value)^2 to the sums, and says whether
# one of these is at most the limit
add_squares = python_or(compiled_add_squares, add_squares_in_python)


def add_own_squares_in_python(x, start, rows, sums):
    numbers = part(x, start, rows * LANES).astype(np.float64).reshape(rows, LANES)
    for row in numbers:
        sums += row * row


@intrinsic
def compiled_add_own_squares(_, x, start, rows, sums):
    """The lanes are as many on every processor; it takes several of its vectors for them."""
    signature = types.void(x, INDEX, INDEX, sums)

    def build(context, builder, signature, values):
        x = data_pointer(context, builder, signature.args[0], values[0])
        sums = data_pointer(context, builder, signature.args[3], values[3])
        small, large = (ir.VectorType(kind, 8) for kind in (ir.FloatType(), ir.DoubleType()))
        places = [
            builder.bitcast(place(builder, sums, values[1].type(i)), large.as_pointer())
            for i in range(0, LANES, 8)
        ]
        totals = [cgutils.alloca_once_value(builder, builder.load(p, align=8)) for p in places]
        with cgutils.for_range(builder, values[2]) as loop:
            row = builder.add(values[1], builder.mul(loop.index, loop.index.type(LANES)))
            for i, total in enumerate(totals):
                pointer = place(builder, x, row, (i, row.type(8)))
                numbers = builder.load(builder.bitcast(pointer, small.as_pointer()), align=4)
                numbers = builder.fpext(numbers, large)
                square = builder.fmul(numbers, numbers)
                builder.store(builder.fadd(builder.load(total), square), total)
        for pointer, total in zip(places, totals):
            builder.store(builder.load(total), pointer, align=8)
        return context.get_dummy_value()

    return signature, build


# (float32 x, start, rows, float64 sums of LANES): adds the squares of `rows` rows of LANES numbers
add_own_squares = python_or(compiled_add_own_squares, add_own_squares_in_python)
