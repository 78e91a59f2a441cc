"""What a user may choose about the kernels, beside which set of them."""

from __future__ import annotations

import os

exact_conv = os.environ.get("MINIDL_EXACT_CONV", "") not in ("", "0")


class use_exact_conv:
    """Compute convolutions by plain sums of products, or let fast algorithms do it.

    A 3x3 convolution in float32 is computed with a quarter of the multiplications, a 5x5 one with
    36 of 100 (Winograd 1980; Lavin and Gray 2016, "Fast algorithms for convolutional neural
    networks"); the error is up to 1e-4 of the largest output where a plain sum has 1e-6, and an
    infinity or a NaN in the input makes NaN of a whole tile of 4 x 4 or 2 x 2 outputs. Networks
    train as well with it. It is used where it is faster: stride and dilation 1, padding smaller
    than the kernel, channels of a group in eights (sixteens on a processor with AVX-512), results
    of about 3x3 pixels at least and enough of them; all else is a plain sum.
    Works as a statement and as a context manager; the environment variable MINIDL_EXACT_CONV=1
    chooses at the start. The choice holds for the whole process, on the CPU.

    Args:
        exact: True for plain sums only.

    >>> with minidl.use_exact_conv(True):
    ...     y = minidl.nn.Conv2d(16, 16, 3)(minidl.ones(1, 16, 8, 8))
    """

    def __init__(self, exact: bool):
        global exact_conv
        self.previous = exact_conv
        exact_conv = bool(exact)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        global exact_conv
        exact_conv = self.previous
