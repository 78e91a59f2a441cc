"""CIFAR-10 (Krizhevsky 2009): 50,000 pictures 32x32 to train on, 10,000 to test on, 10 classes.

    binary    data_batch_1.bin ... data_batch_5.bin, test_batch.bin: records of 1 + 3072 bytes,
              the label, then the red, green and blue planes row by row
    Python    data_batch_1 ... data_batch_5, test_batch: a pickled dict with b"data", uint8
              (N, 3072) in the same order, and b"labels"

Unpickling can run any code. safe_unpickle reads the few kinds of object that these files need
and nothing else: NumPy's part in it is played by the stand-ins below.
"""

from __future__ import annotations

import io
import pickle
from typing import Any

import numpy as np

from minidl.data.dataset import ArrayDataset, check_labels
from minidl.data.files import FileTree
from minidl.errors import DataError

CLASSES = [
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
]  # fmt: skip
BATCHES = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
PIXELS = 3 * 32 * 32


def cifar_suffix(files: FileTree) -> str | None:
    """ ".bin" or "" (Python) for the kind of CIFAR-10 in a tree, None where it is not that."""
    for suffix in (".bin", ""):
        if any(name + suffix in files.names for part in BATCHES.values() for name in part):
            return suffix
    return None


def load_cifar(files: FileTree, split: str) -> ArrayDataset:
    """One split of CIFAR-10, from binary or Python batches.

    Args:
        files: where the batches are.
        split: "train" or "test".

    Raises:
        DataError: a batch is missing, cut short or damaged.
    """
    suffix = cifar_suffix(files) or ""
    read = read_binary if suffix else read_python
    images, labels = [], []
    for batch in BATCHES[split]:
        file = files.describe(batch + suffix)
        if batch + suffix not in files.names:
            raise DataError("load_cifar", "a batch is missing", {"file": file})
        pixels, batch_labels = read(files.read(batch + suffix), file)
        check_labels("load_cifar", batch_labels, len(pixels), len(CLASSES), file)
        images.append(pixels.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        labels.append(batch_labels)
    return ArrayDataset(np.concatenate(images), np.concatenate(labels), CLASSES)


def read_binary(content: bytes, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 3072) and labels of a .bin file."""
    if not content or len(content) % (1 + PIXELS):
        raise DataError(
            "load_cifar",
            f"cut short or damaged: {len(content):,} bytes are no multiple of {1 + PIXELS}",
            {"file": file},
        )
    records = np.frombuffer(content, np.uint8).reshape(-1, 1 + PIXELS)
    return records[:, 1:], records[:, 0].astype(np.int64)


def read_python(content: bytes, file: str) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, 3072) and labels of a pickled batch."""
    batch = safe_unpickle(content, file)
    pixels, labels = (batch.get(b"data"), batch.get(b"labels")) if type(batch) is dict else (0, 0)
    is_pixels = isinstance(pixels, np.ndarray) and pixels.dtype == np.uint8
    if not is_pixels or pixels.shape[1:] != (PIXELS,) or not isinstance(labels, list):
        raise DataError(
            "load_cifar", f"no dict with data, uint8 (N, {PIXELS}), and a list of labels",
            {"file": file},
        )  # fmt: skip
    if any(type(label) is not int or not 0 <= label < 256 for label in labels):
        raise DataError("load_cifar", "labels are ints from 0 to 9", {"file": file})
    return pixels, np.array(labels, np.int64)


# --- pickles --------------------------------------------------------------------------------------


def safe_unpickle(content: bytes, file: str) -> Any:
    """What a pickle of dicts, lists, numbers, text, bytes and uint8 arrays holds.

    Anything else that a pickle asks for is refused before it is made. Byte strings of Python 2
    stay bytes.

    Raises:
        DataError: the pickle is damaged or asks for something else; names it.
    """
    try:
        return finish(RestrictedUnpickler(io.BytesIO(content), encoding="bytes").load())
    except DataError as error:
        error.received["file"] = repr(file)
        raise
    except Exception as error:  # damaged pickles raise nearly everything
        raise DataError(
            "load_cifar", f"the pickle is cut short or damaged ({error})", {"file": file}
        ) from None


class RestrictedUnpickler(pickle._Unpickler):
    """Knows the stand-ins only. Every class or function in a pickle is looked up by find_class.

    pickle._Unpickler is the one written in Python: the one in C reserves as much memory as a
    damaged file asks for.
    """

    def load_build(self) -> None:
        """Set the state of a stand-in. Of its class, or a function, it would stay set for good."""
        if type(self.stack[-2]) not in (PickledArray, PickledDtype):
            raise ValueError("it sets the attributes of what is no array")
        super().load_build()

    def load_setitem(self) -> None:
        check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:  # the stack holds what came since the mark
        check_keys(self.stack[::2])
        super().load_setitems()

    def load_dict(self) -> None:
        check_keys(self.stack[::2])
        super().load_dict()

    def refuse_set(self) -> None:
        raise ValueError("it has a set")

    dispatch = pickle._Unpickler.dispatch | {
        pickle.BUILD[0]: load_build, pickle.SETITEM[0]: load_setitem, pickle.DICT[0]: load_dict,
        pickle.SETITEMS[0]: load_setitems, pickle.EMPTY_SET[0]: refuse_set,
        pickle.FROZENSET[0]: refuse_set,
    }  # fmt: skip

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in STAND_INS:
            raise DataError(
                "load_cifar", "the pickle asks for something that is not an array; refused",
                {"object": f"{module}.{name}"}, "such a file could run code: do not trust it",
            )  # fmt: skip
        return STAND_INS[module, name]


def check_keys(keys: list[Any]) -> None:
    """Refuse keys that take long to hash, a tuple of tuples of tuples ..., or all hash alike."""
    for key in keys:
        is_small = type(key) is int and abs(key) < 1 << 31
        if type(key) not in (bytes, str) and not is_small:
            raise ValueError("it has a dict with a key that is neither text nor a small int")


class PickledArray:
    """Plays numpy.ndarray: keeps the shape and bytes that the pickle has for it."""

    def __setstate__(self, state: tuple) -> None:
        _, self.shape, self.dtype, self.fortran, self.content = state

    def array(self) -> np.ndarray:
        if not isinstance(self.dtype, PickledDtype) or self.dtype.code not in ("u1", b"u1"):
            raise ValueError("an array is not uint8")
        order = "F" if self.fortran else "C"
        return np.frombuffer(self.content, np.uint8).reshape(self.shape, order=order)


class PickledDtype:
    """Plays numpy.dtype: keeps the code, "u1"."""

    def __init__(self, code: Any, align: Any = None, copy: Any = None):
        self.code = code

    def __setstate__(self, state: tuple) -> None:
        pass  # byte order and the like: one byte has none


def reconstruct(kind: Any, shape: Any, code: Any) -> PickledArray:
    """Plays numpy's _reconstruct, which makes an empty array for __setstate__ to fill."""
    return PickledArray()


def from_buffer(content: Any, dtype: Any, shape: Any, order: Any) -> PickledArray:
    """Plays numpy's _frombuffer (pickle protocol 5)."""
    array = PickledArray()
    array.__setstate__((1, shape, dtype, order == "F", content))
    return array


def encode(text: str, encoding: str) -> bytes:
    """Plays _codecs.encode, which Python 3 writes for bytes in old protocols."""
    if type(text) is not str or encoding != "latin1":
        raise ValueError("bytes are encoded as latin1")
    return text.encode("latin1")


STAND_INS = {
    ("numpy", "ndarray"): PickledArray,
    ("numpy", "dtype"): PickledDtype,
    ("_codecs", "encode"): encode,
}
for core in ("numpy.core", "numpy._core"):  # the name before NumPy 2 and since
    STAND_INS[f"{core}.multiarray", "_reconstruct"] = reconstruct
    STAND_INS[f"{core}.numeric", "_frombuffer"] = from_buffer


def finish(value: Any) -> Any:
    """The value; of a dict, the entries with NumPy arrays in the places of their stand-ins.

    Not those of dicts in it: a small pickle can hold dicts with more paths than could be walked.
    """
    if type(value) is not dict:
        return value
    return {key: part.array() if isinstance(part, PickledArray) else part
            for key, part in value.items()}  # fmt: skip
