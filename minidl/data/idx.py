"""The idx file format of MNIST (LeCun, Cortes, Burges), plain or compressed with gzip.

    bytes 0-1    zero
    byte  2      element type: 0x08 uint8, 0x09 int8, 0x0B int16, 0x0C int32, 0x0D float32,
                 0x0E float64
    byte  3      number of dimensions
    then         each dimension as a big-endian uint32, slowest first
    then         the elements, big-endian

"idx3-ubyte" in a file name says three dimensions (images, rows, columns) of uint8.
"""

from __future__ import annotations

import gzip
import io
import math
import zlib
from pathlib import Path

import numpy as np

from minidl.data.files import read_file
from minidl.errors import DataError
from minidl.io.atomic import as_path
from minidl.io.weights.file import FREE_BYTES, MAX_DIMS, MAX_RATIO

TYPES = {0x08: "u1", 0x09: "i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}
MAX_BYTES = 1 << 32  # a header that promises more is damaged (or a trap), not a data set


def read_idx(path: str | Path) -> np.ndarray:
    """The array in an idx or idx.gz file.

    Args:
        path: the file; compression is recognised by content.

    Returns:
        An array with the file's dimensions, in the machine's byte order.

    Raises:
        ArgumentError: path is something else.
        DataError: the file is missing, no idx file, or damaged; says what is wrong with it.
    """
    path = as_path("read_idx", "path", path)
    return parse_idx(read_file(path, "read_idx"), str(path))


def parse_idx(content: bytes, file: str) -> np.ndarray:
    """The array in the content of an idx or idx.gz file; `file` names it in errors."""
    compressed = content[:2] == b"\x1f\x8b"
    stream = gzip.GzipFile(fileobj=io.BytesIO(content)) if compressed else io.BytesIO(content)
    try:
        dtype, shape = read_header(stream, file)
        expected = math.prod(shape) * dtype.itemsize
        check_size(math.prod(max(n, 1) for n in shape) * dtype.itemsize, compressed, content, file)
        data = stream.read(expected)
        more = stream.read(1)  # also makes gzip check its checksum at the end of the file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        reason = "is cut short" if isinstance(error, EOFError) else "is damaged"
        raise damaged(file, f"the gzip compression {reason} ({error})") from None
    if len(data) < expected:
        raise damaged(
            file,
            f"cut short: the header promises {expected:,} bytes of data, {len(data):,} are there",
        )
    if more:
        raise damaged(file, f"more bytes than the {expected:,} that its header promises")
    return np.frombuffer(data, dtype).reshape(shape).astype(dtype.newbyteorder("="), copy=False)


def read_header(stream: io.BufferedIOBase, file: str) -> tuple[np.dtype, tuple]:
    """Element type and shape from the first bytes."""
    magic = stream.read(4)
    if len(magic) < 4 or magic[:2] != b"\0\0" or magic[2] not in TYPES or not magic[3]:
        raise damaged(file, f"not an idx file: it starts with {magic.hex(' ') or 'nothing'}")
    if magic[3] > MAX_DIMS:
        raise damaged(file, f"its header promises {magic[3]} dimensions: the header is damaged")
    sizes = stream.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise damaged(file, "cut short within the header")
    return np.dtype(TYPES[magic[2]]), tuple(int(n) for n in np.frombuffer(sizes, ">u4"))


def check_size(nbytes: int, compressed: bool, content: bytes, file: str) -> None:
    """Compare what a header promises with the limits. Dimensions of 0 count as 1 in nbytes."""
    if nbytes > MAX_BYTES:
        raise damaged(file, f"its header promises {nbytes:,} bytes: the header is damaged")
    limit = FREE_BYTES + MAX_RATIO * len(content)
    if compressed and nbytes > limit:
        raise damaged(
            file,
            f"its header promises {nbytes:,} bytes, more than {limit:,}, the limit for a "
            "compressed file of this size",
            "if you trust it, unpack it by gunzip",
        )


def damaged(file: str, what: str, hint: str = "") -> DataError:
    return DataError("read_idx", what, {"file": file}, hint)
