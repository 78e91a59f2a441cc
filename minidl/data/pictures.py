"""Pictures on disk: decoding to bytes (H, W, C), and data sets of picture files.

Whatever a file holds becomes 8 bits per channel, grey or red-green-blue, upright:

    EXIF orientation              turned as the camera says
    transparency, palettes        laid over white
    CMYK, YCbCr, Lab              converted to RGB
    16 bits per channel           the upper 8 kept
    grey, where RGB is asked      repeated; RGB, where grey is asked: luma (ITU-R BT.601)
    animations                    the first picture
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from minidl.data.dataset import ArrayDataset, Dataset, check_labels
from minidl.data.files import FileTree, read_file
from minidl.errors import ArgumentError, DataError
from minidl.io.atomic import as_path

SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm",
)  # fmt: skip
# Pillow knows more, among them formats that run other programs (EPS).
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
MAX_PIXELS = 89_478_485  # a small file can claim to be huge; Pillow warns from here on, too
ROWS = 256  # converted at once


def read_picture(path: str | Path, channels: int | None = None) -> np.ndarray:
    """Decode a picture file.

    Args:
        path: JPEG, PNG, BMP, GIF, TIFF, WebP or PPM, recognised by content.
        channels: 1 for grey, 3 for RGB, None for whichever the file is.

    Returns:
        uint8 (H, W, channels), upright.

    Raises:
        ArgumentError: path or channels is something else.
        DataError: missing, not a picture, damaged, or more than 89 million pixels.
    """
    path = as_path("read_picture", "path", path)
    return decode_picture(read_file(path, "read_picture"), str(path), channels)


def decode_picture(content: bytes, file: str, channels: int | None = None) -> np.ndarray:
    """Decode the content of a picture file; `file` names it in errors. See read_picture."""
    if channels not in (1, 3, None):
        raise ArgumentError("read_picture", "channels is 1, 3 or None", {"channels": channels})
    return decode_with(lambda picture: to_pixels(picture, channels), content, file)


def decode_with(convert: Callable[[Any], Any], content: bytes, file: str) -> Any:
    """What convert makes of the upright Pillow image that a file holds.

    Args:
        convert: called with the image; what it raises is taken for damage of the file, unless it
            is a DataError.
        content: of the file.
        file: its name in errors.

    Raises:
        DataError: as read_picture.
    """
    from PIL import Image, ImageOps

    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as picture:
            if picture.width * picture.height > MAX_PIXELS:
                raise Image.DecompressionBombError(f"{picture.width}x{picture.height} pixels")
            ImageOps.exif_transpose(picture, in_place=True)
            return convert(picture)
    except DataError:
        raise
    except Image.UnidentifiedImageError:
        known = ", ".join(FORMATS)
        what = "not a picture" if content else "an empty file"
        raise DataError("read_picture", what, {"file": file}, f"known are {known}") from None
    except Image.DecompressionBombError as error:
        raise DataError("read_picture", f"too large: {error}", {"file": file}) from None
    except Exception as error:  # on damaged data Pillow's decoders raise nearly everything
        raise DataError(
            "read_picture", f"the picture is damaged or cut short ({error})", {"file": file}
        ) from None


def to_pixels(picture: Any, channels: int | None) -> np.ndarray:
    """The bytes (H, W, channels) of a Pillow image, upright.

    Some rows at a time: a palette becomes RGBA, white, the two composed, RGB and bytes, one after
    the other, and a small file can have many pixels.
    """
    pixels = np.empty((0, 0, 1), np.uint8)
    for top in range(0, picture.height, ROWS):
        bottom = min(top + ROWS, picture.height)
        rows = to_eight_bits(picture.crop((0, top, picture.width, bottom)))
        mode = {1: "L", 3: "RGB", None: rows.mode}[channels]
        part = np.asarray(rows.convert(mode)).reshape(bottom - top, picture.width, -1)
        if top == 0:
            pixels = np.empty((picture.height, *part.shape[1:]), np.uint8)
        pixels[top:bottom] = part
    return pixels


def to_eight_bits(picture: Any) -> Any:
    """A Pillow image in mode L or RGB."""
    from PIL import Image

    mode = picture.mode
    if mode == "F":
        raise ValueError("its pixels are floating-point numbers of unknown range")
    if mode.startswith("I"):  # "I;16", "I;16B", and "I", which Pillow uses for 16 bits, too
        return Image.fromarray(np.clip(np.asarray(picture) // 256, 0, 255).astype(np.uint8))
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        grey = mode in ("LA", "La", "L", "1")
        picture = picture.convert("RGBA")
        white = Image.new("RGBA", picture.size, "white")
        return Image.alpha_composite(white, picture).convert("L" if grey else "RGB")
    if mode == "1":
        return picture.convert("L")
    if mode == "P":
        picture = picture.convert("RGB")
    return picture if picture.mode in ("L", "RGB") else picture.convert("RGB")


class PictureDataset(Dataset):
    """Picture files with labels, decoded each time they are asked for.

    Args:
        files: where the pictures are.
        names: their names in `files`.
        labels: integers, (N,).
        classes: name of each class.
        channels: 1 or 3, of all images.
    """

    def __init__(
        self,
        files: FileTree,
        names: Sequence[str],
        labels: Any,
        classes: Sequence[str],
        channels: int = 3,
    ):
        labels = np.asarray(labels)
        check_labels("PictureDataset", labels, len(names), len(classes), files.location)
        self.files, self.all_labels = files, labels.astype(np.int64)
        self.names, self.classes = list(names), list(classes)
        self.channels = channels

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> tuple[np.ndarray, int]:
        name = self.names[index]
        image = decode_picture(self.files.read(name), self.files.describe(name), self.channels)
        return image, int(self.all_labels[index])

    def stamp(self, index: int) -> str:
        return self.files.stamp(self.names[index])

    @property
    def labels(self) -> np.ndarray:
        return self.all_labels


def is_picture(name: str) -> bool:
    """Whether a file is named like a picture."""
    return name.lower().endswith(SUFFIXES)


def common_channels(files: FileTree, names: Sequence[str], sample: int = 50) -> int:
    """1 if a sample of the pictures, evenly spread, is all grey, otherwise 3."""
    step = max(1, len(names) // sample)
    for name in names[::step]:
        if decode_picture(files.read(name), files.describe(name)).shape[2] == 3:
            return 3
    return 1


def decode_all(dataset: Dataset, max_bytes: int) -> Dataset:
    """The data set as one array, if all images have one size and fit into max_bytes; else itself.

    Small pictures are worth decoding once: it takes far longer than training on them.
    """
    first = dataset[0][0]
    if first.nbytes * len(dataset) > max_bytes:
        return dataset
    for i in range(0, len(dataset), max(1, len(dataset) // 20)):  # most differ early
        if dataset[i][0].shape != first.shape:
            return dataset
    images = np.empty((len(dataset), *first.shape), np.uint8)
    for i in with_progress(range(len(dataset)), "decoding pictures, this once"):
        image, _ = dataset[i]
        if image.shape != first.shape:
            return dataset
        images[i] = image
    return ArrayDataset(images, dataset.labels, dataset.classes, dataset.names)


def with_progress(numbers: range, text: str, least: int = 5000) -> Iterable[int]:
    """The numbers, with a progress bar on stderr if they take longer than a moment."""
    if len(numbers) < least:
        return numbers
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(numbers, text, console=console, transient=True, disable=not console.is_terminal)
