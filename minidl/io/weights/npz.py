"""NumPy's .npz: a zip archive with one .npy per array (numpy.org, "A simple file format").

Arrays of Python objects are pickles, and refused. The format does not say how kernels are laid
out. If the biases tell that all kernels have their outputs last (a bias beside a kernel of shape
(3, 3, 64, 128) has 128 elements), the file comes from TensorFlow, and is converted.
"""

from __future__ import annotations

import io
import re

import numpy as np

from minidl.io.weights.bias_layout import beside_vectors, outputs_first
from minidl.io.weights.file import (
    DTYPES,
    Budget,
    Refused,
    WeightsFile,
    add,
    from_bytes,
    parsing,
    short,
)
from minidl.io.weights.zips import Zip

MAX_HEADER = 10_000  # bytes; NumPy's own limit


def read_npz(data: bytes) -> WeightsFile:
    """The arrays of an .npz file."""
    archive = Zip(data, Budget(len(data)))
    tensors: dict[str, np.ndarray] = {}
    for member in archive.members:
        if not member.endswith(".npy"):
            raise Refused("a member is no .npy array", {"member": short(member)})
        name = member[: -len(".npy")]
        add(tensors, name, read_npy(archive.read(member), name))
    return in_our_layout(WeightsFile("npz", tensors))


def in_our_layout(weights: WeightsFile) -> WeightsFile:
    """Kernels and matrices turned, where the biases tell that their outputs are last."""
    if not outputs_last(weights.tensors):
        return weights
    for name, array in weights.tensors.items():
        if array.ndim in (2, 4):
            order = (1, 0) if array.ndim == 2 else (3, 2, 0, 1)
            weights.tensors[name] = np.ascontiguousarray(array.transpose(order))
    weights.kernel_layout, weights.flatten_order = "HWIO", "HWC"
    return weights


def read_npy(data: bytes, name: str) -> np.ndarray:
    """The array in an .npy file.

    NumPy reads the header, with ast.literal_eval. Its read_array would take the memory for the
    declared shape before it looks whether there is that much data, so it is not used.
    """
    from numpy.lib import format as npy

    stream = io.BytesIO(data)
    with parsing(f"array {short(name)}"):
        version = npy.read_magic(stream)
        if version not in ((1, 0), (2, 0), (3, 0)):
            raise Refused("an array has an unknown version of .npy", {short(name): version})
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, fortran_order, dtype = header(stream, max_header_size=MAX_HEADER)
    if dtype.hasobject:
        raise Refused(
            "an array holds Python objects, which are pickles and could run code",
            {short(name): dtype}, "save the arrays of numbers in it under names of their own",
        )  # fmt: skip
    if dtype.newbyteorder("=") not in DTYPES:
        raise Refused("an array has a type that is no number", {short(name): short(str(dtype))})
    return from_bytes(data[stream.tell() :], dtype, shape, name, "F" if fortran_order else "C")


def outputs_last(tensors: dict[str, np.ndarray]) -> bool:
    """Whether kernels are (R, S, C, K), as far as their biases tell."""
    named = [(layer_of(name), array) for name, array in tensors.items()]
    kernels = [(layer, array) for layer, array in named if array.ndim == 4]
    return outputs_first(beside_vectors(named, kernels)) == {False}


def layer_of(name: str) -> str:
    """'conv1_1' of 'conv1_1_W', 'a/b' of 'a/b/kernel'."""
    return re.sub(r"[._/][^._/]*$", "", name)
