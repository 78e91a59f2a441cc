"""Vector instructions inside compiled loops: the pieces that emitted code is put together from.

A processor adds and multiplies eight numbers (AVX2) or sixteen (AVX-512) with one instruction. A
compiler finds that out for simple loops only; where a kernel must keep two dozen vectors in
registers while it walks through memory, it has to be told. Numba lets a function write the
compiler's intermediate code (LLVM IR) itself: such an *intrinsic* is Python that runs once, at
compilation, and emits instructions.

All intrinsics of this folder take flat arrays, of float32 (squares.py: of float64 as well), and the
number of the element where to begin. **Nothing checks that they stay inside**: the caller does the
sums, and the tests of each kernel (test_stays_inside_its_memory) look at the memory around the
arrays.

Each is written twice: in Python, which says what it computes, and as the code that emits
instructions. With NUMBA_DISABLE_JIT=1 in the environment the Python is what runs, checked and to be
stepped through in a debugger, and so do the kernels that are built from it.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from llvmlite import ir
from numba import config, types
from numba.core import cgutils
from numba.core.registry import cpu_target

# What Numba compiles for: this processor, or the one in NUMBA_CPU_NAME and NUMBA_CPU_FEATURES.
# Where only the name is given, Numba states this processor's features; Haswell has no AVX-512.
_, CPU_NAME, CPU_FEATURES = cpu_target.target_context.codegen().magic_tuple()
AVX512 = "+avx512f" in CPU_FEATURES and CPU_NAME != "haswell"

WIDTH = 16 if AVX512 else 8  # numbers in a vector
FLOAT = ir.FloatType()
VECTOR = ir.VectorType(FLOAT, WIDTH)
ZEROS = ir.Constant(VECTOR, [0.0] * WIDTH)
INDEX = types.intp
# a * b + c may be computed with one rounding, as one instruction. Sums are never reordered.
FUSE = ("contract",)


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
    """WIDTH numbers of the pointer's kind; they need not lie at a multiple of a vector's size."""
    vector = ir.VectorType(pointer.type.pointee, WIDTH)
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=4)


def store(builder, value, pointer):
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=4)


def fetch(builder, pointer):
    """Into the nearest cache, ahead of time. Any address will do: one outside of all memory is
    ignored."""
    byte, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    type_ = ir.FunctionType(ir.VoidType(), [byte, i32, i32, i32])
    instruction = builder.module.declare_intrinsic("llvm.prefetch", (byte,), type_)
    address = builder.bitcast(pointer, byte)
    builder.call(instruction, [address, i32(0), i32(3), i32(1)])  # to read, in all caches, data


def splat(builder, number):
    """A vector whose lanes all hold the number."""
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(ir.IntType(32), 0))
    lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
    return builder.shuffle_vector(first, undefined, lanes)


def where(builder, mask, value):
    """A vector's numbers where the mask is not 0 (NaN is not), and 0 elsewhere."""
    counts = builder.fcmp_unordered("!=", mask, ZEROS)
    return builder.select(counts, value, ZEROS)


# Sums that stay in registers while a loop runs are variables in memory as written here; the
# compiler turns them into registers.


def variables_for(builder, places):
    """A vector variable for each place of a grid."""
    return [[cgutils.alloca_once(builder, VECTOR) for _ in line] for line in places]


def load_all(builder, places, variables):
    for line, targets in zip(places, variables):
        for pointer, variable in zip(line, targets):
            builder.store(load(builder, pointer), variable)


def store_zeros(builder, variables):
    for line in variables:
        for variable in line:
            builder.store(ZEROS, variable)


def add_all(builder, places, variables):
    """variables += what lies at the places in memory."""
    for line, targets in zip(variables, places):
        for variable, pointer in zip(line, targets):
            total = builder.fadd(load(builder, pointer), builder.load(variable))
            builder.store(total, variable)


def store_all(builder, variables, places):
    for line, targets in zip(variables, places):
        for variable, pointer in zip(line, targets):
            store(builder, builder.load(variable), pointer)


def multiply_add(builder, variable, left, right):
    """variable += left * right"""
    term = builder.fmul(left, right, flags=FUSE)
    builder.store(builder.fadd(builder.load(variable), term, flags=FUSE), variable)
