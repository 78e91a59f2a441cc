"""From the options of `minidl style texture` to the files it writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from apps.shared.options import to_dict
from apps.shared.output_file import OutputFile
from apps.shared.photo import Photo
from apps.shared.pictures import Picture
from apps.shared.sheet import write_sheet
from apps.style.interrupt import Interrupt
from apps.style.needs import Estimate
from apps.style.progress import Counted
from apps.style.resume import Order, RunFiles
from apps.style.stepwise import StepRun
from apps.style.texture.coordinates import applied, load_coordinates, save_coordinates
from apps.style.texture.estimate import expected_seconds
from apps.style.texture.report import coherence, write_report
from apps.style.texture.settings import Settings
from apps.style.texture.task import Task, TextureRun, read_task

OP = "style texture"
FILES = ("hole", "copy_mask", "guide")  # settings that name files
Note = Callable[[str], None]


def make_texture(
    samples: Sequence[str], settings: Settings, order: Order, coordinates: Path | None = None
) -> dict[str, Any]:
    """Synthesise one picture, and write it with its report and map of coordinates.

    Args:
        samples: files.
        settings: with one window.
        order: what was asked for.
        coordinates: the file for the map, or None.

    Returns:
        the figures of --json.

    Raises:
        DataError, OptionError, CheckpointError: as in RunFiles, read_task, StepRun.load and
            OutputFile.write.
    """
    files = RunFiles(order, OP)
    task = read_task(samples, settings)
    run = begin(task, settings, settings.window[0], files.state)
    if files.saved is not None:
        run.load(files.saved)
    finished = complete(run, task, settings, settings.window[0], order.note)
    made, output = task.photo(run.steps), files.output
    output.write(made.encoded(output.path.suffix))
    found = figures(task, run, settings.window[0], finished) | {"output": str(output.path)}
    canvas = run.steps.canvas
    if coordinates is not None and finished:
        sizes = [photo.size for photo in task.samples]
        save_coordinates(coordinates, task.material.sources(canvas.source), sizes)
        found["coordinates"] = str(coordinates)
    write_report(files.report, task, run, made, found, to_dict(settings), order.command)
    if finished:
        files.forget()
    return found | {"report": str(files.report)}


def make_sheet(
    samples: Sequence[str], settings: Settings, output: OutputFile, note: Note
) -> dict[str, Any]:
    """Synthesise a picture with each window, and write them side by side, the sample first; after
    Ctrl-C those that there are."""
    task = read_task(samples, settings)
    cell = max(160, *task.size)
    pictures = [Picture(photo.over_white().bytes, "sample") for photo in task.samples]
    found = []
    for window in settings.window:
        run = begin(task, settings, window, None)
        finished = complete(run, task, settings, window, note)
        made = task.photo(run.steps).over_white().bytes
        took = f"{run.seconds:.1f} s" if finished else f"not finished, {100 * run.share:.0f} %"
        pictures.append(Picture(made, f"{window} pixels", took))
        found.append(figures(task, run, window, finished))
        if not finished:
            break
    title = "patches" if settings.method == "quilting" else "windows"
    columns = len(pictures) if len(pictures) <= 6 else None
    title = f"Texture by {title} of several sizes"
    write_sheet(output.path, pictures, OP, title, columns=columns, cell=cell)
    interrupted = found[-1]["interrupted"]
    return {"output": str(output.path), "windows": found, "interrupted": interrupted}


def apply_coordinates(samples: Sequence[str], file: str, output: OutputFile) -> dict[str, Any]:
    """Make the picture that a map of coordinates makes of the samples."""
    photo = applied(*load_coordinates(file), [Photo.read(sample) for sample in samples])
    output.write(photo.encoded(output.path.suffix))
    return {"output": str(output.path), "size": photo.size, "interrupted": False}


# --- one run ------------------------------------------------------------------------------------


def begin(task: Task, settings: Settings, window: int, state_file: Path | None) -> TextureRun:
    """A run before its first step. What files hold is part of its identity, not their names."""
    identity = to_dict(settings) | {"fingerprint": task.fingerprint()}
    identity = {name: v for name, v in identity.items() if name not in FILES and v != []}
    return StepRun(task.synthesis(settings, window), state_file, identity)


def complete(run: TextureRun, task: Task, settings: Settings, window: int, note: Note) -> bool:
    """Run to the end, or to Ctrl-C; says whether it came to its end."""
    synthesis, what = run.steps, "pixels" if settings.method == "efros-leung" else "patches"
    left = synthesis.total - synthesis.done
    if left:
        seconds = expected_seconds(task.synthesis(settings, window), synthesis.searches_left())
        note(f"{left:,} {what}, {Estimate(seconds, task.megabytes)}")
    elif settings.hole:
        note("there is nothing to fill")
    with Interrupt(note) as interrupt, Counted(what, note) as progress:
        return run.go(progress.show, lambda: interrupt.asked)


def figures(task: Task, run: TextureRun, window: int, finished: bool) -> dict[str, Any]:
    """What is known of a run when it has ended."""
    source = run.steps.canvas.source
    made = int((source >= 0).sum()) - (
        int((task.source >= 0).sum()) if task.source is not None else 0
    )
    return {
        "size": task.size, "pixels": made, "window": window, "seconds": round(run.seconds, 3),
        "coherence": coherence(source), "interrupted": not finished,
    }  # fmt: skip
