"""Moving pictures: animated GIFs through Pillow, videos through imageio-ffmpeg (the extra `video`).

Times: a GIF counts in hundredths of a second. A video has one rate: of a GIF's frames, each is
written as often as its time asks for, so those times stay, too.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from apps.shared.options import OptionError
from apps.shared.photo import Photo, to_bytes
from apps.style.fast.smoothing import Smoother
from apps.style.fast.stylize import SMOOTH, Look
from apps.style.needs import check_memory
from minidl.errors import CheckpointError, DataError
from minidl.io.atomic import write_atomically

VIDEOS = (".mp4", ".mov", ".mkv", ".webm", ".avi", ".m4v")
TIMELESS = 0.1  # seconds of a frame whose time is 0, as browsers show it
GIF_BYTES = 3  # of memory for a pixel of each frame until a GIF is written


@dataclass
class Moving:
    """A moving picture, frame by frame.

    Args:
        frames: makes the iterator over uint8 (H, W, 3) frames, (H, W, 4) where one is transparent.
        size: (H, W).
        count: how many frames, about; 0 where it is not known.
        seconds: how long each frame is shown: a list for a GIF; for a video one number.
        loop: how often a GIF of it is shown again, 0 for ever; None for once.
    """

    frames: Callable[[], Iterator[np.ndarray]]
    size: tuple[int, int]
    count: int
    seconds: list[float] | float
    loop: int | None = 0

    def times(self, count: int) -> list[float]:
        """How long each of the first `count` frames is shown, in seconds."""
        return self.seconds[:count] if isinstance(self.seconds, list) else [self.seconds] * count


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
        try:
            with Image.open(path) as picture:
                for frame in ImageSequence.Iterator(picture):
                    pixels = np.asarray(frame.convert("RGBA"))
                    yield pixels[..., :3] if (pixels[..., 3] == 255).all() else pixels
        except (OSError, SyntaxError, ValueError) as error:
            raise damaged(path, error) from None

    try:
        with Image.open(path) as picture:
            size = picture.height, picture.width
            durations = [
                frame.info.get("duration", 100) / 1000 for frame in ImageSequence.Iterator(picture)
            ]
            loop = picture.info.get("loop")
    except (OSError, SyntaxError, ValueError) as error:
        raise damaged(path, error) from None
    return Moving(frames, size, len(durations), durations, loop)


def damaged(path: Path, error: Exception) -> DataError:
    return DataError("read_video", f"damaged ({error})", {"file": str(path)})


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
        try:
            reader = ffmpeg.read_frames(str(path))
            next(reader)
            for content in reader:
                yield np.frombuffer(content, np.uint8).reshape(height, width, 3)
        except (OSError, RuntimeError) as error:
            raise damaged(path, error) from None

    return Moving(frames, (height, width), round(about.get("duration", 0) * rate), 1 / rate)


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
    """Write frames to a file, whole or not at all.

    Args:
        path: ends in .gif or one of VIDEOS, which says the kind.
        drawn: uint8 (H, W, 3), or (H, W, 4) with transparency, which a video shows over white.
        of: whose frames they are.

    Raises:
        CheckpointError: the file cannot be written.
        DataError: a frame cannot be read, or there is none.
    """
    write = write_video if path.suffix.lower() in VIDEOS else write_animation
    write(path, drawn, of)


def gif_megabytes(moving: Moving, size: tuple[int, int]) -> float:
    """Memory that the frames need until a GIF of this size is written."""
    return GIF_BYTES * moving.count * size[0] * size[1] / 1e6


def check_gif(moving: Moving, size: tuple[int, int]) -> None:
    """All frames of a GIF fit into memory at once.

    Raises:
        OptionError
    """
    check_memory(
        gif_megabytes(moving, size), "a GIF of so many frames needs more memory than there is",
        {"frames": moving.count},
        lambda share: "a video, -o OUT.mp4, is written frame by frame; or a smaller --size",
    )  # fmt: skip


def write_animation(path: Path, drawn: Iterator[np.ndarray], of: Moving) -> None:
    pictures = [with_palette(frame) for frame in drawn]
    if not pictures:
        raise DataError("read_video", "there are no frames in it", {"output": str(path)})
    ends = [round(100 * end) for end in np.cumsum([0.0, *of.times(len(pictures))])]
    loop = {} if of.loop is None else {"loop": of.loop}
    stream = io.BytesIO()
    pictures[0].save(
        stream, format="GIF", save_all=True, append_images=pictures[1:], disposal=2,
        duration=[10 * (end - begin) for begin, end in zip(ends, ends[1:])], **loop,
    )  # fmt: skip
    write_atomically(path, stream.getvalue(), "write_video")


def with_palette(frame: np.ndarray) -> Any:
    """A frame as a Pillow image of 256 colours; one of them is transparency, if it has any."""
    from PIL import Image

    picture = Image.fromarray(np.ascontiguousarray(frame[..., :3]))
    if frame.shape[2] == 3:
        return picture.quantize(256, dither=Image.Dither.NONE)
    picture = picture.quantize(255, dither=Image.Dither.NONE)
    numbers = np.where(frame[..., 3] < 128, 255, np.asarray(picture)).astype(np.uint8)
    found = Image.fromarray(numbers).copy()
    found.putpalette(((picture.getpalette() or []) + [0] * 768)[:768])
    found.info["transparency"] = 255
    return found


def write_video(path: Path, drawn: Iterator[np.ndarray], of: Moving) -> None:
    """ffmpeg writes beside the file, which takes the name when it is whole."""
    ffmpeg = imageio_ffmpeg()
    drawn, rate = at_one_rate(drawn, of)
    partial = path.with_name(f".{path.stem}.part{path.suffix}")
    writer = None
    try:
        for frame in drawn:
            # Most codecs want even sizes: the last row or column is repeated.
            frame = over_white(frame)
            height, width = frame.shape[:2]
            frame = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), "edge")
            if writer is None:
                size = frame.shape[1], frame.shape[0]
                writer = ffmpeg.write_frames(
                    str(partial), size, fps=rate, quality=8, macro_block_size=1
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


def at_one_rate(drawn: Iterator[np.ndarray], of: Moving) -> tuple[Iterator[np.ndarray], float]:
    """Frames for a video, each as often as its time asks for; and how many there are a second."""
    if not isinstance(of.seconds, list):
        return drawn, 1 / of.seconds
    hundredths = [max(1, round(100 * (seconds or TIMELESS))) for seconds in of.seconds]
    unit = math.gcd(*hundredths)
    repeated = (one for one, n in zip(drawn, hundredths) for _ in range(n // unit))
    return repeated, 100 / unit


def over_white(frame: np.ndarray) -> np.ndarray:
    """A frame without transparency."""
    if frame.shape[2] == 3:
        return frame
    return Photo(*parts_of(frame)).over_white().bytes


def parts_of(frame: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and transparency of a frame, as in Photo."""
    values = frame.astype(np.float32) / np.float32(255)
    return values[..., :3], values[..., 3] if frame.shape[2] == 4 else None


def through(
    moving: Moving, draw: Callable[[Photo], Photo], look: Look, seen: Callable[[int], None]
) -> Iterator[np.ndarray]:
    """The frames of a moving picture, drawn and smoothed, as uint8; transparency stays.

    Args:
        moving: whose frames.
        draw: what is done with each.
        look: their size, and how they are smoothed.
        seen: is told the number of each frame that is finished.
    """
    smoother = Smoother(SMOOTH if look.smooth is None else look.smooth)
    for number, frame in enumerate(moving.frames(), 1):
        photo = look.fitted(Photo(*parts_of(frame)))
        plain = photo.over_white()
        pixels = Photo(smoother(plain.pixels, draw(plain).pixels)).bytes
        if photo.alpha is not None:
            pixels = np.dstack([pixels, to_bytes(photo.alpha)])
        yield pixels
        seen(number)
