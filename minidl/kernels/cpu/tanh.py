"""Hyperbolic tangent of many numbers, each in one pass over memory, see relu.py.

float32 as in Cephes (Moshier 1992, tanhf and expf), in lines that the compiler turns into vector
instructions:

    tanh(x) = x + x^3 P(x^2)                for |x| < SMALL
            = 1 - 2 / (e^2x + 1)            for others, with the sign of x
    e^z     = 2^n e^r                       n = round(z / ln 2),  r = z - n ln 2

where 2^n is n written where a float32 keeps its exponent. Off by 8e-8 at most, as NumPy's is, which
takes three times as long. float64 is NumPy's.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from minidl.kernels.layout import flat, from_flat, memory_order
from minidl.kernels.memory import aligned
from minidl.kernels.reference import tanh as reference

SMALL, LARGE = np.float32(0.625), np.float32(10)  # from LARGE on it is 1
P0, P1, P2, P3, P4 = np.float32(
    [-3.33332819422e-1, 1.33314422036e-1, -5.37397155531e-2, 2.06390887954e-2, -5.70498872745e-3]
)
LOG2_E, LN2_HIGH, LN2_LOW = np.float32([1.44269504088896341, 0.693359375, -2.12194440e-4])
E0, E1, E2, E3, E4, E5 = np.float32([
    5.0000001201e-1, 1.6666665459e-1, 4.1665795894e-2, 8.3334519073e-3, 1.3981999507e-3,
    1.9875691500e-4,
])  # fmt: skip
HALF, ONE, TWO = np.float32([0.5, 1, 2])
EXPONENT, BIAS = np.int32(23), np.int32(127)  # where a float32 keeps it, and what 0 is there


def forward(x):
    if x.dtype != np.float32:
        return reference.forward(x)
    order = memory_order(x)
    y = aligned((x.size,), x.dtype)
    squash(flat(x, order), y)
    return from_flat(y, x.shape, order)


def backward(gy, y):
    order = memory_order(y)
    gx = aligned((y.size,), y.dtype)
    scale(flat(gy, order), flat(y, order), gx)
    return from_flat(gx, y.shape, order)


@njit(nogil=True, cache=True, fastmath={"contract"}, error_model="numpy")
def squash(x, y):
    for i in range(x.size):
        size, square = abs(x[i]), x[i] * x[i]
        near = square * (P0 + square * (P1 + square * (P2 + square * (P3 + square * P4))))
        near = x[i] + x[i] * near
        z = TWO * (size if size < LARGE else LARGE)
        n = np.int32(z * LOG2_E + HALF)
        whole = np.float32(n)
        r = z - whole * LN2_HIGH - whole * LN2_LOW
        e = ONE + (r + r * r * (E0 + r * (E1 + r * (E2 + r * (E3 + r * (E4 + r * E5))))))
        e = e * np.int32((n + BIAS) << EXPONENT).view(np.float32)
        far = ONE - TWO / (e + ONE)
        far = far if x[i] > 0 else -far
        number = near if size < SMALL else far
        y[i] = number if size > 0 else x[i]  # a 0 keeps its sign, and NaN stays


@njit(nogil=True, cache=True)
def scale(gy, y, gx):
    """gx = gy (1 - y^2), and 0 where gy is 0, also where y is NaN."""
    one, zero = y.dtype.type(1), y.dtype.type(0)
    for i in range(y.size):
        gx[i] = zero if gy[i] == zero else gy[i] * (one - y[i] * y[i])
