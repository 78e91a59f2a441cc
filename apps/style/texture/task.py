"""What is to be synthesised: samples, masks, hole and guides, read and compared with each other."""

from __future__ import annotations

import math
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo
from apps.style.colors import LUMA
from apps.style.stepwise import StepRun
from apps.style.texture.efros_leung import EfrosLeung
from apps.style.texture.material import Material, stack
from apps.style.texture.memory import check_size
from apps.style.texture.quilting import Quilting
from apps.style.texture.settings import Settings

DEFAULT_SIZE = (256, 256)
TextureRun = StepRun[EfrosLeung | Quilting]
LIGHT = LUMA.astype(np.float32)


@dataclass
class Task:
    """Everything that a synthesis is made from.

    Attributes:
        samples: the photos.
        material: of their pixels.
        size: (H, W) of the picture.
        guide: (H, W, G), or None.
        source: (H, W), where the pixels come from that are there already, or None.
        alpha: the picture's transparency, or None.
        megabytes: of memory that the synthesis takes, about.
    """

    samples: list[Photo]
    material: Material
    size: tuple[int, int]
    guide: np.ndarray | None = None
    source: np.ndarray | None = None
    alpha: np.ndarray | None = None
    megabytes: float = 0.0

    def synthesis(self, settings: Settings, window: int) -> EfrosLeung | Quilting:
        """The picture, ready for its first step."""
        common = (self.material, self.size, window, settings.seed, settings.tileable, self.guide)
        if settings.method == "quilting":
            return Quilting(*common, passes=settings.passes if self.guide is not None else 1)
        return EfrosLeung(*common, settings.guide_weight, self.source)

    def photo(self, synthesis: EfrosLeung | Quilting) -> Photo:
        """The picture as far as it is; what is missing is transparent."""
        image = synthesis.canvas.image
        pixels = np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image.copy()
        filled = synthesis.canvas.source >= 0
        if filled.all():
            return Photo(pixels, self.alpha)
        alpha = filled.astype(np.float32)
        return Photo(pixels, alpha if self.alpha is None else alpha * self.alpha)

    def fingerprint(self) -> int:
        """Of everything that was read: a resumed run must have read the same."""
        material = self.material
        found = zlib.crc32(str((self.size, material.colours, material.planes.shape)).encode())
        arrays = (
            material.planes, material.known, material.copied, material.tops, self.guide,
            self.source, self.alpha,
        )  # fmt: skip
        for array in arrays:
            if array is not None:
                found = zlib.crc32(np.ascontiguousarray(array).data.cast("B"), found)
        return found


def read_task(files: Sequence[str], settings: Settings) -> Task:
    """Read samples, masks and guides.

    Raises:
        DataError: one cannot be read.
        OptionError: they do not fit each other.
    """
    samples = [Photo.read(file) for file in files]
    masks = [Photo.read(file) for file in settings.copy_mask]
    if len(masks) > len(samples):
        raise OptionError(
            "there are more masks than samples",
            {"--copy-mask": settings.copy_mask, "samples": files},
        )
    copied: list[np.ndarray | None] = [
        white(mask, sample, "--copy-mask") for mask, sample in zip(masks, samples)
    ]
    copied += [None] * (len(samples) - len(masks))
    hole = read_hole(settings.hole, samples[0])
    known = [None if photo.alpha is None else photo.alpha >= 0.5 for photo in samples]
    if hole is not None:
        known[0] = ~hole if known[0] is None else ~hole & known[0]
    megabytes = check_read(settings, samples)
    guides, guide = read_guides(settings, samples, [both(*pair) for pair in zip(known, copied)])
    size = size_of(settings.size) or (DEFAULT_SIZE if guide is None else guide.shape[:2])
    source = None
    if hole is not None:
        size = samples[0].size
    if guide is not None and guide.shape[:2] != size:
        raise OptionError(
            "the map of the picture has another size than the picture",
            {"map": guide.shape[:2], "picture": size},
        )
    material = stack(colours_of(samples), guides, known, copied)
    alpha = None
    if hole is not None:
        numbers = np.arange(size[0])[:, None] * material.planes.shape[2] + np.arange(size[1])
        source = np.where(hole, -1, numbers)
        alpha = None if samples[0].alpha is None else np.where(hole, 1, samples[0].alpha)
        alpha = None if alpha is None or alpha.min() == 1 else alpha.astype(np.float32)
    check_sizes(settings, samples, size, hole)
    return Task(samples, material, size, guide, source, alpha, megabytes)


def size_of(option: list[int]) -> tuple[int, int] | None:
    """(H, W) of --size; None where it was not typed."""
    return (option[0], option[1]) if option else None


def check_read(settings: Settings, samples: list[Photo]) -> float:
    """Whether what the settings ask for fits into memory, before anything large is made.

    Raises:
        OptionError: it does not.
    """
    size = size_of(settings.size) or (samples[0].size if settings.hole else DEFAULT_SIZE)
    if settings.guide and not settings.size:
        size = max(size, Photo.read(guide_files(settings.guide)[-1]).size, key=math.prod)
    planes = 6 if settings.guide else 3
    planes += 3 if settings.guide and settings.method == "quilting" else 0
    sizes = [photo.size for photo in samples]
    return check_size(size, sizes, planes, max(settings.window))


def colours_of(samples: list[Photo]) -> list[np.ndarray]:
    """Each (H, W, 3), or (H, W, 1) where all that can be seen is grey: a third of the work."""
    if all((np.ptp(seen(photo), axis=1) == 0).all() for photo in samples):
        return [photo.pixels[..., :1] for photo in samples]
    return [photo.pixels for photo in samples]


def seen(photo: Photo) -> np.ndarray:
    """(N, 3): the pixels that are not wholly transparent."""
    visible = np.ones(photo.size, bool) if photo.alpha is None else photo.alpha > 0
    return photo.pixels[visible]


def check_sizes(
    settings: Settings, samples: list[Photo], size: tuple[int, int], hole: np.ndarray | None
) -> None:
    """The window fits into a sample, and a patch into a tile."""
    largest = max(settings.window)
    fits = max(min(photo.size) for photo in samples)
    to_do = hole is None or hole.any()
    if to_do and largest > fits:
        raise OptionError(
            "the window is larger than the samples",
            {"--window": largest, "smaller side of the largest sample": fits},
            "a smaller --window, or a larger sample",
        )
    if settings.method == "quilting" and settings.tileable and largest > min(size):
        raise OptionError(
            "a tile is at least as large as a patch", {"--window": largest, "--size": min(size)}
        )


# --- masks and guides ---------------------------------------------------------------------------


def both(mask: np.ndarray | None, other: np.ndarray | None) -> np.ndarray | None:
    """(H, W), bool: what is in both; None for a mask is everything."""
    if mask is None or other is None:
        return other if mask is None else mask
    return mask & other


def white(mask: Photo, photo: Photo, flag: str) -> np.ndarray:
    """(H, W), bool: the white part of a mask."""
    if mask.size != photo.size:
        raise OptionError(
            f"the picture of {flag} has another size than its sample",
            {flag: f"{mask.width}x{mask.height}", "sample": f"{photo.width}x{photo.height}"},
        )
    return mask.pixels @ LIGHT > 0.5


def read_hole(hole: str | None, photo: Photo) -> np.ndarray | None:
    """(H, W), bool: what is to be filled; None if the picture is to be made anew."""
    if hole is None:
        return None
    if hole != "alpha":
        return white(Photo.read(hole), photo, "--hole")
    if photo.alpha is None:
        raise OptionError(
            "the first sample has no transparency, so no hole", {"--hole": hole},
            "a PNG with an alpha channel, or --hole MASK",
        )  # fmt: skip
    return photo.alpha < 0.5


def read_guides(
    settings: Settings, samples: list[Photo], usable: Sequence[np.ndarray | None]
) -> tuple[list[np.ndarray], np.ndarray | None]:
    """The map of each sample and that of the picture; [] and None where there are none.

    Args:
        settings, samples: of the task.
        usable: for each sample (H, W), bool: its pixels that may be copied; None for all.
    """
    if settings.guide is None:
        return [], None
    *files, last = guide_files(settings.guide)
    maps, target = [Photo.read(file) for file in files], Photo.read(last)
    if not maps:
        return transfer_guides(samples, target, settings.size, usable)
    if len(maps) != len(samples):
        raise OptionError(
            "--guide has a map for each sample, and one for the picture",
            {"--guide": settings.guide, "samples": len(samples)},
            "as in --guide SAMPLE_MAP:MAP",
        )
    for one, photo in zip(maps, samples):
        if one.size != photo.size:
            raise OptionError(
                "a map of --guide has another size than its sample",
                {"map": f"{one.width}x{one.height}", "sample": f"{photo.width}x{photo.height}"},
            )
    return [one.pixels for one in maps], nearest(target.pixels, settings.size)


def guide_files(text: str) -> list[str]:
    """The files of --guide; one whose name has a colon is still one."""
    files = [text] if os.path.exists(text) else text.split(":")
    if not all(files):
        raise OptionError(
            "--guide is the name of a picture, or several with a colon between two",
            {"--guide": text}, "as in --guide MAP or --guide SAMPLE_MAP:MAP",
        )  # fmt: skip
    return files


def transfer_guides(
    samples: list[Photo],
    target: Photo,
    size: list[int],
    usable: Sequence[np.ndarray | None] = (),
) -> tuple[list[np.ndarray], np.ndarray]:
    """Light and shade: those of the target brought to the mean and contrast of the samples' pixels
    that may be copied."""
    target = target.over_white()
    if size:
        target = target.resized(*size)
    lights = [photo.pixels @ LIGHT for photo in samples]
    masks = [None] * len(lights) if not usable else usable
    everything = np.concatenate(
        [light.ravel() if mask is None else light[mask] for light, mask in zip(lights, masks)]
    )
    if not everything.size:
        raise OptionError("no pixel of the samples may be copied", {"samples": len(samples)})
    wanted = target.pixels @ LIGHT
    contrast = everything.std() / max(float(wanted.std()), 1e-6)
    wanted = (wanted - wanted.mean()) * contrast + everything.mean()
    return [light[..., None] for light in lights], wanted[..., None].astype(np.float32)


def nearest(pixels: np.ndarray, size: list[int]) -> np.ndarray:
    """A map of labels at another size: each pixel one of the map's."""
    if not size:
        return pixels
    rows, columns = (
        ((np.arange(n) + 0.5) * old / n).astype(int) for n, old in zip(size, pixels.shape)
    )
    return pixels[np.ix_(rows, columns)]
