"""Max pooling, compiled: each thread has rows of output pixels, and in backward of input pixels.

Backward is written from the side of the input pixel: it looks at the windows that may contain it
and takes the gradient of those it won. So no two threads add to the same place, and the order of
a sum does not depend on their number.

Shapes as in the reference kernel; inside, arrays are (N, H, W, C), or where x lies so in memory,
(C, H, W, N): then what is called n below is a channel, and c a picture.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

from minidl.kernels.cpu.threads.workers import threads_for
from minidl.kernels.layout import arranged, logical, order_of


def forward(x, kernel_size, stride, padding, dilation, output_size):
    order = order_of(x)
    x = arranged(x, order)
    y = np.empty((len(x), *output_size, x.shape[3]), x.dtype)
    indices = np.empty(y.shape, np.int32)
    with threads_for(y.size * kernel_size[0] * kernel_size[1]):
        find_maxima(x, y, indices, *kernel_size, *stride, *padding, *dilation)
    return logical(y, order), logical(indices, order)


def backward(gy, indices, x_shape, kernel_size, stride, padding, dilation, add_to=None):
    order = order_of(indices)
    if add_to is None:
        gx = np.zeros([x_shape[axis] for axis in order], gy.dtype)
    else:
        gx = arranged(add_to, order)
    window = [dilation[i] * (kernel_size[i] - 1) + 1 for i in (0, 1)]
    gy, indices = arranged(gy, order), arranged(indices, order)
    with threads_for(gy.size * kernel_size[0] * kernel_size[1]):
        collect(gy, indices, gx, *window, *stride, *padding)
    return logical(gx, order)


@njit(parallel=True, cache=True)
def find_maxima(x, y, indices, R, S, sh, sw, ph, pw, dh, dw):
    N, H, W, C = x.shape
    _, OH, OW, _ = y.shape
    for image_row in prange(N * OH):
        n, oh = image_row // OH, image_row % OH
        for ow in range(OW):
            first = True
            for r in range(R):
                h = oh * sh + r * dh - ph
                if h < 0 or h >= H:
                    continue
                for s in range(S):
                    v = ow * sw + s * dw - pw
                    if v < 0 or v >= W:
                        continue
                    here = np.int32(h * W + v)
                    for c in range(C):
                        seen, best = x[n, h, v, c], y[n, oh, ow, c]
                        wins = first or seen > best or seen != seen  # only NaN differs from itself
                        y[n, oh, ow, c] = seen if wins else best
                        indices[n, oh, ow, c] = here if wins else indices[n, oh, ow, c]
                    first = False


@njit(parallel=True, cache=True)
def collect(gy, indices, gx, window_h, window_w, sh, sw, ph, pw):
    """gx[n, h, v] += gy of the windows whose maximum is (h, v).

    Window oh begins at oh sh - ph and ends before oh sh - ph + window_h, so those that span row h
    are first_oh .. last_oh.
    """
    N, H, W, C = gx.shape
    _, OH, OW, _ = gy.shape
    zero = gx.dtype.type(0)
    for image_row in prange(N * H):
        n, h = image_row // H, image_row % H
        first_oh = max(0, (h + ph - window_h) // sh + 1)
        last_oh = min(OH - 1, (h + ph) // sh)
        for v in range(W):
            here = h * W + v
            first_ow = max(0, (v + pw - window_w) // sw + 1)
            last_ow = min(OW - 1, (v + pw) // sw)
            for oh in range(first_oh, last_oh + 1):
                for ow in range(first_ow, last_ow + 1):
                    for c in range(C):
                        won = indices[n, oh, ow, c] == here
                        gx[n, h, v, c] += gy[n, oh, ow, c] if won else zero
