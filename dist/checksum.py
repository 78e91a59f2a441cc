"""What identifies bytes: of arrays that are sent, and of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import xxhash


def checksum(values: np.ndarray) -> int:
    """62 bits of XXH3, at the speed of memory.

    Changes are missed by chance only, of 2^-62. Against intent there are keys.
    """
    return xxhash.xxh3_64_intdigest(np.ascontiguousarray(values)) >> 2


def sha256(data: bytes) -> str:
    """Of bytes, in hex digits."""
    return hashlib.sha256(data).hexdigest()


def sha256_of(path: Path) -> str:
    """That of a file, which may be large."""
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()
