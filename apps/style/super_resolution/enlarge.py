"""From the options of `minidl style super-resolution` to the file it writes."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.options import OptionError, check_values
from apps.shared.output_file import OutputFile
from apps.shared.photo import Photo
from apps.style.optimize.estimate import ALLOWED, free_megabytes
from apps.style.super_resolution.patches import resized
from apps.style.super_resolution.settings import Settings
from apps.style.texture.progress import Progress, about
from minidl.data.pictures import is_picture

BY_EXAMPLES = (
    "examples", "most_examples", "candidates", "agreement", "back_projection", "seed",
)  # fmt: skip


def checked(given: dict[str, Any]) -> Settings:
    """The settings that were typed, with folders of examples as their files.

    Raises:
        OptionError: a value is out of range, or belongs to another method or network.
        CheckpointError: there is no such network.
    """
    settings = Settings(**given)
    check_values(settings)
    for name in BY_EXAMPLES:
        if settings.method != "mrf" and name in given:
            raise OptionError(f"--{name.replace('_', '-')} belongs to --method mrf", {})
    if (settings.method == "fast") != (settings.model is not None):
        raise OptionError(
            "--method fast needs a --model, and mrf has none",
            {"--method": settings.method, "--model": settings.model},
        )
    if settings.model is not None:
        settings.scale = scale_of(settings.model, given.get("scale"))
    settings.examples = [file for path in settings.examples for file in picture_files(path)]
    return settings


def scale_of(model: str, typed: int | None) -> int:
    """That of a network.

    Raises:
        CheckpointError: there is no such network.
        OptionError: another one was typed.
    """
    from apps.style.super_resolution import fast

    scale = fast.scale_of(model)
    if typed not in (None, scale):
        raise OptionError(f"the network enlarges by {scale}", {"--scale": typed}, "leave it out")
    return scale


def picture_files(path: str) -> list[str]:
    """The file itself, or the pictures in a folder, by name.

    Raises:
        OptionError: the folder has none.
    """
    if not Path(path).is_dir():
        return [path]
    found = sorted(str(file) for file in Path(path).iterdir() if is_picture(file.name))
    if not found:
        raise OptionError("the folder holds no pictures", {"--examples": path})
    return found


def enlarge(
    image: str, settings: Settings, output: OutputFile, test: bool, note: Callable[[str], None]
) -> dict[str, Any]:
    """Enlarge a picture, and write it.

    Args:
        image: the file.
        settings: from checked.
        output: checked.
        test: whether to shrink the picture first, and to compare.
        note: called with lines about what is going on.

    Returns:
        the figures of --json.

    Raises:
        DataError, OptionError, CheckpointError: a file cannot be read, does not fit, or cannot be
            written.
    """
    photo, scale = Photo.read(image), settings.scale
    truth = None
    if test:
        truth, photo = shrunk(photo, scale)
    start = time.perf_counter()
    if settings.model is not None:
        from apps.style.super_resolution.fast import enlarged as fast_enlarged

        made = fast_enlarged(photo, settings.model)
    else:
        made = by_examples(photo, settings, note)
    seconds = time.perf_counter() - start
    output.write(made.encoded(output.path.suffix))
    found: dict[str, Any] = {
        "output": str(output.path), "size": made.size, "seconds": round(seconds, 3),
        "method": settings.method,
    }  # fmt: skip
    if truth is not None:
        found["psnr"] = psnr(made.pixels, truth.pixels)
        found["psnr_cubic"] = psnr(cubic(photo.pixels, truth.size), truth.pixels)
    return found


def by_examples(photo: Photo, settings: Settings, note: Callable[[str], None]) -> Photo:
    """The method mrf, with what is known before it begins."""
    from apps.style.super_resolution import mrf

    height, width = (settings.scale * side for side in photo.size)
    light = mrf.light_of(photo.pixels)
    pictures = mrf.example_pictures(settings.examples, light)
    megabytes = mrf.needed_megabytes(photo.size, pictures, settings)
    check_memory(photo, megabytes)
    examples = mrf.gather(pictures, settings.most_examples, np.random.default_rng(settings.seed))
    patches = mrf.count_places(photo.size, settings.scale)
    seconds = mrf.expected_seconds(light, examples, settings)
    note(
        f"{width}x{height} pixels of {patches:,} patches, {len(examples.middle):,} examples: "
        f"{about(seconds)} and {megabytes:,.0f} MB"
    )
    with Progress("patches", note) as progress:
        pixels = mrf.enlarged(photo.pixels, examples, settings, progress.show)
    return Photo(pixels).with_alpha_of(photo)


def shrunk(photo: Photo, scale: int) -> tuple[Photo, Photo]:
    """The picture, cut to a multiple of the scale, and a small version of it."""
    height, width = (side // scale for side in photo.size)
    if min(height, width) < 1:
        raise OptionError(
            "the picture is too small to be shrunk", {"image": f"{photo.width}x{photo.height}"}
        )
    cut = Photo(photo.pixels[: height * scale, : width * scale])
    return cut, Photo(cubic(cut.pixels, (height, width)))


def cubic(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W, 3) at another size by cubic interpolation, in 0..1."""
    planes = [resized(plane, size) for plane in np.moveaxis(pixels, 2, 0)]
    return np.clip(np.stack(planes, axis=2), 0, 1)


def psnr(a: np.ndarray, b: np.ndarray) -> float:
    """Peak signal-to-noise ratio of pictures in 0..1, in dB: 10 log10(1 / mean squared error)."""
    error = float(((a.astype(np.float64) - b) ** 2).mean())
    return float(-10 * np.log10(error)) if error else float("inf")


def check_memory(photo: Photo, megabytes: float) -> None:
    """Whether there is that much memory.

    Raises:
        OptionError: there is not.
    """
    free = free_megabytes()
    if free is not None and megabytes > ALLOWED * free:
        raise OptionError(
            "to enlarge this picture by these examples needs more memory than there is",
            {"image": f"{photo.width}x{photo.height}", "needed": f"{megabytes:,.0f} MB",
             "free": f"{free:,.0f} MB"},
            "a smaller picture, smaller --examples, fewer --candidates or --most-examples",
        )  # fmt: skip
