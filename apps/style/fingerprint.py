"""Whether the pictures of an interrupted run are those that it began with.

Their files may have changed between Ctrl-C and --resume; the rest of the run would then be that of
other pictures.
"""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo


def fingerprint(*photos: Photo | None) -> int:
    """A number that is another one, in all likelihood, where a pixel is.

    Args:
        photos: of a run, in order; None where it has none.
    """
    found = 0
    for photo in photos:
        arrays = () if photo is None else (photo.pixels, photo.alpha)
        found = zlib.crc32(str(photo and photo.size).encode(), found)
        for array in arrays:
            if array is not None:
                found = zlib.crc32(np.ascontiguousarray(array).data.cast("B"), found)
    return found


def check_same(stored: Any, found: int) -> None:
    """The pictures have the fingerprint that a run has stored.

    Raises:
        OptionError: they have another.
    """
    if stored != found:
        raise OptionError(
            "the pictures are not those of the run to resume: a file has changed", {},
            "leave --resume out to start afresh",
        )  # fmt: skip
