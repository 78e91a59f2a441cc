"""Operators that rearrange elements: shapes, joining, cutting, padding."""

from __future__ import annotations

import numpy as np

from minidl import ops
from minidl.io.onnx.node import Node, int_list
from minidl.nn import functional as F
from minidl.tensor import Tensor


def reshape(node: Node, x: Tensor, shape: Tensor | None = None) -> Tensor:
    """0 copies a size (unless allowzero), -1 is what remains; an attribute before set 5."""
    sizes = node.ints("shape", []) if shape is None else int_list(node, shape, "shape")
    if not node.get("allowzero", 0):
        if any(size == 0 and i >= x.ndim for i, size in enumerate(sizes)):
            node.refuse("a 0 in the shape copies a size that the input does not have", {"x": x})
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return ops.reshape(x, tuple(sizes))


def flatten(node: Node, x: Tensor) -> Tensor:
    """A matrix: the dimensions before axis, and those from axis on."""
    axis = node.get("axis", 1)
    if not -x.ndim <= axis <= x.ndim:
        node.refuse(f"axis is from {-x.ndim} to {x.ndim}", {"axis": axis, "x": x})
    axis += x.ndim if axis < 0 else 0
    rows = int(np.prod(x.shape[:axis], dtype=np.int64))
    return ops.reshape(x, (rows, int(np.prod(x.shape[axis:], dtype=np.int64))))


def axes_of(node: Node, axes: Tensor | None) -> list[int] | None:
    """Axes from the attribute (older operator sets) or the input."""
    return node.ints("axes") if axes is None else int_list(node, axes, "axes")


def squeeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    dims = axes_of(node, axes)
    if dims is not None and any(-x.ndim <= d < x.ndim and x.shape[d] != 1 for d in dims):
        node.refuse("only dimensions of size 1 can be dropped", {"x": x, "axes": dims})
    return ops.squeeze(x, None if dims is None else tuple(dims))


def unsqueeze(node: Node, x: Tensor, axes: Tensor | None = None) -> Tensor:
    """Axes count in the result."""
    dims = axes_of(node, axes)
    if dims is None:
        node.refuse("the axes are missing")
    ndim = x.ndim + len(dims)
    if ndim > 64 or any(not -ndim <= d < ndim for d in dims):
        node.refuse("no such axis in the result", {"x": x, "axes": dims})
    for d in sorted(d % ndim for d in dims):
        x = ops.unsqueeze(x, d)
    return x


def transpose(node: Node, x: Tensor) -> Tensor:
    return ops.permute(x, tuple(node.ints("perm", list(range(x.ndim))[::-1])))


def concat(node: Node, *xs: Tensor) -> Tensor:
    return ops.cat(list(xs), node.get("axis", 1))


def split(node: Node, x: Tensor, sizes: Tensor | None = None) -> tuple:
    """Into given sizes, or as many parts as there are outputs, the last of which may be smaller."""
    axis = node.get("axis", 0)
    parts = node.ints("split") if sizes is None else int_list(node, sizes, "split")
    if parts is None:
        count = node.get("num_outputs", len(node.outputs))
        if not -x.ndim <= axis < x.ndim or count < 1 or count > x.shape[axis]:
            node.refuse("cannot be cut into so many parts", {"x": x, "parts": count})
        size = -(-x.shape[axis] // count)
        parts = [size] * (count - 1) + [x.shape[axis] - size * (count - 1)]
    return ops.split(x, parts, axis)


def expand(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Stretched both ways: a 1 in the shape keeps x's size."""
    wanted = int_list(node, shape, "shape")
    ndim = max(len(wanted), x.ndim)
    old = (1,) * (ndim - x.ndim) + x.shape
    new = [1] * (ndim - len(wanted)) + wanted
    return ops.expand(x, tuple(o if n == 1 else n for o, n in zip(old, new)))


def tile(node: Node, x: Tensor, repeats: Tensor, axis: Tensor | None = None) -> Tensor:
    """Operator set 1 repeats one axis, later ones all."""
    counts = int_list(node, repeats, "repeats")
    if axis is not None:
        at = int_list(node, axis, "axis")[0] % x.ndim
        counts = [counts[0] if i == at else 1 for i in range(x.ndim)]
    return ops.repeat(x, tuple(counts))


def shape(node: Node, x: Tensor) -> Tensor:
    return Tensor(np.array(x.shape[node.get("start", 0) : node.get("end")], np.int64))


def size(node: Node, x: Tensor) -> Tensor:
    return Tensor(np.array(x.numel(), np.int64))


def pad(
    node: Node, x: Tensor, pads: Tensor | None = None, value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:  # fmt: skip
    """(before of each axis, then behind of each); attributes before operator set 11."""
    widths = int_list(node, pads, "pads") if pads is not None else node.ints("pads")
    widths = node.ints("paddings") if widths is None else widths
    if value is not None:
        fill = value.data.reshape(()).item()
    else:
        fill = node.get("value", 0.0) if x.dtype.kind == "f" else 0
    dims = list(range(x.ndim)) if axes is None else int_list(node, axes, "axes")
    if widths is None or len(widths) != 2 * len(dims):
        node.refuse("pads are two for each axis", {"x": x, "pads": widths})
    if any(not -x.ndim <= d < x.ndim for d in dims):
        node.refuse("no such axis", {"x": x, "axes": dims})
    pairs = [(0, 0)] * x.ndim
    for d, before, behind in zip(dims, widths[: len(dims)], widths[len(dims) :]):
        pairs[d] = (before, behind)
    mode = node.choice("mode", "constant", ("constant", "reflect", "edge", "wrap"))
    if mode == "wrap":
        return wrapped(node, x, pairs)
    flat = [n for pair in pairs[::-1] for n in pair]  # the last axis first
    if mode == "constant":
        return F.pad(x, flat, value=fill)
    return F.pad(x, flat, mode={"reflect": "reflect", "edge": "replicate"}[mode])


def wrapped(node: Node, x: Tensor, pairs: list[tuple[int, int]]) -> Tensor:
    """The picture repeats behind each edge."""
    for axis, (before, behind) in enumerate(pairs):
        n = x.shape[axis]
        if (before or behind) and (n == 0 or n + before + behind > 2**31):
            node.refuse("such a frame does not fit the input", {"x": x, "pads": pairs})
        if before or behind:
            index = np.arange(-before, n + behind) % n
            x = ops.index_select(x, axis, Tensor(index))
    return x


def depth_to_space(node: Node, x: Tensor) -> Tensor:
    """Blocks of channels become blocks of pixels (pixel shuffle, Shi et al. 2016)."""
    block, mode = node.required("blocksize"), node.choice("mode", "DCR", ("DCR", "CRD"))
    N, C, H, W = check_picture(node, x, block)
    if C % block**2:
        node.refuse("the channels divide by blocksize^2", {"x": x, "blocksize": block})
    if mode == "DCR":
        y = x.reshape(N, block, block, C // block**2, H, W).permute(0, 3, 4, 1, 5, 2)
    else:
        y = x.reshape(N, C // block**2, block, block, H, W).permute(0, 1, 4, 2, 5, 3)
    return y.reshape(N, C // block**2, H * block, W * block)


def space_to_depth(node: Node, x: Tensor) -> Tensor:
    """Blocks of pixels become channels."""
    block, mode = node.required("blocksize"), node.choice("mode", "DCR", ("DCR", "CRD"))
    N, C, H, W = check_picture(node, x, block)
    if H % block or W % block:
        node.refuse("height and width divide by blocksize", {"x": x, "blocksize": block})
    y = x.reshape(N, C, H // block, block, W // block, block)
    order = (0, 3, 5, 1, 2, 4) if mode == "DCR" else (0, 1, 3, 5, 2, 4)
    return y.permute(*order).reshape(N, C * block**2, H // block, W // block)


def check_picture(node: Node, x: Tensor, block: int) -> tuple:
    if x.ndim != 4 or not isinstance(block, int) or block < 1:
        node.refuse("expects pictures and a blocksize >= 1", {"x": x, "blocksize": block})
    return x.shape


def center_crop_pad(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    """Cut at both ends, or filled up with zeros; what is odd goes behind."""
    wanted = int_list(node, shape, "shape")
    axes = node.ints("axes", list(range(x.ndim)))
    if len(axes) != len(wanted) or any(not -x.ndim <= d < x.ndim for d in axes):
        node.refuse("shape has a size for each of axes", {"x": x, "shape": wanted})
    pairs = [(0, 0)] * x.ndim
    for d, size in zip(axes, wanted):
        more = size - x.shape[d]
        before = more // 2 if more >= 0 else -(-more // 2)
        pairs[d] = (before, more - before)
    return F.pad(x, [n for pair in pairs[::-1] for n in pair])


IMPORTERS = {
    "CenterCropPad": center_crop_pad, "Concat": concat, "DepthToSpace": depth_to_space,
    "Expand": expand, "Flatten": flatten, "Pad": pad, "Reshape": reshape, "Shape": shape,
    "Size": size, "SpaceToDepth": space_to_depth, "Split": split, "Squeeze": squeeze, "Tile": tile,
    "Transpose": transpose, "Unsqueeze": unsqueeze,
}  # fmt: skip
