"""Blocks of a matrix product whose sums all stay in registers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
    INDEX,
    WIDTH,
    add_all,
    data_pointer,
    fetch,
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

AHEAD = 12  # rows of b that are fetched before they are needed, where b is in the second cache


def product_of(rows: int, vectors: int, from_zero: bool = False, ahead: int = AHEAD) -> Any:
    """A compiled function for a block of a matrix product: c = a @ b, or c += a @ b.

    a is rows x (runs K), b is (runs K) x (vectors WIDTH). In memory a row of a is some runs of K
    numbers: one in a matrix, one for each row of a convolution's window. All rows x vectors sums
    stay in registers; each step loads one row of b and broadcasts one number of each row of a, so
    that there are several multiplications to a load (Goto and van de Geijn 2008, "Anatomy of
    high-performance matrix multiplication"). b comes from the second cache or from further away,
    and is asked for some steps ahead. More sums than registers would spill to memory: AVX2
    has 16 vector registers, AVX-512 has 32.

    Args:
        from_zero: with add, the sums begin with zero, and c is added to them at the end: they stay
            small, and lose fewer digits, while c grows (kernels/sums.py).
        ahead: rows of b that are fetched into the nearest cache before they are needed.

    Returns:
        product(runs, K, a, start, row, run, step, b, start, step, c, start, row, add): `row`
        elements from one row to the next, `run` from one run to the next, `step` from one k to the
        next; add is 0 or 1.
    """

    def in_python(runs, K, a, a0, a_row, a_run, a_step, b, b0, b_step, c, c0, c_row, add):
        for i in range(rows):
            target = part(c, c0 + i * c_row, vectors * WIDTH)
            total = target.copy() if add and not from_zero else np.zeros_like(target)
            for run in range(runs):
                for k in range(K):
                    left = part(a, a0 + i * a_row + run * a_run + k * a_step, 1)
                    right = part(b, b0 + (run * K + k) * b_step, vectors * WIDTH)
                    total += left * right
            target[:] = target + total if add and from_zero else total

    @intrinsic
    def product(_, runs, K, a, a0, a_row, a_run, a_step, b, b0, b_step, c, c0, c_row, add):
        signature = types.void(
            INDEX, INDEX, a, *[INDEX] * 4, b, *[INDEX] * 2, c, *[INDEX] * 2, INDEX
        )  # fmt: skip

        def build(context, builder, signature, values):
            runs, K, a, a0, a_row, a_run, a_step, b, b0, b_step, c, c0, c_row, add = values
            a = place(builder, data_pointer(context, builder, signature.args[2], a), a0)
            b = place(builder, data_pointer(context, builder, signature.args[7], b), b0)
            c = data_pointer(context, builder, signature.args[10], c)
            targets = [
                [
                    place(builder, c, c0, (i, c_row), (j, ir.Constant(c_row.type, WIDTH)))
                    for j in range(vectors)
                ]
                for i in range(rows)
            ]
            sums = variables_for(builder, targets)
            adding = builder.icmp_signed("!=", add, add.type(0))
            with builder.if_else(adding) as (then, otherwise):
                with then:
                    if from_zero:
                        store_zeros(builder, sums)
                    else:
                        load_all(builder, targets, sums)
                with otherwise:
                    store_zeros(builder, sums)
            # Three rows share a pointer: a processor has too few integer registers for one each,
            # and adds one or two times a_row to an address for nothing.
            pointers = [
                cgutils.alloca_once_value(builder, place(builder, a, a_row.type(0), (i, a_row)))
                for i in range(0, rows, 3)
            ]
            b_pointer = cgutils.alloca_once_value(builder, b)
            to_next_run = builder.sub(a_run, builder.mul(K, a_step))
            with cgutils.for_range(builder, runs):
                with cgutils.for_range(builder, K):
                    b_now = builder.load(b_pointer)
                    for j in range(vectors):
                        later = builder.mul(b_step, b_step.type(ahead))
                        fetch(builder, place(builder, b_now, later, (j, b_step.type(WIDTH))))
                    right = [
                        load(builder, place(builder, b_now, b_step.type(j * WIDTH)))
                        for j in range(vectors)
                    ]
                    for i in range(rows):
                        from_pointer = builder.load(pointers[i // 3])
                        number = place(builder, from_pointer, a_row.type(0), (i % 3, a_row))
                        left = splat(builder, builder.load(number))
                        for sum_, vector in zip(sums[i], right):
                            multiply_add(builder, sum_, left, vector)
                    for pointer in pointers:
                        builder.store(place(builder, builder.load(pointer), a_step), pointer)
                    builder.store(place(builder, b_now, b_step), b_pointer)
                for pointer in pointers:
                    builder.store(place(builder, builder.load(pointer), to_next_run), pointer)
            if from_zero:
                with builder.if_then(adding):
                    add_all(builder, targets, sums)
            store_all(builder, sums, targets)
            return context.get_dummy_value()

        return signature, build

    return python_or(product, in_python)
