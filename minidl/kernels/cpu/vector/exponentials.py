"""Exponentials of many numbers: what a softmax over a large vocabulary spends its time on.

    e^x = 2^n e^r        n = round(x / ln 2),  r = x - n ln 2,  |r| <= ln 2 / 2

e^r is a polynomial, and 2^n is made by writing n where a float32 keeps its exponent. Off by 2e-7 of
the result at most. Coefficients and the two parts of ln 2 are those of expf in Cephes (Moshier
1992). Arguments are at most MOST (a softmax subtracts the largest first); below LEAST the result is
0, and of NaN it is NaN.

Like all intrinsics (instructions.py), each is written in Python and as the code that emits
instructions, and **nothing checks that it stays inside**.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
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
)

LEAST, MOST = -87.0, 80.0
LOG2_E, LN2_HIGH, LN2_LOW = 1.44269504088896341, 0.693359375, -2.12194440e-4
POLYNOMIAL = (
    1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1,
    5.0000001201e-1,
)  # fmt: skip
# Added to a small number, it leaves no bits behind the point, and the number is in the last ones.
ROUNDING = 1.5 * 2**23
EXPONENT, ONE = 23, 0x3F800000  # where a float32 keeps it, and the bits of 1.0
INTEGERS = ir.VectorType(ir.IntType(32), WIDTH)
LOWEST = -float("inf")
AT_ONCE = 2  # vectors of scores, those of a panel (matrix_product.py)


def constant(number):
    """A vector whose lanes are all that number, as a float32."""
    return ir.Constant(VECTOR, [float(np.float32(number))] * WIDTH)


def exponential(builder, x):
    """e^x of a vector whose numbers are at most MOST."""

    def sum_of(a, b, c):  # a b + c, rounded once
        return builder.fadd(builder.fmul(a, b, flags=FUSE), c, flags=FUSE)

    tiny = builder.fcmp_ordered("<", x, constant(LEAST))
    x = builder.select(tiny, constant(LEAST), x)
    shifted = sum_of(x, constant(LOG2_E), constant(ROUNDING))
    n = builder.fsub(shifted, constant(ROUNDING))
    r = sum_of(n, constant(-LN2_HIGH), x)
    r = sum_of(n, constant(-LN2_LOW), r)
    p = constant(POLYNOMIAL[0])
    for coefficient in POLYNOMIAL[1:]:
        p = sum_of(p, r, constant(coefficient))
    p = builder.fadd(sum_of(p, builder.fmul(r, r), r), constant(1))
    bits = builder.shl(builder.bitcast(shifted, INTEGERS), INTEGERS([EXPONENT] * WIDTH))
    power = builder.bitcast(builder.add(bits, INTEGERS([ONE] * WIDTH)), VECTOR)
    return builder.select(tiny, ZEROS, builder.fmul(p, power))


def larger(builder, a, b):
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def over_lanes(builder, vector, both):
    """One number of a vector's, half of the lanes with the other half, again and again."""
    undefined, i32 = ir.Constant(VECTOR, ir.Undefined), ir.IntType(32)
    half = WIDTH // 2
    while half:
        lanes = [(lane + half) % WIDTH for lane in range(WIDTH)]
        other = builder.shuffle_vector(vector, undefined, INTEGERS(lanes))
        vector = both(builder, vector, other)
        half //= 2
    return builder.extract_element(vector, i32(0))


def add_numbers(builder, a, b):
    return builder.fadd(a, b)


def in_lanes(numbers, both):
    """over_lanes in Python."""
    numbers = numbers.copy()
    while len(numbers) > 1:
        numbers = both(numbers[: len(numbers) // 2], numbers[len(numbers) // 2 :])
    return numbers[0]


def exponential_in_python(x):
    with np.errstate(under="ignore"):
        return np.where(x < LEAST, np.float32(0), np.exp(x))


# --- the largest number -------------------------------------------------------------------------


def largest_in_python(x, start, vectors):
    return np.fmax.reduce(part(x, start, vectors * WIDTH), initial=np.float32(LOWEST))


@intrinsic
def compiled_largest(_, x, start, vectors):
    signature = types.float32(x, INDEX, INDEX)

    def build(context, builder, signature, values):
        x = data_pointer(context, builder, signature.args[0], values[0])
        top = cgutils.alloca_once_value(builder, constant(LOWEST))
        with cgutils.for_range(builder, values[2]) as loop:
            at = builder.add(values[1], builder.mul(loop.index, loop.index.type(WIDTH)))
            number = load(builder, place(builder, x, at))
            builder.store(larger(builder, number, builder.load(top)), top)
        return over_lanes(builder, builder.load(top), larger)

    return signature, build


# --- a bias, and a look for large sums --------------------------------------------------------


def add_scores_in_python(x, start, bias, b, sums, s, shift, limit):
    scores = part(x, start, AT_ONCE * WIDTH)
    scores += part(bias, b, AT_ONCE * WIDTH)
    terms = exponential_in_python(np.where(scores - shift > MOST, MOST, scores - shift))
    for row in terms.reshape(AT_ONCE, WIDTH):
        part(sums, s)[:] += row
    return sum(1 << j for j, is_large in enumerate(scores > limit) if is_large)


@intrinsic
def compiled_add_scores(_, x, start, bias, b, sums, s, shift, limit):
    signature = types.int64(
        x, INDEX, bias, INDEX, sums, INDEX, types.float32, types.float32
    )  # fmt: skip

    def build(context, builder, signature, values):
        x, bias, sums = (
            data_pointer(context, builder, signature.args[i], values[i]) for i in (0, 2, 4)
        )
        shift, limit, i64 = splat(builder, values[6]), splat(builder, values[7]), ir.IntType(64)
        to = place(builder, sums, values[5])
        total, mask = load(builder, to), i64(0)
        for i in range(AT_ONCE):
            pointer = place(builder, x, values[1], (i, values[1].type(WIDTH)))
            addend = load(builder, place(builder, bias, values[3], (i, values[3].type(WIDTH))))
            score = builder.fadd(load(builder, pointer), addend)
            store(builder, score, pointer)
            lanes = builder.bitcast(builder.fcmp_ordered(">", score, limit), ir.IntType(WIDTH))
            lanes = builder.shl(builder.zext(lanes, i64), i64(i * WIDTH))
            mask = builder.or_(mask, lanes)
            exponent = builder.fsub(score, shift)
            large = builder.fcmp_ordered(">", exponent, constant(MOST))
            exponent = builder.select(large, constant(MOST), exponent)
            total = builder.fadd(total, exponential(builder, exponent))
        store(builder, total, to)
        return mask

    return signature, build


def first_bit_in_python(mask):
    return (mask & -mask).bit_length() - 1


@intrinsic
def compiled_first_bit(_, mask):
    def build(context, builder, signature, values):
        return builder.cttz(values[0], ir.IntType(1)(1))

    return types.int64(types.int64), build


# --- exponentials -------------------------------------------------------------------------------


def sum_exponentials_in_python(x, start, vectors, top):
    terms = exponential_in_python(part(x, start, vectors * WIDTH) - top)
    return in_lanes(terms.reshape(vectors, WIDTH).sum(axis=0, dtype=np.float32), np.add)


@intrinsic
def compiled_sum_exponentials(_, x, start, vectors, top):
    signature = types.float32(x, INDEX, INDEX, types.float32)

    def build(context, builder, signature, values):
        x = data_pointer(context, builder, signature.args[0], values[0])
        top, total = splat(builder, values[3]), cgutils.alloca_once_value(builder, ZEROS)
        with cgutils.for_range(builder, values[2]) as loop:
            at = builder.add(values[1], builder.mul(loop.index, loop.index.type(WIDTH)))
            term = exponential(builder, builder.fsub(load(builder, place(builder, x, at)), top))
            builder.store(builder.fadd(builder.load(total), term), total)
        return over_lanes(builder, builder.load(total), add_numbers)

    return signature, build


def write_exponentials_in_python(x, start, y, to, vectors, top, factor):
    terms = exponential_in_python(part(x, start, vectors * WIDTH) - top)
    part(y, to, vectors * WIDTH)[:] = terms * factor


@intrinsic
def compiled_write_exponentials(_, x, start, y, to, vectors, top, factor):
    signature = types.void(x, INDEX, y, INDEX, INDEX, types.float32, types.float32)

    def build(context, builder, signature, values):
        x = data_pointer(context, builder, signature.args[0], values[0])
        y = data_pointer(context, builder, signature.args[2], values[2])
        top, factor = splat(builder, values[5]), splat(builder, values[6])
        with cgutils.for_range(builder, values[4]) as loop:
            at = builder.mul(loop.index, loop.index.type(WIDTH))
            number = load(builder, place(builder, x, builder.add(values[1], at)))
            term = exponential(builder, builder.fsub(number, top))
            store(
                builder, builder.fmul(term, factor),
                place(builder, y, builder.add(values[3], at)),
            )  # fmt: skip
        return context.get_dummy_value()

    return signature, build


# (x, start, vectors): the largest of vectors * WIDTH numbers of x, or -inf; NaN is not looked for
largest = python_or(compiled_largest, largest_in_python)
# (x, start, bias, start, sums, start, shift, limit): AT_ONCE vectors of x += bias, and a vector of
# sums += e^(x - shift), of e^MOST where that is more. Returns a bit for each x above the limit
add_scores = python_or(compiled_add_scores, add_scores_in_python)
# (mask): the number of the last bit that is set, counted from the last; of a mask that is not 0
first_bit = python_or(compiled_first_bit, first_bit_in_python)
# (x, start, vectors, top): the sum of e^(x - top)
sum_exponentials = python_or(compiled_sum_exponentials, sum_exponentials_in_python)
# (x, start, y, start, vectors, top, factor): y = factor e^(x - top)
write_exponentials = python_or(compiled_write_exponentials, write_exponentials_in_python)
