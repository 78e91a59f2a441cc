"""Weighted sums of squared differences between numbers and windows of an array.

    add_squares     LANES neighbouring windows at a time, and whether any is still small enough

Unlike most of this folder it serves float32 and float64, and a product is never fused with the
addition that follows: the sums have the same bits as NumPy's.
"""

from __future__ import annotations

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
