"""safetensors (github.com/huggingface/safetensors): JSON with places of tensors, then their bytes.

The safetensors package checks the header against the rest of the file. A checkpoint of minidl is
such a file too: its checksum is compared, and the model's tensors are taken, under the names they
have in the model.
"""

from __future__ import annotations

import json
import re
from typing import Any

import numpy as np

from minidl.io.checkpoint import FORMAT, Damaged, check_content
from minidl.io.weights.file import (
    Refused,
    WeightsFile,
    add,
    from_bfloat16,
    from_bytes,
    parsing,
    short,
)
from minidl.io.weights.keras_layout import Layout
from minidl.io.weights.keras_layout import to_pytorch as keras_to_pytorch

PREFIX = "model."
# What the metadata says of who wrote a file -> the layout of kernels. Without, or "pt": PyTorch's.
CHANNELS_LAST = {"tf": "HWIO", "flax": "HWIO", "mlx": "OHWI"}
CODES = {
    "BOOL": "?", "U8": "<u1", "I8": "<i1", "U16": "<u2", "I16": "<i2", "U32": "<u4", "I32": "<i4",
    "U64": "<u8", "I64": "<i8", "F16": "<f2", "BF16": "<u2", "F32": "<f4", "F64": "<f8",
    "C64": "<c8",
}  # fmt: skip


def read_safetensors(data: bytes) -> WeightsFile:
    """The tensors of a .safetensors file; of a minidl checkpoint, those of its model."""
    from safetensors import deserialize

    with parsing("safetensors"):
        entries = deserialize(data)
        header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    meta: dict[str, Any] = dict(header.get("__metadata__") or {})
    arrays: dict[str, np.ndarray] = {}
    for name, entry in sorted(entries, key=lambda item: order_of(item, header)):
        code = entry["dtype"]
        if code not in CODES:
            raise Refused("a tensor has a type that is not known here", {short(name): code})
        array = from_bytes(entry["data"], CODES[code], entry["shape"], name)
        arrays[name] = from_bfloat16(array) if code == "BF16" else array
    if meta.get("format") == FORMAT:
        meta = checkpoint_meta(meta, arrays)
        # The others are the optimizer's, and the run's.
        own = [name for name in arrays if name.startswith(PREFIX)]
        arrays = {name[len(PREFIX) :]: arrays[name] for name in own}
    tensors: dict[str, np.ndarray] = {}
    written_by = meta.get("format")
    for name, array in arrays.items():
        add(tensors, name, to_pytorch(array, name, written_by))
    if written_by in CHANNELS_LAST:
        return WeightsFile("safetensors", tensors, CHANNELS_LAST[written_by], "HWC", meta)
    return WeightsFile("safetensors", tensors, meta=meta)


def to_pytorch(array: np.ndarray, name: str, written_by: Any) -> np.ndarray:
    """Kernels and matrices as PyTorch has them, from the library that the metadata names.

    Raises:
        Refused: of PaddlePaddle, where embeddings and matrices of linear layers have the same
            name, and only the latter are transposed.
    """
    if written_by in ("pd", "paddle"):
        raise Refused("written by PaddlePaddle, whose matrices are transposed",
                      {"format": written_by}, "save it by PyTorch")  # fmt: skip
    parts = re.split("[./]", re.sub(r":\d+$", "", name))
    if written_by in ("tf", "flax"):
        return keras_to_pytorch(array, ".".join(parts[:-1]), parts[-1], Layout())
    if written_by == "mlx" and parts[-1] == "weight" and array.ndim > 2:  # (K, *spatial, C)
        return np.moveaxis(array, -1, 1)
    return array


def order_of(item: tuple[str, dict], header: dict) -> int:
    """Where a tensor's bytes begin: the order in which they were written."""
    return header[item[0]]["data_offsets"][0]


def checkpoint_meta(metadata: dict[str, str], arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """What save_checkpoint was given as meta: the model's name and arguments, its classes.

    Raises:
        Refused: the checksum of the checkpoint is wrong, or its metadata is damaged.
    """
    try:
        meta = check_content(metadata, arrays).get("meta")
    except Damaged as error:
        raise Refused(f"a damaged minidl checkpoint: {error}") from None
    return meta if isinstance(meta, dict) else {}
