"""How long several pictures, or the frames of one, will take, and how much memory they need: told
before the first is drawn.

Seconds are counted by pixels from a small picture, memory as stylize.py does.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import minidl
from apps.shared.warm_up import warm_up
from apps.style.fast.moving import gif_megabytes, is_moving, open_moving
from apps.style.fast.stylize import Look, needed_megabytes
from apps.style.needs import Estimate
from minidl.errors import MinidlError
from minidl.nn import Module

PROBE = 256  # pixels of the side of the picture that is measured


@dataclass
class Work:
    """What a file asks for.

    Args:
        frames: how many, 1 for a picture.
        size: (H, W) in which they are drawn.
        kept: megabytes of frames that are kept until all are drawn.
    """

    frames: int
    size: tuple[int, int]
    kept: float = 0.0


def announce(
    files: list[tuple[str, Path]], net: Module, look: Look, note: Callable[[str], None]
) -> None:
    """Tell about how long it will take and how much memory; of a single picture nothing.

    Args:
        files: (what is read, what is written) of each.
        net: that draws.
        look: how.
        note: is told a line.
    """
    works = [work for source, target in files if (work := work_of(source, target, look))]
    frames = sum(work.frames for work in works)
    if frames > 1:
        what = "frames" if len(works) == 1 else "pictures and frames"
        note(f"{frames:,} {what}: {forecast(works, net, note)}")


def forecast(works: list[Work], net: Module, note: Callable[[str], None]) -> Estimate:
    """Seconds and megabytes of files.

    Args:
        works: at least one.
        net: that draws.
        note: is told where compiling takes long.
    """
    x = minidl.full((1, 3, PROBE, PROBE), 127.5)

    def draw() -> None:
        with minidl.no_grad():
            net(x)

    warm_up(draw, note)
    begin = time.perf_counter()
    draw()
    per_pixel = (time.perf_counter() - begin) / PROBE**2
    pixels = sum(work.frames * work.size[0] * work.size[1] for work in works)
    megabytes = max(needed_megabytes(net, work.size) + work.kept for work in works)
    return Estimate(per_pixel * pixels, megabytes)


def work_of(source: str, target: Path, look: Look) -> Work | None:
    """What a file asks for, by its first bytes; None of stdin, and of what cannot be read: that is
    told when its turn comes."""
    from PIL import Image

    path = Path(source)
    try:
        if is_moving(path):
            moving = open_moving(path)
            size = look.drawn_size(moving.size)
            kept = gif_megabytes(moving, size) if target.suffix.lower() == ".gif" else 0.0
            return Work(max(moving.count, 1), size, kept)
        with Image.open(path) as picture:
            return Work(1, look.drawn_size((picture.height, picture.width)))
    except (MinidlError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return None
