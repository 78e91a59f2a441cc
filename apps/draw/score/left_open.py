"""Whether the noise decides what a sentence leaves open.

Sentences about extended flowers name a few attributes only, and in the data the others vary. How
often two pictures of one sentence differ in such an attribute, as the oracle reads them, is divided
by how often two real pictures of the sentence do: 0 where each sentence has one background, say,
and 1 where backgrounds vary as in the data.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.draw.data import Pairs
from minidl.data.flowers import oracle
from minidl.data.flowers.attributes import ATTRIBUTES, EXTRAS
from minidl.data.flowers.extended import CLASSES, FIRST_CLASS, Kind

COPIES = 8  # pictures of a sentence


def left_open(artist: Any, pairs: Pairs, random: np.random.Generator) -> dict[str, float] | None:
    """How much of what varies in real pictures of a sentence varies in drawn ones, by attribute.

    Args:
        artist: draws.
        pairs: of flowers.
        random: of noise and choice of sentences.

    Returns:
        None where the data have no sentences that leave something open.
    """
    extended = pairs.numbers >= FIRST_CLASS
    classes = np.flatnonzero(extended & (pairs.members.sizes > 1))
    if not len(classes):
        return None
    texts = [pairs.texts[pairs.captions.pick(pairs.members[c][:1], random)[0]] for c in classes]
    noise = random.standard_normal((len(texts) * COPIES, artist.settings.noise), np.float32)
    pictures = artist.draw(artist.embed([t for t in texts for _ in range(COPIES)]), noise)
    drawn = oracle.read(pictures).reshape(len(classes), COPIES, -1)
    members = [pairs.members[c] for c in classes]
    read = oracle.read(pairs.pictures[np.concatenate(members)])
    real_ones = np.split(read, np.cumsum([len(rows) for rows in members])[:-1])
    differ: dict[str, list[tuple[float, float]]] = {}
    for c, rows, real in zip(classes, drawn, real_ones):
        for name in open_attributes(CLASSES[pairs.numbers[c] - FIRST_CLASS][0]):
            column = ATTRIBUTES.index(name)
            both = share_that_differ(rows[:, column]), share_that_differ(real[:, column])
            differ.setdefault(name, []).append(both)
    means = {name: np.mean(differ[name], 0) for name in ATTRIBUTES if name in differ}
    return {name: float(drawn / real) for name, (drawn, real) in means.items() if real}


def open_attributes(kind: Kind) -> list[str]:
    """What captions of a kind leave open and the oracle can read.

    It reads all of flowers that could be one of the 1,344, and of others what is behind them.
    """
    said = {*kind.named, *kind.fixed}
    readable = ("background",) if said & set(EXTRAS) else ATTRIBUTES
    return [name for name in readable if name not in said]


def share_that_differ(values: np.ndarray) -> float:
    """Of all pairs of values, those that differ."""
    _, counts = np.unique(values, return_counts=True)
    n = len(values)
    return float(1 - (counts * (counts - 1)).sum() / (n * (n - 1)))
