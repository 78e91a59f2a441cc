"""Instance normalization (Ulyanov et al. 2016, equation 7).

    xhat = (x - mean) / sqrt(var + eps)          mean, var: of one channel of one picture
    y    = w xhat + b

It is batch normalization with each picture as a batch of its own; the Function and its kernels are
those of batch_norm.py, told so by per_image. For one picture the two are the same.

    gb   = sum gy        gw = sum gy xhat        over all pictures and pixels of the channel
    gx   = (gy - mean(gy) - xhat mean(gy xhat)) w / sqrt(var + eps)    means over one picture

var is divided by the number of pixels in y; running averages take the mean over the pictures of
the unbiased estimates, as in PyTorch.
"""

from __future__ import annotations

import math

from minidl.errors import ShapeError
from minidl.ops.batch_norm import (
    BatchNorm,
    check_arguments,
    check_momentum,
    check_running,
    fill_affine,
)
from minidl.shapes import check_flag
from minidl.tensor import Tensor


def instance_norm(
    input: Tensor,
    running_mean: Tensor | None = None,
    running_var: Tensor | None = None,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    use_input_stats: bool = True,
    momentum: float = 0.1,
    eps: float = 1e-5,
) -> Tensor:
    """Shift and scale each channel of each picture to mean 0 and variance 1.

    y = (x - mean) / sqrt(var + eps) * weight + bias

    Ulyanov et al. 2016, "Instance normalization: the missing ingredient for fast stylization".

    Args:
        input: (N, C, ...): (N, C, L) or (N, C, H, W).
        running_mean: (C,), updated in place where given; used when use_input_stats is False.
        running_var: (C,), likewise.
        weight: (C,), or None for 1.
        bias: (C,), or None for 0.
        use_input_stats: normalize with each picture's own mean and variance.
        momentum: weight of this batch in the running averages, from 0 to 1.
        eps: added to the variance, >= 0.

    Returns:
        The shape of input.

    Raises:
        ShapeError: a vector is not (C,), or there is a single value per channel and picture.
        ArgumentError: no statistics to use, momentum or eps out of range.
        DtypeError: not floating point, or of different dtypes.

    >>> x = minidl.tensor([[[1.0, 3.0]], [[10.0, 30.0]]])
    >>> minidl.nn.functional.instance_norm(x, eps=0.0).reshape(4)
    tensor([-1.,  1., -1.,  1.])
    """
    check_arguments("instance_norm", input, running_mean, running_var, weight, bias, eps)
    check_momentum("instance_norm", momentum)
    check_flag("instance_norm", "use_input_stats", use_input_stats)
    if use_input_stats and math.prod(input.data.shape[2:]) < 2:
        raise ShapeError(
            "instance_norm",
            "each channel of a picture needs more than one value: one has no variance",
            {"input": input},
        )
    running = check_running(
        "instance_norm", running_mean, running_var, required=not use_input_stats
    )
    if not len(input.data):
        running = None if use_input_stats else running  # no picture moves no average
    weight, bias = fill_affine(input, weight, bias)
    function = BatchNorm(running, use_input_stats, float(momentum), float(eps), per_image=True)
    return function.apply(input, weight, bias)
