"""Vector instructions inside compiled loops.

A processor adds and multiplies eight numbers (AVX2) or sixteen (AVX-512) with one instruction. A
compiler finds that out for simple loops only; where a kernel must keep two dozen vectors in
registers while it walks through memory, it has to be told. Numba lets a function write the
compiler's intermediate code (LLVM IR) itself: such an *intrinsic* is Python that runs once, at
compilation, and emits instructions. Here are the two that the fast convolutions are built from,

    transform_of(f)     applies a small linear map to a grid of vectors, over rows and columns
    product_of(m, n)    multiplies an m x K matrix by a K x (n vectors) one, all sums in registers

and what they and others (vector_moves.py, lane_products.py) have in common.

All of them take flat float32 arrays and the number of the element where to begin. **Nothing checks
that they stay inside**: the caller does the sums, and the tests of each kernel
(test_stays_inside_its_memory) look at the memory around the arrays.

Each stands here twice: under its name in Python, which says what it computes, and as the code that
emits instructions. With NUMBA_DISABLE_JIT=1 in the environment the Python is what runs, checked and
to be stepped through in a debugger, and the kernels that are built from it as well.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic

# What Numba compiles for: this processor, or the one in NUMBA_CPU_NAME and NUMBA_CPU_FEATURES.
# Where only the name is given, Numba states this processor's features; Haswell has no AVX-512.
_, CPU_NAME, CPU_FEATURES = cpu_target.target_context.codegen().magic_tuple()
AVX512 = "+avx512f" in CPU_FEATURES and CPU_NAME != "haswell"

WIDTH = 16 if AVX512 else 8  # numbers in a vector
FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, WIDTH)
INDEX = types.intp
# a * b + c may be computed with one rounding, as one instruction. Sums are never reordered.
FUSE = ("contract",)


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


def python_or(compiled: Callable, python: Callable) -> Callable:
    """What a kernel calls: compiled code, or Python where Numba does not compile."""
    return python if config.DISABLE_JIT else compiled


def part(array: np.ndarray, start: int, n: int = WIDTH) -> np.ndarray:
    """array[start : start + n] in Python, with a check.

    Raises:
        IndexError: it is not all inside.
    """
    if start < 0 or start + n > len(array):
        raise IndexError(f"elements {start} to {start + n} of {len(array)}")
    return array[start : start + n]


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


def product_of(rows: int, vectors: int) -> Any:
    """A compiled function for a block of a matrix product: c = a @ b, or c += a @ b.

    a is rows x (runs K), b is (runs K) x (vectors WIDTH). In memory a row of a is some runs of K
    numbers: one in a matrix, one for each row of a convolution's window. All rows x vectors sums
    stay in registers; each step loads one row of b and broadcasts one number of each row of a, so
    that there are several multiplications to a load (Goto and van de Geijn 2008, "Anatomy of
    high-performance matrix multiplication"). More sums than registers would spill to memory: AVX2
    has 16 vector registers, AVX-512 has 32.

    Returns:
        product(runs, K, a, start, row, run, step, b, start, step, c, start, row, add): `row`
        elements from one row to the next, `run` from one run to the next, `step` from one k to the
        next; add is 0 or 1.
    """

    def in_python(runs, K, a, a0, a_row, a_run, a_step, b, b0, b_step, c, c0, c_row, add):
        for i in range(rows):
            target = part(c, c0 + i * c_row, vectors * WIDTH)
            total = target.copy() if add else np.zeros_like(target)
            for run in range(runs):
                for k in range(K):
                    left = part(a, a0 + i * a_row + run * a_run + k * a_step, 1)
                    right = part(b, b0 + (run * K + k) * b_step, vectors * WIDTH)
                    total += left * right
            target[:] = total

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
            zero = ir.Constant(VECTOR, [0.0] * WIDTH)
            adding = builder.icmp_signed("!=", add, add.type(0))
            with builder.if_else(adding) as (then, otherwise):
                with then:
                    load_all(builder, targets, sums)
                with otherwise:
                    for line in sums:
                        for sum_ in line:
                            builder.store(zero, sum_)
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
            store_all(builder, sums, targets)
            return context.get_dummy_value()

        return signature, build

    return python_or(product, in_python)


def data_pointer(context, builder, array_type, array):
    """Where the elements of an array begin."""
    return context.make_array(array_type)(context, builder, array).data


def place(builder, pointer, start, *terms):
    """pointer + start + the sum of number * stride over the terms, in elements."""
    for number, stride in terms:
        if number:
            start = builder.add(start, builder.mul(start.type(number), stride))
    return builder.gep(pointer, [start])


def load(builder, pointer):
    """WIDTH numbers; they need not lie at a multiple of the vector's size."""
    return builder.load(builder.bitcast(pointer, VECTOR.as_pointer()), align=4)


def store(builder, value, pointer):
    builder.store(value, builder.bitcast(pointer, VECTOR.as_pointer()), align=4)


def splat(builder, number):
    """A vector whose lanes all hold the number."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, undefined, lanes)


# Sums that stay in registers while a loop runs are variables in memory as written here; the
# compiler turns them into registers.


def variables_for(builder, places):
    """A vector variable for each place of a grid."""
    return [[cgutils.alloca_once(builder, VECTOR) for _ in line] for line in places]


def load_all(builder, places, variables):
    for line, targets in zip(places, variables):
        for pointer, variable in zip(line, targets):
            builder.store(load(builder, pointer), variable)


def store_all(builder, variables, places):
    for line, targets in zip(variables, places):
        for variable, pointer in zip(line, targets):
            store(builder, builder.load(variable), pointer)


def multiply_add(builder, variable, left, right):
    """variable += left * right"""
    term = builder.fmul(left, right, flags=FUSE)
    builder.store(builder.fadd(builder.load(variable), term, flags=FUSE), variable)
