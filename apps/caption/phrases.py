"""Which words, and which pairs of neighbours, are in any caption of a picture.

A word alone may say too little: "yellow" is in the captions of a flower whose petals are yellow and
of one whose center is; "yellow center" is only in the latter's.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence

import numpy as np

from apps.shared.rows import Rows

MOST = 1_000  # as many as Fang et al. 2015, section 3, have words


class Phrases:
    """The most frequent phrases of one or two words in the captions of pictures.

    Args:
        pictures: of each picture its captions, at least one, each as words, at least one.
        most: how many phrases at most: those that most pictures have, and of equals the first by
            the alphabet. A phrase that all pictures have tells nothing and does not count.

    Attributes:
        names: the phrases, tuples of one or two words, by the alphabet.

    >>> from apps.caption.phrases import Phrases
    >>> phrases = Phrases([[["red", "flower"]], [["blue", "flower"]]])
    >>> phrases.names
    [('blue',), ('blue', 'flower'), ('red',), ('red', 'flower')]
    >>> phrases.present(np.array([1]))
    array([[1., 1., 0., 0.]], dtype=float32)
    """

    def __init__(self, pictures: Sequence[Sequence[Sequence[str]]], most: int = MOST):
        having = Counter(phrase for captions in pictures for phrase in phrases_of(captions))
        telling = ((-n, phrase) for phrase, n in having.items() if n < len(pictures))
        self.names = sorted(phrase for _, phrase in heapq.nsmallest(most, telling))
        place = {phrase: i for i, phrase in enumerate(self.names)}
        self.rows = Rows(
            [place[phrase] for phrase in phrases_of(captions) if phrase in place]
            for captions in pictures
        )

    def __len__(self) -> int:
        return len(self.names)

    def present(self, indices: np.ndarray) -> np.ndarray:
        """Of each of these pictures, 1 for the phrases in its captions, else 0; float32 (N, P)."""
        found = np.zeros((len(indices), len(self)), np.float32)
        for row, index in zip(found, indices):
            row[self.rows[index]] = 1
        return found


def phrases_of(captions: Sequence[Sequence[str]]) -> set[tuple[str, ...]]:
    """All words of captions, and all pairs of words that follow each other."""
    words = {(word,) for caption in captions for word in caption}
    return words.union(*(zip(caption, caption[1:]) for caption in captions))
