"""Moving pictures: animated GIFs through Pillow, videos through imageio-ffmpeg (the extra `video`).

A network that sees each frame for itself flickers: a pixel that hardly changes in the video may
well change in the drawing. So a drawn frame is blended with the one drawn before, where the video
stays the same:

    drawn[t] = (1 - w) net(frame[t]) + w drawn[t - 1]
    w        = smooth exp(-(d / TOLERANCE)^2)

with d the distance of the two frames at the pixel, in the mean over its neighbourhood. Where
something moves, w is 0 and nothing is smeared.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo
from minidl.data.pictures import to_eight_bits
from minidl.errors import CheckpointError, DataError
from minidl.io.atomic import write_atomically

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
TOLERANCE = 0.04  # of the range of a colour: noise of the camera is below, movement above
AROUND = 4  # pixels to each side that belong to a neighbourhood


@dataclass
class Moving:
    """A moving picture, frame by frame.

    Args:
        frames: makes the iterator over uint8 (H, W, 3) frames.
        size: (H, W).
        count: how many frames, about; 0 where it is not known.
        seconds: how long each frame is shown: a list for a GIF; for a video one number.
        loop: how often a GIF repeats, None for a video.
    """

    frames: Callable[[], Iterator[np.ndarray]]
    count: int
    seconds: Any
    loop: int | None = None


class Smoother:
    """Drawn frames with those before, as the module's text says.

    Args:
        smooth: the most that the frame before counts, from 0 (not at all) to below 1.
    """

    def __init__(self, smooth: float):
        self.smooth = np.float32(smooth)
        self.frame: np.ndarray | None = None
        self.drawn: np.ndarray | None = None

    def __call__(self, frame: np.ndarray, drawn: np.ndarray) -> np.ndarray:
        """The drawn frame, blended; both float32 (H, W, 3) from 0 to 1."""
        if self.frame is not None and self.smooth > 0:
            weight = self.smooth * np.exp(-np.square(self.change(frame) / TOLERANCE))
            drawn = drawn + weight[..., None] * (self.drawn - drawn)
        self.frame, self.drawn = frame, drawn
        return drawn

    def change(self, frame: np.ndarray) -> np.ndarray:
        """(H, W): how far a frame's neighbourhood of each pixel is from the frame before's."""
        return box_mean(np.abs(frame - self.frame).mean(axis=2), AROUND)


def box_mean(values: np.ndarray, around: int) -> np.ndarray:
    """The mean over (2 around + 1)^2 pixels; edges are repeated."""
    for axis in (0, 1):
        widths = [(0, 0), (0, 0)]
        widths[axis] = around + 1, around
        sums = np.cumsum(np.pad(values, widths, "edge"), axis=axis, dtype=np.float64)
        span = 2 * around + 1
        values = np.take(sums, range(span, sums.shape[axis]), axis) - np.take(
            sums, range(sums.shape[axis] - span), axis
        )
        values = values / span
    return values.astype(np.float32)


# --- files --------------------------------------------------------------------------------------


def is_moving(path: Path) -> bool:
    """Whether a file is a video by its name, or a GIF or WebP of several pictures."""
    if path.suffix.lower() in VIDEOS:
        return True
    if path.suffix.lower() not in (".gif", ".webp"):
        return False
    from PIL import Image

    try:
        with Image.open(path) as picture:
            return getattr(picture, "n_frames", 1) > 1
    except OSError:
        return False  # whoever reads it as a picture says what is wrong


def open_moving(path: Path) -> Moving:
    """The frames of a file.

    Raises:
        DataError: it cannot be read.
        OptionError: a video, and imageio-ffmpeg is not installed.
    """
    return open_video(path) if path.suffix.lower() in VIDEOS else open_animation(path)


def open_animation(path: Path) -> Moving:
    from PIL import Image, ImageSequence

    def frames() -> Iterator[np.ndarray]:
        with Image.open(path) as picture:
            for frame in ImageSequence.Iterator(picture):
                yield np.asarray(to_eight_bits(frame).convert("RGB"))

    try:
        with Image.open(path) as picture:
            durations = [
                frame.info.get("duration", 100) / 1000 for frame in ImageSequence.Iterator(picture)
            ]
            loop = picture.info.get("loop", 0)
    except (OSError, SyntaxError, ValueError) as error:
        raise DataError("read_video", f"damaged ({error})", {"file": str(path)}) from None
    return Moving(frames, len(durations), durations, loop)


def open_video(path: Path) -> Moving:
    ffmpeg = imageio_ffmpeg()
    try:
        reader = ffmpeg.read_frames(str(path))
        about = next(reader)
        reader.close()
    except (OSError, RuntimeError, StopIteration, KeyError) as error:
        what = str(error).strip().splitlines()[-1] if str(error).strip() else "no frames"
        raise DataError(
            "read_video", f"ffmpeg cannot read it: {what}", {"file": str(path)}
        ) from None
    width, height = about["size"]
    rate = about["fps"] or 25.0

    def frames() -> Iterator[np.ndarray]:
        reader = ffmpeg.read_frames(str(path))
        next(reader)
        for content in reader:
            yield np.frombuffer(content, np.uint8).reshape(height, width, 3)

    return Moving(frames, round(about.get("duration", 0) * rate), 1 / rate)


def imageio_ffmpeg() -> Any:
    """The package that brings ffmpeg.

    Raises:
        OptionError: it is not installed.
    """
    try:
        import imageio_ffmpeg as found
    except ImportError:
        raise OptionError(
            "videos need the package imageio-ffmpeg", {}, "pip install 'minidl[video]'"
        ) from None
    return found


def write_moving(path: Path, drawn: Iterator[np.ndarray], of: Moving) -> None:
    """Write uint8 (H, W, 3) frames to a file, whole or not at all; its ending says the kind.

    Raises:
        OptionError: no such kind.
        CheckpointError: the file cannot be written.
    """
    if path.suffix.lower() in VIDEOS:
        write_video(path, drawn, of)
    elif path.suffix.lower() == ".gif":
        write_animation(path, drawn, of)
    else:
        known = ", ".join((".gif", *VIDEOS))
        raise OptionError(
            f"a moving picture is a file that ends in {known}", {"--output": str(path)}
        )


def write_animation(path: Path, drawn: Iterator[np.ndarray], of: Moving) -> None:
    from PIL import Image

    pictures = [Image.fromarray(frame).quantize(256, dither=Image.Dither.NONE) for frame in drawn]
    seconds = of.seconds if isinstance(of.seconds, list) else [of.seconds] * len(pictures)
    stream = io.BytesIO()
    pictures[0].save(
        stream, format="GIF", save_all=True, append_images=pictures[1:], loop=of.loop or 0,
        duration=[round(1000 * s) for s in seconds[: len(pictures)]], disposal=2,
    )  # fmt: skip
    write_atomically(path, stream.getvalue(), "write_video")


def write_video(path: Path, drawn: Iterator[np.ndarray], of: Moving) -> None:
    """ffmpeg writes beside the file, which takes the name when it is whole."""
    ffmpeg = imageio_ffmpeg()
    mean = of.seconds if not isinstance(of.seconds, list) else sum(of.seconds) / len(of.seconds)
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    writer = None
    try:
        for frame in drawn:
            # Most codecs want even sizes: the last row or column is repeated.
            height, width = frame.shape[:2]
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                writer = ffmpeg.write_frames(
                    str(partial), size, fps=1 / mean, quality=8, macro_block_size=1
                )
                writer.send(None)
            writer.send(np.ascontiguousarray(frame))
        if writer is None:
            raise DataError("read_video", "there are no frames in it", {"output": str(path)})
        writer.close()
        partial.replace(path)
    except OSError as error:
        raise CheckpointError(
            "write_video", f"cannot write ({error.strerror or error})", {"path": str(path)}
        ) from None
    finally:
        if writer is not None:
            writer.close()
        partial.unlink(missing_ok=True)


def through(
    moving: Moving, draw: Callable[[Photo], Photo], size: int | None, smooth: float,
    seen: Callable[[int], None],
) -> Iterator[np.ndarray]:  # fmt: skip
    """The frames of a moving picture, drawn and smoothed, as uint8.

    Args:
        moving: whose frames.
        draw: what is done with each.
        size: pixels that the longer side is brought to first; None for as they are.
        smooth: as of Smoother.
        seen: is told the number of each frame that is finished.
    """
    smoother = Smoother(smooth)
    for number, frame in enumerate(moving.frames(), 1):
        photo = Photo(frame.astype(np.float32) / np.float32(255))
        photo = photo if size is None else photo.fitted(size)
        yield Photo(smoother(photo.pixels, draw(photo).pixels)).bytes
        seen(number)
