"""Which words, and which pairs of neighbours, are in any caption of a picture.

A word alone may say too little: "brown" is in the captions of a flower whose petals are brown and
of one whose center is; "brown center" is only in the latter's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from apps.shared.rows import Rows

MOST = 1_000  # as many as Fang et al. 2015, section 3, have words


class Phrases:
    """The most frequent phrases of one or two words in the captions of pictures.

    Args:
        pictures: of each picture its captions, at least one, each as words, at least one.
        most: how many phrases at most. Those that more pictures have come first, then by the
            alphabet; a phrase that all pictures have tells nothing and does not count.

    Attributes:
        names: the phrases, tuples of one or two words.

    >>> from apps.caption.phrases import Phrases
    >>> phrases = Phrases([[["red", "flower"]], [["blue", "flower"]]])
    >>> phrases.names
    [('blue',), ('blue', 'flower'), ('red',), ('red', 'flower')]
    >>> phrases.present(np.array([1]))
    array([[1., 1., 0., 0.]], dtype=float32)
    """

    def __init__(self, pictures: Sequence[Sequence[Sequence[str]]], most: int = MOST):
        number: dict[tuple[str, ...], int] = {}
        known: dict[tuple[str, ...], list[int]] = {}  # of each caption its phrases' numbers

        def phrases_of(caption: Sequence[str]) -> list[int]:
            words = tuple(caption)
            if words not in known:
                known[words] = [number.setdefault(p, len(number)) for p in neighbours(words)]
            return known[words]

        found = [
            np.unique(np.concatenate([phrases_of(caption) for caption in captions]))
            for captions in pictures
        ]
        having = np.bincount(np.concatenate(found), minlength=len(number))  # pictures
        telling = [(-having[i], phrase) for phrase, i in number.items() if having[i] < len(found)]
        self.names = sorted(phrase for _, phrase in sorted(telling)[:most])
        place = np.full(len(number), -1)
        place[[number[phrase] for phrase in self.names]] = np.arange(len(self.names))
        self.rows = Rows(row[row >= 0] for row in (place[phrases] for phrases in found))

    def __len__(self) -> int:
        return len(self.names)

    def present(self, indices: np.ndarray) -> np.ndarray:
        """Of each of these pictures, 1 for the phrases in its captions, else 0; float32 (N, P)."""
        found = np.zeros((len(indices), len(self)), np.float32)
        for row, index in zip(found, indices):
            row[self.rows[index]] = 1
        return found


def neighbours(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """All words, and all pairs of words that follow each other."""
    yield from ((word,) for word in words)
    yield from zip(words, words[1:])
