"""Arrays as pictures inside a page: data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io

import numpy as np

PIXELATED = 40  # pixels: up to this size a picture stays exact, and is shown with sharp pixels
THUMBNAIL = 160  # pixels: larger pictures are shrunk
QUALITY = 85  # of JPEG, which takes a fifth of what PNG takes for a photograph


def picture_uri(image: np.ndarray) -> str:
    """A picture (H, W, C) uint8, C 1 or 3: small ones exact, others as a JPEG thumbnail."""
    if is_small(image):
        return png_uri(image)
    picture = as_pillow(image, THUMBNAIL)
    stream = io.BytesIO()
    picture.save(stream, format="JPEG", quality=QUALITY, optimize=True)
    return data_uri("jpeg", stream)


def png_uri(image: np.ndarray, at_most: int = THUMBNAIL) -> str:
    """A picture (H, W) or (H, W, C) uint8 as PNG: exact, unless a side is longer than at_most."""
    picture = as_pillow(image, at_most)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
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


def data_uri(kind: str, stream: io.BytesIO) -> str:
    return f"data:image/{kind};base64," + base64.b64encode(stream.getvalue()).decode("ascii")


def is_small(image: np.ndarray) -> bool:
    """Whether the picture is enlarged, pixel by pixel."""
    return max(image.shape[:2]) <= PIXELATED


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
