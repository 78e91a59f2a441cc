"""Sums of products where each lane of a vector is another picture (see convolution/batch_last.py).

    gathered_product_of(m, n)   m x n vectors of outputs: weights are broadcast, pictures loaded
    lane_dots_of(m, n)          m x n vectors of sums of products of two streams of vectors

Where the vectors lie that are read for a weight, a table says: the taps of a kernel are a few
pixels of a few channels, at distances that no two nested steps could describe.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
    INDEX,
    WIDTH,
    add_all,
    data_pointer,
    load,
    load_all,
    multiply_add,
    part,
    place,
    python_or,
    splat,
    store_all,
    store_zeros,
    variables_for,
)


def gathered_product_of(rows: int, vectors: int) -> Any:
    """A compiled function for c[i] = bias[i] + sum over k of a[i, k] * (the vectors at offsets[k]).

    All rows x vectors sums stay in registers while k runs.

    Returns:
        product(K, a, start, step, offsets, start, b, start, bias, start, c, start, row, add): the
        `rows` numbers of one k lie side by side in a, `step` elements from one k to the next;
        offsets counts from the start of b; `row` elements from one row of c to the next. With
        add 1 the sum is added to c, and there is no bias; else add is 0.
    """

    def in_python(K, a, a0, a_step, offsets, o0, b, b0, bias, bias0, c, c0, c_row, add):
        for i in range(rows):
            target = part(c, c0 + i * c_row, vectors * WIDTH)
            start = target if add else part(bias, bias0 + i, 1)
            total = np.zeros_like(target) + start
            for k in range(K):
                right = part(b, b0 + part(offsets, o0 + k, 1)[0], vectors * WIDTH)
                total += part(a, a0 + k * a_step + i, 1) * right
            target[:] = total

    @intrinsic
    def product(_, K, a, a0, a_step, offsets, o0, b, b0, bias, bias0, c, c0, c_row, add):
        signature = types.void(
            INDEX, a, *[INDEX] * 2, offsets, INDEX, b, INDEX, bias, INDEX, c, *[INDEX] * 3
        )  # fmt: skip

        def build(context, builder, signature, values):
            K, a, a0, a_step, offsets, o0, b, b0, bias, bias0, c, c0, c_row, add = values
            a = place(builder, data_pointer(context, builder, signature.args[1], a), a0)
            offsets = data_pointer(context, builder, signature.args[4], offsets)
            offsets = place(builder, offsets, o0)
            b = place(builder, data_pointer(context, builder, signature.args[6], b), b0)
            bias = place(builder, data_pointer(context, builder, signature.args[8], bias), bias0)
            c = place(builder, data_pointer(context, builder, signature.args[10], c), c0)
            zero = c_row.type(0)
            targets = [
                [place(builder, c, zero, (i, c_row), (j, zero.type(WIDTH))) for j in range(vectors)]
                for i in range(rows)
            ]
            sums = variables_for(builder, targets)
            adding = builder.icmp_signed("!=", add, add.type(0))
            with builder.if_else(adding) as (then, otherwise):
                with then:
                    load_all(builder, targets, sums)
                with otherwise:
                    for i, line in enumerate(sums):
                        number = builder.load(place(builder, bias, zero.type(i)))
                        for sum_ in line:
                            builder.store(splat(builder, number), sum_)
            with cgutils.for_range(builder, K) as loop:
                offset = builder.load(place(builder, offsets, loop.index))
                right = [
                    load(builder, place(builder, b, offset, (j, zero.type(WIDTH))))
                    for j in range(vectors)
                ]
                numbers = place(builder, a, builder.mul(loop.index, a_step))
                for i in range(rows):
                    left = splat(builder, builder.load(place(builder, numbers, zero.type(i))))
                    for sum_, vector in zip(sums[i], right):
                        multiply_add(builder, sum_, left, vector)
            store_all(builder, sums, targets)
            return context.get_dummy_value()

        return signature, build

    return python_or(product, in_python)


def lane_dots_of(rows: int, columns: int) -> Any:
    """A compiled function for c[i, j] += sum over k of a[i, k] * b[j, k], all of them vectors.

    So each lane has a sum of its own; the caller adds up the lanes. The sums begin with zero, and c
    is added to them at the end: they stay small, and lose fewer digits, while c grows. Where fewer
    than `rows` or `columns` are wanted, the last one is computed again in place of those missing.

    Returns:
        dots(K, a, start, row, row count, b, start, offsets, start, column count, c, start): `row`
        elements from one row of a to the next; row j of b begins at its start + offsets[start + j];
        the vectors of a row lie side by side, and so do all rows x columns vectors of c.
    """

    def in_python(K, a, a0, a_row, n_rows, b, b0, offsets, o0, n_columns, c, c0):
        for i in range(rows):
            for j in range(columns):
                left = part(a, a0 + min(i, n_rows - 1) * a_row, K * WIDTH)
                offset = part(offsets, o0 + min(j, n_columns - 1), 1)[0]
                terms = left * part(b, b0 + offset, K * WIDTH)
                total = terms.reshape(K, WIDTH).sum(axis=0, dtype=np.float32)
                part(c, c0 + (i * columns + j) * WIDTH)[:] += total

    @intrinsic
    def dots(_, K, a, a0, a_row, n_rows, b, b0, offsets, o0, n_columns, c, c0):
        signature = types.void(
            INDEX, a, *[INDEX] * 3, b, INDEX, offsets, *[INDEX] * 2, c, INDEX
        )  # fmt: skip

        def build(context, builder, signature, values):
            K, a, a0, a_row, n_rows, b, b0, offsets, o0, n_columns, c, c0 = values
            a = place(builder, data_pointer(context, builder, signature.args[1], a), a0)
            b = place(builder, data_pointer(context, builder, signature.args[5], b), b0)
            offsets = data_pointer(context, builder, signature.args[7], offsets)
            c = place(builder, data_pointer(context, builder, signature.args[10], c), c0)

            def at_most(number, count):
                last = builder.sub(count, count.type(1))
                number = count.type(number)
                return builder.select(builder.icmp_signed("<", number, last), number, last)

            lefts = [place(builder, a, builder.mul(at_most(i, n_rows), a_row)) for i in range(rows)]
            rights = [
                place(
                    builder, b,
                    builder.load(place(builder, offsets, builder.add(o0, at_most(j, n_columns)))),
                )
                for j in range(columns)
            ]  # fmt: skip
            targets = [
                [place(builder, c, c0.type((i * columns + j) * WIDTH)) for j in range(columns)]
                for i in range(rows)
            ]
            sums = variables_for(builder, targets)
            store_zeros(builder, sums)
            with cgutils.for_range(builder, K) as loop:
                start = builder.mul(loop.index, c0.type(WIDTH))
                right = [load(builder, place(builder, pointer, start)) for pointer in rights]
                for line, pointer in zip(sums, lefts):
                    left = load(builder, place(builder, pointer, start))
                    for sum_, vector in zip(line, right):
                        multiply_add(builder, sum_, left, vector)
            add_all(builder, targets, sums)
            store_all(builder, sums, targets)
            return context.get_dummy_value()

        return signature, build

    return python_or(dots, in_python)
