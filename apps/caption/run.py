"""`minidl caption run`: says what is on picture files."""

from __future__ import annotations

import math
import sys
from collections import deque
from collections.abc import Iterator
from typing import Any

import numpy as np

from apps.caption.captioner import Captioner, Decoding, captions_of
from apps.caption.report.page import AT_MOST, Example
from apps.caption.search import Caption
from apps.shared.pictures import shrunk
from minidl.data import read_picture
from minidl.data.pictures import decode_picture
from minidl.errors import DataError

STDIN = "-"


def describe(
    captioner: Captioner, paths: list[str], decoding: Decoding
) -> Iterator[tuple[str, Example | DataError]]:
    """Sentences about picture files, in their order.

    Args:
        captioner: says them.
        paths: of the files, in any format that Pillow reads; "-" is standard input.
        decoding: how sentences are found.

    Returns:
        for each path, as soon as it is known, the path and what was said, with the picture as large
        as pages show it, or the DataError that says why it cannot be read.
    """
    waiting: deque[tuple[str, Any]] = deque()  # path, and its picture or an error
    for best, *others in captions_of([captioner], readable(paths, waiting), decoding):
        while isinstance(waiting[0][1], DataError):
            yield waiting.popleft()
        path, picture = waiting.popleft()
        yield path, Example(picture, shown_name(path), best, others=others)
    yield from waiting


def readable(paths: list[str], waiting: deque[tuple[str, Any]]) -> Iterator[np.ndarray]:
    """The pictures that can be read; each, and why another cannot, waits for its answer."""
    for path in paths:
        picture = read(path)
        if isinstance(picture, DataError):
            waiting.append((path, picture))
        else:
            waiting.append((path, shrunk(picture, AT_MOST)))
            yield picture


def read(path: str) -> np.ndarray | DataError:
    """A picture, uint8 (H, W, 3), or why there is none."""
    try:
        if path == STDIN:
            if sys.stdin is None:
                raise DataError("read_picture", "standard input is closed", {"file": path})
            return decode_picture(sys.stdin.buffer.read(), "standard input", 3)
        return read_picture(path, 3)
    except DataError as error:
        return error


def shown_name(path: str) -> str:
    """What a page calls a picture."""
    return "standard input" if path == STDIN else path


def as_json(path: str, told: Example) -> dict[str, Any]:
    """What --json prints of a picture."""
    return {"image": path, "captions": [caption_json(one) for one in (told.said, *told.others)]}


def caption_json(said: Caption) -> dict[str, Any]:
    """A sentence with the probability of each of its words."""
    words = zip(said.words, said.log_probs)
    return {
        "caption": " ".join(said.words),
        "log_prob": said.log_prob,
        "words": [{"word": word, "probability": math.exp(p)} for word, p in words],
    }
