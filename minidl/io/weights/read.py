"""read_weights: the weights in a file of any library.

What a file is, its first bytes say. The formats that are bare protocol buffers (.caffemodel, .onnx,
.pb) have no such mark: they are tried, the one that the file's ending names first.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from functools import partial
from pathlib import Path

from minidl.errors import CheckpointError
from minidl.io.atomic import as_path, reason
from minidl.io.weights.file import Budget, Refused, WeightsFile
from minidl.io.weights.zips import Zip

MAX_FILE = 4 << 30  # bytes
MAX_JSON = 100_000_000  # bytes of the header of safetensors, the format's own limit
ENDINGS = (
    ".safetensors", ".npz", ".pth", ".pt", ".bin", ".ckpt", ".h5", ".hdf5", ".keras", ".caffemodel",
    ".mat", ".onnx", ".pb", ".pkl",
)  # fmt: skip


def read_weights(path: str | Path) -> WeightsFile:
    """Read the weights in a file of minidl, PyTorch, Keras, Caffe, MatConvNet, ONNX or TensorFlow.

    The format is recognised by the content: .safetensors, .npz, .pth and .pt (zip archives and
    older), .h5, .weights.h5 and .keras, .caffemodel, .mat, .onnx, frozen .pb, pickled NumPy arrays.
    Nothing in the file is executed, nothing but the file is opened (and the data files that an
    .onnx names beside it), and memory is taken only for data that is there.

    Args:
        path: the file.

    Returns:
        A WeightsFile: the tensors by name in PyTorch's layout, and what else the file says.

    Raises:
        ArgumentError: path is something else.
        CheckpointError: no such file, none of these formats, cut short, damaged, or one that wants
            more than to hold numbers. The error says which.

    >>> import os, tempfile, numpy as np
    >>> path = os.path.join(tempfile.mkdtemp(), "weights.npz")
    >>> np.savez(path, **{"conv1.weight": np.ones((2, 3, 5, 5), np.float16)})
    >>> minidl.io.read_weights(path).tensors["conv1.weight"].dtype
    dtype('float32')
    """
    path = as_path("read_weights", "path", path)
    data = read_bytes(path)
    name = ""
    try:
        name, reader = recognise(data, path)
        weights = reader()
        if not weights.tensors:
            raise Refused("there are no tensors in it")
    except Refused as error:
        received = {"file": str(path)} | ({"format": name} if name else {}) | error.received
        raise CheckpointError("read_weights", error.rule, received, error.hint) from None
    return weights


def read_bytes(path: Path) -> bytes:
    """The content of a file.

    Raises:
        CheckpointError: it is not there, no file, too large, or cannot be read.
    """
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EISDIR, "")  # a folder or device: do not start to read it
        size = path.stat().st_size
        if size <= MAX_FILE:
            return path.read_bytes()
        why = f"it has {size:,} bytes, more than {MAX_FILE:,}"
    except OSError as error:
        why = reason(error)
    raise CheckpointError("read_weights", f"cannot read the file: {why}", {"file": str(path)})


# --- which format -----------------------------------------------------------------------------


def recognise(data: bytes, path: Path) -> tuple[str, Callable[[], WeightsFile]]:
    """The name of the format for errors, and what reads it.

    Raises:
        Refused: it is none that is known.
    """
    from minidl.io.weights import keras, matconvnet, safetensors_file

    ending = path.suffix.lower()
    # The first of all: the length in front of its JSON can be any number, and look like a pickle.
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= MAX_JSON:
        return "safetensors", partial(safetensors_file.read_safetensors, data)
    if data.startswith(b"PK\x03\x04"):
        return recognise_zip(data)
    if data.startswith(b"\x80"):
        return recognise_pickle(data)
    if is_mat(data):
        return "MATLAB", partial(matconvnet.read_matconvnet, data)
    if is_hdf5(data):
        return "Keras HDF5", partial(keras.read_keras_file, data)
    if data.startswith(b"\x93NUMPY"):
        raise Refused("this is a single NumPy array without a name", hint="save it by numpy.savez")
    check_text(data)
    return recognise_protobuf(data, path, ending)


def recognise_pickle(data: bytes) -> tuple[str, Callable[[], WeightsFile]]:
    """PyTorch, whose first pickle is a number that nothing else begins with, or NumPy arrays."""
    from minidl.io.weights import numpy_pickle, pytorch

    if pytorch.MAGIC_NUMBER.to_bytes(10, "little") in data[:32]:
        return "PyTorch (before 1.6)", partial(pytorch.read_pytorch, data)
    return "pickle", partial(numpy_pickle.read_pickle, data)


def recognise_zip(data: bytes) -> tuple[str, Callable[[], WeightsFile]]:
    """PyTorch, Keras 3 or NumPy, by the names of the members."""
    from minidl.io.weights import keras, npz, pytorch

    archive = Zip(data, Budget(len(data)))
    if any(name.rsplit("/", 1)[-1] == "data.pkl" for name in archive.members):
        return "PyTorch", partial(pytorch.read_pytorch, data)
    if "model.weights.h5" in archive.members:
        return "Keras", partial(keras.read_keras_zip, archive)
    if any(name.endswith(".npy") for name in archive.members):
        return "npz", partial(npz.read_npz, data)
    raise Refused("a zip archive, but neither PyTorch's (data.pkl) nor NumPy's (*.npy) nor Keras'")


def recognise_protobuf(
    data: bytes, path: Path, ending: str
) -> tuple[str, Callable[[], WeightsFile]]:
    """The first of the three formats that the data can be parsed as, with something in it."""
    from minidl.io.weights import caffe, onnx_file, tensorflow

    known = {
        ".onnx": ("ONNX", onnx_file.parse_onnx, onnx_file.read_onnx),
        ".caffemodel": ("Caffe", caffe.parse_caffe, caffe.read_caffe),
        ".pb": ("TensorFlow", tensorflow.parse_graph, tensorflow.read_graph),
    }
    for candidate in sorted(known, key=lambda other: other != ending):
        name, parse, read = known[candidate]
        message = parse(data)
        if message is not None:
            return name, partial(read, message, path, len(data))
    if ending in known:
        raise Refused(f"cut short or damaged: not a whole {known[ending][0]} file")
    raise Refused(
        "none of the known formats, or cut short",
        {"first bytes": data[:8].hex(" ")}, "known: " + " ".join(ENDINGS),
    )  # fmt: skip


def is_mat(data: bytes) -> bool:
    """MATLAB's header: 116 bytes of text, and 0x0100 or 0x0200 with a mark of the byte order."""
    return data[124:128] in (b"\x00\x01IM", b"\x01\x00MI", b"\x00\x02IM", b"\x02\x00MI")


def is_hdf5(data: bytes) -> bool:
    """HDF5's signature, at 0, 512, 1024, 2048, ..."""
    place = 0
    while place + 8 <= len(data):
        if data[place : place + 8] == b"\x89HDF\r\n\x1a\n":
            return True
        place = max(512, place * 2)
    return False


def check_text(data: bytes) -> None:
    """Name what often lies where a weight file should.

    Raises:
        Refused: it does.
    """
    head = data[:200].lstrip().lower()
    if not data:
        raise Refused("the file is empty")
    if head.startswith((b"<!doctype", b"<html", b"<?xml")):
        raise Refused("this is a web page, not a weight file", hint="download it again")
    if head.startswith(b"version https://git-lfs"):
        raise Refused("this is a Git LFS pointer; the weights are elsewhere", hint="git lfs pull")
