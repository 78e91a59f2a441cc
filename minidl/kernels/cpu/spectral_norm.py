"""Spectral normalization in compiled loops over the rows of a matrix, without others in between.

The columns of a weight of a convolution lie side by side: then its transpose is what has rows, with
u and v exchanged. Sums of products are made in float64, in an order that the compiler chooses.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit


def iterate(w, u, v, steps, least):
    u, v = u.astype(np.float64), v.astype(np.float64)
    if is_transposed(w):
        length = power_steps(np.ascontiguousarray(w.T), v, u, steps, least, False)
    else:
        length = power_steps(np.ascontiguousarray(w), u, v, steps, least, True)
    return u.astype(w.dtype), v.astype(w.dtype), length


def backward(gy, y, u, v, sigma):
    if is_transposed(y):
        return backward(gy.T, y.T, v, u, sigma).T
    gw = np.empty(gy.shape, gy.dtype)
    project(np.ascontiguousarray(gy), np.ascontiguousarray(y), u, v, float(sigma), gw)
    return gw


def is_transposed(w):
    return w.T.flags.c_contiguous and not w.flags.c_contiguous


@njit(nogil=True, cache=True, error_model="numpy")
def power_steps(rows, of_rows, of_columns, steps, least, rows_first):
    """Each step changes both vectors, one by the other; returns the last one's length."""
    length, sums = 0.0, np.empty(len(of_columns))
    for _ in range(steps):
        if rows_first:
            sum_both(rows, of_columns, of_rows, sums)
            length = scale_to_one(of_rows, least)
            divisor = least if length < least else length
            for j in range(len(sums)):
                of_columns[j] = sums[j] / divisor
            length = scale_to_one(of_columns, least)
        else:
            sum_rows(rows, of_rows, of_columns)
            scale_to_one(of_columns, least)
            sum_columns(rows, of_columns, of_rows)
            length = scale_to_one(of_rows, least)
    return length


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def sum_both(rows, of_columns, of_rows, sums):
    """of_rows[i] = sum over j of rows[i, j] of_columns[j], sums[j] = sum over i of of_rows[i]
    rows[i, j]: what comes next, but for the length of of_rows. So a row is read once."""
    sums[:] = 0
    for i in range(len(rows)):
        row, total = rows[i], 0.0
        for j in range(len(row)):
            total += row[j] * of_columns[j]
        of_rows[i] = total
        for j in range(len(row)):
            sums[j] += total * row[j]


@njit(nogil=True, cache=True, fastmath={"reassoc"})
def sum_columns(rows, of_columns, of_rows):
    """of_rows[i] = sum over j of rows[i, j] of_columns[j]"""
    for i in range(len(rows)):
        row, total = rows[i], 0.0
        for j in range(len(row)):
            total += row[j] * of_columns[j]
        of_rows[i] = total


@njit(nogil=True, cache=True)
def sum_rows(rows, of_rows, of_columns):
    """of_columns[j] = sum over i of of_rows[i] rows[i, j]"""
    of_columns[:] = 0
    for i in range(len(rows)):
        row, factor = rows[i], of_rows[i]
        for j in range(len(row)):
            of_columns[j] += factor * row[j]


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})
def scale_to_one(x, least):
    """x divided by its length, which is returned, or by `least` if that is more (NaN is not)."""
    total = 0.0
    for i in range(len(x)):
        total += x[i] * x[i]
    length = math.sqrt(total)
    divisor = least if length < least else length
    for i in range(len(x)):
        x[i] /= divisor
    return length


@njit(nogil=True, cache=True, error_model="numpy", fastmath={"reassoc"})
def project(gy, y, u, v, sigma, gw):
    """gw = (gy - <gy, y> u v^T) / sigma"""
    along = 0.0
    for i in range(len(gy)):
        row, other = gy[i], y[i]
        for j in range(len(row)):
            along += np.float64(row[j]) * other[j]
    inverse, along = gy.dtype.type(1 / sigma), along / sigma
    for i in range(len(gy)):
        row, target, factor = gy[i], gw[i], gy.dtype.type(along * u[i])
        for j in range(len(row)):
            target[j] = inverse * row[j] - factor * v[j]
