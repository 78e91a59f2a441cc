"""What torch.save writes: a pickle that describes tensors, and the bytes of their storages.

Since PyTorch 1.6 a zip archive (torch/csrc/jit/serialization):

    NAME/data.pkl    the pickle; a storage in it is ("storage", class, key, device, size)
    NAME/data/KEY    the bytes of that storage
    NAME/byteorder   "little" or "big"; files before 2.1 have none and are little

Before that, one row (torch/serialization.py, _legacy_save): pickles of a magic number, a protocol
version, facts of the machine, the object, the list of keys; then of each key's storage the number
of elements (8 bytes) and the elements.

The pickle is read by tensor_pickle.py, which runs nothing.
"""

from __future__ import annotations

import io
import math
from typing import Any

import numpy as np

from minidl.io.weights.file import (
    MAX_NAME,
    Budget,
    Refused,
    WeightsFile,
    add,
    count,
    from_bfloat16,
    short,
)
from minidl.io.weights.pickle_words import PickledTensor
from minidl.io.weights.tensor_pickle import SAVE_STATE, Machine
from minidl.io.weights.zips import Zip

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001
MAX_DEPTH = 32
# Where training scripts put the state_dict in what they save.
STATE_KEYS = (
    "state_dict", "model_state_dict", "model", "module", "net", "network", "weights", "params",
    "model_state", "model_ema", "state_dict_ema",
)  # fmt: skip


def read_pytorch(data: bytes) -> WeightsFile:
    """The tensors of a .pth or .pt file of either kind."""
    budget = Budget(len(data))
    value, storages = (read_zip if data.startswith(b"PK") else read_legacy)(data, budget)
    state, meta = find_state(value)
    pickled: dict[str, PickledTensor] = {}
    flatten(state, "", pickled, set(), 0)
    tensors: dict[str, np.ndarray] = {}
    for name, tensor in pickled.items():
        add(tensors, name, view(tensor, storages, budget, name))
    return WeightsFile("pytorch", tensors, meta=meta)


# --- the containers ---------------------------------------------------------------------------


class Storages:
    """The bytes of the storages, by key.

    Args:
        order: "<" or ">", the byte order of the numbers.
    """

    def __init__(self, order: str):
        self.order = order
        self.data: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        if key not in self.data:
            raise Refused("the storage of a tensor is missing", {"storage": short(key)})
        return self.data[key]


class ZipStorages(Storages):
    """Storages that are members of a zip archive, each unpacked when it is first asked for."""

    def __init__(self, order: str, archive: Zip, prefix: str):
        super().__init__(order)
        self.archive, self.prefix = archive, prefix

    def get(self, key: str) -> Any:
        if key not in self.data:
            self.data[key] = self.archive.read(f"{self.prefix}data/{key}")
        return self.data[key]


def read_zip(data: bytes, budget: Budget) -> tuple[Any, Storages]:
    """The object and the storages of a zip archive."""
    archive = Zip(data, budget)
    found = [name for name in archive.members if name.rsplit("/", 1)[-1] == "data.pkl"]
    if len(found) != 1:
        raise Refused("the archive has no data.pkl, or several", {"data.pkl": len(found)})
    prefix = found[0][: -len("data.pkl")]
    if any(
        name.startswith((prefix + "code/", prefix + "constants.pkl")) for name in archive.members
    ):
        raise Refused(
            "this is a TorchScript program, which needs PyTorch to run",
            hint="in PyTorch: torch.save(torch.jit.load(path).state_dict(), new_path)",
        )
    order = b"little"
    if prefix + "byteorder" in archive.members:
        order = archive.read(prefix + "byteorder")
    if order not in (b"little", b"big"):
        raise Refused("the byte order is neither little nor big", {"byteorder": short(repr(order))})
    value = Machine(io.BytesIO(archive.read(found[0]))).run()
    return value, ZipStorages("<" if order == b"little" else ">", archive, prefix)


def read_legacy(data: bytes, budget: Budget) -> tuple[Any, Storages]:
    """The object and the storages of a file in one row."""
    stream = io.BytesIO(data)
    if Machine(stream).run() != MAGIC_NUMBER:
        raise Refused("this is a pickle, but not one of torch.save", hint=SAVE_STATE)
    version, machine = Machine(stream).run(), Machine(stream).run()
    if version != PROTOCOL_VERSION or type(machine) is not dict:
        raise Refused("this version of the format is not known", hint=SAVE_STATE)
    if machine.get("little_endian") is not True:
        raise Refused("written on a big-endian machine, before PyTorch could exchange such files",
                      hint="save it with PyTorch 2.1 or later")  # fmt: skip
    value_machine = Machine(stream)
    value = value_machine.run()
    keys = Machine(stream).run()
    if type(keys) is not list or not all(type(key) is str for key in keys):
        raise Refused("the list of storages is damaged")
    storages = Storages("<")
    place = stream.tell()
    for key in keys:
        stored = value_machine.storages.get(key)
        if stored is None:
            raise Refused("a storage belongs to no tensor", {"storage": short(key)})
        size = int.from_bytes(data[place : place + 8], "little")
        nbytes = size * item_size(stored.dtype)
        place += 8
        if place + nbytes > len(data):
            raise Refused("cut short: a storage ends behind the end of the file",
                          {"storage": short(key), "bytes": nbytes})  # fmt: skip
        storages.data[key] = memoryview(data)[place : place + nbytes]
        place += nbytes
    if place != len(data):
        raise Refused("the file goes on behind the last storage", {"bytes": len(data) - place})
    return value, storages


# --- tensors ----------------------------------------------------------------------------------


def item_size(dtype: str) -> int:
    return {"bfloat16": 2, "bytes": 1}.get(dtype) or np.dtype(dtype).itemsize


def view(tensor: PickledTensor, storages: Storages, budget: Budget, name: str) -> np.ndarray:
    """The array that a tensor shows of its storage.

    Raises:
        Refused: it reaches out of the storage, or the storage is not there.
    """
    stored, size = tensor.storage, item_size(tensor.dtype)
    budget.take(count(tensor.shape, name) * size, name)
    data = storages.get(stored.key)
    begin = stored.start * item_size(stored.dtype)
    available = min(stored.size * item_size(stored.dtype), len(data) - begin)
    last = tensor.offset + sum((n - 1) * s for n, s in zip(tensor.shape, tensor.strides))
    if math.prod(tensor.shape) == 0:
        last = -1  # sees nothing
    if begin + stored.size * item_size(stored.dtype) > len(data) or (last + 1) * size > available:
        raise Refused(
            f"a tensor reaches to element {last:,} of a storage of {max(available, 0) // size:,}",
            {short(name): short(str(tensor.shape)), "strides": short(str(tensor.strides)),
             "offset": tensor.offset},
        )  # fmt: skip
    kind = storages.order + ("u2" if tensor.dtype == "bfloat16" else np.dtype(tensor.dtype).str[1:])
    if last < 0:
        array = np.zeros(tensor.shape, kind)
    else:
        array = np.ndarray(
            tensor.shape, kind, data, begin + tensor.offset * size,
            [s * size if n > 1 else size for n, s in zip(tensor.shape, tensor.strides)],
        )  # fmt: skip
    array = from_bfloat16(array) if tensor.dtype == "bfloat16" else array
    if (tensor.is_conj or tensor.is_neg) and array.dtype.kind not in "fc":
        raise Refused("a tensor of integers means the conjugate or negative", {"name": short(name)})
    array = np.conjugate(array) if tensor.is_conj else array
    return np.negative(array) if tensor.is_neg else array


# --- from the saved object to names -----------------------------------------------------------


def find_state(value: Any) -> tuple[Any, dict[str, Any]]:
    """The state_dict in what was saved, and the numbers and texts beside it (epoch, ...).

    Several of them, such as that of a network and of the average of its weights, stay in a dict.
    """
    meta: dict[str, Any] = {}
    for _ in range(MAX_DEPTH):
        if type(value) is not dict:
            break
        for key, entry in value.items():
            if type(key) is str and isinstance(entry, str | int | float | bool):
                meta.setdefault(key, entry)
        inner = {key: value[key] for key in STATE_KEYS if type(value.get(key)) is dict}
        inner = {key: state for key, state in inner.items() if has_tensors(state)} or inner
        if not inner:
            break
        if len(inner) > 1:
            value = inner
            break
        (value,) = inner.values()
    return value, meta


def has_tensors(state: Any) -> bool:
    found: dict[str, PickledTensor] = {}
    flatten(state, "", found, set(), 0)
    return bool(found)


def flatten(
    value: Any, name: str, found: dict, seen: set[int], depth: int, kind: type = PickledTensor
) -> None:
    """The tensors (of a kind) in a tree of dicts and lists, under names joined by dots.

    What is in the tree twice is taken once: a small pickle can hold a tree whose paths nobody
    could count.
    """
    if type(value) is kind:
        if name in found:
            raise Refused("two tensors have the same name", {"name": short(name)})
        found[name or "tensor"] = value
        return
    if not isinstance(value, dict | list | tuple) or id(value) in seen:
        return
    if depth > MAX_DEPTH:
        raise Refused(f"dicts and lists are nested more than {MAX_DEPTH} deep", hint=SAVE_STATE)
    seen.add(id(value))
    items = value.items() if type(value) is dict else enumerate(value)
    for key, entry in items:
        inner = f"{name}.{key}" if name else str(key)
        if len(inner) > MAX_NAME:
            raise Refused("a name is too long", {"name": short(inner)})
        flatten(entry, inner, found, seen, depth + 1, kind)
