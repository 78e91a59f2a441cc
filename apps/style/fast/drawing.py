"""`minidl style fast`: which files are read, where each goes, and drawing them one by one."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.shared.console import Console
from apps.shared.options import OptionError
from apps.shared.output_file import PICTURES, OutputFile, check_free
from apps.shared.photo import Photo
from apps.shared.run_folder import check_writable
from apps.shared.trained_transform import load_fast
from apps.style.fast.forecast import announce
from apps.style.fast.moving import (
    VIDEOS,
    check_gif,
    is_moving,
    open_moving,
    through,
    write_moving,
)
from apps.style.fast.stylize import Look, stylized
from minidl.data.pictures import is_picture
from minidl.errors import MinidlError
from minidl.io.atomic import reason
from minidl.nn import Module

STDIN = "-"


@dataclass
class Job:
    """A file to be drawn.

    Args:
        source: its path, or "-".
        target: the file to write.
    """

    source: str
    target: Path


def draw_all(
    model: str, images: list[str], output: str, overwrite: bool, look: Look, console: Console
) -> dict[str, Any]:
    """Draw pictures and moving pictures; the arguments are those of the command.

    Returns:
        what --json prints.

    Raises:
        OptionError: nothing to draw, or the output cannot be written.
        CheckpointError: the model cannot be read.
        MinidlError: the only picture cannot be drawn.
    """
    jobs = plan(images, output, overwrite)
    if look.smooth is not None and not any(moves(job.source) for job in jobs):
        raise OptionError("--smooth is for GIFs and videos, and none is among these",
                          {"--smooth": look.smooth}, "leave it out")  # fmt: skip
    net = load_fast(model).net
    announce([(job.source, job.target) for job in jobs], net, look, console.note)
    done: list[dict[str, Any]] = []
    failed: list[dict[str, str]] = []
    for job in jobs:
        begin = time.perf_counter()
        try:
            frames = draw(job, net, look)
        except MinidlError as error:
            if len(jobs) == 1:
                raise
            console.error(error)
            failed.append({"image": job.source, "error": error.rule})
            continue
        seconds = time.perf_counter() - begin
        what = f"{frames} frames, " if frames > 1 else ""
        console.line(f"{job.target} ({what}{seconds:.1f} s)")
        done.append({"image": job.source, "output": str(job.target), "seconds": seconds})
    return {"model": model, "drawn": done, "failed": failed}


def draw(job: Job, net: Module, look: Look) -> int:
    """Draw one file; how many frames it had."""
    if moves(job.source):
        return draw_moving(job, net, look)
    if job.source == STDIN:
        photo = Photo.decode(sys.stdin.buffer.read(), "stdin")
    else:
        photo = Photo.read(job.source)
    stylized(net, look.fitted(photo), look).save(job.target, "style fast")
    return 1


def draw_moving(job: Job, net: Module, look: Look) -> int:
    """Draw a GIF or video frame by frame, with a bar on a terminal; how many frames it had."""
    from rich.console import Console as RichConsole
    from rich.progress import Progress

    moving = open_moving(Path(job.source))
    if job.target.suffix.lower() == ".gif":
        check_gif(moving, look.drawn_size(moving.size))
    rich = RichConsole(stderr=True)
    count = 0
    with Progress(console=rich, transient=True, disable=not rich.is_terminal) as bar:
        task = bar.add_task(job.target.name, total=moving.count or None)

        def seen(number: int) -> None:
            nonlocal count
            count = number
            bar.update(task, completed=number)

        frames = through(moving, lambda photo: stylized(net, photo, look), look, seen)
        write_moving(job.target, frames, moving)
    return count


# --- which files, and where to --------------------------------------------------------------------


def plan(images: list[str], output: str, overwrite: bool) -> list[Job]:
    """What is to be drawn, each with its file, all of them tried for writing.

    Raises:
        OptionError: nothing to draw, or a file cannot be written or is there already.
    """
    sources = list(expanded(images))
    if len(images) == 1 and not Path(images[0]).is_dir() and not Path(output).is_dir():
        endings = (".gif", *VIDEOS) if moves(sources[0]) else PICTURES
        target = OutputFile(output, overwrite, endings, op="style fast")
        return [Job(sources[0], target.path)]
    folder = Path(output)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        check_writable(folder)
    except OSError as error:
        raise OptionError(
            f"the output folder cannot be used: {reason(error)}", {"--output": output},
            "of several pictures the output is a folder",
        ) from None  # fmt: skip
    jobs = [Job(source, folder / name_of(source)) for source in sources]
    targets: dict[Path, str] = {}
    for job in jobs:
        if job.target in targets:
            raise OptionError(
                "two pictures would have one name", {"a": targets[job.target], "b": job.source}
            )
        targets[job.target] = job.source
        check_free(job.target, overwrite)
    return jobs


def expanded(images: list[str]) -> Iterator[str]:
    """The files that are named, and those in folders that are.

    Raises:
        OptionError: a folder without pictures.
    """
    for image in images:
        if not Path(image).is_dir():
            yield image
            continue
        found = sorted(p for p in Path(image).iterdir() if is_picture(p.name) or is_video(p))
        if not found:
            raise OptionError("no pictures in the folder", {"folder": image})
        yield from map(str, found)


def moves(source: str) -> bool:
    """Whether a file has frames; what comes from stdin is one picture."""
    return source != STDIN and is_moving(Path(source))


def is_video(path: Path) -> bool:
    return path.suffix.lower() in VIDEOS


def name_of(source: str) -> str:
    """The name of a file's drawing in a folder: its own, with an ending that can be written."""
    if source == STDIN:
        return "stdin.png"
    path = Path(source)
    if is_moving(path):
        return path.name if is_video(path) else f"{path.stem}.gif"
    return path.name if path.suffix.lower() in PICTURES else f"{path.stem}.png"
