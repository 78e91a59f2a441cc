"""MatConvNet's networks in MAT-files (vlfeat/matconvnet).

    SimpleNN   layers: a cell array of structs with name, type and weights {filters, biases}; in
               files before 1.0-beta8, fields filters and biases
    DagNN      params: a struct array of name and value; layers: structs that say which belong to
               them. The variable is often called net

Names are those of the params. In a SimpleNN, which has none, they are what DagNN.fromSimpleNN would
make of the layer's name: with f and b behind it for filters and biases, and of a batch norm m, b, x
for multipliers, biases and moments. Moments are (K, 2): the mean, and sqrt(variance + epsilon).

Filters are (H, W, C, K): vl_nnconv lays their first dimension along the first of the image, its
height, as MATLAB's images are height by width; and MatConvNet's importer turns Caffe's (K, C, H, W)
into (H, W, C, K), unless told not to. (Some converters swap the two once more.) Fully connected
layers are convolutions as large as the map, and stay so: (4096, 512, 7, 7).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.io.weights.file import Budget, Refused, WeightsFile, add, short
from minidl.io.weights.hdf5 import read_hdf5
from minidl.io.weights.matlab import Cell, Struct, read_mat
from minidl.io.weights.matlab73 import read_mat73

CONVOLUTIONS = ("conv", "convt", "dagnn.Conv", "dagnn.ConvTranspose")
BATCH_NORMS = ("bnorm", "dagnn.BatchNorm")


def read_matconvnet(data: bytes) -> WeightsFile:
    """The weights of a net in a MAT-file, level 5 or 7.3."""
    is_hdf5 = data[124:126] in (b"\x00\x02", b"\x02\x00")
    variables = read_mat73(read_hdf5(data), Budget(len(data))) if is_hdf5 else read_mat(data)
    net = as_struct(variables.get("net")) or variables
    meta = as_struct(net.get("meta")) or net
    tensors: dict[str, np.ndarray] = {}
    if isinstance(net.get("params"), Struct):
        add_dag(net, tensors)
    elif isinstance(net.get("layers"), Cell | Struct):
        for index, layer in enumerate(net["layers"]):
            add_layer(as_struct(layer) or {}, f"layer{index + 1}", tensors)
    else:
        raise Refused("there is neither layers nor net in it, so it is no MatConvNet network",
                      {"variables": short(", ".join(variables))})  # fmt: skip
    return WeightsFile("matconvnet", tensors, "HWIO", "CHW", describe(meta))


def as_struct(value: Any) -> dict[str, Any] | None:
    """The dict of a single struct, also of one in a cell; None for anything else."""
    while isinstance(value, Struct | Cell) and len(value) == 1:
        value = value[0]
    return value if isinstance(value, dict) else None


# --- the two kinds of network -----------------------------------------------------------------


def add_layer(layer: dict[str, Any], otherwise: str, tensors: dict[str, np.ndarray]) -> None:
    """The weights of a layer of a SimpleNN."""
    weights = layer.get("weights")
    if weights is None:
        weights = Cell(layer[field] for field in ("filters", "biases") if field in layer)
    if not isinstance(weights, Cell):
        return  # no weights
    name = layer.get("name")
    name = name if isinstance(name, str) and name else otherwise
    kind = str(layer.get("type"))
    endings = "fb" if kind in CONVOLUTIONS else "mbx" if kind in BATCH_NORMS else ""
    for index, value in enumerate(weights):
        if isinstance(value, np.ndarray) and value.size:
            ending = endings[index] if index < len(endings) else f"p{index + 1}"
            add(tensors, name + ending, to_pytorch(value, kind, index))


def add_dag(net: dict[str, Any], tensors: dict[str, np.ndarray]) -> None:
    """The weights of a DagNN; the layers say what each of them is."""
    roles: dict[str, tuple[str, int]] = {}
    layers = net.get("layers")
    for layer in layers if isinstance(layers, Struct | Cell) else ():
        layer = as_struct(Cell([layer])) or {}
        params = layer.get("params")
        params = [params] if isinstance(params, str) else params
        for index, param in enumerate(params if isinstance(params, list) else []):
            if isinstance(param, str):
                roles.setdefault(param, (str(layer.get("type")), index))
    for param in net["params"]:
        name, value = param.get("name"), param.get("value")
        if isinstance(name, str) and isinstance(value, np.ndarray) and value.size:
            add(tensors, name, to_pytorch(value, *roles.get(name, ("", 0))))


def to_pytorch(value: np.ndarray, kind: str, index: int) -> np.ndarray:
    """A layer's param as PyTorch has it.

    Args:
        kind: the layer's type, "" if no layer has it.
        index: which of the layer's params it is.
    """
    is_filter = index == 0 if kind in CONVOLUTIONS else value.ndim > 2
    if is_filter and value.ndim <= 4:  # MATLAB drops dimensions of 1 at the end
        return value.reshape(value.shape + (1,) * (4 - value.ndim)).transpose(3, 2, 0, 1)
    is_moments = kind in BATCH_NORMS and index == 2
    if value.ndim == 2 and 1 in value.shape and not is_moments:
        return value.reshape(-1)
    return value


# --- what else it says ------------------------------------------------------------------------


def describe(meta: dict[str, Any]) -> dict[str, Any]:
    """The classes, the mean of the pictures (RGB, 0 to 255) and their size."""
    found: dict[str, Any] = {}
    classes = as_struct(meta.get("classes")) or {}
    names = classes.get("description")
    names = names if isinstance(names, Cell) else classes.get("name")
    if isinstance(names, Cell) and all(isinstance(name, str) for name in names):
        found["classes"] = list(names)
    normalization = as_struct(meta.get("normalization")) or {}
    average = normalization.get("averageImage")
    if isinstance(average, np.ndarray) and average.size and average.dtype.kind in "fiu":
        # (H, W, 3), (1, 1, 3), or a row or column of three
        channels = average if average.ndim == 3 else average.reshape(1, 1, -1)
        if channels.shape[2] in (1, 3) and np.isfinite(channels).all():
            found["mean"] = [float(m) for m in channels.mean(axis=(0, 1), dtype=np.float64)]
    size = normalization.get("imageSize")
    if isinstance(size, np.ndarray) and size.dtype.kind in "fiu" and np.isfinite(size).all():
        found["image_size"] = [int(n) for n in size.reshape(-1)[:3]]
    return found
