"""Arrays as PNG pictures inside a page: data URIs, so that the page needs no other file."""

from __future__ import annotations

import base64
import io

import numpy as np

THUMBNAIL = 128  # pixels: larger pictures are shrunk, smaller ones the browser enlarges


def png_uri(image: np.ndarray) -> str:
    """A picture (H, W) or (H, W, C) uint8, C 1 or 3, as "data:image/png;base64,..."."""
    from PIL import Image

    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    picture = Image.fromarray(np.ascontiguousarray(image))
    if max(picture.size) > THUMBNAIL:
        picture.thumbnail((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode("ascii")


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
        largest = np.abs(kernel).max() or 1.0
        images.append(np.round(127.5 + 127.5 * kernel / largest).astype(np.uint8))
    return images
