"""The results of a run: what it says of the test pictures, what speaks alone, run.json, report."""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.caption.captioner import Decoding, captioner_of, captions_of, save_captioner
from apps.caption.data import Part, open_part
from apps.caption.metrics import rouge_l
from apps.caption.network import count
from apps.caption.report.page import Example, write_report
from apps.caption.score.attributes import judged
from apps.caption.score.measure import measure
from apps.caption.search import Caption
from apps.shared import run_folder
from apps.shared.captioned import DRAWN
from apps.shared.options import to_dict
from apps.shared.outcome import images_per_second, outcome
from minidl.data.captioned import EmptySplit
from minidl.data.flowers import COMBINATIONS

CAPTIONER = "captioner.safetensors"  # in the run folder: what speaks, alone, as float16
DECODING = Decoding()
SHOWN = 12  # best pictures, and as many of the worst


def write_results(training: Any, history: list[dict[str, Any]]) -> dict[str, Any]:
    """Describe the test pictures, write the files, and return the figures of the run.

    Args:
        training: a Training that has ended.
        history: of minidl.fit, one dict per epoch.
    """
    captioner = captioner_of(training.meta, training.net)
    test, what = test_part(training)
    said = [
        best[0]
        for best in captions_of([captioner], (test.picture(i) for i in range(len(test))), DECODING)
    ]
    words = [one.words for one in said]
    scores, each = measure(words, test.references)
    if training.settings.data in DRAWN and what == "test":
        assert test.classes is not None, "drawn flowers have classes"
        scores["attributes"] = judged(words, COMBINATIONS[test.classes])
    figures = {"scores": scores, "of": what} | figures_of(training, history)
    save_captioner(training.folder / CAPTIONER, captioner, scores)
    run = figures | facts(training) | {"tested": len(test)}
    best, worst = extremes(test, said, each)
    write_report(training.folder, run, history, training.samples, best, worst)
    run_folder.write_run(training.folder, run)
    return figures


def test_part(training: Any) -> tuple[Part, str]:
    """The pictures to test with, and what they are: where the data have none, the watched ones."""
    try:
        return open_part(training.settings, "test", training.geometry), "test"
    except EmptySplit:
        watched = training.parts.watched
        return watched, "training" if training.parts.validation is None else "validation"


def figures_of(training: Any, history: list[dict[str, Any]]) -> dict[str, Any]:
    """Epochs, how the run ended, alarms, seconds."""
    settings = training.settings
    return {
        **outcome(
            history, settings.epochs, settings.early_stopping, settings.keep,
            training.parts.monitor,
        ),
        "alarms": training.alarm.heard,
        "seconds": round(training.seconds(), 2),
        "images_per_second": images_per_second(history),
        "run": str(training.folder),
    }  # fmt: skip


def facts(training: Any) -> dict[str, Any]:
    """What the report tells of a run beside its figures."""
    settings, parts = training.settings, training.parts
    return {
        "data": run_folder.short_name(settings.data),
        "date": run_folder.now_text(),
        "command": training.command,
        "parameters": {"cnn": count(training.net.cnn), "lstm": count(training.net.decoder)},
        "words": len(training.vocabulary),
        "pictures": len(parts.train),
        "validation": 0 if parts.validation is None else len(parts.validation),
        "captions": parts.train.facts["captions"],
        "weights": training.cnn.weights,
        "settings": to_dict(settings),
        "versions": run_folder.versions(),
    }


def report_so_far(training: Any, run: Any) -> None:
    """report.html of a run that goes on."""
    content = figures_of(training, run.history) | facts(training)
    write_report(training.folder, content, run.history, training.samples, [], [])


def extremes(
    part: Part, said: list[Caption], each: np.ndarray
) -> tuple[list[Example], list[Example]]:
    """The pictures with the best and those with the worst sentences, by CIDEr-D.

    Of pictures with the same sentence one stands for all: else they would fill the page. No picture
    is among both, as of all sentences no more than half are shown on either side.
    """
    order = np.argsort(-each, kind="stable")
    count = min(SHOWN, len({tuple(one.words) for one in said}) // 2 or 1)

    def told(i: int) -> Example:
        meant = nearest_reference(said[i].words, part.captions[i], part.references[i])
        return Example(part.picture(i), part.names[i], said[i], meant, float(each[i]))

    def some(order: np.ndarray) -> list[Example]:
        first: dict[tuple[str, ...], int] = {}
        for i in order:
            first.setdefault(tuple(said[i].words), i)
        return [told(i) for i in list(first.values())[:count]]

    return some(order), some(order[::-1])


def nearest_reference(said: list[str], texts: list[str], words: list[list[str]]) -> str:
    """The text with the highest ROUGE-L, the first of several: what is right can be seen as such.

    Args:
        said: words of the sentence.
        texts, words: what people say of the picture, and the words of each.
    """
    likeness = [rouge_l([said], [[meant]]) for meant in words]
    return texts[int(np.argmax(likeness))]
