"""`minidl caption score`: how good sentences are, in figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from apps.caption.captioner import Captioner, Decoding, captions_of, check_decoding, load_together
from apps.caption.data import Part, Pictures, open_split
from apps.caption.score.attributes import judged
from apps.caption.score.baselines import (
    agreement,
    ceiling_of_templates,
    most_frequent,
    nearest_captions,
)
from apps.caption.score.held_out import HINT, held_out_by
from apps.caption.score.measure import measure
from apps.shared.captioned import DRAWN
from minidl.data import transforms
from minidl.data.captioned import CaptionedDataset, EmptySplit
from minidl.data.flowers import COMBINATIONS

GRAY = 127


def score_runs(
    sources: Sequence[str], data: str | None, data_dir: str | None, split: str, decoding: Decoding,
    log: Callable[[str], None], skip_missing: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """All figures of a network, or of several together.

    Args:
        sources: run folders, files, or names.
        data: another data set than that of the training; None for that.
        data_dir: folder in which to look for it first.
        split: "train", "val" or "test". Where the data name no "val", it is the pictures that the
            runs held out, and sentences are compared with captions of the others.
        decoding: how sentences are found.
        log: called with lines for the user.
        skip_missing: leave out pictures that are missing, as a run does that was told so.

    Returns:
        "data", "split", "pictures"; "said", and the same of what it is compared with: "nearest"
        and "most_frequent", where the data have training pictures; "ceiling"; of drawn flowers
        "attributes" of the sentences, of those for other pictures ("shuffled") and for a gray one
        ("blank").
    """
    captioners = load_together(sources)
    check_decoding(decoding, captioners[0])
    settings = captioners[0].settings
    settings = replace(
        settings, data=data or settings.data,
        data_dir=data_dir or (None if data else settings.data_dir),
        skip_missing=skip_missing or settings.skip_missing,
    )  # fmt: skip
    learned = None
    try:
        test = as_they_are(open_split(settings, split, log))
    except EmptySplit as error:
        if split != "val":
            error.hint = HINT
            raise
        learned, held_out = held_out_by(captioners, sources, settings, data is not None)
        test = as_they_are(held_out)
    log(f"describing {len(test):,} pictures")
    said = [best[0].words for best in captions_of(captioners, pictures_of(test), decoding)]
    figures, _ = measure(said, test.references)
    found: dict[str, Any] = {
        "data": settings.data, "split": split, "pictures": len(test), "beam": decoding.beam,
        "said": figures,
    }  # fmt: skip
    if settings.data in DRAWN and split == "test":  # extended ones have other templates
        found["attributes"] = attributes(captioners, test, said, decoding)
        found["ceiling"] = ceiling_of_templates(said, test.references)
    else:
        found["ceiling"] = agreement(test.references)
    if split != "train":
        try:
            train = as_they_are(learned or open_split(settings, "train"))
            found |= baselines(captioners[0], train, test)
        except EmptySplit:
            log("there are no training pictures in these data, so no captions to compare with")
    return found


def as_they_are(dataset: CaptionedDataset) -> Part:
    """Pictures in their own sizes: each network brings them to its own."""
    return Part(Pictures(dataset, transforms.Compose([])), dataset.captions, dataset.classes)


def pictures_of(part: Part) -> Any:
    """The pictures of a part, one after the other."""
    return (part.picture(i) for i in range(len(part)))


def baselines(captioner: Captioner, train: Part, test: Part) -> dict[str, Any]:
    """The figures of the captions of training pictures."""
    known, features = (captioner.features(pictures_of(part)) for part in (train, test))
    nearest = nearest_captions(features, known, train.references)
    same = [most_frequent(train.captions)] * len(test)
    return {
        "nearest": measure(nearest, test.references)[0],
        "most_frequent": measure(same, test.references)[0],
    }


def attributes(
    captioners: Sequence[Captioner], test: Part, said: list[list[str]], decoding: Decoding
) -> dict[str, Any]:
    """What is right in sentences about drawn flowers, and the same without their pictures."""
    assert test.classes is not None, "drawn flowers have classes"
    flowers = COMBINATIONS[test.classes]
    mixed = np.random.default_rng(0).permutation(len(said))
    gray = np.full_like(test.picture(0), GRAY)
    blank = next(iter(captions_of(captioners, [gray], decoding)))[0].words
    return {
        "said": judged(said, flowers),
        "shuffled": judged([said[i] for i in mixed], flowers),
        "blank": judged([blank] * len(said), flowers),
    }
