"""The pictures of a run, at any size: content, styles, masks, what it begins with, its colours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo, fitted_size
from apps.style.colors import filled, grey_like, luma_of, matched, with_luma_of
from apps.style.fingerprint import fingerprint
from apps.style.gatys.settings import SIZE, Settings
from apps.style.optimize.watch import grey_spots, has_grey_spots

Size = tuple[int, int]


@dataclass
class Region:
    """A part of the picture and where its style comes from.

    Args:
        style: number of the style.
        weight: how much its loss counts.
        content_mask: float32 (H, W) of 0..1, as large as the content; None for all of it.
        style_mask: the same of the style.
    """

    style: int
    weight: float
    content_mask: np.ndarray | None = None
    style_mask: np.ndarray | None = None


class Pictures:
    """Everything that is read from files.

    Args:
        settings: of the run.

    Attributes:
        size: height and width of the finished picture.
        content, styles: as the network sees them, their own size.
        regions: at least one.
        fingerprint: of all that was read.

    Raises:
        DataError: a file is no picture.
        OptionError: a mask does not fit its picture, or there are more masks than styles.
    """

    def __init__(self, settings: Settings):
        self.settings = settings
        self.original = Photo.read(settings.content)
        self.content = filled(self.original)
        self.styles = [Photo.read(path).over_white() for path in settings.styles]
        side = settings.size or min(SIZE, max(self.content.size))
        self.size = fitted_size(self.content.size, side)
        self.style_side = settings.style_size or side
        self.regions = read_regions(settings, self.content, self.styles)
        if settings.colors == "luma":
            self.styles = [grey_like(style, self.content) for style in self.styles]
            self.content = luma_of(self.content)
        elif settings.colors == "match":
            self.styles = [matched(style, self.content) for style in self.styles]
        started = settings.init not in ("content", "noise")
        self.start = self.read_start(settings.init) if started else None
        self.fingerprint = fingerprint(self.original, *self.styles, self.start, *self.masks())

    def read_start(self, path: str) -> Photo:
        """The picture to begin with.

        Raises:
            OptionError: it has other proportions than the content.
        """
        start = Photo.read(path).over_white()
        side = min(max(start.size), max(self.content.size))
        sizes = [fitted_size(size, side) for size in (start.size, self.content.size)]
        if any(abs(a - b) > 1 for a, b in zip(*sizes)):
            raise OptionError(
                "the picture to begin with has the proportions of the content",
                {"--init": path, "pixels": f"{start.width}x{start.height}",
                 "content": f"{self.content.width}x{self.content.height}"},
                "cut it to them, or --init content",
            )  # fmt: skip
        return start

    def masks(self) -> list[Photo]:
        """All masks as pictures."""
        found = [m for r in self.regions for m in (r.content_mask, r.style_mask) if m is not None]
        return [Photo(mask[..., None]) for mask in found]

    def content_at(self, size: Size) -> Photo:
        return self.content.resized(*size)

    def style_at(self, number: int, size: Size) -> Photo:
        """A style for a picture of some size: smaller where the picture is smaller, too."""
        side = max(1, round(self.style_side * max(size) / max(self.size)))
        return self.styles[number].fitted(side)

    def has_grey_style(self) -> bool:
        """Whether parts of a style are flat and grey, so that those of the picture may be, too. It
        is looked at no larger than SIZE, as nobody knows yet whether there is memory for more."""
        size = fitted_size(self.size, min(SIZE, max(self.size)))
        return any(
            has_grey_spots(grey_spots(self.style_at(k, size).tensor().data))
            for k in range(len(self.styles))
        )

    def mask_at(self, size: Size) -> np.ndarray | None:
        """Where the picture changes, (H, W) of 0..1; None where all of it does."""
        masks = [r.content_mask for r in self.regions if r.content_mask is not None]
        if not masks:  # all regions have one, or none has
            return None
        return resized_mask(np.max(np.stack(masks), axis=0), size)

    def start_at(self, size: Size, rng: np.random.Generator) -> Any:
        """The first picture, (1, 3, H, W) of 0..255."""
        noise = rng.uniform(0, 255, (1, *size, 3)).astype(np.float32).transpose(0, 3, 1, 2)
        if self.settings.init == "noise":
            return self.outside_kept(noise, size)
        begin = self.content if self.start is None else self.start
        share = np.float32(self.settings.noise_blend)
        first = begin.resized(*size).tensor().data
        return self.outside_kept((1 - share) * first + share * noise, size)

    def outside_kept(self, x: Any, size: Size) -> Any:
        """The content wherever no mask is."""
        mask = self.mask_at(size)
        if mask is None:
            return x
        return np.where(mask > 0, x, self.content_at(size).tensor().data)

    def finished(self, made: Photo) -> Photo:
        """The result: the content's colours where asked, its own pixels outside of all masks, its
        transparency."""
        original = self.original.resized(*made.size)
        if self.settings.colors == "luma":
            made = with_luma_of(original, made)
        mask = self.mask_at(made.size)
        if mask is not None:
            share = mask[..., None]
            made = Photo(made.pixels * share + original.pixels * (1 - share))
        return made.with_alpha_of(self.original)


def read_regions(settings: Settings, content: Photo, styles: list[Photo]) -> list[Region]:
    """One region for each mask, or one for each style that is the whole picture."""
    weights, masks = settings.weights_of_styles(), settings.masks
    if not masks:
        return [Region(k, weight) for k, weight in enumerate(weights)]
    if len(styles) not in (1, len(masks)):
        raise OptionError(
            "--mask comes once for each style", {"--mask": len(masks), "styles": len(styles)},
            "or any number of times with one style",
        )  # fmt: skip
    regions, areas = [], []
    for number, (of_content, of_style) in enumerate(masks):
        style = number if len(styles) > 1 else 0
        mask = read_mask(of_content, content.size, "content")
        areas.append(float(mask.mean()))
        region = Region(style, 1.0, mask)
        if of_style:
            region.style_mask = read_mask(of_style, styles[style].size, "style")
        regions.append(region)
    # Every pixel is to feel its style alike, however large its region is.
    for region, area in zip(regions, areas):
        region.weight = area / sum(areas) * (weights[region.style] * len(styles))
    return regions


def read_mask(path: str, size: Size, of: str) -> np.ndarray:
    """A mask, float32 (H, W), white as 1.

    Raises:
        OptionError: it is of another size than its picture, or black everywhere.
    """
    photo = Photo.read(path).over_white()
    if photo.size != size:
        raise OptionError(
            f"a mask is as large as its {of} picture",
            {"--mask": path, "pixels": f"{photo.width}x{photo.height}",
             f"{of} picture": f"{size[1]}x{size[0]}"},
        )  # fmt: skip
    mask = photo.pixels.mean(axis=2)
    if mask.max() < 0.5:
        raise OptionError("the mask has no white part", {"--mask": path})
    return mask


def resized_mask(mask: np.ndarray | None, size: Size) -> np.ndarray | None:
    """A mask of another size, by the mean over each new pixel. What was 0 around it stays 0.
    None, all of a picture, stays None."""
    from PIL import Image

    if mask is None or mask.shape == size:
        return mask
    picture = Image.fromarray(np.ascontiguousarray(mask, np.float32))
    return np.asarray(picture.resize((size[1], size[0]), Image.Resampling.BOX), np.float32)
