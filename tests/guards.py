"""Arrays in the middle of a larger buffer: what a kernel does outside of them shows."""

import numpy as np

from minidl.kernels.layout import CHANNELS_LAST, logical

MARGIN = 256  # numbers on each side
SENTINEL = np.float32(12345.0)


def between_nans(array, order=CHANNELS_LAST):
    """The same values with NaN before and behind: a read outside brings one into the result."""
    last = array.transpose(order) if array.ndim == 4 else array
    buffer = np.full(array.size + 2 * MARGIN, np.nan, np.float32)
    inside = buffer[MARGIN:-MARGIN].reshape(last.shape)
    inside[...] = last
    return logical(inside, order) if array.ndim == 4 else inside


class GuardedNumpy:
    """Stands in for np in a kernel file: its new float32 arrays lie between sentinels.

    They begin as NaN, so that what is read before it was written shows, too.
    """

    def __init__(self):
        self.buffers = []

    def __getattr__(self, name):
        return getattr(np, name)

    def empty(self, shape, dtype):
        size = int(np.prod(shape))
        self.buffers.append(np.full(size + 2 * MARGIN, SENTINEL, dtype))
        inside = self.buffers[-1][MARGIN : MARGIN + size]
        inside[...] = np.nan
        return inside.reshape(shape)

    def zeros(self, shape, dtype):
        array = self.empty(shape, dtype)
        array[...] = 0
        return array

    def check(self):
        for buffer in self.buffers:
            assert (buffer[:MARGIN] == SENTINEL).all(), "written before the array"
            assert (buffer[-MARGIN:] == SENTINEL).all(), "written behind the array"
