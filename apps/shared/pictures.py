"""Pictures inside a page: arrays as data URIs, sheets with captions, filmstrips with a slider.

A page shows them by the macros of shared/pictures.html.j2. The slider of a filmstrip is an
<input type="range">, for which the page has the one script of shared/filmstrip.js.j2, named by its
SHA-256 in the page's Content-Security-Policy. Radio buttons and CSS would do without a script, but
they cannot be dragged, have no Home and End, are read out as a hundred choices rather than one
slider, and need a rule of CSS for each frame. Where the script does not run, the frames stand side
by side.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass
from functools import cached_property

import numpy as np

PIXELATED = 40  # pixels: up to this size a picture stays exact, and is shown with sharp pixels
THUMBNAIL = 160  # pixels: larger pictures are shrunk
LARGE = 512  # pixels: the same for the frames of a filmstrip
QUALITY = 85  # of JPEG, which takes a fifth of what PNG takes for a photograph


@dataclass
class Picture:
    """A picture, and what is said about it.

    Args:
        image: uint8 (H, W), or (H, W, C) with C 1 (grey), 3 (colour) or 4 (with transparency).
        caption: the text below it.
        second: a smaller line below that.
        right: whether what the caption says is right; it is marked so. None where nobody asks.
        alt: what is to be seen, for screen readers; by default the caption.
        at_most: pixels of the longer side; larger pictures are shrunk.
        exact: never a JPEG, and every pixel is shown sharp.
    """

    image: np.ndarray
    caption: str = ""
    second: str = ""
    right: bool | None = None
    alt: str = ""
    at_most: int = THUMBNAIL
    exact: bool = False

    @cached_property
    def uri(self) -> str:
        """The picture as a data URI."""
        if self.exact:
            return png_uri(self.image, self.at_most)
        return picture_uri(self.image, self.at_most)

    @property
    def pixelated(self) -> bool:
        """Whether the page shows each pixel sharp."""
        return self.exact or is_small(self.image)


@dataclass
class Frame:
    """A moment of a filmstrip.

    Args:
        caption: "step 200".
        pictures: one, or a sheet of them with their captions.
        second: a smaller line below the caption.
    """

    caption: str
    pictures: list[Picture]
    second: str = ""


@dataclass
class Filmstrip:
    """Frames over time, one of them shown at a time, and a slider.

    Args:
        title: what the frames are of, for the slider's label.
        frames: in order; the last one is shown first.
    """

    title: str
    frames: list[Frame]

    @property
    def single(self) -> bool:
        """Whether each frame is one picture rather than a sheet."""
        return all(len(frame.pictures) == 1 for frame in self.frames)


# --- data URIs ----------------------------------------------------------------------------------


def picture_uri(image: np.ndarray, at_most: int = THUMBNAIL) -> str:
    """A picture as in Picture: small and transparent ones exact, others as a JPEG."""
    if is_small(image) or (image.ndim == 3 and image.shape[2] == 4):
        return png_uri(image, at_most)
    stream = io.BytesIO()
    as_pillow(image, at_most).save(stream, format="JPEG", quality=QUALITY, optimize=True)
    return data_uri("jpeg", stream)


def png_uri(image: np.ndarray, at_most: int = THUMBNAIL) -> str:
    """A picture as in Picture, as PNG: exact, unless a side is longer than at_most."""
    stream = io.BytesIO()
    as_pillow(image, at_most).save(stream, format="PNG", optimize=True)
    return data_uri("png", stream)


def as_pillow(image: np.ndarray, at_most: int):
    """The picture for Pillow, shrunk to at_most pixels."""
    from PIL import Image

    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(picture.size) > at_most:
        picture.thumbnail((at_most, at_most), Image.Resampling.LANCZOS)
    return picture


def shrunk(image: np.ndarray, at_most: int) -> np.ndarray:
    """The picture as an array, no side of it longer than at_most pixels."""
    return np.asarray(as_pillow(image, at_most))


def data_uri(kind: str, stream: io.BytesIO) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def is_small(image: np.ndarray) -> bool:
    """Whether the picture is enlarged, pixel by pixel."""
    return max(image.shape[:2]) <= PIXELATED


# --- numbers as pictures ------------------------------------------------------------------------


def filter_images(weight: np.ndarray, at_most: int = 64) -> list[np.ndarray]:
    """The kernels of a first layer as uint8 pictures: grey is 0, white the largest magnitude.

    Args:
        weight: (K, C, R, S). With C = 3 the pictures are in colour, else they show the mean over
            the input channels.
        at_most: how many kernels to show, the first ones.

    Returns:
        list of (R, S, 3) or (R, S) arrays; each kernel has its own scale.
    """
    images = []
    for kernel in weight[:at_most]:
        kernel = kernel.transpose(1, 2, 0) if len(kernel) == 3 else kernel.mean(axis=0)
        images.append(signed_image(kernel))
    return images


def signed_image(values: np.ndarray) -> np.ndarray:
    """Numbers as uint8: 0 is mid-grey, the largest magnitude black or white."""
    largest = np.abs(values).max() or 1.0
    return np.round(127.5 + 127.5 * values / largest).astype(np.uint8)
