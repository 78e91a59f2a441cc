"""Checkpoints: one .safetensors file that holds everything needed to go on, and runs no code.

    tensors    "model.<name>", "optimizer.<...>", "run.<...>"
    metadata   format    "minidl checkpoint 2"
               content   JSON: optimizer, run and meta; {"$tensor": name} stands for a tensor
               checksum  CRC-32 of all of that, so that a flipped bit is noticed

The file format is safetensors' own (github.com/huggingface/safetensors): any reader of it can take
the weights out. Tensors are stored in logical (row-major) order, whatever their memory layout.

A save is atomic (minidl/io/atomic.py): whenever the process is killed, the path holds either the
old file or the new one, whole.
"""

from __future__ import annotations

import errno
import json
import math
import os
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from minidl.device import to_device
from minidl.errors import ArgumentError, CheckpointError
from minidl.io.atomic import as_path, reason, write_atomically
from minidl.nn.module import Module
from minidl.optim.optimizer import Optimizer
from minidl.tensor import Tensor

FORMAT = "minidl checkpoint 2"
LARGE = 4 << 30  # bytes
MAX_HEADER = 100_000_000  # bytes, safetensors' own limit
DTYPES = {np.dtype(name) for name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64",
)}  # fmt: skip


@dataclass
class CheckpointContent:
    """What load_checkpoint found.

    Attributes:
        model: name -> Tensor, for Module.load_state_dict.
        optimizer: for Optimizer.load_state_dict, None if none was saved; of several optimizers a
            dict name -> such a state.
        run: state of the training run (minidl/training/resume.py), {} if none was saved.
        meta: what the caller of save_checkpoint wanted to keep: how to build the model, ...
    """

    model: dict[str, Tensor]
    optimizer: dict[str, Any] | None = None
    run: dict[str, Any] = field(default_factory=dict)
    meta: dict[str, Any] = field(default_factory=dict)


def save_checkpoint(
    path: str | Path,
    model: Module,
    optimizer: Optimizer | dict[str, Optimizer] | None = None,
    run: dict[str, Any] | None = None,
    meta: dict[str, Any] | None = None,
) -> None:
    """Write a checkpoint, all of it or nothing: a file that is there already stays until the end.

    Args:
        path: the file, by convention *.safetensors; its folder must exist.
        model: Module whose parameters and buffers are saved.
        optimizer: saved with its state, if given; several as a dict name -> Optimizer.
        run: state of the training run: dicts and lists of JSON values and Tensors.
        meta: anything of these types that is needed to use the weights: the model's name and
            arguments, classes, preprocessing. Keys that are ints become text, tuples lists.

    Raises:
        ArgumentError: path, model or optimizer is something else.
        CheckpointError: the disk is full, the folder is missing or cannot be written to, or a
            value is of a type that cannot be saved. The old file is intact.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "conv.safetensors")
    >>> minidl.io.save_checkpoint(path, minidl.nn.Conv2d(1, 2, 3), meta={"classes": ["a", "b"]})
    >>> minidl.io.load_checkpoint(path).meta
    {'classes': ['a', 'b']}
    """
    from safetensors.numpy import save

    path = as_path("save_checkpoint", "path", path)
    check_saved(model, optimizer)
    tensors: dict[str, np.ndarray] = {}
    for name, tensor in model.state_dict().items():
        store(f"model.{name}", tensor, tensors)
    trees = {"optimizer": optimizer_state(optimizer), "run": run or {}, "meta": meta or {}}
    text = to_json(trees, tensors)
    metadata = {"format": FORMAT, "content": text, "checksum": checksum(text, tensors)}
    write_atomically(path, save(tensors, metadata), "save_checkpoint")


def load_checkpoint(path: str | Path) -> CheckpointContent:
    """Read a checkpoint. Nothing in the file is executed, and every byte is checked.

    Args:
        path: a file that save_checkpoint wrote.

    Returns:
        A CheckpointContent with model, optimizer, run and meta.

    Raises:
        ArgumentError: path is something else.
        CheckpointError: no such file, or it is truncated, damaged or not a minidl checkpoint.
    """
    path = as_path("load_checkpoint", "path", path)
    data = read_content(path)
    try:
        tensors, metadata = parse(data)
        content = check_content(metadata, tensors)
        parts = unpack_parts(content, tensors)
    except Damaged as error:
        raise CheckpointError(
            "load_checkpoint", str(error), {"path": str(path)}, error.hint or hint_for(data)
        ) from None
    prefix = "model."
    model = {
        name[len(prefix) :]: Tensor(a) for name, a in tensors.items() if name.startswith(prefix)
    }
    return CheckpointContent(model, **parts)


def optimizer_state(optimizer: Optimizer | dict[str, Optimizer] | None) -> dict | None:
    """The state of an optimizer, or of each of several."""
    if isinstance(optimizer, dict):
        return {name: one.state_dict() for name, one in optimizer.items()}
    return None if optimizer is None else optimizer.state_dict()


def check_saved(model: Any, optimizer: Any) -> None:
    if not isinstance(model, Module):
        raise ArgumentError("save_checkpoint", "model is a minidl Module", {"model": model})
    for one in optimizer.values() if isinstance(optimizer, dict) else [optimizer]:
        if not isinstance(one, Optimizer) and optimizer is not None:
            raise ArgumentError(
                "save_checkpoint", "optimizer is a minidl Optimizer", {"optimizer": optimizer}
            )


# --- the file -----------------------------------------------------------------------------------


def read_content(path: Path) -> bytes:
    """The bytes of a file.

    Raises:
        CheckpointError: it is not there, no file, too large for the memory, or so large that its
            first bytes were looked at before the others, and they are something else's.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EISDIR, "")  # a folder or device: do not start to read it
        with open(path, "rb") as file:
            head = file.read(9)
            is_safetensors = head[8:] == b"{" and int.from_bytes(head[:8], "little") <= MAX_HEADER
            size = os.fstat(file.fileno()).st_size
            if size <= LARGE or is_safetensors:
                file.seek(0)
                return file.read()
        why = f"it has {size:,} bytes, and does not begin as a safetensors file"
    except OSError as error:
        why = reason(error)
    except MemoryError:
        why = f"there is no memory for its {size:,} bytes"
    raise CheckpointError("load_checkpoint", f"cannot read the file: {why}", {"path": str(path)})


class Damaged(Exception):
    """What is wrong with the file's content, and what to do; load_checkpoint adds the path."""

    def __init__(self, rule: str, hint: str = ""):
        super().__init__(rule)
        self.hint = hint


def parse(data: bytes) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Tensors and metadata of a safetensors file.

    The layout: 8 bytes length of the header, the header (JSON), the tensors' bytes. The package
    checks that the tensors' places in the header fill the rest of the file exactly.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = load(data)
    except (SafetensorError, ValueError, KeyError, TypeError, OverflowError) as error:
        raise Damaged(f"not a whole safetensors file: {error}") from None
    length = int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8 : 8 + length]).get("__metadata__") or {}
    return tensors, metadata


def check_content(metadata: dict[str, str], tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """The JSON part, after its format, its checksum and its syntax were checked."""
    found = metadata.get("format")
    if found != FORMAT:
        if str(found).startswith(FORMAT.rstrip("0123456789")):
            raise Damaged(
                f"another version of minidl wrote it: {found!r}, this one reads {FORMAT!r}",
                "train again, or read its weights alone: minidl.io.read_weights(path)",
            )
        raise Damaged(f"its metadata says format {found!r}, expected {FORMAT!r}")
    text = metadata.get("content", "")
    if metadata.get("checksum") != checksum(text, tensors):
        raise Damaged("the checksum is wrong: bytes were changed after it was saved")
    try:
        content = json.loads(text, parse_constant=refuse_constant)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"its metadata is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise Damaged("its metadata is not a JSON object")
    return content


def refuse_constant(name: str) -> None:
    raise Damaged(f"its metadata is not JSON: {name}")


def unpack_parts(content: dict[str, Any], tensors: dict[str, np.ndarray]) -> dict[str, Any]:
    """The three trees of the content, with their tensors back in place."""
    parts = {}
    for name in ("optimizer", "run", "meta"):
        part = content.get(name)
        if not isinstance(part, dict) and not (name == "optimizer" and part is None):
            raise Damaged(f"{name} in its metadata is not a JSON object")
        try:
            parts[name] = unpack(part, tensors)
        except RecursionError:
            raise Damaged(f"{name} in its metadata is nested too deeply") from None
    return parts


def checksum(text: str, tensors: dict[str, np.ndarray]) -> str:
    """CRC-32 over the JSON text and each tensor's name, type, shape and bytes, by name."""
    crc = zlib.crc32(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        crc = zlib.crc32(f"{name} {array.dtype} {array.shape}".encode(), crc)
        crc = zlib.crc32(array.reshape(-1).view(np.uint8), crc)
    return f"{crc:08x}"


def hint_for(data: bytes) -> str:
    """What a foreign file probably is."""
    if not data:
        return "the file is empty"
    if data[:1] == b"\x80" or data[:2] == b"PK":
        return "this looks like a pickle or a PyTorch file"
    return "load an older checkpoint, or train again"


# --- trees of JSON values and tensors -----------------------------------------------------------


def to_json(trees: dict[str, Any], tensors: dict[str, np.ndarray]) -> str:
    """Trees as JSON text; their tensors move to `tensors`."""
    for name in ("run", "meta"):
        if not isinstance(trees[name], dict):
            raise CheckpointError("save_checkpoint", f"{name} is a dict", {name: trees[name]})
    try:
        packed = {name: pack(tree, name, tensors) for name, tree in trees.items()}
        return json.dumps(packed, allow_nan=False)
    except RecursionError:
        raise CheckpointError(
            "save_checkpoint", "run or meta is nested too deeply, or holds itself"
        ) from None
    except ValueError as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError("save_checkpoint", f"JSON cannot hold a value: {error}") from None


def store(name: str, value: Any, tensors: dict[str, np.ndarray]) -> str:
    """Put a Tensor or array under a name, contiguous and on the CPU; returns the name."""
    while name in tensors:  # {"a": {"b": x}, "a.b": y} lead to the same one
        name += "_"
    array = to_device(value.data if isinstance(value, Tensor) else value, "cpu")
    if array.dtype not in DTYPES:
        raise CheckpointError(
            "save_checkpoint", f"{name} has a dtype that cannot be saved", {"dtype": array.dtype}
        )
    tensors[name] = np.asarray(array, order="C")
    return name


def pack(tree: Any, path: str, tensors: dict[str, np.ndarray]) -> Any:
    """The tree as JSON values. Its tensors move to `tensors`, under the path that leads to them.

    A tensor becomes {"$tensor": name}; NaN and infinities, which JSON has not, {"$float": "nan"}.
    """
    if isinstance(tree, dict):
        check_keys(tree, path)
        return {str(key): pack(value, f"{path}.{key}", tensors) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [pack(value, f"{path}.{index}", tensors) for index, value in enumerate(tree)]
    if isinstance(tree, np.generic):
        tree = tree.item()
    if tree is None or isinstance(tree, bool | int | str):
        return tree
    if isinstance(tree, float):
        return tree if math.isfinite(tree) else {"$float": str(tree)}
    if isinstance(tree, Tensor | np.ndarray) or hasattr(tree, "__cuda_array_interface__"):
        return {"$tensor": store(path, tree, tensors)}
    raise CheckpointError(
        "save_checkpoint",
        f"{path} is of a type that JSON does not have",
        {path: tree},
        "use dicts, lists, text, numbers, None and Tensors",
    )


def check_keys(tree: dict, path: str) -> None:
    for key in tree:
        is_key = isinstance(key, str | int) and not isinstance(key, bool)
        if not is_key or key in ("$tensor", "$float"):
            raise CheckpointError(
                "save_checkpoint",
                "keys are text or ints, and not $tensor or $float, which pack uses itself",
                {f"key in {path}": key},
            )
        if isinstance(key, int) and str(key) in tree:
            raise CheckpointError(
                "save_checkpoint", "two keys have the same text", {f"key in {path}": key}
            )


def unpack(tree: Any, tensors: dict[str, np.ndarray]) -> Any:
    """The inverse of pack."""
    if isinstance(tree, list):
        return [unpack(value, tensors) for value in tree]
    if not isinstance(tree, dict):
        return tree
    if "$tensor" in tree:
        name = tree["$tensor"]
        if not isinstance(name, str) or name not in tensors:
            raise Damaged(f"the tensor {name!r} is missing")
        return Tensor(tensors[name])
    if "$float" in tree:
        if tree["$float"] not in ("nan", "inf", "-inf"):
            raise Damaged(f"{tree['$float']!r} is no number")
        return float(tree["$float"])
    return {key: unpack(value, tensors) for key, value in tree.items()}
