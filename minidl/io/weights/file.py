"""What the readers of weight files share: their result, their error, and what they check.

A weight file comes from somewhere else. It may be cut short, damaged, or made to do harm, so no
number in it is believed: sizes are compared with the bytes that are there before memory is taken,
offsets with the place they lead to, and names only ever name tensors.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

FREE_BYTES = 64 << 20  # what any file may unpack to, and
MAX_RATIO = 20  # how many times its own size a larger one may
MAX_DIMS = 32
MAX_ELEMENTS = 1 << 40
MAX_NAME = 1000

DTYPES = {np.dtype(name) for name in (
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float16", "float32", "float64", "complex64", "complex128",
)}  # fmt: skip


@dataclass
class WeightsFile:
    """The weights in a file, in PyTorch's layout whatever the file's was.

    Attributes:
        format: "safetensors", "npz", "pytorch", "keras", "caffe", "matconvnet", "onnx",
            "tensorflow" or "pickle".
        tensors: name in the file -> NumPy array, contiguous and writable. Kernels of convolutions
            are (K, C/groups, R, S), matrices of linear layers (out, in), transposed where the file
            has them otherwise. Half precision (float16, bfloat16) has become float32.
        kernel_layout: how the file had them: "OIHW", "HWIO" or "OHWI".
        flatten_order: in which order that library flattens maps before its first linear layer, so
            what the columns of that layer's matrix mean: "CHW" or "HWC".
        meta: what else the file says: classes, mean picture, names of layers, ...; "eps": name of
            a batch norm's variance -> what that network adds to it.
    """

    format: str
    tensors: dict[str, np.ndarray]
    kernel_layout: str = "OIHW"
    flatten_order: str = "CHW"
    meta: dict[str, Any] = field(default_factory=dict)


class Refused(Exception):
    """What is wrong with a file's content; read_weights makes a CheckpointError with the path.

    Args:
        rule: what was found and what was expected.
        received: name -> value, as in MinidlError. Short texts and numbers: a hostile object can
            be small and have a repr that fills the memory.
        hint: what to do about it.
    """

    def __init__(self, rule: str, received: dict[str, Any] | None = None, hint: str = ""):
        super().__init__(rule)
        self.rule, self.received, self.hint = rule, received or {}, hint


@contextlib.contextmanager
def parsing(what: str) -> Iterator[None]:
    """Turn what a library raises at a damaged file into Refused.

    Parsers are written for whole files. At damaged ones they raise whatever their code runs into
    (KeyError, RuntimeError, struct.error, ...), so all exceptions are caught, around their calls.
    """
    try:
        yield
    except Refused:
        raise
    except MemoryError:
        raise Refused(f"{what}: it declares more data than there is memory") from None
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise Refused(f"cut short or damaged ({what}: {short(reason, 200)})") from None


class Budget:
    """How many bytes may still be unpacked: a small file must not fill the memory.

    Compressed data, a constant that stands for a whole array, or a thousand tensors that view one
    storage unpack to more than the file has. Real weights hardly do.
    """

    def __init__(self, file_bytes: int):
        self.limit = FREE_BYTES + MAX_RATIO * file_bytes
        self.left = self.limit
        self.parts: set[str] = set()

    def grow(self, part: str, nbytes: int) -> None:
        """Allow for a further file of the model; each counts once."""
        if part not in self.parts:
            self.parts.add(part)
            self.limit += MAX_RATIO * nbytes
            self.left += MAX_RATIO * nbytes

    def take(self, nbytes: int, name: str) -> None:
        """Count bytes before they are unpacked.

        Raises:
            Refused: the file has had its share.
        """
        self.left -= nbytes
        if self.left < 0:
            raise Refused(
                f"unpacks to more than {self.limit:,} bytes, the limit for a file of this size",
                {"at": short(name)},
            )


def plain(array: np.ndarray, name: str) -> np.ndarray:
    """An array of our own: contiguous, writable, native byte order, half precision as float32."""
    dtype = array.dtype.newbyteorder("=")
    if dtype not in DTYPES:
        raise Refused("a tensor has a type that is no number", {short(name): str(array.dtype)})
    if dtype == np.bool_:
        array = array.view(np.uint8) != 0  # bytes other than 0 and 1 make strange bools
    return np.array(array, dtype=np.float32 if dtype == np.float16 else dtype, order="C")


def from_bytes(
    data: Any, dtype: Any, shape: Sequence[int], name: str, order: str = "C"
) -> np.ndarray:
    """The array that raw bytes hold, a view of them.

    Raises:
        Refused: there are more or fewer bytes than the shape needs.
    """
    dtype = np.dtype(dtype)
    expected = count(shape, name) * dtype.itemsize
    if len(data) != expected:
        raise Refused(
            f"a tensor has {len(data):,} bytes, its shape needs {expected:,}",
            {short(name): f"{tuple(shape)} {dtype}"},
        )
    return np.frombuffer(data, dtype).reshape(tuple(shape), order=order)


def count(shape: Sequence[int], name: str) -> int:
    """The number of elements of a shape.

    Raises:
        Refused: it is no shape, or one that no memory holds.
    """
    fits = len(shape) <= MAX_DIMS and all(0 <= n < MAX_ELEMENTS for n in shape)
    if not fits or math.prod(max(n, 1) for n in shape) > MAX_ELEMENTS:
        raise Refused("a tensor has an impossible shape", {short(name): short(list(shape[:9]))})
    return math.prod(shape)


def from_bfloat16(array: np.ndarray) -> np.ndarray:
    """float32 from bfloat16, given as unsigned 16-bit integers: the upper half of its bits."""
    return (array.astype(np.uint32) << 16).view(np.float32)


def add(tensors: dict[str, np.ndarray], name: str, array: np.ndarray) -> None:
    """Put a tensor under its name, which must be new and text that can be printed."""
    is_text = isinstance(name, str) and name.isprintable()  # protobuf gives bytes if it is none
    if not is_text or not 0 < len(name) <= MAX_NAME:
        raise Refused("a tensor has no name, or one that is no text", {"name": short(name)})
    if name in tensors:
        raise Refused("two tensors have the same name", {"name": short(name)})
    tensors[name] = plain(array, name)


def ends_of_chains(source: dict[str, str]) -> dict[str, str]:
    """Name -> the last of the names that it stands for, one after the other.

    Each name is passed once, however many chains go through it. A damaged file can go in circles:
    of one of those, the end is one of its names.

    Args:
        source: name -> the name it stands for.
    """
    ends: dict[str, str] = {}
    for name in source:
        passed = []
        while name in source and name not in ends:
            ends[name] = name
            passed.append(name)
            name = source[name]
        end = ends.get(name, name)
        ends.update((other, end) for other in passed)
    return ends


def short(value: Any, length: int = 80) -> str:
    """A text or number of the file for an error: printable, and not the whole of it."""
    text = value if isinstance(value, str) else repr(value)
    printable = "".join(c if c.isprintable() else "?" for c in text[:length])
    return printable if len(text) <= length else printable + "..."
