"""Keras' HDF5 files: .h5 of Keras 2, .weights.h5 and .keras of Keras 3.

    Keras 2   attribute layer_names of the root (or of its group model_weights, beside the model's
              description); a group per layer, with the attribute weight_names
    Keras 3   groups that mirror the objects: layers/conv2d_1/vars/0; vars has the layer's name as
              an attribute. A .keras file is a zip archive with such a file in it

Keras keeps kernels as (R, S, C, K) and matrices as (in, out); which of the arrays are kernels is
seen from their names, or in Keras 3 from the class in the path (conv2d, dense, depthwise_conv2d).

An HDF5 file can refer to others: external and soft links, virtual data sets, external storage. All
of them are refused, and nothing but the file is ever opened.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minidl.io.weights.file import Refused, WeightsFile, add
from minidl.io.weights.hdf5 import Hdf5, read_hdf5
from minidl.io.weights.zips import Zip


def read_keras(file: Hdf5) -> WeightsFile:
    """The weights in what an .h5 file of Keras 2 or 3 holds."""
    root = "model_weights" if "model_weights" in file.attributes else ""
    attributes = file.attributes[root]
    if "layer_names" in attributes or "layer_names0" in attributes:
        tensors, meta = read_keras2(file, root), {}
    else:
        tensors, meta = read_keras3(file)
    about = file.attributes[""]
    meta |= {name: about[name] for name in ("keras_version", "backend") if name in about}
    channels_first = '"channels_first"' in str(about.get("model_config", ""))
    return WeightsFile("keras", tensors, "HWIO", "CHW" if channels_first else "HWC", meta)


def read_keras_file(data: bytes) -> WeightsFile:
    """The weights of an .h5 file."""
    return read_keras(read_hdf5(data))


def read_keras_zip(archive: Zip) -> WeightsFile:
    """The weights of a .keras file. Its config.json, which can name code, is not read."""
    return read_keras(read_hdf5(archive.read("model.weights.h5"), archive.nbytes))


# --- Keras 2 ----------------------------------------------------------------------------------


def read_keras2(file: Hdf5, root: str) -> dict[str, np.ndarray]:
    """Tensors under their weight names, "conv1/kernel" (without the ":0" of TensorFlow)."""
    tensors: dict[str, np.ndarray] = {}
    for layer in names_in(file.attributes[root], "layer_names"):
        group = f"{root}/{layer}".lstrip("/")
        for weight in names_in(file.attributes.get(group, {}), "weight_names"):
            name = re.sub(r":\d+$", "", weight)
            name = name if "/" in name else f"{layer}/{name}"
            array = file.array(f"{group}/{weight}")
            add(tensors, name, to_pytorch(array, layer, name.rsplit("/", 1)[-1]))
    return tensors


def names_in(attributes: dict[str, Any], key: str) -> list[str]:
    """A list of names; a long one is cut into the attributes key0, key1, ..."""
    names = attributes.get(key)
    if names is None:
        names, part = [], 0
        while isinstance(attributes.get(f"{key}{part}"), list):
            names += attributes[f"{key}{part}"]
            part += 1
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise Refused("an attribute is no list of names", {"attribute": key})
    return names


# --- Keras 3 ----------------------------------------------------------------------------------


def read_keras3(file: Hdf5) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors under their paths, "block1/layers/conv2d_1/vars/0", and the names of the layers."""
    tensors: dict[str, np.ndarray] = {}
    layers: dict[str, str] = {}
    for path in file.arrays:
        group, _, index = path.rpartition("/")
        owner = group.removesuffix("/vars")
        if owner == group or not index.isdigit() or owner.split("/")[0] == "optimizer":
            continue
        cls = re.sub(r"_\d+$", "", owner.rpartition("/")[2])
        add(tensors, path, to_pytorch(file.array(path), cls, weight_name(cls, index)))
        layer = file.attributes[group].get("name")
        if isinstance(layer, str):
            layers[owner] = layer
    return tensors, {"layer_names": layers}


def weight_name(cls: str, index: str) -> str:
    """What Keras 2 would call the weight of a number in a layer of a class, if it is a kernel.

    Biases, of one dimension, may be called kernels: only more dimensions are turned round.
    """
    if "depthwise" in cls or (cls.startswith("separable") and index == "0"):
        return "depthwise_kernel"
    others = "embedding" in cls or cls in ("p_re_lu", "einsum_dense")
    return index if others else "kernel"


# --- layout -----------------------------------------------------------------------------------


def to_pytorch(array: np.ndarray, layer: str, weight: str) -> np.ndarray:
    """Kernels with the outputs first; other arrays as they are.

    Args:
        layer: its name or class.
        weight: the last part of its name: "kernel", "depthwise_kernel", "gamma"; "conv1_W_1"
            in files of Keras 1.
    """
    if not re.search(r"kernel$|_W(_\d+)?$", weight):
        return array
    if weight == "depthwise_kernel" and array.ndim in (3, 4):
        *size, c, m = array.shape  # (*spatial, C, M): output m of channel c
        n = len(size)
        return array.transpose(n, n + 1, *range(n)).reshape(c * m, 1, *size)
    if array.ndim == 2:
        return array.T
    if array.ndim in (4, 5) or (array.ndim == 3 and "conv1d" in layer):
        n = array.ndim  # (*spatial, C, K) -> (K, C, *spatial); transposed: (*spatial, K, C)
        return array.transpose(n - 1, n - 2, *range(n - 2))
    return array
