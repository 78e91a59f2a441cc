"""The pictures of a run, at any size: content, style and its copies, what it begins with."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.shared.photo import Photo, fitted_size
from apps.style.cnnmrf.copies import copies_of
from apps.style.cnnmrf.settings import SIZE, Settings
from apps.style.fingerprint import fingerprint

Size = tuple[int, int]


class Pictures:
    """Everything that is read from files.

    Args:
        settings: of the run.

    Attributes:
        size: height and width of the finished picture.
        content: None without one.
        style: without transparency.
        style_size: height and width of the style for the finished picture.
        fingerprint: of all that was read.

    Raises:
        DataError: a file is no picture.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.content = None if settings.content is None else Photo.read(settings.content)
        self.style = Photo.read(settings.style).over_white()
        shape = (self.content or self.style).size
        side = settings.size or min(SIZE, max(shape))
        self.size = fitted_size(shape, side)
        self.style_size = fitted_size(self.style.size, settings.style_size or side)
        self.begins_with = settings.init or ("noise" if self.content is None else "content")
        from_file = self.begins_with not in ("content", "noise")
        self.start = Photo.read(self.begins_with).over_white() if from_file else None
        self.fingerprint = fingerprint(self.content, self.style, self.start)

    def content_at(self, size: Size) -> Photo:
        assert self.content is not None
        return self.content.over_white().resized(*size)

    def styles_at(self, size: Size) -> list[Photo]:
        """The style and its copies, for a picture of some size: smaller where that is smaller."""
        side = max(1, round(max(self.style_size) * max(size) / max(self.size)))
        style = self.style.fitted(side)
        return copies_of(style, self.settings.rotations, self.settings.patch_scales)

    def start_at(self, size: Size, rng: np.random.Generator) -> Any:
        """The first picture, (1, 3, H, W) of 0..255."""
        if self.begins_with == "noise":
            return rng.uniform(0, 255, (1, *size, 3)).astype(np.float32).transpose(0, 3, 1, 2)
        begin = self.content_at(size) if self.start is None else self.start
        return begin.resized(*size).tensor().data

    def finished(self, made: Photo) -> Photo:
        """The result, with the content's transparency."""
        return made if self.content is None else made.with_alpha_of(self.content)
