"""Transforms that move or cover pixels: resize, crop, pad, flip, erase. All on bytes (H, W, C)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.data.transform import Transform, check_bytes, check_probability, need_rng
from minidl.errors import ArgumentError, ShapeError, nearest
from minidl.shapes import check_size, pair

FILTERS = ("nearest", "box", "bilinear", "hamming", "bicubic", "lanczos")


class Resize(Transform):
    """Scale to a size.

    Args:
        size: pixels of the shorter side, the ratio of the sides being kept; or an exact
            (height, width).
        filter: how Pillow computes a pixel: "nearest", "box", "bilinear", "hamming", "bicubic" or
            "lanczos". All but nearest average over the source pixels when they scale down.

    >>> image = minidl.zeros(30, 60, 3, dtype="uint8").data
    >>> minidl.data.transforms.Resize(15)(image).shape
    (15, 30, 3)
    """

    arguments = ("size", "filter")

    def __init__(self, size: int | tuple[int, int], filter: str = "bilinear"):
        exact = pair("Resize", "size", size, minimum=1)
        self.size = int(size) if isinstance(size, int | np.integer) else exact
        self.filter = check_filter("Resize", filter)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("Resize", image)
        H, W = image.shape[:2]
        size = self.size
        if isinstance(size, int):  # the shorter side exactly, the longer one rounded
            shorter = min(H, W)
            size = (max(1, round(H * size / shorter)), max(1, round(W * size / shorter)))
        return resample(image, size, self.filter)


class CenterCrop(Transform):
    """The middle of the image; where it is smaller than the crop, black is added around it.

    Args:
        size: pixels, one int or (height, width).

    >>> image = minidl.zeros(30, 60, 3, dtype="uint8").data
    >>> minidl.data.transforms.CenterCrop((20, 70))(image).shape
    (20, 70, 3)
    """

    arguments = ("size",)

    def __init__(self, size: int | tuple[int, int]):
        self.size = pair("CenterCrop", "size", size, minimum=1)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("CenterCrop", image)
        h, w = self.size
        image = pad_to(image, h, w)
        top, left = (image.shape[0] - h) // 2, (image.shape[1] - w) // 2
        return image[top : top + h, left : left + w]


class RandomCrop(Transform):
    """A window of the image, every position equally probable.

    With padding=4 on 32x32 pictures it is the augmentation of He et al. 2015, section 4.2.

    Args:
        size: pixels, one int or (height, width).
        padding: black rows and columns added on each side first; one int or (height, width).

    Raises:
        ShapeError: the padded image is smaller than the window.

    >>> minidl.data.transforms.RandomCrop(32, padding=4).config()
    {'name': 'RandomCrop', 'size': [32, 32], 'padding': [4, 4]}
    """

    arguments = ("size", "padding")
    random = True

    def __init__(self, size: int | tuple[int, int], padding: int | tuple[int, int] = 0):
        self.size = pair("RandomCrop", "size", size, minimum=1)
        self.padding = pair("RandomCrop", "padding", padding)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("RandomCrop", image)
        (h, w), (ph, pw) = self.size, self.padding
        image = pad_with(image, (ph, ph), (pw, pw), 0)
        rows, columns = image.shape[0] - h + 1, image.shape[1] - w + 1
        if rows < 1 or columns < 1:
            raise ShapeError(
                "RandomCrop", f"the window of {h}x{w} is larger than the padded image",
                {"padded image": image.shape}, "put Resize() before it, or add padding",
            )  # fmt: skip
        rng = need_rng("RandomCrop", rng)
        top, left = int(rng.integers(rows)), int(rng.integers(columns))
        return image[top : top + h, left : left + w]


class RandomResizedCrop(Transform):
    """A window of random area and shape, scaled to one size.

    Szegedy et al. 2014 ("Going deeper with convolutions"), section 6: an area evenly distributed
    between 8 % and 100 % of the image, a ratio of the sides between 3/4 and 4/3 (evenly in its
    logarithm, as PyTorch draws it). When ten draws do not fit into the image, the largest
    centered window of an allowed ratio is taken.

    Args:
        size: pixels of the result, one int or (height, width).
        scale: smallest and largest share of the area.
        ratio: smallest and largest width / height.
        filter: as in Resize.

    >>> minidl.data.transforms.RandomResizedCrop(224).config()["scale"]
    [0.08, 1.0]
    """

    arguments = ("size", "scale", "ratio", "filter")
    random = True

    def __init__(
        self,
        size: int | tuple[int, int],
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        filter: str = "bilinear",
    ):
        self.size = pair("RandomResizedCrop", "size", size, minimum=1)
        self.scale = interval("RandomResizedCrop", "scale", scale, 1)
        self.ratio = interval("RandomResizedCrop", "ratio", ratio, math.inf)
        self.filter = check_filter("RandomResizedCrop", filter)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("RandomResizedCrop", image)
        window = self.draw(*image.shape[:2], need_rng("RandomResizedCrop", rng))
        return resample(image, self.size, self.filter, window)

    def draw(self, H: int, W: int, rng: np.random.Generator) -> tuple[int, int, int, int]:
        """A window (top, left, height, width) of an H x W image."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(10):
            area = H * W * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(low, high))
            w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < w <= W and 0 < h <= H:
                return int(rng.integers(H - h + 1)), int(rng.integers(W - w + 1)), h, w
        ratio = min(max(W / H, self.ratio[0]), self.ratio[1])
        h, w = min(H, max(1, round(W / ratio))), min(W, max(1, round(H * ratio)))
        return (H - h) // 2, (W - w) // 2, h, w


class RandomHorizontalFlip(Transform):
    """Exchange left and right with probability p.

    Args:
        p: probability, 0 to 1.

    >>> minidl.data.transforms.RandomHorizontalFlip()
    RandomHorizontalFlip(p=0.5)
    """

    arguments = ("p",)
    random = True

    def __init__(self, p: float = 0.5):
        self.p = check_probability("RandomHorizontalFlip", p)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("RandomHorizontalFlip", image)
        return image[:, ::-1] if need_rng("RandomHorizontalFlip", rng).random() < self.p else image


class Pad(Transform):
    """Rows and columns of one value on each side.

    Args:
        padding: pixels added on each side; one int or (height, width).
        fill: their value, 0 (black) to 255.

    >>> image = minidl.zeros(28, 28, 1, dtype="uint8").data
    >>> minidl.data.transforms.Pad(2)(image).shape
    (32, 32, 1)
    """

    arguments = ("padding", "fill")

    def __init__(self, padding: int | tuple[int, int], fill: int = 0):
        self.padding = pair("Pad", "padding", padding)
        if not is_byte(fill):
            raise ArgumentError("Pad", "fill is an int from 0 to 255", {"fill": fill})
        self.fill = fill

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("Pad", image)
        ph, pw = self.padding
        return pad_with(image, (ph, ph), (pw, pw), self.fill)


class RandomErasing(Transform):
    """With probability p, cover a rectangle of random area, shape and place with one colour.

    Zhong et al. 2020 ("Random erasing data augmentation"), algorithm 1, with torchvision's
    defaults. A network then cannot do with one part of a thing alone. When ten draws do not fit
    into the image, it stays as it is.

    Args:
        p: probability, 0 to 1.
        scale: smallest and largest share of the area.
        ratio: smallest and largest height / width; evenly in its logarithm.
        fill: the colour, 0 to 255: one int, or one for each channel. The mean of the data, which
            Normalize makes 0, tells the network least.

    >>> T = minidl.data.transforms
    >>> cover = T.RandomErasing(1.0, scale=(0.25, 0.25), ratio=(1, 1), fill=9)
    >>> image = cover(minidl.zeros(8, 8, 1, dtype="uint8").data, np.random.default_rng(0))
    >>> int((image == 9).sum())
    16
    """

    arguments = ("p", "scale", "ratio", "fill")
    random = True

    def __init__(
        self,
        p: float = 0.5,
        scale: tuple[float, float] = (0.02, 0.33),
        ratio: tuple[float, float] = (0.3, 3.3),
        fill: int | Sequence[int] = 0,
    ):
        self.p = check_probability("RandomErasing", p)
        self.scale = interval("RandomErasing", "scale", scale, 1)
        self.ratio = interval("RandomErasing", "ratio", ratio, math.inf)
        colours = [fill] if isinstance(fill, int) else fill
        if not isinstance(colours, Sequence) or not colours or not all(map(is_byte, colours)):
            raise ArgumentError(
                "RandomErasing", "fill is an int from 0 to 255, or one for each channel",
                {"fill": fill},
            )  # fmt: skip
        self.fill = fill if isinstance(fill, int) else list(fill)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("RandomErasing", image)
        if isinstance(self.fill, list) and len(self.fill) not in (1, image.shape[2]):
            raise ShapeError(
                "RandomErasing",
                f"fill has {len(self.fill)} colours, the image {image.shape[2]} channels",
                {"image": image},
            )
        rng = need_rng("RandomErasing", rng)
        window = self.draw(*image.shape[:2], rng) if rng.random() < self.p else None
        if window is None:
            return image
        top, left, h, w = window
        image = image.copy()
        image[top : top + h, left : left + w] = self.fill
        return image

    def draw(self, H: int, W: int, rng: np.random.Generator) -> tuple[int, int, int, int] | None:
        """A rectangle (top, left, height, width) of an H x W image."""
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        for _ in range(10):
            area = H * W * rng.uniform(*self.scale)
            ratio = math.exp(rng.uniform(low, high))
            h, w = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
            if 0 < h <= H and 0 < w <= W:
                return int(rng.integers(H - h + 1)), int(rng.integers(W - w + 1)), h, w
        return None


def is_byte(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= 255


def resample(image: np.ndarray, size: tuple, filter: str, window: tuple | None = None):
    """An image, or a window (top, left, height, width) of it, scaled to (height, width)."""
    from PIL import Image

    if window is not None:
        top, left, h, w = window
        image = image[top : top + h, left : left + w]
    if image.shape[:2] == size:
        return image
    check_size("Resize", (*size, image.shape[2]), image.dtype, {"image": image})
    grey = image.shape[2] == 1
    picture = Image.fromarray(np.ascontiguousarray(image[:, :, 0] if grey else image))
    scaled = np.asarray(picture.resize(size[::-1], Image.Resampling[filter.upper()]))
    return scaled[:, :, None] if grey else scaled


def pad_to(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """The image in the middle of black that makes it at least height x width."""
    rows, columns = max(0, height - image.shape[0]), max(0, width - image.shape[1])
    return pad_with(image, (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), 0)


def pad_with(image: np.ndarray, rows: tuple, columns: tuple, fill: int) -> np.ndarray:
    """The image with (above, below) rows and (left, right) columns of one value."""
    (above, below), (left, right) = rows, columns
    if above == below == left == right == 0:
        return image
    H, W, C = image.shape
    shape = above + H + below, left + W + right, C
    check_size("Pad", shape, image.dtype, {"image": image})
    padded = np.full(shape, fill, np.uint8)
    padded[above : above + H, left : left + W] = image  # np.pad is ten times slower
    return padded


def check_filter(op: str, filter: Any) -> str:
    """The name of one of Pillow's filters.

    Raises:
        ArgumentError: names the nearest.
    """
    if filter not in FILTERS:
        raise ArgumentError(op, "no such filter", {"filter": filter}, nearest(filter, FILTERS))
    return filter


def interval(op: str, name: str, value: Any, largest: float) -> tuple[float, float]:
    """(low, high) with 0 < low <= high <= largest, as floats.

    Raises:
        ArgumentError
    """
    try:
        low, high = (float(number) for number in value)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (0 < low <= high <= largest and math.isfinite(high)):
        limit = "" if largest == math.inf else f" <= {largest:g}"
        raise ArgumentError(op, f"{name} is a pair 0 < low <= high{limit}", {name: value})
    return low, high
