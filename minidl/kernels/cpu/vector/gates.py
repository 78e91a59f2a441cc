"""The gates of an LSTM and what they make of its cells, a vector of cells at a time.

    i, f, o = sigmoid(..), g = tanh(..)        c' = f c + i g        h' = o tanh(c')

and back, from the gradients gh and gc of h' and c' (minidl/ops/lstm.py).

    tanh(x) = x P(x^2) / Q(x^2) for |x| < LIMIT, and beyond that 1, from which it differs by less
    than 3e-7: a gate that is shut lets nothing through.
    sigmoid(x) = tanh(x / 2) / 2 + 1 / 2

The coefficients are those of the Eigen library (MathFunctionsImpl.h), over Q0, so that x P does not
underflow. Off by 4e-7 at most.

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
    data_pointer,
    load,
    part,
    place,
    python_or,
    store,
)

LIMIT = np.float32(7.90531110763549805)
Q0 = 4.89352518554385e-03
P = tuple(np.float32(p / Q0) for p in (
    4.89352455891786e-03, 6.37261928875436e-04, 1.48572235717979e-05, 5.12229709037114e-08,
    -8.60467152213735e-11, 2.00018790482477e-13, -2.76076847742355e-16,
))  # fmt: skip
Q = tuple(np.float32(q / Q0) for q in (
    Q0, 2.26843463243900e-03, 1.18534705686654e-04, 1.19825839466702e-06,
))  # fmt: skip


def constant(number):
    return ir.Constant(VECTOR, [float(np.float32(number))] * WIDTH)


def sum_of(builder, a, b, c):
    """a b + c, rounded once."""
    return builder.fadd(builder.fmul(a, b, flags=FUSE), c, flags=FUSE)


def polynomial(builder, coefficients, x):
    value = constant(coefficients[-1])
    for coefficient in reversed(coefficients[:-1]):
        value = sum_of(builder, value, x, constant(coefficient))
    return value


def tanh(builder, x):
    """Of a vector; NaN stays NaN."""
    square = builder.fmul(x, x)
    top = builder.fmul(polynomial(builder, P, square), x)
    quotient = builder.fdiv(top, polynomial(builder, Q, square))
    above = builder.fcmp_ordered(">", x, constant(LIMIT))
    below = builder.fcmp_ordered("<", x, constant(-LIMIT))
    quotient = builder.select(above, constant(1), quotient)
    return builder.select(below, constant(-1), quotient)


def sigmoid(builder, x):
    half = constant(0.5)
    return sum_of(builder, tanh(builder, builder.fmul(x, half)), half, half)


def step_cells_in_python(
    vectors, sums, s, s_gate, z, z0, z_gate, gates, g, g_gate, c, c0, c_next, c1, h_next, h1
):
    n = vectors * WIDTH
    values = [
        part(sums, s + gate * s_gate, n) + part(z, z0 + gate * z_gate, n) for gate in range(4)
    ]
    for gate in (0, 1, 3):
        values[gate] = np.tanh(values[gate] / 2) / 2 + np.float32(0.5)
    values[2] = np.tanh(values[2])
    for gate in range(4):
        part(gates, g + gate * g_gate, n)[:] = values[gate]
    cell = values[1] * part(c, c0, n) + values[0] * values[2]
    part(c_next, c1, n)[:] = cell
    part(h_next, h1, n)[:] = values[3] * np.tanh(cell)


@intrinsic
def compiled_step_cells(
    _, vectors, sums, s, s_gate, z, z0, z_gate, gates, g, g_gate, c, c0, c_next, c1, h_next, h1
):
    signature = types.void(
        INDEX, sums, INDEX, INDEX, z, INDEX, INDEX, gates, INDEX, INDEX, c, INDEX, c_next, INDEX,
        h_next, INDEX,
    )  # fmt: skip

    def build(context, builder, signature, values):
        (
            vectors, sums, s, s_gate, z, z0, z_gate, gates, g, g_gate, c, c0, c_next, c1, h_next, h1
        ) = values  # fmt: skip
        sums, z, gates, c, c_next, h_next = (
            data_pointer(context, builder, signature.args[at], array)
            for at, array in ((1, sums), (4, z), (7, gates), (10, c), (12, c_next), (14, h_next))
        )
        with cgutils.for_range(builder, vectors) as loop:
            at = builder.mul(loop.index, loop.index.type(WIDTH))
            opened = []
            for gate in range(4):
                number = builder.fadd(
                    load(builder, place(builder, sums, builder.add(s, at), (gate, s_gate))),
                    load(builder, place(builder, z, builder.add(z0, at), (gate, z_gate))),
                )
                opened.append((tanh if gate == 2 else sigmoid)(builder, number))
            for gate, value in enumerate(opened):
                store(
                    builder, value, place(builder, gates, builder.add(g, at), (gate, g_gate))
                )  # fmt: skip
            i, f, cell, o = opened
            before = load(builder, place(builder, c, builder.add(c0, at)))
            after = sum_of(builder, f, before, builder.fmul(i, cell))
            store(builder, after, place(builder, c_next, builder.add(c1, at)))
            state = builder.fmul(o, tanh(builder, after))
            store(builder, state, place(builder, h_next, builder.add(h1, at)))
        return context.get_dummy_value()

    return signature, build


# (vectors, sums, start, gate, z, start, gate, gates, start, gate, c, start, c', start, h', start):
# vectors * WIDTH cells from sums + z, with `gate` elements from one gate to the next; the gates
# are written, too
step_cells = python_or(compiled_step_cells, step_cells_in_python)


def step_back_in_python(
    vectors, gates, g, g_gate, c, c0, c_next, c1, gy, y, gh, gc, s, gz, z, z_gate
):
    n = vectors * WIDTH
    i, f, u, o = (part(gates, g + gate * g_gate, n) for gate in range(4))
    tanh_c = np.tanh(part(c_next, c1, n))
    gh_here = part(gh, s, n) + part(gy, y, n)
    gc_here = part(gc, s, n) + gh_here * o * (1 - tanh_c * tanh_c)
    slopes = (
        gc_here * u * i * (1 - i), gc_here * part(c, c0, n) * f * (1 - f),
        gc_here * i * (1 - u * u), gh_here * tanh_c * o * (1 - o),
    )  # fmt: skip
    for gate, slope in enumerate(slopes):
        part(gz, z + gate * z_gate, n)[:] = slope
    part(gc, s, n)[:] = gc_here * f


@intrinsic
def compiled_step_back(
    _, vectors, gates, g, g_gate, c, c0, c_next, c1, gy, y, gh, gc, s, gz, z, z_gate
):
    signature = types.void(
        INDEX, gates, INDEX, INDEX, c, INDEX, c_next, INDEX, gy, INDEX, gh, gc, INDEX, gz, INDEX,
        INDEX,
    )  # fmt: skip

    def build(context, builder, signature, values):
        vectors, _, g, g_gate, _, c0, _, c1, _, y, _, _, s, _, z, z_gate = values
        gates, c, c_next, gy, gh, gc, gz = (
            data_pointer(context, builder, signature.args[at], values[at])
            for at in (1, 4, 6, 8, 10, 11, 13)
        )

        def times(first, *others):
            for other in others:
                first = builder.fmul(first, other)
            return first

        def rest(x):
            return builder.fsub(constant(1), x)

        with cgutils.for_range(builder, vectors) as loop:
            at = builder.mul(loop.index, loop.index.type(WIDTH))

            def here(pointer, start, gate=0, step=None):
                return place(builder, pointer, builder.add(start, at), (gate, step))

            i, f, u, o = (load(builder, here(gates, g, gate, g_gate)) for gate in range(4))
            tanh_c = tanh(builder, load(builder, here(c_next, c1)))
            before = load(builder, here(c, c0))
            gh_here = builder.fadd(load(builder, here(gh, s)), load(builder, here(gy, y)))
            of_state = rest(times(tanh_c, tanh_c))
            gc_here = sum_of(builder, times(gh_here, o), of_state, load(builder, here(gc, s)))
            slopes = (
                times(gc_here, u, i, rest(i)), times(gc_here, before, f, rest(f)),
                times(gc_here, i, rest(times(u, u))), times(gh_here, tanh_c, o, rest(o)),
            )  # fmt: skip
            for gate, slope in enumerate(slopes):
                store(builder, slope, here(gz, z, gate, z_gate))
            store(builder, times(gc_here, f), here(gc, s))
        return context.get_dummy_value()

    return signature, build


# (vectors, gates, start, gate, c, start, c', start, gy, start, gh, gc, start of both, gz, start,
# gate): gz of vectors * WIDTH cells, and gc becomes that of c
step_back = python_or(compiled_step_back, step_back_in_python)
