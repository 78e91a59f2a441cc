"""`minidl draw score`: how good a generator is, in figures.

Pictures are drawn for sentences of the data, one each, and judged:

    attributes    what the oracle reads from drawn flowers, for combinations that were held out and
                  for those that were seen; see attributes.py for what it is compared with
    left open     whether pictures of one sentence vary in what it does not say; see left_open.py
    R-precision   how often the own sentence is found among a hundred, also shuffled
    diversity     of pictures of one sentence, and across sentences, in parts of real pictures'
    Frechet       distance of SqueezeNet's features from those of real pictures
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from apps.draw.batches import middle
from apps.draw.data import Pairs, held_out_pairs, open_pairs
from apps.draw.diversity import mean_spread, spread, spread_of_all, spread_within_classes
from apps.draw.encoder import Encoders, load_encoders
from apps.draw.run import ENCODER
from apps.draw.sampling import Artist, load_artist
from apps.draw.score.attributes import judged
from apps.draw.score.frechet import feature_network, frechet_distance
from apps.draw.score.left_open import left_open
from apps.draw.score.precision import r_precision
from apps.draw.score.text import PARTS
from apps.shared.captioned import DRAWN
from apps.shared.rows import Rows
from minidl.data.flowers import COMBINATIONS
from minidl.errors import CheckpointError

CAPTIONS, COPIES = 60, 5  # for the diversity of one sentence


@dataclass
class Drawn:
    """Pictures drawn for sentences of a data set, one each.

    Args:
        pictures: uint8 (N, S, S, 3).
        chosen: whose sentences, numbers of pictures of the data set.
        texts: the sentences.
    """

    pictures: np.ndarray
    chosen: np.ndarray
    texts: list[str]


def score_run(
    source: str, data: str | None, data_dir: str | None, n: int, seed: int,
    log: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    """All figures of a generator.

    Args:
        source: run folder, file, or name.
        data: another data set than that of the training; None for that.
        data_dir: folder in which to look for it first.
        n: how many pictures are drawn for each part.
        seed: of noise and choice.
        log: called with lines for the user.

    Returns:
        "data", "n", "seed", and the figures of "seen", and of "held_out" where no caption of the
        part was learned from, otherwise of "test"; that has "captions_seen" then.
    """
    artist = load_artist(source)
    settings = replace(
        artist.settings, data=data or artist.settings.data, augment="none",
        data_dir=data_dir or (None if data else artist.settings.data_dir),
    )  # fmt: skip
    encoders = encoders_of(source, log)
    features = feature_network_or_none(log)
    seen, kept = open_pairs(settings, "train", False, log), held_out_pairs(settings)
    parts = {"seen": seen}
    if kept is None:
        log("no pictures are held out: all figures are of those of the training")
    else:
        shared = captions_seen(kept, seen)
        parts = {"test" if shared else "held_out": kept} | parts
    found: dict[str, Any] = {"data": settings.data, "n": n, "seed": seed}
    for name, pairs in parts.items():
        log(f"drawing {n:,} pictures for sentences of: {PARTS[name]}")
        is_flowers = settings.data in DRAWN
        found[name] = score_part(artist, pairs, n, seed, is_flowers, encoders, features)
    if "test" in found:
        found["test"]["captions_seen"] = shared
        log(f"{100 * shared:.0f} % of the test pictures' captions are in the training as well")
    return found


def captions_seen(kept: Pairs, seen: Pairs) -> float:
    """The share of a part's captions that pictures of the training have, too."""
    known = set(seen.texts)
    return sum(text in known for text in kept.texts) / len(kept.texts)


def score_part(
    artist: Artist, pairs: Pairs, n: int, seed: int, is_flowers: bool,
    encoders: Encoders | None = None, features: Callable | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The figures of one part of the data.

    Args:
        artist: draws.
        pairs: whose sentences.
        n: pictures.
        seed: of noise and choice.
        is_flowers: whether the oracle can be asked.
        encoders: for R-precision, or None.
        features: for the Frechet distance, or None.
    """
    random = np.random.default_rng(seed)
    drawn = draw_some(artist, pairs, n, random, is_flowers)
    found: dict[str, Any] = {"pictures": len(drawn.pictures)}
    classes = pairs.classes[drawn.chosen]
    mixed = random.permutation(len(classes))
    real = middle(pairs.pictures[drawn.chosen], artist.settings.size)
    if is_flowers:
        found |= judged(drawn.pictures, real, pairs.numbers[classes], mixed, random)
        varies = left_open(artist, pairs, random)
        if varies is not None:
            found["left_open"] = varies
    found["diversity"] = diversities(artist, pairs, drawn, real, is_flowers, random)
    if encoders is not None:
        seen = encoders.of_pictures(drawn.pictures)
        texts = encoders.of_texts(drawn.texts)
        found["r_precision"] = r_precision(seen, texts, classes, random)
        found["r_precision_shuffled"] = r_precision(seen[mixed], texts, classes, random)
    if features is not None:
        found["frechet"] = frechet_distance(features(drawn.pictures), features(real))
    return found


def draw_some(
    artist: Artist, pairs: Pairs, n: int, random: np.random.Generator, is_flowers: bool
) -> Drawn:
    """A picture for each of n sentences, the classes in turn; of flowers base ones alone."""
    classes = classes_to_draw(pairs, is_flowers)
    turns = np.concatenate([random.permutation(classes) for _ in range(-(-n // len(classes)))])
    chosen = pairs.members.pick(turns[:n], random)
    texts = [pairs.texts[t] for t in pairs.captions.pick(chosen, random)]
    noise = random.standard_normal((n, artist.settings.noise), np.float32)
    return Drawn(artist.draw(artist.embed(texts), noise), chosen, texts)


def classes_to_draw(pairs: Pairs, is_flowers: bool) -> np.ndarray:
    """All classes; of flowers those whose captions name all that the oracle reads."""
    classes = np.arange(len(pairs.members))
    return classes[pairs.numbers < len(COMBINATIONS)] if is_flowers else classes


def diversities(
    artist: Artist, pairs: Pairs, drawn: Drawn, real: np.ndarray, is_flowers: bool,
    random: np.random.Generator,
) -> dict[str, float]:  # fmt: skip
    """Of pictures of one sentence and across sentences, each in parts of that of real pictures.

    Where no class has two pictures that differ, real ones of one sentence are not known: all are
    taken.
    """
    texts = drawn.texts[:CAPTIONS]
    noise = random.standard_normal((len(texts) * COPIES, artist.settings.noise), np.float32)
    pictures = artist.draw(artist.embed([t for t in texts for _ in range(COPIES)]), noise)
    same = mean_spread(list(pictures.reshape(len(texts), COPIES, *pictures.shape[1:])))
    members = Rows(pairs.members[c] for c in classes_to_draw(pairs, is_flowers))
    pictures = middle(pairs.pictures, artist.settings.size)
    within = spread_within_classes(pictures, members)
    return {
        "same": same / (spread_of_all(pictures) if within is None else within),
        "across": spread(drawn.pictures) / spread(real),
    }


def encoders_of(source: str, log: Callable[[str], None]) -> Encoders | None:
    """The encoders of a run folder, where it has them."""
    folder = Path(source)
    if folder.is_file():
        folder = folder.parent
    if not (folder / ENCODER).is_dir():
        log("no R-precision: it needs the picture encoder that is in a run folder")
        return None
    return load_encoders(folder)


def feature_network_or_none(log: Callable[[str], None]) -> Callable | None:
    """SqueezeNet, if its weights are there or can be fetched."""
    try:
        return feature_network()
    except CheckpointError as error:
        log(f"no Frechet distance: the weights of SqueezeNet cannot be had ({error.rule})")
        return None
