"""Products with the taps of a window, channel by channel (see convolution/depthwise.py).

    tap_sums_of(n, kinds)    n outputs in a row: for each a sum over taps
    tap_dots_of(n, kinds)    for each tap a sum over n outputs in a row

A vector holds WIDTH channels of one pixel. Taps that lie side by side are a *run*. For a run, the n
outputs read (n - 1) stride + taps pixels of a row of the picture, and each of them is loaded once.
There is code for each of the `kinds`, pairs (taps, stride); a number says which is meant.

Tables say which runs there are:

    rows    for each row of a window: where the row of the picture begins, and that of the weights
    runs    for each run of a row: where its first pixel lies, counted from there, and its first
            weight; which of its pixels is the first in the picture, and which the first behind it

All count in numbers, not in bytes. Both take float32 and float64.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from minidl.kernels.cpu.vector.instructions import (
    INDEX,
    WIDTH,
    data_pointer,
    load,
    multiply_add,
    part,
    place,
    python_or,
    store,
)


def tap_sums_of(columns: int, kinds: tuple) -> Any:
    """A compiled function for y[j] = bias + sum over rows, runs and taps of w[tap] * x[pixel].

    All sums stay in registers meanwhile.

    Returns:
        sums(kind, rows, first, end, runs, first, end, x, start, step, w, start, step, bias, start,
        y, start, step, count): `step` elements from one pixel, tap or output to the next; of the
        outputs, `count` are written.
    """

    def in_python(
        kind, rows, row0, row_end, runs, run0, run_end, x, x0, x_step, w, w0, w_step, bias, bias0,
        y, y0, y_step, count,
    ):  # fmt: skip
        totals = [part(bias, bias0).copy() for _ in range(columns)]
        for x_run, w_run, first, end in runs_in_python(rows, row0, row_end, runs, run0, run_end):
            for i, wanted in pixels_of(columns, *kinds[kind]):
                if first <= i < end:
                    right = part(x, x0 + x_run + i * x_step)
                    for tap, j in wanted:
                        totals[j] += part(w, w0 + w_run + tap * w_step) * right
        for j in range(count):
            part(y, y0 + j * y_step)[:] = totals[j]

    @intrinsic
    def sums(
        _, kind, rows, row0, row_end, runs, run0, run_end, x, x0, x_step, w, w0, w_step, bias,
        bias0, y, y0, y_step, count,
    ):  # fmt: skip
        signature = types.void(
            INDEX, rows, INDEX, INDEX, runs, INDEX, INDEX, x, INDEX, INDEX, w, INDEX, INDEX,
            bias, INDEX, y, INDEX, INDEX, INDEX,
        )  # fmt: skip

        def build(context, builder, signature, values):
            values = with_pointers(context, builder, signature, values)
            kind, *tables, x, x0, x_step, w, w0, w_step, bias, bias0, y, y0, y_step, count = values
            x, w, y = place(builder, x, x0), place(builder, w, w0), place(builder, y, y0)
            zero, start = count.type(0), load(builder, place(builder, bias, bias0))
            totals = [variable_with(builder, start) for _ in range(columns)]
            for taps, stride in those_of(builder, kind, kinds):
                with each_run(builder, *tables) as (x_run, w_run, first, end):
                    w_run, pixels = place(builder, w, w_run), place(builder, x, x_run)
                    lefts = [
                        load(builder, place(builder, w_run, zero, (tap, w_step)))
                        for tap in range(taps)
                    ]
                    for i, wanted in each_pixel(builder, columns, taps, stride, first, end):
                        right = load(builder, place(builder, pixels, zero, (i, x_step)))
                        for tap, j in wanted:
                            multiply_add(builder, totals[j], lefts[tap], right)
            for j, total in enumerate(totals):
                with builder.if_then(builder.icmp_signed("<", zero.type(j), count)):
                    store(builder, builder.load(total), place(builder, y, zero, (j, y_step)))
            return context.get_dummy_value()

        return signature, build

    return python_or(sums, in_python)


def tap_dots_of(columns: int, kinds: tuple) -> Any:
    """A compiled function for gw[tap] += sum over outputs j of gy[j] * x[pixel], for all taps.

    Each lane has a sum of its own.

    Returns:
        dots(kind, rows, first, end, runs, first, end, x, start, step, gw, start, step, gy, start,
        step, count): as tap_sums_of.
    """

    def in_python(
        kind, rows, row0, row_end, runs, run0, run_end, x, x0, x_step, gw, gw0, gw_step,
        gy, gy0, gy_step, count,
    ):  # fmt: skip
        lefts = [part(gy, gy0 + j * gy_step) for j in range(count)]
        for x_run, w_run, first, end in runs_in_python(rows, row0, row_end, runs, run0, run_end):
            for i, wanted in pixels_of(columns, *kinds[kind]):
                if first <= i < end:
                    right = part(x, x0 + x_run + i * x_step)
                    for tap, j in wanted:
                        if j < count:
                            part(gw, gw0 + w_run + tap * gw_step)[:] += lefts[j] * right

    @intrinsic
    def dots(
        _, kind, rows, row0, row_end, runs, run0, run_end, x, x0, x_step, gw, gw0, gw_step,
        gy, gy0, gy_step, count,
    ):  # fmt: skip
        signature = types.void(
            INDEX, rows, INDEX, INDEX, runs, INDEX, INDEX, x, INDEX, INDEX, gw, INDEX, INDEX,
            gy, INDEX, INDEX, INDEX,
        )  # fmt: skip

        def build(context, builder, signature, values):
            values = with_pointers(context, builder, signature, values)
            kind, *tables, x, x0, x_step, gw, gw0, gw_step, gy, gy0, gy_step, count = values
            x, gw, gy = place(builder, x, x0), place(builder, gw, gw0), place(builder, gy, gy0)
            zero = count.type(0)
            nothing = ir.Constant(ir.VectorType(gy.type.pointee, WIDTH), [0.0] * WIDTH)
            lefts = [variable_with(builder, nothing) for _ in range(columns)]
            for j, left in enumerate(lefts):
                with builder.if_then(builder.icmp_signed("<", zero.type(j), count)):
                    builder.store(load(builder, place(builder, gy, zero, (j, gy_step))), left)
            for taps, stride in those_of(builder, kind, kinds):
                with each_run(builder, *tables) as (x_run, w_run, first, end):
                    gw_run, pixels = place(builder, gw, w_run), place(builder, x, x_run)
                    totals = [variable_with(builder, nothing) for _ in range(taps)]
                    for is_there in whole_or_not(builder, columns, count):
                        for i, wanted in each_pixel(builder, columns, taps, stride, first, end):
                            right = load(builder, place(builder, pixels, zero, (i, x_step)))
                            for tap, j in wanted:
                                with is_there(j):
                                    left = builder.load(lefts[j])
                                    multiply_add(builder, totals[tap], left, right)
                    for tap, total in enumerate(totals):
                        target = place(builder, gw_run, zero, (tap, gw_step))
                        value = builder.fadd(load(builder, target), builder.load(total))
                        store(builder, value, target)
            return context.get_dummy_value()

        return signature, build

    return python_or(dots, in_python)


def pixels_of(columns: int, taps: int, stride: int) -> Iterator:
    """The pixels of a run that are read, and for each the (tap, output) that it is for."""
    for i in range((columns - 1) * stride + taps):
        wanted = [(tap, (i - tap) // stride) for tap in range(taps) if (i - tap) % stride == 0]
        wanted = [(tap, j) for tap, j in wanted if 0 <= j < columns]
        if wanted:
            yield i, wanted


def variable_with(builder, value):
    """A variable that holds this now; it stands outside of the loops."""
    variable = cgutils.alloca_once(builder, value.type)
    builder.store(value, variable)
    return variable


def those_of(builder, kind, kinds) -> Iterator:
    """Each kind in turn; what is emitted for it happens if it is the one that is meant."""
    for number, settings in enumerate(kinds):
        with builder.if_then(builder.icmp_signed("==", kind, kind.type(number))):
            yield settings


def runs_in_python(rows, row0, row_end, runs, run0, run_end) -> Iterator:
    for row in range(row0, row_end):
        x_row, w_row = part(rows, 2 * row, 2)
        for run in range(run0, run_end):
            x_run, w_run, first, end = part(runs, 4 * run, 4)
            yield x_row + x_run, w_row + w_run, first, end


@contextmanager
def each_run(builder, rows, row0, row_end, runs, run0, run_end):
    """Loops over rows and runs: (pixels, weights, first pixel, end) of each."""

    def entry(table, size, number, at):
        return builder.load(place(builder, table, number.type(at), (size, number)))

    with cgutils.for_range(builder, builder.sub(row_end, row0)) as loop:
        row = builder.add(row0, loop.index)
        x_row, w_row = entry(rows, 2, row, 0), entry(rows, 2, row, 1)
        with cgutils.for_range(builder, builder.sub(run_end, run0)) as loop:
            run = builder.add(run0, loop.index)
            x_run, w_run, first, end = (entry(runs, 4, run, at) for at in range(4))
            yield builder.add(x_row, x_run), builder.add(w_row, w_run), first, end


def each_pixel(builder, columns, taps, stride, first, end) -> Iterator:
    """As pixels_of; what is emitted for a pixel is passed over unless first <= pixel < end."""
    behind = builder.append_basic_block()
    for i, wanted in pixels_of(columns, taps, stride):
        before_end = builder.append_basic_block()
        builder.cbranch(builder.icmp_signed("<", first.type(i), end), before_end, behind)
        builder.position_at_end(before_end)
        with builder.if_then(builder.icmp_signed("<=", first, first.type(i))):
            yield i, wanted
    builder.branch(behind)
    builder.position_at_end(behind)


def whole_or_not(builder, columns, count) -> Iterator:
    """First for blocks of all outputs, then for those of fewer: the condition for output j.

    0 in place of the missing ones would not do: 0 times infinity is NaN.
    """
    with builder.if_else(builder.icmp_signed("==", count, count.type(columns))) as (then, fewer):
        with then:
            yield lambda j: nullcontext()
        with fewer:
            yield lambda j: builder.if_then(builder.icmp_signed("<", count.type(j), count))


def with_pointers(context, builder, signature, values):
    """The values, with arrays as pointers to their numbers."""
    return [
        value if kind == INDEX else data_pointer(context, builder, kind, value)
        for kind, value in zip(signature.args, values)
    ]
