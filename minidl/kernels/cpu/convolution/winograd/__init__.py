"""3x3 and 5x5 convolution with a fraction of the multiplications (Winograd's minimal filtering).

For a tile of 4 x 4 outputs that reads 6 x 6 inputs d and has the 3 x 3 kernel g, with small
constant matrices (transforms.py) and o for products entry by entry,

    y = A^T [(G g G^T) o (B^T d B)] A          36 multiplications instead of 144

and for a tile of 2 x 2 outputs with a 5 x 5 kernel 36 instead of 100. The sum over channels comes
before the transform back, which makes the 36 entries 36 matrix products

    M[e] = V[e] U[e]      V[e] (tiles, C)  U[e] (C, K)  M[e] (tiles, K)

of the transformed pictures V and weights U. The gradient of x is the same convolution with the
kernels turned by half a turn. The gradient of w is the transpose of the map from g to y:

    gg = G^T [sum over tiles of (B^T d B) o (A gy A^T)] G

The price is rounding: the matrices have entries up to 8 and sums that cancel. The result is off by
up to 1e-4 of the largest output where a plain sum is off by 1e-6, and within a tile everything
rounds as its largest value does: zeros beside large values come out as small numbers. Infinity
subtracted from infinity makes NaN of a whole tile, and overflow begins a hundred times earlier.
use_exact_conv(True) chooses the plain sum.

halving.py brings 4x4 windows with stride 2 here, as 2x2 kernels. For these a tile of 4 x 4 outputs
reads 5 x 5 inputs, and what these files say of 36 entries holds for 25.

    plan.py              what is divided how
    convolve.py          pictures and gradients of pictures
    weight_gradient.py   gradients of weights
    views.py             where the pixels of a picture lie
    tiles.py             tiles, from memory to their transforms and back
    transforms.py        the small matrices, and compiled code made of them
"""

from __future__ import annotations

import numpy as np

from minidl.kernels import settings
from minidl.kernels.cpu.convolution.winograd.convolve import all_taps, convolve_views
from minidl.kernels.cpu.convolution.winograd.tiles import count_tiles, entries_of, tile_of
from minidl.kernels.cpu.convolution.winograd.views import view_of
from minidl.kernels.cpu.convolution.winograd.weight_gradient import add_gradients
from minidl.kernels.cpu.vector.instructions import WIDTH
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.memory import aligned


def is_faster(result, array, x_shape, w_shape, stride, padding, dilation, groups):
    """These kernels compute this result, and faster than a plain sum; see conv2d.choose."""
    K, C, R, S = w_shape
    if array.dtype != np.float32 or R != S or R not in (3, 5) or stride != (1, 1):
        return False
    if dilation != (1, 1) or max(padding) >= R or settings.exact_conv:
        return False
    if C % WIDTH or K // groups % WIDTH:
        return False
    # The tiles, of y or of the gradient of x, must not be mostly beside the picture (one of 2x2
    # costs 36 products as well), and transforming the weights must be worth it.
    N, _, H, W = x_shape
    OH, OW = H + padding[0] + padding[-2] - R + 1, W + padding[1] + padding[-1] - S + 1
    tiles = count_tiles(N, *((H, W) if result == "gx" else (OH, OW)), tile_of(R))
    return tiles * entries_of(R) * 3 <= N * OH * OW * R * S * 2 and tiles * 2**12 >= C * K // groups


def forward(x, w, b, stride, padding, dilation, groups, least=-np.inf, slope=1.0):
    x = channels_last(x)
    (N, H, W, _), (K, C, R, S) = x.shape, w.shape
    OH, OW = H + padding[0] + padding[-2] - R + 1, W + padding[1] + padding[-1] - S + 1
    y = aligned((N, OH, OW, K), x.dtype)
    for g in range(groups):
        part = group(K, g, groups)
        views, y_views = view_of(x, g * C, padding[:2])[None], view_of(y, part.start)
        bias = None if b is None else b[part]
        convolve_views(x, views, all_taps(w[part]), y, y_views, b=bias, least=least, slope=slope)
    return channels_first(y)


def backward_input(gy, w, x_shape, stride, padding, dilation, groups, mask=None):
    N, _, H, W = x_shape
    K, C, R, S = w.shape
    gx, gy = aligned((N, H, W, C * groups), gy.dtype), channels_last(gy)
    mask = None if mask is None else channels_last(mask)
    padding = (R - 1 - padding[0], S - 1 - padding[1])
    for g in range(groups):
        part = group(K, g, groups)
        views, gx_views = view_of(gy, part.start, padding)[None], view_of(gx, g * C)
        convolve_views(gy, views, all_taps(w[part]), gx, gx_views, is_turned=True, mask=mask)
    return channels_first(gx)


def backward_weight(gy, x, w_shape, stride, padding, dilation, groups):
    K, C, R, S = w_shape
    x, gy = channels_last(x), channels_last(gy)
    gw = np.zeros((R, S, C, K), np.float32)
    for g in range(groups):
        first = group(K, g, groups).start
        views, gy_view = view_of(x, g * C, padding[:2]), view_of(gy, first)[0]
        starts = np.array([first])
        add_gradients(x, views, gy, gy_view, gw, starts, C * K * S, C * K, (R, C, K // groups))
    return gw.transpose(3, 2, 0, 1)


def group(channels, g, groups):
    """The channels of group g."""
    return slice(channels // groups * g, channels // groups * (g + 1))
