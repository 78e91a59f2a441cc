"""write_weights: tensors under their names, as .safetensors or .npz."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from minidl.device import to_device
from minidl.errors import ArgumentError, DtypeError
from minidl.io.atomic import as_path, write_atomically
from minidl.io.weights.file import DTYPES
from minidl.tensor import Tensor


def write_weights(
    path: str | Path, tensors: Mapping[str, Any], meta: dict[str, str] | None = None
) -> None:
    """Write tensors into a file that read_weights and other software read, all of it or nothing.

    Args:
        path: the file, *.safetensors or *.npz; its folder must exist.
        tensors: name -> Tensor or NumPy array, such as a state_dict.
        meta: name -> text to keep with them, in .safetensors only.

    Raises:
        ArgumentError: path has another ending, a name is no text, or meta cannot be kept.
        DtypeError: a tensor is not made of numbers.
        CheckpointError: the disk is full, the folder is missing or cannot be written to. The old
            file is intact.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "conv.npz")
    >>> minidl.io.write_weights(path, minidl.nn.Conv2d(1, 2, 3).state_dict())
    >>> sorted(minidl.io.read_weights(path).tensors)
    ['bias', 'weight']
    """
    path = as_path("write_weights", "path", path)
    if path.suffix not in (".safetensors", ".npz"):
        rule = "path ends with .safetensors or .npz"
        raise ArgumentError("write_weights", rule, {"path": str(path)})
    arrays = {name: as_array(name, tensor) for name, tensor in tensors.items()}
    if path.suffix == ".npz":
        if meta:
            rule = "an .npz file has no place for meta"
            raise ArgumentError("write_weights", rule, {"meta": sorted(meta)}, "use .safetensors")
        write_atomically(path, npz_bytes(arrays), "write_weights")
        return
    from safetensors.numpy import save

    if not all(isinstance(text, str) for item in (meta or {}).items() for text in item):
        raise ArgumentError("write_weights", "meta is a dict of texts", {"meta": meta})
    write_atomically(path, save(arrays, meta), "write_weights")


def as_array(name: Any, tensor: Any) -> np.ndarray:
    """A contiguous array on the CPU."""
    if not isinstance(name, str) or not name:
        raise ArgumentError("write_weights", "the name of a tensor is text", {"name": name})
    array = tensor.data if isinstance(tensor, Tensor) else tensor
    if hasattr(array, "__cuda_array_interface__"):
        array = to_device(array, "cpu")
    is_array = isinstance(array, np.ndarray | np.generic)
    if not is_array or array.dtype not in DTYPES or array.dtype.kind == "c":
        raise DtypeError("write_weights", f"{name} is no tensor of real numbers", {name: tensor})
    return np.array(array, order="C")


def npz_bytes(arrays: dict[str, np.ndarray]) -> bytes:
    """A zip archive with one .npy per array. np.savez would take a name "file" for its own."""
    from numpy.lib import format as npy

    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                npy.write_array(member, array, allow_pickle=False)
    return stream.getvalue()
