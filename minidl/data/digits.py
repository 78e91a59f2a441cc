"""Handwritten digits that come with scikit-learn: data for the first run, without a download.

E. Alpaydin, C. Kaynak 1998, "Optical recognition of handwritten digits" (UCI): 1,797 digits. The
authors scanned 32x32 bitmaps and kept, for each 4x4 block, how many of its 16 pixels are ink:
8x8 numbers from 0 to 16. LeNet-5 takes 32x32 pixels, of which the ink fills at most 20x20, so
that an end of a stroke can appear in the center of the receptive field of the highest-level
feature detectors (LeCun et al. 1998, section II.B). So the 8x8 numbers become 20x20 smooth grey
pixels by bilinear interpolation, with 6 black pixels around them.
"""

from __future__ import annotations

import numpy as np

from minidl.data.dataset import ArrayDataset
from minidl.errors import ArgumentError

SIZE = 32
CLASSES = [str(digit) for digit in range(10)]


def load_digits(split: str = "train", padding: int = 6) -> ArrayDataset:
    """The digits as (32, 32, 1) pictures, bright strokes on black.

    Within each class, every fifth digit in the file's order is for testing: 1,442 to train on and
    355 to test on, each class in proportion. The same writers occur in both parts.

    Args:
        split: "train" or "test".
        padding: width of the black border in pixels, 0 to 12; the digit is scaled to the rest.

    >>> minidl.data.load_digits("test")
    ArrayDataset(355 images, 32x32x1, 10 classes)
    """
    check_split("load_digits", split)
    if not isinstance(padding, int | np.integer) or not 0 <= padding <= 12:
        raise ArgumentError("load_digits", "padding is an int from 0 to 12", {"padding": padding})
    from sklearn.datasets import load_digits as sklearn_digits

    source = sklearn_digits()
    labels = source.target.astype(np.int64)
    in_test = np.zeros(len(labels), bool)
    for label in range(10):
        in_test[np.flatnonzero(labels == label)[4::5]] = True
    chosen = np.flatnonzero(in_test == (split == "test"))
    images = np.stack([enlarge(source.images[i], int(padding)) for i in chosen])
    return ArrayDataset(images, labels[chosen], CLASSES, [f"digit {i}" for i in chosen])


def enlarge(blocks: np.ndarray, padding: int) -> np.ndarray:
    """An 8x8 picture with values 0 to 16 as uint8 (32, 32, 1)."""
    from PIL import Image

    inner = SIZE - 2 * padding
    picture = Image.fromarray(blocks.astype(np.float32))
    smooth = picture.resize((inner, inner), Image.Resampling.BILINEAR)
    pixels = np.rint(np.asarray(smooth) * (255 / 16))
    image = np.zeros((SIZE, SIZE, 1), np.uint8)
    image[padding : padding + inner, padding : padding + inner, 0] = pixels
    return image


def check_split(op: str, split: str) -> None:
    """split is "train" or "test".

    Raises:
        ArgumentError
    """
    if split not in ("train", "test"):
        raise ArgumentError(op, 'split is "train" or "test"', {"split": split})
