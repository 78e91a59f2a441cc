"""Keras' HDF5 files: .h5 of Keras 1 and 2, .weights.h5 and .keras of Keras 3.

    Keras 1, 2   attribute layer_names of the root (or of its group model_weights, beside the
                 model's description); a group per layer, with the attribute weight_names
    Keras 3      groups that mirror the objects: layers/conv2d_1/vars/0; vars has the layer's name
                 as an attribute. A .keras file is a zip archive with such a file in it

Keras keeps kernels as (R, S, C, K) and matrices as (in, out), unless the file says otherwise
(keras_layout.py); which of the arrays are kernels is seen from their names, or in Keras 3 from the
class in the path (conv2d, dense, depthwise_conv2d). What a compiled model of Keras 3 has beside
its layers, state of the optimizer and of metrics, is left out, and so is that of random generators.

An HDF5 file can refer to others: external and soft links, virtual data sets, external storage. All
of them are refused, and nothing but the file is ever opened.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minidl.io.weights.bias_layout import beside_vectors
from minidl.io.weights.file import Refused, WeightsFile, add, short
from minidl.io.weights.hdf5 import Hdf5, read_hdf5
from minidl.io.weights.keras_layout import Layout, described, seen, to_pytorch
from minidl.io.weights.zips import Zip

KERAS1_KERNEL = r"_W(_\d+)?$"  # the end of "conv1_W", "conv1_W_1"
# Keras 3: below these the names are those of layers, not of attributes of a model or layer.
CONTAINERS = {"layers", "_layer_checkpoint_dependencies"}
# Attributes below which nothing is a weight.
NO_WEIGHTS = re.compile(
    r"optimizer|_?metrics|_?compile_metrics|_?compile_loss|compiled_metrics|compiled_loss"
    r"|(.*_)?tracker|_?seed_generators?"
)


def read_keras(file: Hdf5, config: str = "") -> WeightsFile:
    """The weights in what an .h5 file of Keras holds.

    Args:
        file: what is in it.
        config: the model's description, where that is not in the file.
    """
    root = "model_weights" if "model_weights" in file.attributes else ""
    attributes = file.attributes[root]
    about = attributes | file.attributes[""]
    layout = described(config or about.get("model_config", ""))
    layout.turned = about.get("backend") == "theano"
    if "layer_names" in attributes or "layer_names0" in attributes:
        first = str(about.get("keras_version", "1")).startswith("1")
        tensors, meta = read_keras2(file, root, layout, first), {}
    else:
        tensors, meta = read_keras3(file, layout)
    meta |= {name: about[name] for name in ("keras_version", "backend") if name in about}
    if eps := eps_of(tensors, meta, layout):
        meta["eps"] = eps
    if layout.turned and not layout.classes and not layout.first:
        meta["maps"] = "not told"  # whether channels were first, when they were flattened
    if layout.first and "backend" not in about and any(layout.outputs_first.values()):
        meta["turned"] = "not told"  # "th" ordering was Theano's, but others could have it
    kernel_layout = "OIHW" if layout.outputs_first[""] else "HWIO"
    return WeightsFile("keras", tensors, kernel_layout, layout.flatten_order, meta)


def eps_of(tensors: dict[str, Any], meta: dict[str, Any], layout: Layout) -> dict[str, float]:
    """Name of the variance of each batch norm -> what is added to it."""
    known, found = layout.eps, {}
    for name in tensors:
        owner, _, part = name.rpartition("/")
        layer = meta.get("layer_names", {}).get(owner.removesuffix("/vars"), owner.split("/")[-1])
        role = meta.get("roles", {}).get(name, part)
        if layer not in known and "running_std" in part:
            layer = part[: part.index("_running_std")]
        if layer in known and re.search("moving_variance|running_std", role):
            found[name] = known[layer]
    return found


def read_keras_file(data: bytes) -> WeightsFile:
    """The weights of an .h5 file."""
    return read_keras(read_hdf5(data))


def read_keras_zip(archive: Zip) -> WeightsFile:
    """The weights of a .keras file.

    Its config.json can name code. It is read as text, for the order of dimensions that it states.
    """
    config = ""
    if "config.json" in archive.members:
        config = archive.read("config.json").decode("utf-8", "replace")
    return read_keras(read_hdf5(archive.read("model.weights.h5"), archive.nbytes), config)


# --- Keras 1 and 2 ----------------------------------------------------------------------------


def read_keras2(file: Hdf5, root: str, layout: Layout, first: bool) -> dict[str, np.ndarray]:
    """Tensors under their weight names, "conv1/kernel" (without the ":0" of TensorFlow).

    Args:
        root: the group that has them.
        layout: what is known of it from the description; what is seen goes into it.
        first: whether the version is 1, or not given.
    """
    arrays: dict[tuple[str, str], np.ndarray] = {}  # (layer, name)
    for layer in names_in(file.attributes[root], "layer_names"):
        group = f"{root}/{layer}".lstrip("/")
        for weight in names_in(file.attributes.get(group, {}), "weight_names"):
            name = re.sub(r":\d+$", "", weight)
            if (layer, name) in arrays:
                raise Refused("two tensors have the same name", {"name": short(name)})
            arrays[layer, name] = file.array(f"{group}/{weight}")
    layout.first = first and any(re.search(KERAS1_KERNEL, name) for _, name in arrays)
    if layout.first:
        see_layout(arrays, layout)
    tensors: dict[str, np.ndarray] = {}
    for (layer, name), array in arrays.items():
        full = name if "/" in name else f"{layer}/{name}"
        own, _, weight = full.rpartition("/")
        own = own.rpartition("/")[2]
        if layout.first:  # "conv1_W", of a model in the model, too
            own = re.sub(KERAS1_KERNEL, "", weight) if re.search(KERAS1_KERNEL, weight) else own
        add(tensors, full, to_pytorch(array, own, weight, layout))
    return tensors


def see_layout(arrays: dict[tuple[str, str], np.ndarray], layout: Layout) -> None:
    """The layout of those kernels of Keras 1 that are not in the model's description."""
    kernels = []
    for (layer, name), array in arrays.items():
        own = re.sub(KERAS1_KERNEL, "", name.rpartition("/")[2])
        kind = layout.classes.get(own, own).lower()
        is_kernel = own != name.rpartition("/")[2] and array.ndim == 4
        if is_kernel and own not in layout.outputs_first and not re.search("1d|deconv", kind):
            kernels.append((layer, array))
    if kernels:
        named = [(layer, array) for (layer, _), array in arrays.items()]
        layout.outputs_first[""] = seen(beside_vectors(named, kernels))
        layout.flatten_order = "CHW" if layout.outputs_first[""] else "HWC"


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


def read_keras3(file: Hdf5, layout: Layout) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Tensors under their paths, "block1/layers/conv2d_1/vars/0", and the names of the layers."""
    tensors: dict[str, np.ndarray] = {}
    layers: dict[str, str] = {}
    norms: dict[str, list[str]] = {}
    for path in file.arrays:
        group, _, index = path.rpartition("/")
        owner = group.removesuffix("/vars")
        if owner == group or not index.isdigit() or is_state(owner):
            continue
        cls = re.sub(r"_\d+$", "", owner.rpartition("/")[2])
        add(tensors, path, to_pytorch(file.array(path), cls, weight_name(cls, index), layout))
        layer = file.attributes[group].get("name")
        if isinstance(layer, str):
            layers[owner] = layer
        if cls == "batch_normalization":
            norms.setdefault(owner, []).append(path)
    roles = [roles_of(sorted(paths), layout.norms.get(layers.get(owner, "")))
             for owner, paths in norms.items()]  # fmt: skip
    return tensors, {
        "layer_names": layers,
        "roles": {k: v for part in roles for k, v in part.items()},
    }


def is_state(owner: str) -> bool:
    """Whether this is state of the optimizer, of metrics or of a random generator.

    layers/metrics is a layer of that name; layers/functional/metrics is an attribute of one.
    """
    parts = owner.split("/")
    attributes = [b for a, b in zip(["", *parts], parts) if a not in CONTAINERS]
    return any(NO_WEIGHTS.fullmatch(name) for name in attributes)


def roles_of(paths: list[str], options: dict[str, Any] | None) -> dict[str, str]:
    """What each array of a batch norm is: those without scale or center have fewer.

    Of three, without a description of the model, the first may be the one or the other: unknown.
    """
    own = ["gamma", "beta"]
    if options is not None:
        own = [own[i] for i, flag in enumerate(("scale", "center")) if options.get(flag, True)]
    elif len(paths) == 3:
        own = ["gamma or beta"]
    elif len(paths) == 2:
        own = []
    return dict(zip(paths, [*own, "moving_mean", "moving_variance"]))


def weight_name(cls: str, index: str) -> str:
    """What Keras 2 would call the weight of a number in a layer of a class, if it is a kernel.

    Biases, of one dimension, may be called kernels: only more dimensions are turned round.
    """
    if "depthwise" in cls or (cls.startswith("separable") and index == "0"):
        return "depthwise_kernel"
    others = "embedding" in cls or cls in ("p_re_lu", "einsum_dense")
    return index if others else "kernel"
