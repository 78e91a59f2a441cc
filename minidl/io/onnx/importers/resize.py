"""Resize: every axis in another size, by nearest, linear or cubic values.

Output pixel i of an axis lies at position s(i) of the input (scale = output / input size):

    asymmetric             s = i / scale
    half_pixel             s = (i + 0.5) / scale - 0.5         pixels are squares
    align_corners          s = i (n - 1) / (m - 1)             pixels are points
    tf_crop_and_resize     as align_corners, within the region of interest

and is a weighted mean of the pixels around it, which makes each axis a matrix (m, n): one product
for each. For "nearest" that matrix has a single 1 in a row: an index for each output pixel.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from minidl import ops
from minidl.io.onnx.node import Node, int_list
from minidl.shapes import check_size
from minidl.tensor import Tensor

TRANSFORMS = (
    "half_pixel", "pytorch_half_pixel", "half_pixel_symmetric", "align_corners", "asymmetric",
    "tf_crop_and_resize",
)  # fmt: skip


def resize(
    node: Node, x: Tensor, roi: Tensor | None = None, scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:  # fmt: skip
    if node.opset < 11:  # then the second input are the scales
        return along_axes(node, x, list(range(x.ndim)), factors(roi), None, None, "asymmetric")
    axes = node.ints("axes", list(range(x.ndim)))
    if any(not -x.ndim <= d < x.ndim for d in axes):
        node.refuse("no such axis", {"x": x, "axes": axes})
    axes = [d % x.ndim for d in axes]
    wanted = int_list(node, sizes, "sizes") or None
    scale = factors(scales)
    region = factors(roi)
    transform = node.choice("coordinate_transformation_mode", "half_pixel", TRANSFORMS)
    return along_axes(node, x, axes, scale, wanted, region, transform)


def upsample(node: Node, x: Tensor, scales: Tensor | None = None) -> Tensor:
    """The older operator: scales as an attribute, then as an input."""
    given = node.get("scales") if scales is None else factors(scales)
    return along_axes(node, x, list(range(x.ndim)), given, None, None, "asymmetric")


def factors(x: Tensor | None) -> list[float] | None:
    """The floats in a tensor; an empty one counts as left out."""
    return None if x is None or x.numel() == 0 else [float(n) for n in x.data.reshape(-1)]


def along_axes(node: Node, x: Tensor, axes, scales, sizes, region, transform: str) -> Tensor:
    """Resize one axis after the other."""
    given = scales if sizes is None else sizes
    if given is None or len(given) != len(axes) or min(given, default=1) <= 0:
        node.refuse("expects a scale or a size > 0 for each axis", {"x": x, "given": given})
    old = [x.shape[d] for d in axes]
    if min(old, default=1) == 0 or not all(math.isfinite(n) for n in given):
        node.refuse("an axis to resize has pixels, the scales are finite", {"x": x})
    if sizes is None:
        sizes = [math.floor(n * scale) for n, scale in zip(old, scales)]
    else:
        sizes, scales = fit(node, old, sizes)
    whole = dict(zip(axes, sizes))
    check_size("onnx", tuple(whole.get(d, n) for d, n in enumerate(x.shape)), x.dtype, {"x": x})
    integers = x.dtype
    for i, (d, m, scale) in enumerate(zip(axes, sizes, scales)):
        span = (0.0, 1.0) if region is None else (region[i], region[len(axes) + i])
        cropped = transform == "tf_crop_and_resize" and span != (0.0, 1.0)
        if m == x.shape[d] and scale == 1 and not cropped:
            continue
        positions = source_positions(transform, x.shape[d], m, scale, span)
        x = resized(node, x, d, positions, scale, transform)
    return x if x.dtype == integers else x.to(integers)


def fit(node: Node, old: list[int], sizes: list[int]) -> tuple[list[int], list[float]]:
    """The sizes, or those that keep the aspect ratio; and the scales that lead to them."""
    policy = node.choice(
        "keep_aspect_ratio_policy", "stretch", ("stretch", "not_larger", "not_smaller")
    )
    scales = [m / n for n, m in zip(old, sizes)]
    if policy == "stretch":
        return sizes, scales
    scale = min(scales) if policy == "not_larger" else max(scales)
    return [int(n * scale + 0.5) for n in old], [scale] * len(old)


def source_positions(transform: str, n: int, m: int, scale: float, span: tuple) -> np.ndarray:
    """s(i) for each of m output pixels, in pixels of the input, of n."""
    i, length = np.arange(m, dtype=np.float64), scale * n
    if transform == "asymmetric":
        return i / scale
    if transform == "align_corners":
        return i * 0 if length == 1 else i * (n - 1) / (length - 1)
    if transform == "tf_crop_and_resize":
        first, last = (edge * (n - 1) for edge in span)
        return first + ((last - first) / 2 if length == 1 else i * (last - first) / (length - 1))
    if transform == "pytorch_half_pixel" and m == 1:
        return i * 0
    middle = 0.0
    if transform == "half_pixel_symmetric":  # a size that was rounded: share the rest
        middle = n / 2 * (1 - m / length)
    return middle + (i + 0.5) / scale - 0.5


def resized(node: Node, x: Tensor, d: int, s: np.ndarray, scale: float, transform: str) -> Tensor:
    """x with axis d read at the positions s."""
    n, mode = x.shape[d], node.get("mode", "nearest")
    if mode == "nearest":
        default = "floor" if node.opset < 11 else "round_prefer_floor"
        rounding = node.get("nearest_mode", default)
        y = ops.index_select(x, d, Tensor(np.clip(rounded(node, s, rounding), 0, n - 1)))
    elif mode in ("linear", "bilinear", "cubic"):
        weights = matrix(node, s, n, scale, "cubic" if mode == "cubic" else "linear")
        work = x if x.dtype.kind == "f" else x.to("float64")
        y = ops.matmul(work.transpose(d, -1), Tensor(weights.T.astype(work.dtype)))
        y = y.transpose(d, -1)
    else:
        node.refuse("mode is nearest, linear or cubic", {"mode": mode})
    if transform != "tf_crop_and_resize":
        return y
    outside = ((s < 0) | (s > n - 1)).reshape(-1, *(1,) * (x.ndim - 1 - d))
    return ops.where(Tensor(outside), node.get("extrapolation_value", 0.0), y).to(y.dtype)


def rounded(node: Node, s: np.ndarray, mode: str) -> np.ndarray:
    """The pixel at a position."""
    known: dict[str, Any] = {
        "floor": np.floor, "ceil": np.ceil, "round_prefer_floor": lambda s: np.ceil(s - 0.5),
        "round_prefer_ceil": lambda s: np.floor(s + 0.5),
    }  # fmt: skip
    if mode not in known:
        node.refuse(f"nearest_mode is one of {', '.join(known)}", {"nearest_mode": mode})
    return known[mode](s).astype(np.int64)


def matrix(node: Node, s: np.ndarray, n: int, scale: float, mode: str) -> np.ndarray:
    """(m, n): with which weight each output pixel reads each input pixel.

    Shrinking with antialias stretches the kernel over all pixels that a new one covers. Weights of
    pixels behind the border go to the border's, or with exclude_outside to the others.
    """
    stretch = min(scale, 1.0) if node.get("antialias", 0) else 1.0
    reach = (2 if mode == "cubic" else 1) / stretch
    first = np.floor(s - reach).astype(np.int64) + 1
    taps = math.ceil(2 * reach) + 1
    check_size("onnx", (len(s), max(taps, n)), np.float64, {"pixels": n, "scale": scale})
    places = first[:, None] + np.arange(taps)
    distance = (places - s[:, None]) * stretch
    if mode == "cubic":
        weights = cubic(np.abs(distance), node.get("cubic_coeff_a", -0.75))
    else:
        weights = np.clip(1 - np.abs(distance), 0, None)
    if node.get("exclude_outside", 0):
        weights = np.where((places < 0) | (places >= n), 0, weights)
    if node.get("exclude_outside", 0) or stretch < 1:
        weights = weights / weights.sum(axis=1, keepdims=True)
    whole = np.zeros((len(s), n))
    np.add.at(whole, (np.arange(len(s))[:, None], np.clip(places, 0, n - 1)), weights)
    return whole


def cubic(x: np.ndarray, a: float) -> np.ndarray:
    """The convolution kernel of Keys 1981 at distances x >= 0."""
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((a * x - 5 * a) * x + 8 * a) * x - 4 * a
    return np.where(x <= 1, near, np.where(x < 2, far, 0))


IMPORTERS = {"Resize": resize, "Upsample": upsample}
