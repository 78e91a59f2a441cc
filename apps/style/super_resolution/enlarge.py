"""From the options of `minidl style super-resolution` to the files it writes."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.options import OptionError, check_values, to_dict
from apps.shared.photo import Photo, psnr, size_text
from apps.style.fingerprint import fingerprint
from apps.style.interrupt import Interrupt
from apps.style.needs import Estimate, check_memory
from apps.style.progress import Counted
from apps.style.resume import Order, RunFiles
from apps.style.settings import check_used
from apps.style.stepwise import StepRun
from apps.style.super_resolution.patches import resized
from apps.style.super_resolution.settings import Settings
from minidl.data.pictures import is_picture

OP = "super-resolution"
FILES = ("examples", "model")  # settings that name files
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
    if settings.candidates == 1:
        check_used(settings, given, {"agreement": "--candidates 1"})
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


@dataclass
class Enlarged:
    """What a method made.

    Args:
        photo: the larger picture.
        seconds: that it took.
        run: its steps; None of a network, which has none.
        interrupted: whether Ctrl-C ended it.
    """

    photo: Photo
    seconds: float
    run: StepRun | None = None
    interrupted: bool = False


def enlarge(image: str, order: Order, test: bool) -> dict[str, Any]:
    """Enlarge a picture; write it and its report.

    Args:
        image: the file.
        order: what was asked for.
        test: whether to shrink the picture first, and to compare.

    Returns:
        the figures of --json.

    Raises:
        DataError, OptionError, CheckpointError: a file cannot be read, does not fit, or cannot be
            written.
    """
    from apps.style.super_resolution.report import write_report

    settings = checked(order.given)
    if settings.method == "fast" and order.resume:
        raise OptionError("--resume belongs to --method mrf: a network draws in one pass", {})
    files = RunFiles(order, OP)
    photo, truth = Photo.read(image), None
    if test:
        truth, photo = shrunk(photo, settings.scale)
    if settings.model is not None:
        made = by_network(photo, settings.model)
    else:
        made = by_examples(photo, settings, files)
    files.output.write(made.photo.encoded(files.output.path.suffix))
    plain = Photo(cubic(photo.pixels, made.photo.size))
    found: dict[str, Any] = {
        "output": str(files.output.path), "report": str(files.report), "size": made.photo.size,
        "seconds": round(made.seconds, 3), "method": settings.method,
        "interrupted": made.interrupted,
    }  # fmt: skip
    if truth is not None:
        found["psnr"] = psnr(made.photo.pixels, truth.pixels)
        found["psnr_cubic"] = psnr(plain.pixels, truth.pixels)
    write_report(files.report, photo, plain, made, truth, found, to_dict(settings), order.command)
    if not made.interrupted:
        files.forget()
    return found


def by_network(photo: Photo, model: str) -> Enlarged:
    """The method fast."""
    from apps.style.super_resolution.fast import enlarged

    start = time.perf_counter()
    return Enlarged(enlarged(photo, model), time.perf_counter() - start)


def by_examples(photo: Photo, settings: Settings, files: RunFiles) -> Enlarged:
    """The method mrf, with what is known before it begins."""
    from apps.style.super_resolution import examples, mrf

    light = examples.light_of(photo.pixels)
    pictures = examples.example_pictures(settings.examples, light)
    megabytes = mrf.needed_megabytes(photo.size, pictures, settings)
    check_memory(
        megabytes, "to enlarge this picture by these examples needs more memory than there is",
        {"image": size_text(photo.size)},
        lambda share: "a smaller picture, smaller --examples, fewer --candidates or "
        "--most-examples",
    )  # fmt: skip
    pairs = examples.gather(pictures, settings.most_examples, np.random.default_rng(settings.seed))
    enlargement = mrf.Enlargement(photo.pixels, pairs, settings)
    run = StepRun(enlargement, files.state, identity_of(photo, pictures, settings))
    if files.saved is not None:
        run.load(files.saved)
    note, left = files.order.note, enlargement.total - enlargement.done
    seconds = mrf.expected_seconds(light, pairs, settings) * left / enlargement.total
    note(
        f"{size_text(enlargement.size)} pixels of {enlargement.total:,} patches, "
        f"{len(pairs.middle):,} examples: {Estimate(seconds, megabytes)}"
    )
    with Interrupt(note) as interrupt, Counted("patches", note) as progress:
        finished = run.go(progress.show, lambda: interrupt.asked)
    made = Photo(enlargement.picture()).with_alpha_of(photo)
    return Enlarged(made, run.seconds, run, not finished)


def identity_of(photo: Photo, pictures: list[np.ndarray], settings: Settings) -> dict[str, Any]:
    """What a state must belong to: options, and what files hold rather than their names."""
    options = {name: value for name, value in to_dict(settings).items() if name not in FILES}
    read = fingerprint(photo, *(Photo(picture[..., None]) for picture in pictures))
    return options | {"fingerprint": read}


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
