"""What sentences without an LSTM are worth, and the most that any can be.

nearest        a caption of the training picture whose features have the largest cosine with the
               picture's, by the same CNN
most frequent  the caption that most training pictures have, for every picture
ceiling        of drawn flowers: each sentence without its faults, by the same template; the
               template that scores highest, for all pictures; the mean over templates.
               Of others, with several captions a picture: the first against the rest
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from apps.caption.metrics import CiderD, cider_d
from apps.caption.score.attributes import fitting_template
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


def ceiling_of_templates(
    said: Sequence[Words], references: Sequence[Sequence[Words]]
) -> dict[str, float]:
    """CIDEr-D of what a program says of the flowers that it drew.

    Args:
        said: sentences of a network, of which "faultless" tells what they would score without
            fault: as what the program says by the same template. Where a sentence fits none of
            those, the mean over templates counts.
        references: of each picture what the program says of it, by each template.

    Returns:
        {"faultless", "best", "mean"}.
    """
    scorer, count = CiderD(references), min(map(len, references))
    each = np.stack([scorer.score([texts[k] for texts in references])[1] for k in range(count)], 1)
    numbers = [fitting_template(words)[0] for words in said]
    same = [
        row[number] if 0 <= number < count else row.mean() for row, number in zip(each, numbers)
    ]
    means = each.mean(0)
    return {
        "faultless": float(np.mean(same)), "best": float(means.max()), "mean": float(means.mean())
    }  # fmt: skip


def agreement(references: Sequence[Sequence[Words]]) -> dict[str, float] | None:
    """CIDEr-D of people's first caption with the others; None where a picture has a single one."""
    if min(map(len, references)) < 2:
        return None
    first, rest = [texts[0] for texts in references], [texts[1:] for texts in references]
    return {"agreement": cider_d(first, rest)[0]}
