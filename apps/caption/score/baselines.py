"""What sentences without an LSTM are worth, and the most that any can be.

nearest        a caption of the training picture whose features have the largest cosine with the
               picture's, by the same CNN
most frequent  the caption that most training pictures have, for every picture
ceiling        of drawn flowers: a template filled in without fault, the best of them and their
               mean; of others, with several captions a picture: the first against the rest
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.caption.metrics import cider_d
from minidl.data import tokenize

CHUNK = 1024  # pictures that are compared with all others at once

Words = list[str]


def nearest_captions(
    features: np.ndarray, known: np.ndarray, captions: Sequence[Sequence[Words]]
) -> list[Words]:
    """The first caption of the training picture that looks most alike.

    Args:
        features: of pictures, (N, F).
        known: of training pictures, (M, F).
        captions: of these.
    """
    known = directions(known)
    nearest: list[int] = []
    for first in range(0, len(features), CHUNK):
        cosines = directions(features[first : first + CHUNK]) @ known.T
        nearest += cosines.argmax(1).tolist()
    return [list(captions[i][0]) for i in nearest]


def directions(features: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    return features / np.maximum(np.linalg.norm(features, axis=1, keepdims=True), 1e-12)


def most_frequent(captions: Sequence[Sequence[str]]) -> Words:
    """The words of the caption that most pictures have; of equally frequent ones the first.

    Args:
        captions: of the training pictures, as texts.
    """
    counts = Counter(text for texts in captions for text in dict.fromkeys(texts))
    return tokenize(max(counts, key=lambda text: counts[text]))


def ceiling(references: Sequence[Sequence[Words]], is_drawn: bool) -> dict[str, Any] | None:
    """CIDEr-D of what people, or the program that drew the pictures, say of them.

    Args:
        references: of each picture.
        is_drawn: whether the k-th of each picture are by the same template.

    Returns:
        {"best", "mean"} of templates; {"agreement"} of the first caption with the others; None
        where a picture has a single one.
    """
    fewest = min(map(len, references))
    if is_drawn:
        each = [cider_d([texts[k] for texts in references], references)[0] for k in range(fewest)]
        return {"best": max(each), "mean": float(np.mean(each))}
    if fewest < 2:
        return None
    first, rest = [texts[0] for texts in references], [texts[1:] for texts in references]
    return {"agreement": cider_d(first, rest)[0]}
