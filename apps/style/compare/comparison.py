"""From the options of `minidl style compare` to the sheet, and the folder of pictures beside it.

The folder has the sheet's name without its ending. It holds the pictures, the report of each way
and its figures (NAME.json), by which --resume knows what is done.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from apps.shared.options import OptionError, check_resumed, check_values, stored_values, to_dict
from apps.shared.output_file import OutputFile
from apps.shared.photo import Photo
from apps.style.compare.measure import Measure
from apps.style.compare.settings import Settings
from apps.style.compare.sheet import Row, write_sheet
from apps.style.compare.ways import Job, Way, ways_for
from apps.style.loss_network import LossNetwork
from minidl.io.atomic import write_atomically

SHEETS = (".html",)
STATE, FIGURES = ".resume.safetensors", ".json"


def compare(
    given: dict[str, Any],
    output: str,
    overwrite: bool,
    resume: bool,
    command: str,
    note: Callable[[str], None],
) -> dict[str, Any]:
    """Make the pictures; write them and the sheet.

    Args:
        given: the options that were typed, parsed.
        output: the file of the sheet.
        overwrite: whether files that are there may be replaced.
        resume: go on with an interrupted comparison.
        command: what was typed, for the sheet.
        note: called with lines of text for people.

    Returns:
        what --json prints.
    """
    for name in ("content", "style"):
        if name not in given:
            raise OptionError(f"say which picture is the {name.upper()}", {},
                              "minidl style compare CONTENT STYLE -o SHEET.html")  # fmt: skip
    file = OutputFile(output, overwrite or resume, SHEETS, op="compare")
    folder = file.path.with_suffix("")
    settings = resumed(folder, given) if resume else Settings(**given)
    check_values(settings)
    ways = ways_for(settings, note)
    job = Job(settings, folder)
    measure = Measure(LossNetwork(settings.net, settings.weights, settings.pool), job.content,
                      job.style)  # fmt: skip
    if not resume:
        begin(job, overwrite)
    rows: list[Row] = []
    for way in ways:
        rows.append(made_by(way, job, measure, resume, note))
        if rows[-1].interrupted:
            break
    write_sheet(file.path, job, rows, measure.of(job.content), to_dict(settings), command)
    return {
        "sheet": str(file.path), "folder": str(folder), "size": list(job.content.size),
        "ways": {row.way.name: {"seconds": row.seconds, **asdict(row.measures)} for row in rows},
        "interrupted": rows[-1].interrupted, "settings": to_dict(settings),
    }  # fmt: skip


def begin(job: Job, overwrite: bool) -> None:
    """Make the folder, and put the pictures and the settings into it."""
    if job.folder.exists() and not (overwrite and job.folder.is_dir()):
        raise OptionError(
            "the folder for the pictures is there already", {"folder": str(job.folder)},
            "--overwrite writes into it; or choose another name for the sheet",
        )  # fmt: skip
    job.folder.mkdir(exist_ok=True)
    for old in (*job.folder.glob(f"*{FIGURES}"), *job.folder.glob(f"*{STATE}")):
        old.unlink()
    job.write_pictures()
    write_json(job.file("settings", FIGURES), to_dict(job.settings))


def resumed(folder: Path, given: dict[str, Any]) -> Settings:
    """The settings of the comparison in a folder.

    Raises:
        OptionError: there is none, or an option contradicts it.
        CheckpointError: the file does not hold settings.
    """
    file = folder / f"settings{FIGURES}"
    try:
        stored = stored_values(Settings, json.loads(file.read_text()))
    except (OSError, ValueError):
        raise OptionError(
            "there is no comparison to go on with", {"folder": str(folder)},
            "leave --resume out to start one",
        ) from None  # fmt: skip
    check_resumed(Settings, stored, given)
    return Settings(**{**stored, **given})


def made_by(way: Way, job: Job, measure: Measure, resume: bool, note: Callable[[str], None]) -> Row:
    """What a way makes, or made before."""
    done, is_begun = job.file(way.name, FIGURES), any(job.folder.glob(f"{way.name}*{STATE}"))
    if resume and done.exists():
        seconds, interrupted = json.loads(done.read_text())["seconds"], False
    else:
        note(f"{way.title} ({way.paper})")
        seconds, interrupted = way.make(job, resume and is_begun, note)
    photo = Photo.read(job.file(way.name))
    row = Row(way, photo, seconds, measure.of(photo), interrupted)
    if not interrupted:
        write_json(done, {"seconds": seconds, **asdict(row.measures)})
    return row


def write_json(path: Path, value: dict[str, Any]) -> None:
    write_atomically(path, json.dumps(value, indent=1).encode(), "compare")
