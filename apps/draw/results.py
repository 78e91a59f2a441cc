"""The results of a run: what is right in its pictures, the generator's file, run.json, report."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.draw.data import Pairs
from apps.draw.encoder import retrieval
from apps.draw.networks import DISCRIMINATOR, GENERATOR, count
from apps.draw.report.page import write_report
from apps.draw.run import GENERATOR as GENERATOR_FILE
from apps.draw.sampling import Artist, save_artist
from apps.draw.score.left_open import left_open
from apps.draw.score.score import captions_seen, score_part
from apps.draw.score.text import PARTS
from apps.shared import run_folder
from apps.shared.captioned import DRAWN
from apps.shared.options import to_dict
from apps.shared.outcome import images_per_second
from minidl.nn import ModuleDict

JUDGED = 1000  # pictures
SEED = 1  # of their noise


def write_results(training: Any, model: ModuleDict, history: list[dict]) -> dict[str, Any]:
    """Judge the pictures, write the files, and return the figures of the run.

    Args:
        training: a Training that has ended.
        model: its networks.
        history: of minidl.fit, one dict per epoch.
    """
    folder, meta = training.folder, training.meta()
    reader = None if training.encoders is None else training.encoders.reader
    average = training.average.average
    artist = Artist(average, training.text, reader, training.settings, meta)
    scores = judge(training, artist)
    figures = scores | figures_of(training, history)
    artist.meta["steps"], artist.meta["figures"] = figures["steps"], scores
    save_artist(folder / GENERATOR_FILE, artist)
    run = figures | facts(training, model)
    write_report(folder, run, history, training.fixed.captions)
    run_folder.write_run(folder, run)
    return figures


def figures_of(training: Any, history: list[dict]) -> dict[str, Any]:
    """Epochs, steps, the last diversity, alarms, and seconds of training.

    With those of phase 1, unless another run did it.
    """
    encoders = training.encoders
    own = encoders is not None and training.settings.text_encoder is None
    phases = [*encoders.history, *history] if own else history
    return {
        "epochs": len(history),
        "steps": history[-1]["step"],
        "diversity": history[-1].get("diversity"),
        "alarms": training.alarm.heard,
        "seconds": round(sum(epoch["seconds"] for epoch in phases), 2),
        "images_per_second": images_per_second(history),
        "run": str(training.folder),
    }


def facts(training: Any, model: ModuleDict) -> dict[str, Any]:
    """What the report tells of a run beside its figures."""
    settings = training.settings
    know_same = settings.is_conditional and training.real_spread.same is not None
    return {
        "data": run_folder.short_name(settings.data),
        "date": run_folder.now_text(),
        "command": training.command,
        "parameters": {name: count(model[name]) for name in (GENERATOR, DISCRIMINATOR)},
        "pictures": len(training.pairs),
        "captions": len(training.pairs.texts),
        "diversity_unit": "real pictures of it" if know_same else "all real pictures",
        "settings": to_dict(settings),
        "versions": run_folder.versions(),
    }


def report_so_far(training: Any, run: Any) -> None:
    """report.html of a run that goes on: GANs are watched."""
    content = figures_of(training, run.history) | facts(training, run.model)
    write_report(training.folder, content, run.history, training.fixed.captions)


def judge(training: Any, artist: Artist) -> dict[str, Any]:
    """What can be said of the pictures without weights of others.

    Returns:
        "retrieval", the text encoder's, and of which pictures; of flowers "held_out", see
        score.score_part, and "left_open", see score/left_open.py.
    """
    is_flowers = training.settings.data in DRAWN
    found: dict[str, Any] = {}
    kept = training.held_out
    pairs = training.pairs if kept is None else kept
    if training.encoders is not None:
        share, among = retrieval(training.encoders, pairs, training.settings.size)
        found["retrieval"] = {"share": share, "among": among, "of": pictures_of(training, kept)}
    if is_flowers:
        found["held_out"] = score_part(artist, pairs, JUDGED, SEED, True, training.encoders)
        varies = left_open(artist, training.pairs, np.random.default_rng(SEED))
        if varies is not None:
            found["left_open"] = varies
    return found


def pictures_of(training: Any, kept: Pairs | None) -> str:
    """What the pictures are called that were looked at."""
    if kept is None:
        return "training pictures"
    return PARTS["test" if captions_seen(kept, training.pairs) else "held_out"]
