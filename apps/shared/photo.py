"""A picture as people have it, for every application that changes pictures.

Whatever a file holds becomes red, green and blue as float32 from 0 to 1, and its transparency:

    EXIF orientation         turned as the camera says
    colour profile           converted to sRGB, which files without a profile are taken for
    grey, palettes, CMYK     converted to RGB
    16 bits per channel      grey keeps all of them, colour the upper 8, as Pillow reads it
    transparency             apart from the colours, and written again where the format has it
    animations               the first picture

Networks see a Tensor (1, 3, H, W) from 0 to 255: `Photo.tensor` and `Photo.from_tensor`.
"""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from minidl.data.files import read_file
from minidl.data.pictures import decode_with
from minidl.device import to_device
from minidl.errors import ArgumentError, DataError
from minidl.io.atomic import as_path, write_atomically
from minidl.tensor import Tensor

# Ending -> Pillow's format, and whether it has transparency.
FORMATS = {
    ".png": ("PNG", True), ".jpg": ("JPEG", False), ".jpeg": ("JPEG", False),
    ".webp": ("WEBP", True), ".tif": ("TIFF", True), ".tiff": ("TIFF", True),
    ".bmp": ("BMP", False),
}  # fmt: skip
QUALITY = 92  # of JPEG and WebP
Content = bytes  # of a file; Photo.bytes are pixels


@dataclass
class Photo:
    """A picture in memory.

    >>> import numpy as np
    >>> from apps.shared.photo import Photo
    >>> Photo(np.ones((60, 90, 3), np.float32)).fitted(30).size
    (20, 30)

    Args:
        pixels: float32 (H, W, 3), red, green, blue from 0 to 1.
        alpha: float32 (H, W) from 0 (transparent) to 1, None for a picture without transparency.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None

    # --- in ---------------------------------------------------------------------------------

    @classmethod
    def read(cls, path: str | Path) -> Photo:
        """The picture in a file: JPEG, PNG, BMP, GIF, TIFF, WebP or PPM, recognised by content.

        Raises:
            DataError: no such file, no picture, a damaged one, or more than 89 million pixels.
        """
        return cls.decode(read_file(as_path("read_picture", "path", path), "read_picture"), path)

    @classmethod
    def decode(cls, content: bytes, file: str | Path) -> Photo:
        """The picture in the content of a file, which `file` names in errors."""
        return cls(*decode_with(partial(to_arrays, file=str(file)), content, str(file)))

    @classmethod
    def from_tensor(cls, x: Tensor, alpha: np.ndarray | None = None) -> Photo:
        """The picture in a Tensor (1, 3, H, W) of values from 0 to 255; others are clipped."""
        rows = to_device(x.data, "cpu")[0].transpose(1, 2, 0)
        return cls(np.clip(rows / np.float32(255), 0, 1).astype(np.float32), alpha)

    # --- what it is ---------------------------------------------------------------------------

    @property
    def height(self) -> int:
        return self.pixels.shape[0]

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def size(self) -> tuple[int, int]:
        """Height and width, in the order of arrays."""
        return self.height, self.width

    @property
    def bytes(self) -> np.ndarray:
        """The colours as uint8 (H, W, 3), rounded."""
        return to_bytes(self.pixels)

    def tensor(self) -> Tensor:
        """The colours as a Tensor (1, 3, H, W) from 0 to 255, channels last in memory."""
        return Tensor(self.pixels[None].transpose(0, 3, 1, 2) * np.float32(255))

    # --- changed ------------------------------------------------------------------------------

    def resized(self, height: int, width: int) -> Photo:
        """Height by width pixels, by Lanczos' filter, in float32. Transparent pixels lend the
        others no colour."""
        if (height, width) == self.size:
            return self
        if self.alpha is None:
            return Photo(resample(self.pixels, height, width))
        alpha = resample(self.alpha[..., None], height, width)
        weighted = resample(self.pixels * self.alpha[..., None], height, width, clip=False)
        plain = resample(self.pixels, height, width)
        colours = np.where(alpha > 1e-3, weighted / np.maximum(alpha, 1e-3), plain)
        return Photo(np.clip(colours, 0, 1).astype(np.float32), alpha[..., 0])

    def fitted(self, side: int) -> Photo:
        """The longer side `side` pixels long; the other keeps the proportions."""
        return self.resized(*fitted_size(self.size, side))

    def over_white(self) -> Photo:
        """Without transparency: laid over white."""
        if self.alpha is None:
            return self
        alpha = self.alpha[..., None]
        return Photo(self.pixels * alpha + (1 - alpha))

    def with_alpha_of(self, other: Photo) -> Photo:
        """The same colours with the transparency of another picture, brought to this one's size."""
        if other.alpha is None:
            return replace(self, alpha=None)
        return replace(self, alpha=resample(other.alpha[..., None], *self.size)[..., 0])

    # --- out ----------------------------------------------------------------------------------

    def encoded(self, ending: str, quality: int = QUALITY) -> Content:
        """The content of a file with this ending; without transparency where the format has none.

        Raises:
            ArgumentError: no format has this ending.
        """
        name, has_alpha = picture_format(ending)
        photo = self if has_alpha else self.over_white()
        pixels = photo.bytes
        if photo.alpha is not None:
            pixels = np.dstack([pixels, to_bytes(photo.alpha)])
        from PIL import Image

        stream, options = io.BytesIO(), {}
        if name in ("JPEG", "WEBP"):
            options = {"quality": quality}
        if name == "JPEG":
            options |= {"subsampling": 0 if quality >= 90 else 2}  # "optimize" fails on noise
        Image.fromarray(pixels).save(stream, format=name, **options)
        return stream.getvalue()

    def save(self, path: str | Path, op: str = "save", quality: int = QUALITY) -> None:
        """Write a file, whole or not at all, in the format of its ending.

        Args:
            path: of the file.
            op: who writes, for errors.
            quality: of JPEG and WebP, 1 to 95.

        Raises:
            ArgumentError: no format has this ending.
            CheckpointError: the file cannot be written.
        """
        write_atomically(path, self.encoded(Path(path).suffix, quality), op)


def picture_format(ending: str, op: str = "save") -> tuple[str, bool]:
    """Pillow's name of the format with this ending, and whether it has transparency.

    Raises:
        ArgumentError: no format has it.
    """
    if ending.lower() not in FORMATS:
        known = ", ".join(FORMATS)
        raise ArgumentError(op, f"a picture is a file that ends in {known}", {"ending": ending})
    return FORMATS[ending.lower()]


def size_text(size: tuple[int, int]) -> str:
    """(height, width) as people write it: "64x48", width before height."""
    return f"{size[1]}x{size[0]}"


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1, in dB: 10 log10(1 / mean squared error);
    infinite where they are the same."""
    error = float(((a.astype(np.float64) - b) ** 2).mean())
    return float(-10 * np.log10(error)) if error else float("inf")


def fitted_size(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Height and width of a picture whose longer side becomes `side`."""
    scale = side / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


# --- from Pillow --------------------------------------------------------------------------------


def to_arrays(picture: Any, file: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and transparency of an upright Pillow image, as in Photo; `file` is for errors."""
    mode = picture.mode
    if mode == "F":
        raise DataError(
            "read_picture", "the pixels are floating-point numbers of unknown range",
            {"file": file}, "save it with 8 or 16 bits per channel",
        )  # fmt: skip
    if mode.startswith("I"):  # 16 bits; Pillow also calls them "I"
        grey = np.clip(np.asarray(picture), 0, 65535).astype(np.float32) / np.float32(65535)
        return np.repeat(grey[..., None], 3, axis=2), None
    alpha = None
    if mode in ("LA", "La", "PA", "RGBA", "RGBa") or "transparency" in picture.info:
        profile = picture.info.get("icc_profile")
        picture = picture.convert("RGBA")
        alpha = np.asarray(picture.getchannel("A"), np.float32) / np.float32(255)
        picture = picture.convert("RGB")
        picture.info["icc_profile"] = profile
    colours = np.asarray(in_srgb(picture), np.float32) / np.float32(255)
    return colours, None if alpha is None or alpha.min() == 1 else alpha


def in_srgb(picture: Any) -> Any:
    """An RGB image in sRGB. A profile that is damaged, or of other colours, is passed over."""
    profile = picture.info.get("icc_profile")
    if picture.mode in ("P", "1"):
        picture = picture.convert("RGB")
    if profile:
        from PIL import ImageCms

        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            found = ImageCms.profileToProfile(
                picture, source, ImageCms.createProfile("sRGB"), outputMode="RGB"
            )
            return picture.convert("RGB") if found is None else found
        except (ImageCms.PyCMSError, ImportError, OSError, TypeError, ValueError):
            pass
    return picture.convert("RGB")


def resample(pixels: np.ndarray, height: int, width: int, clip: bool = True) -> np.ndarray:
    """Float32 (H, W, C) as (height, width, C), by Lanczos' filter, which is a mean where it
    shrinks; its overshoots are clipped to 0..1."""
    from PIL import Image

    channels = [
        Image.fromarray(np.ascontiguousarray(pixels[..., c], np.float32))
        .resize((width, height), Image.Resampling.LANCZOS)
        for c in range(pixels.shape[2])
    ]  # fmt: skip
    stacked = np.stack([np.asarray(channel, np.float32) for channel in channels], axis=2)
    return np.clip(stacked, 0, 1) if clip else stacked


def to_bytes(values: np.ndarray) -> np.ndarray:
    return np.round(np.clip(values, 0, 1) * 255).astype(np.uint8)
