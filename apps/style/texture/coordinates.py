"""The map of coordinates: where each pixel of a texture was copied from.

With it the same synthesis is done again on other pictures of the same size: a normal map beside a
photograph of a wall, a sample with other colours.

    coordinates   int32 (3, H, W): sample, row, column
    sizes         int32 (N, 2): height and width of the samples
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo, size_text
from minidl.data.files import read_file
from minidl.errors import DataError
from minidl.io.atomic import write_atomically

OP = "style texture"


def save_coordinates(path: str | Path, coordinates: np.ndarray, sizes: Sequence) -> None:
    """Write a map, whole or not at all.

    Args:
        path: of the .npz file.
        coordinates: (3, H, W), int: sample, row, column.
        sizes: height and width of each sample.

    Raises:
        CheckpointError: the file cannot be written.
    """
    stream = io.BytesIO()
    np.savez_compressed(
        stream, coordinates=coordinates.astype(np.int32), sizes=np.array(sizes, np.int32)
    )
    write_atomically(path, stream.getvalue(), OP)


def load_coordinates(path: str) -> tuple[np.ndarray, np.ndarray]:
    """A map and the sizes of the samples that it leads to.

    Raises:
        DataError: there is no such file, or it is no map.
    """
    content = read_file(Path(path), OP)
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
            coordinates, sizes = arrays["coordinates"], arrays["sizes"]
        if {coordinates.dtype.kind, sizes.dtype.kind} - set("iu"):
            raise ValueError("rows and columns are integers")
        coordinates, sizes = coordinates.astype(np.int64), sizes.astype(np.int64)
        samples, *places = coordinates
        good = (
            coordinates.ndim == 3 and len(coordinates) == 3 and coordinates.size > 0
            and sizes.ndim == 2 and sizes.shape[1] == 2 and coordinates.min() >= 0
            and samples.max() < len(sizes)
            and all((place < sizes[samples, i]).all() for i, place in enumerate(places))
        )  # fmt: skip
    except (
        ValueError, KeyError, OSError, EOFError, zipfile.BadZipFile, zlib.error, TypeError,
        IndexError, NotImplementedError,
    ):  # fmt: skip
        good = False
    if not good:
        raise DataError(
            OP, "the file is no map of coordinates", {"path": path},
            "--coordinates of this command writes them",
        )  # fmt: skip
    return coordinates, sizes


def applied(coordinates: np.ndarray, sizes: np.ndarray, samples: Sequence[Photo]) -> Photo:
    """The picture that a map makes of samples.

    Raises:
        OptionError: they have other sizes than the samples that the map was made from.
    """
    wanted, given = [tuple(size) for size in sizes.tolist()], [photo.size for photo in samples]
    if wanted != given:
        raise OptionError(
            "the map of coordinates belongs to samples of other sizes",
            {"map": in_words(wanted), "samples": in_words(given)},
        )
    sample, y, x = coordinates
    pixels = np.empty((*sample.shape, 3), np.float32)
    has_alpha = any(photo.alpha is not None for photo in samples)
    alpha = np.ones(sample.shape, np.float32) if has_alpha else None
    for i, photo in enumerate(samples):
        here = sample == i
        pixels[here] = photo.pixels[y[here], x[here]]
        if alpha is not None and photo.alpha is not None:
            alpha[here] = photo.alpha[y[here], x[here]]
    return Photo(pixels, alpha)


def in_words(sizes: Sequence) -> str:
    """ "64x48, 20x20"."""
    return ", ".join(map(size_text, sizes))
