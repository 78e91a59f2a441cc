"""From the options of `minidl style compare` to the sheet, and the folder of pictures beside it.

The folder has the sheet's name without its ending. It holds the pictures, the report of each way
and its figures (NAME.json), by which --resume knows what is done. settings.json tells a folder of
this command from others, in which it writes and deletes nothing.
"""

from __future__ import annotations

import json
import os
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
from apps.style.compare.ways import WAYS, Job, Way, ways_for
from apps.style.fingerprint import check_same
from apps.style.loss_network import LossNetwork
from apps.style.resume import STATE, Order
from minidl.errors import CheckpointError
from minidl.io.atomic import write_atomically

SHEETS = (".html",)
FIGURES = ".json"


def compare(order: Order) -> dict[str, Any]:
    """Make the pictures; write them and the sheet.

    Returns:
        what --json prints.
    """
    order.check_given("compare", content="CONTENT", style="STYLE")
    given, resume = order.given, order.resume
    file = OutputFile(order.output, order.overwrite or resume, SHEETS, op="compare")
    folder = file.path.with_suffix("")
    settings, fingerprint = resumed(folder, given) if resume else (Settings(**given), None)
    check_values(settings)
    ways = ways_for(settings, order.note)
    job = Job(settings, folder)
    measure = Measure(LossNetwork(settings.net, settings.weights, settings.pool), job.content,
                      job.style)  # fmt: skip
    if resume:
        check_same(fingerprint, job.fingerprint)
    else:
        begin(job, order.overwrite)
    rows = made_by_all(ways, job, measure, resume, order.note)
    before = measure.of(job.content)
    write_sheet(file.path, job, rows, before, to_dict(settings), order.command)
    return {
        "sheet": str(file.path), "folder": str(folder), "size": list(job.content.size),
        "ways": {row.way.name: {"seconds": row.seconds, **asdict(row.measures)} for row in rows},
        "interrupted": rows[-1].interrupted, "settings": to_dict(settings),
    }  # fmt: skip


def begin(job: Job, overwrite: bool) -> None:
    """Make the folder, and put the pictures and the settings into it.

    Raises:
        OptionError: it is there already, and not of an earlier comparison that may be replaced.
    """
    check_folder(job.folder, overwrite)
    job.folder.mkdir(exist_ok=True)
    for name in ("settings", *(way.name for way in WAYS)):
        for ending in (FIGURES, STATE, f".png{STATE}"):
            job.file(name, ending).unlink(missing_ok=True)
    job.write_pictures()
    stored = {"settings": to_dict(job.settings), "pictures": job.fingerprint}
    write_json(job.file("settings", FIGURES), stored)


def check_folder(folder: Path, overwrite: bool) -> None:
    """The folder is not there, or empty, or that of a comparison that may be replaced.

    Raises:
        OptionError: it is none of these.
    """
    if not os.path.lexists(folder):
        return
    received = {"folder": str(folder)}
    if not folder.is_dir() or not (load_settings(folder) or is_empty(folder)):
        raise OptionError(
            "the folder for the pictures is there already, and no comparison is in it", received,
            "choose another name for the sheet",
        )  # fmt: skip
    if not overwrite:
        raise OptionError(
            "the folder for the pictures is there already", received,
            "--overwrite writes into it; or choose another name for the sheet",
        )  # fmt: skip


def is_empty(folder: Path) -> bool:
    return not any(folder.iterdir())


def load_settings(folder: Path) -> dict[str, Any] | None:
    """What begin wrote about the comparison in a folder: "settings" and the fingerprint of
    "pictures"; None where there is none."""
    try:
        stored = json.loads((folder / f"settings{FIGURES}").read_text())
        return stored | {"settings": stored_values(Settings, stored["settings"])}
    except (OSError, ValueError, LookupError, TypeError, CheckpointError):
        return None


def resumed(folder: Path, given: dict[str, Any]) -> tuple[Settings, int | None]:
    """The settings of the comparison in a folder, and the fingerprint of its pictures.

    Raises:
        OptionError: there is none, or an option contradicts it.
    """
    stored = load_settings(folder)
    if stored is None:
        raise OptionError(
            "there is no comparison to go on with", {"folder": str(folder)},
            "leave --resume out to start one",
        )  # fmt: skip
    check_resumed(Settings, stored["settings"], given)
    return Settings(**{**stored["settings"], **given}), stored.get("pictures")


def made_by_all(
    ways: list[Way], job: Job, measure: Measure, resume: bool, note: Callable[[str], None]
) -> list[Row]:
    """What the ways make; Ctrl-C ends the last of them early."""
    rows: list[Row] = []
    for way in ways:
        rows.append(made_by(way, job, measure, resume, note))
        if rows[-1].interrupted:
            break
    return rows


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
