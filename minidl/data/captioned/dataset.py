"""Pictures with captions: what text-to-image and image-to-text learn from.

    picture(i)    uint8 (H, W, 3)
    captions[i]   its captions, a list of at least one text
    classes[i]    an int, or None for all where there are no classes
    names[i]      what messages call it

Pictures are one array where they have one size and fit into memory, otherwise files that are
decoded whenever one is asked for (PictureFiles). captioned/sources.py opens them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.data.captioned.findings import Finding, Plain, shorten
from minidl.data.dataset import choose_by_hash
from minidl.data.files import FileTree
from minidl.data.pictures import decode_with, to_pixels, with_progress
from minidl.errors import ArgumentError, BoundsError, DataError
from minidl.shapes import is_int, is_number

MAX_IN_MEMORY = 1 << 30  # bytes


class PictureFiles:
    """Picture files as a sequence of uint8 (H, W, 3), decoded each time.

    Args:
        files: the tree that has them.
        names: of the pictures in it.
        size: side of the square that each becomes: scaled until its shorter side has so many
            pixels, the middle of the longer one kept. None leaves pictures as they are.
        squared: lay each on the middle of a white square first, so that nothing is cut off.
    """

    def __init__(
        self, files: FileTree, names: Sequence[str], size: int | None = None, squared: bool = False
    ):
        self.files, self.names, self.size, self.squared = files, list(names), size, squared

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> np.ndarray:
        name = self.names[index]
        content = self.files.read(name)  # in binary, so any name and content will do
        return decode_with(self.to_picture, content, self.files.describe(name))

    def to_picture(self, picture: Any) -> np.ndarray:
        """The pixels of a Pillow image."""
        if self.size is not None:
            # A JPEG can be decoded at a half, quarter or eighth of its size, which is faster.
            picture.draft("RGB", (2 * self.size, 2 * self.size))
        pixels = to_pixels(picture, 3)
        if self.squared:
            pixels = on_white_square(pixels)
        if self.size is None:
            return pixels
        from PIL import Image, ImageOps

        square, way = (self.size, self.size), Image.Resampling.BICUBIC
        return np.asarray(ImageOps.fit(Image.fromarray(pixels), square, way))

    def subset(self, indexes: Any) -> PictureFiles:
        """Some of the files, in the order given."""
        names = [self.names[i] for i in indexes]
        return PictureFiles(self.files, names, self.size, self.squared)

    def decode(self) -> np.ndarray | PictureFiles:
        """All as one array, if they have one size and fit into memory; else self."""
        if self.size is None or len(self) * self.size**2 * 3 > MAX_IN_MEMORY:
            return self
        array = np.empty((len(self), self.size, self.size, 3), np.uint8)
        for i in with_progress(range(len(self)), "decoding pictures", least=500):
            array[i] = self[i]
        return array


class CaptionedDataset:
    """Pictures with captions and, where there are some, classes.

    Args:
        pictures: uint8 (N, H, W, 3), or PictureFiles.
        captions: for each picture a list of one text or more.
        classes: ints from 0 on, (N,), or None.
        class_names: name of each class, or None.
        names: name of each picture, for messages and split(); None for "picture 0", ...
        findings: what was noticed when the data were opened, for the user to read.

    Raises:
        DataError: lengths that differ, a picture without captions, a class without a name.

    >>> from minidl.data.captioned import CaptionedDataset
    >>> pictures = minidl.zeros(2, 8, 8, 3, dtype="uint8").data
    >>> CaptionedDataset(pictures, [["a black square"], ["nothing", "darkness"]])
    CaptionedDataset(2 pictures, 3 captions)
    """

    def __init__(
        self,
        pictures: Any,
        captions: Sequence[list[str]],
        classes: Any = None,
        class_names: Sequence[str] | None = None,
        names: Sequence[str] | None = None,
        findings: Sequence[Finding] = (),
    ):
        if not isinstance(pictures, PictureFiles) and not is_pixels(pictures):
            raise DataError(
                "CaptionedDataset", "pictures are an array uint8 (N, H, W, 3), or PictureFiles",
                {"pictures": pictures if hasattr(pictures, "dtype") else type(pictures).__name__},
            )  # fmt: skip
        if not isinstance(captions, Sequence) or isinstance(captions, str):
            raise DataError(
                "CaptionedDataset", "captions are a list, a list of texts for each picture",
                {"captions": captions if hasattr(captions, "dtype") else type(captions).__name__},
            )  # fmt: skip
        count = len(pictures)
        names = [f"picture {i}" for i in range(count)] if names is None else list(names)
        classes = None if classes is None else np.atleast_1d(np.asarray(classes))
        lengths = {"pictures": count, "captions": len(captions), "names": len(names)}
        if classes is not None:
            lengths["classes"] = len(classes)
        if len(set(lengths.values())) > 1:
            raise DataError("CaptionedDataset", "one entry per picture in each list", lengths)
        if not all(isinstance(name, str) for name in names):
            raise DataError("CaptionedDataset", "names are texts", {"names": names[:5]})
        check_captions(captions, names)
        if classes is not None:
            check_classes(classes, class_names)
            classes = classes.astype(np.int64)
        self.pictures = pictures
        self.captions, self.names = list(captions), names
        self.classes = classes
        self.class_names = None if class_names is None else list(class_names)
        self.findings = list(findings)

    def __len__(self) -> int:
        return len(self.pictures)

    def picture(self, index: int) -> np.ndarray:
        """One picture, uint8 (H, W, 3).

        Args:
            index: from 0 to N - 1.

        Raises:
            DataError: its file is damaged.
        """
        if not is_int(index) or not 0 <= index < len(self):
            raise BoundsError("picture", f"index runs from 0 to {len(self) - 1}", {"index": index})
        return self.pictures[index]

    def subset(self, indexes: Any) -> CaptionedDataset:
        """Some of the pictures with all that belongs to them, in the order given.

        Args:
            indexes: ints (M,) from 0 to N - 1.
        """
        indexes = np.asarray(indexes)
        if indexes.ndim != 1 or (indexes.size and indexes.dtype.kind not in "iu"):
            raise DataError(
                "subset", "indexes are ints (M,)", {"indexes": indexes},
                "np.flatnonzero makes them of a mask" if indexes.dtype == bool else "",
            )  # fmt: skip
        indexes = indexes.astype(np.int64)
        if indexes.size and not 0 <= indexes.min() <= indexes.max() < len(self):
            raise DataError(
                "subset", f"indexes run from 0 to {len(self) - 1}",
                {"smallest": int(indexes.min()), "largest": int(indexes.max())},
            )  # fmt: skip
        files = isinstance(self.pictures, PictureFiles)
        return CaptionedDataset(
            self.pictures.subset(indexes) if files else self.pictures[indexes],
            [self.captions[i] for i in indexes],
            None if self.classes is None else self.classes[indexes],
            self.class_names,
            [self.names[i] for i in indexes],
            self.findings,
        )

    def split(
        self, fraction: float = 0.1, salt: str = "validation"
    ) -> tuple[CaptionedDataset, CaptionedDataset]:
        """Two parts, a larger and a smaller one, for example for training and validation.

        Where a picture goes depends on the hash of its name: the same on every machine and in
        every run. A class with two pictures or more has at least one on each side, so the smaller
        part is larger where classes are small.

        Args:
            fraction: of the smaller part, between 0 and 1.
            salt: another salt gives another split. With "" it is that by which open_captioned
                parts train and test, so it would not part the training pictures any further.

        >>> pictures = minidl.zeros(100, 8, 8, 3, dtype="uint8").data
        >>> train, validation = minidl.data.CaptionedDataset(pictures, [["dark"]] * 100).split(0.1)
        >>> len(train), len(validation)
        (91, 9)
        """
        if not is_number(fraction) or not 0 < fraction < 1:
            raise ArgumentError("split", "fraction lies between 0 and 1", {"fraction": fraction})
        if not isinstance(salt, str):
            raise ArgumentError("split", "salt is a text", {"salt": salt})
        second = choose_pictures(self.names, self.classes, fraction, salt)
        return self.subset(np.flatnonzero(~second)), self.subset(np.flatnonzero(second))

    def __repr__(self) -> str:
        captions = sum(len(texts) for texts in self.captions)
        classes = "" if self.classes is None else f", {len(np.unique(self.classes))} classes"
        return f"CaptionedDataset({len(self)} pictures, {captions} captions{classes})"


def on_white_square(pixels: np.ndarray) -> np.ndarray:
    """A picture uint8 (H, W, 3) in the middle of a white square as large as its longer side.

    >>> on_white_square(minidl.zeros(1, 3, 3, dtype="uint8").data)[:, 0, 0].tolist()
    [255, 0, 255]
    """
    height, width, _ = pixels.shape
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    square = np.full((side, side, 3), 255, np.uint8)
    square[top : top + height, left : left + width] = pixels
    return square


def is_pixels(pictures: Any) -> bool:
    """Whether pictures are uint8 (N, H, W, 3) in memory."""
    array = isinstance(pictures, np.ndarray)
    return array and pictures.dtype == np.uint8 and pictures.ndim == 4 and pictures.shape[3] == 3


def choose_pictures(
    names: Sequence[str], classes: np.ndarray | None, fraction: float, salt: str = ""
) -> np.ndarray:
    """Which pictures are in the second part of a split by the hash of their names, bool (N,).

    In names that macOS wrote accents are apart from their letters; it is the same split there.
    """
    composed = [salt + unicodedata.normalize("NFC", name) for name in names]
    labels = np.zeros(len(names), np.int64) if classes is None else classes
    return choose_by_hash(composed, labels, fraction) if composed else np.zeros(0, bool)


def check_captions(captions: Sequence[list[str]], names: Sequence[str]) -> None:
    """Each picture has a list of one caption or more, none of them empty."""
    checked: set[int] = set()  # pictures of one class may share a list
    for texts, name in zip(captions, names):
        if id(texts) in checked:
            continue
        if not isinstance(texts, list | tuple) or not texts:
            raise DataError(
                "CaptionedDataset", "each picture has a list of captions",
                {"picture": name, "captions": Plain(shorten([repr(texts)]))},
            )  # fmt: skip
        wrong = [t for t in texts if not isinstance(t, str) or not t.strip()]
        if wrong:
            raise DataError(
                "CaptionedDataset", "captions are texts, none of them empty",
                {"picture": name, "wrong": Plain(shorten([repr(text) for text in wrong]))},
            )  # fmt: skip
        checked.add(id(texts))


def check_classes(classes: np.ndarray, class_names: Sequence[str] | None) -> None:
    """Classes are ints from 0 on, each with a name where there are names."""
    if classes.ndim != 1 or (classes.size and classes.dtype.kind not in "iu"):
        raise DataError("CaptionedDataset", "classes are ints (N,)", {"classes": classes})
    largest = int(classes.max(initial=0))
    most = largest if class_names is None else len(class_names) - 1
    if classes.size and (classes.min() < 0 or largest > most):
        raise DataError(
            "CaptionedDataset", "classes are numbers of class_names",
            {"smallest": int(classes.min()), "largest": largest,
             "class_names": None if class_names is None else len(class_names)},
        )  # fmt: skip
