"""The spread of a batch as one more channel of its pictures (Karras et al. 2018, section 3).

    d[c,h,w]    = sqrt(sum_n (x[n,c,h,w] - mean[c,h,w])^2 / N)         mean: over the batch
    s           = sum_{c,h,w} d / (C H W)
    y           = x with a channel behind the others that is s everywhere

    gx[n,c,h,w] = gy[n,c,h,w] + gs (x[n,c,h,w] - mean[c,h,w]) / (C H W N d[c,h,w])
    gs          = sum_{n,h,w} gy[n,C,h,w]

A generator that draws the same picture again and again makes s small, and a discriminator that
sees s can tell. d has no derivative where it is 0; there it is taken as 0, as in std.

Statistics are float64 whatever the dtype of x. y lies in memory as (N, C + 1, H, W), for the linear
layer that usually follows: flatten is a view of it.
"""

from __future__ import annotations

from minidl import kernels
from minidl.checks import check_floating, check_ndim
from minidl.function import Function
from minidl.ops.receptive_field import WHOLE
from minidl.tensor import Tensor


class MinibatchStd(Function):
    makes_new = True
    receptive_field = WHOLE

    def forward(self, x):
        y, mean, std = kernels.pick("minibatch_std", x).forward(x)
        if self.needs_grad[0]:
            self.x, self.mean, self.std = x, mean, std
        return y

    def backward(self, gy):
        kernel = kernels.pick("minibatch_std", gy)
        return kernel.backward(gy, self.x, self.mean, self.std)


def minibatch_std(input: Tensor) -> Tensor:
    """Append the mean standard deviation of a batch to each of its pictures, as a channel.

    s = mean over c, h and w of std over n of x[n,c,h,w]

    Karras et al. 2018, "Progressive growing of GANs for improved quality, stability, and
    variation", section 3, with one group: the whole batch. The deviations are divided by N.

    Args:
        input: (N, C, H, W).

    Returns:
        (N, C + 1, H, W): the input, and s in the last channel.

    Raises:
        ShapeError: not four dimensions.
        DtypeError: not floating point.

    >>> minidl.nn.functional.minibatch_std(minidl.tensor([[[[1.0]]], [[[3.0]]]])).reshape(2, 2)
    tensor([[1., 1.],
            [3., 1.]])
    """
    check_floating("minibatch_std", input=input)
    check_ndim("minibatch_std", "input", input, 4, "(N, C, H, W)")
    return MinibatchStd().apply(input)
