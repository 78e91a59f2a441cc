"""The results of a run: what is right in its pictures, the generator's file, run.json, report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from apps.draw.data import FLOWERS, held_out_pairs
from apps.draw.encoder import retrieval
from apps.draw.networks import DISCRIMINATOR, GENERATOR, count
from apps.draw.report.page import write_report
from apps.draw.run import GENERATOR as GENERATOR_FILE
from apps.draw.sampling import Artist, save_artist
from apps.draw.score.score import score_part
from apps.shared import run_folder
from apps.shared.options import to_dict
from apps.shared.outcome import images_per_second
from minidl.nn import ModuleDict

JUDGED = 1000  # pictures
SEED = 1  # of their noise


@dataclass
class Results:
    """What a run has come to.

    Args:
        history: of minidl.fit, one dict per epoch.
        alarms: see alarm.Alarm.
        seconds: that the run took.
        command: what the user typed.
    """

    history: list[dict[str, Any]]
    alarms: list[dict[str, Any]]
    seconds: float
    command: str


def write_results(training: Any, model: ModuleDict, results: Results) -> dict[str, Any]:
    """Judge the pictures, write the files, and return the figures of the run.

    Args:
        training: a Training that has ended.
        model: its networks.
        results: of the run.
    """
    settings, folder, history = training.settings, training.folder, results.history
    artist = Artist(
        training.average.average, training.text,
        None if training.encoders is None else training.encoders.reader, settings, training.meta(),
    )  # fmt: skip
    scores = judge(training, artist)
    figures: dict[str, Any] = {
        **scores,
        "epochs": len(history),
        "steps": history[-1]["step"],
        "alarms": results.alarms,
        "seconds": round(results.seconds, 2),
        "images_per_second": images_per_second(history),
        "run": str(folder),
    }
    artist.meta["steps"], artist.meta["figures"] = figures["steps"], scores
    save_artist(folder / GENERATOR_FILE, artist)
    run = figures | {
        "data": run_folder.short_name(settings.data),
        "date": run_folder.now_text(),
        "command": results.command,
        "parameters": {name: count(model[name]) for name in (GENERATOR, DISCRIMINATOR)},
        "pictures": len(training.pairs),
        "captions": len(training.pairs.texts),
        "settings": to_dict(settings),
        "versions": run_folder.versions(),
    }
    write_report(folder, run, history, training.fixed_samples().captions)
    run_folder.write_run(folder, run)
    return figures


def judge(training: Any, artist: Artist) -> dict[str, Any]:
    """What can be said of the pictures without weights of others.

    Returns:
        "retrieval", the text encoder's; of flowers "held_out", see score.score_part.
    """
    is_flowers, found = training.settings.data == FLOWERS, {}
    pairs = held_out_pairs(training.settings) or training.pairs
    if training.encoders is not None:
        share, among = retrieval(training.encoders, pairs)
        found["retrieval"] = {"share": share, "among": among}
    if is_flowers:
        found["held_out"] = score_part(artist, pairs, JUDGED, SEED, True, training.encoders)
    return found
