"""Transforms that change colours: greyscale, RGB, colour jitter, PCA lighting."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.data.transform import Transform, check_bytes, check_floats, need_rng
from minidl.errors import ArgumentError, ShapeError

LUMA = np.array([0.299, 0.587, 0.114], np.float32)  # ITU-R BT.601, as Pillow and PyTorch

# Principal components of the colours of ImageNet's training pictures (values 0 to 1), as
# published with Torch's ResNet training code: variances along the components, and the
# components as columns.
IMAGENET_EIGENVALUES = (0.2175, 0.0188, 0.0045)
IMAGENET_EIGENVECTORS = (
    (-0.5675, 0.7192, 0.4009),
    (-0.5808, -0.0045, -0.8140),
    (-0.5836, -0.6948, 0.4203),
)


class Grayscale(Transform):
    """One channel: 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601). Grey stays as it is.

    >>> image = minidl.full((1, 1, 3), 200, dtype="uint8").data
    >>> minidl.data.transforms.Grayscale()(image)
    array([[[200]]], dtype=uint8)
    """

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("Grayscale", image)
        if image.shape[2] == 1:
            return image
        return to_bytes(luma(image.astype(np.float32)))


class ToRGB(Transform):
    """Three channels: grey is repeated. Colour stays as it is.

    >>> minidl.data.transforms.ToRGB()(minidl.full((1, 1, 1), 9, dtype="uint8").data)
    array([[[9, 9, 9]]], dtype=uint8)
    """

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("ToRGB", image)
        return image if image.shape[2] == 3 else np.repeat(image, 3, axis=2)


class ColorJitter(Transform):
    """Random brightness, contrast, saturation and hue, in random order, as PyTorch's.

        brightness   f x                              f uniform in max(0, 1 - b) .. 1 + b
        contrast     f x + (1 - f) mean of the luma
        saturation   f x + (1 - f) luma of the pixel  (grey pictures stay as they are)
        hue          angle + f turns                  f uniform in -hue .. hue

    A value stays between 0 and 255, rounded at the end of each step.

    Args:
        brightness: b, >= 0; 0 leaves it alone.
        contrast: likewise.
        saturation: likewise.
        hue: largest turn of the colour circle, 0 to 0.5.

    >>> T = minidl.data.transforms
    >>> T.ColorJitter(brightness=0.4).config()["brightness"]
    0.4
    """  # fmt: skip

    arguments = ("brightness", "contrast", "saturation", "hue")
    random = True

    def __init__(
        self,
        brightness: float = 0.0,
        contrast: float = 0.0,
        saturation: float = 0.0,
        hue: float = 0.0,
    ):
        self.brightness = amount("brightness", brightness)
        self.contrast = amount("contrast", contrast)
        self.saturation = amount("saturation", saturation)
        self.hue = amount("hue", hue, largest=0.5)

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_bytes("ColorJitter", image)
        rng = need_rng("ColorJitter", rng)
        for step in rng.permutation(4):
            if step == 3:
                if self.hue:
                    image = turn_hue(image, rng.uniform(-self.hue, self.hue))
                continue
            strength = (self.brightness, self.contrast, self.saturation)[step]
            if strength:
                factor = rng.uniform(max(0.0, 1 - strength), 1 + strength)
                image = (scale_brightness, scale_contrast, scale_saturation)[step](image, factor)
        return image


class PCALighting(Transform):
    """Add a random multiple of the principal components of colours, on floats.

        x[c] += sum_i components[c, i] a[i] variances[i]        a[i] normal(0, std)

    Krizhevsky et al. 2012, section 4.1 (there the values run to 255 and one draw of a holds for
    one use of a picture, as here). Comes after ToFloat and before Normalize.

    Args:
        std: standard deviation of a; the paper has 0.1.
        variances: three eigenvalues of the colours' covariance; ImageNet's by default.
        components: its eigenvectors, a column for each eigenvalue, rows red, green, blue.

    >>> minidl.data.transforms.PCALighting(0.1).config()["variances"]
    [0.2175, 0.0188, 0.0045]
    """  # fmt: skip

    arguments = ("std", "variances", "components")
    random = True

    def __init__(
        self,
        std: float = 0.1,
        variances: Sequence[float] = IMAGENET_EIGENVALUES,
        components: Sequence[Sequence[float]] = IMAGENET_EIGENVECTORS,
    ):
        self.std = amount("std", std, op="PCALighting")
        try:
            self.variances = np.array(variances, np.float64)
            self.components = np.array(components, np.float64)
        except (TypeError, ValueError):
            self.variances = self.components = np.zeros(0)
        if self.variances.shape != (3,) or self.components.shape != (3, 3):
            raise ArgumentError(
                "PCALighting", "variances are 3 numbers, components 3x3",
                {"variances": variances, "components": components},
            )  # fmt: skip

    def __call__(self, image: np.ndarray, rng: np.random.Generator | None = None) -> np.ndarray:
        check_floats("PCALighting", image)
        if len(image) != 3:
            raise ShapeError(
                "PCALighting", "expects three channels", {"image": image}, "put ToRGB() before"
            )
        a = need_rng("PCALighting", rng).normal(0, self.std, 3)
        shift = self.components @ (a * self.variances)
        return image + shift.astype(np.float32)[:, None, None]


def luma(image: np.ndarray) -> np.ndarray:
    """Brightness (H, W, 1) of a float image (H, W, C)."""
    return image if image.shape[2] == 1 else (image @ LUMA)[:, :, None]


def to_bytes(image: np.ndarray) -> np.ndarray:
    """Rounded, clipped to 0..255, uint8."""
    return np.clip(np.rint(image), 0, 255).astype(np.uint8)


def scale_brightness(image: np.ndarray, factor: float) -> np.ndarray:
    return to_bytes(image * np.float32(factor))


def scale_contrast(image: np.ndarray, factor: float) -> np.ndarray:
    floats = image.astype(np.float32)
    mean = luma(floats).mean()
    return to_bytes(mean + np.float32(factor) * (floats - mean))


def scale_saturation(image: np.ndarray, factor: float) -> np.ndarray:
    floats = image.astype(np.float32)
    grey = luma(floats)
    return to_bytes(grey + np.float32(factor) * (floats - grey))


def turn_hue(image: np.ndarray, turns: float) -> np.ndarray:
    """Turn the hue by a share of the colour circle. Grey has no hue."""
    if image.shape[2] == 1:
        return image
    from PIL import Image

    hsv = np.array(Image.fromarray(np.ascontiguousarray(image)).convert("HSV"))
    hsv[:, :, 0] += np.uint8(round(turns * 256) % 256)  # Pillow's circle has 256 steps; wraps
    size = (image.shape[1], image.shape[0])
    return np.asarray(Image.frombytes("HSV", size, hsv.tobytes()).convert("RGB"))


def amount(name: str, value: Any, largest: float = float("inf"), op: str = "ColorJitter") -> float:
    """A finite number from 0 to `largest`.

    Raises:
        ArgumentError
    """
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not 0 <= value <= largest or not np.isfinite(value):
        limit = "" if largest == float("inf") else f" to {largest:g}"
        rule = f"{name} is a number {'>= 0' if not limit else 'from 0' + limit}"
        raise ArgumentError(op, rule, {name: value})
    return float(value)
