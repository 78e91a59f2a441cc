"""report.html: a captioning run on one page; and a page of described pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from apps.caption.search import Caption
from apps.shared.curves import curves
from apps.shared.page import Figure, Page, duration, number, percent, settings_table, write_page
from apps.shared.page import render as render_page
from apps.shared.pictures import LARGE, Picture
from apps.shared.run_folder import REPORT
from minidl.data.flowers import ATTRIBUTES

SHADES = (0.9, 0.7, 0.4)  # probabilities of a word below which it is marked, more and more
GROUPS = {
    "Loss of captions": {"training": "caption_loss", "validation": "val_caption_loss"},
    "CIDEr-D": {"training": "cider", "validation": "val_cider"},
    "Different sentences": {"training": "distinct", "validation": "val_distinct"},
    "Perplexity": {"training": "perplexity", "validation": "val_perplexity"},
    "All six right": {"training": "all_right", "validation": "val_all_right"},
    "Attributes right": {name: name for name in ATTRIBUTES},
}
EPOCHS = 8  # of which the sentences are shown
AT_MOST = LARGE // 2  # pixels of a picture


@dataclass
class Word:
    """A word of a sentence, for a page.

    Args:
        text: of it.
        probability: given the picture and the words before.
    """

    text: str
    probability: float

    @property
    def shade(self) -> int:
        """0 of a likely word, 3 of an unlikely one."""
        return sum(self.probability < limit for limit in SHADES)

    @property
    def title(self) -> str:
        """What shows when one points at it."""
        return f"{self.text}: {100 * self.probability:.1f} %"


@dataclass
class Example:
    """A picture, and what was said of it.

    Args:
        image: uint8 (H, W, 3).
        name: of the picture.
        said: the sentence.
        reference: what people say of it; "" where nobody does.
        score: CIDEr-D; None where nobody knows.
        others: further sentences.
    """

    image: np.ndarray
    name: str
    said: Caption
    reference: str = ""
    score: float | None = None
    others: list[Caption] = field(default_factory=list)

    @property
    def picture(self) -> Picture:
        return Picture(self.image, alt=" ".join(self.said.words), at_most=AT_MOST)

    @property
    def words(self) -> list[Word]:
        return [Word(w, math.exp(p)) for w, p in zip(self.said.words, self.said.log_probs)]

    @property
    def probability(self) -> str:
        """Of the whole sentence."""
        return likelihood(self.said)


def likelihood(said: Caption) -> str:
    """The probability of a sentence, short."""
    value = 100 * math.exp(said.log_prob)
    return f"{value:.1f}\u00a0%" if value >= 0.1 else "<\u00a00.1\u00a0%"


# --- the report of a run ------------------------------------------------------------------------


def write_report(
    folder: Path, run: dict[str, Any], history: list[dict[str, Any]], samples: Any,
    best: list[Example], worst: list[Example],
) -> None:  # fmt: skip
    """Write the page.

    Args:
        folder: of the run.
        run: what run.json holds.
        history: one dict per epoch.
        samples: the Samples of the run.
        best, worst: pictures of the test; [] while the run goes on.
    """
    settings = run["settings"]
    page = Page(
        heading=f"Describing {run['data']}: {settings['cnn']}",
        note=f"{run['date']} · seed {settings['seed']} · {number(run['pictures'])} pictures with "
        f"{number(run['captions'])} captions of {number(run['words'])} words",
        figures=headline(run),
        command=run["command"],
        settings=settings_table(settings, run["versions"]),
    )
    history = [row | told["right"] for row, told in zip(history, samples.told)]
    known = {title: lines for title, lines in GROUPS.items()
             if history and any(name in history[-1] for name in lines.values())}  # fmt: skip
    text = render_page(
        "caption/report/page.html.j2", page,
        alarms=run["alarms"],
        watched=[
            (Picture(image, alt=reference, at_most=AT_MOST), reference, sentences)
            for (_, image, reference), sentences in zip(samples.pictures(), changes(samples.told))
        ],
        held_out=bool(run["validation"]),
        curves=curves(history, groups=known),
        best=best, worst=worst, of=run.get("of", "test"),
        attributes=attribute_rows(run),
    )  # fmt: skip
    write_page(folder / REPORT, text, "caption train")


def changes(told: list[dict[str, Any]]) -> list[list[tuple[int, str]]]:
    """(epoch, sentence) for some epochs, of each picture that is shown."""
    places = np.unique(np.linspace(0, len(told) - 1, EPOCHS).round().astype(int))
    some = [told[i] for i in places]
    return [
        [(one["epoch"], sentence) for one, sentence in zip(some, sentences)]
        for sentences in zip(*(one["said"] for one in some))
    ]


def headline(run: dict[str, Any]) -> list[Figure]:
    """How good the sentences are; epochs, time, size."""
    figures = []
    if "scores" in run:
        scores = run["scores"]
        note = f"{number(run['tested'])} {run['of']} pictures"
        if "attributes" in scores:
            found = scores["attributes"]
            named = "all six attributes named and right"
            figures.append(Figure("Sentences right", percent(found["all_right"]), named))
        figures.append(Figure("CIDEr-D", f"{scores['cider_d']:.2f}", note))
        figures.append(Figure("BLEU-4", f"{scores['bleu'][3]:.3f}", "beam search, width 3"))
        figures.append(Figure("Different", percent(scores["distinct"]), "of the sentences"))
    sizes = run["parameters"]
    pace = f"{run['images_per_second']:,.0f} pictures per second"
    return [
        *figures,
        Figure("Epochs", number(run["epochs"]), f"tested: epoch {run['tested_epoch']}"),
        Figure("Time", duration(run["seconds"]), pace),
        Figure("LSTM", number(sizes["lstm"]), f"parameters; CNN {number(sizes['cnn'])}"),
    ]


def attribute_rows(run: dict[str, Any]) -> list[tuple[str, str]]:
    """(attribute, share that is right) of drawn flowers; none of other data."""
    found = run.get("scores", {}).get("attributes")
    if not found:
        return []
    return [(name, percent(share)) for name, share in found["attributes"].items()]


# --- described pictures -------------------------------------------------------------------------


def write_pictures(path: str, told: list[Example], network: str, command: str) -> None:
    """A page of pictures with their sentences.

    Args:
        path: of the page.
        told: the pictures.
        network: what described them.
        command: what the user typed.
    """
    count = f"{number(len(told))} picture{'' if len(told) == 1 else 's'}"
    page = Page(heading=f"What is on {count}", note=f"as {network} says it", command=command)
    write_page(path, render_page("caption/report/pictures.html.j2", page, told=told), "caption run")
