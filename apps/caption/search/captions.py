"""Captions while they are searched for, as arrays, and when they have been found, as words.

All pictures and all captions of a picture are in the same arrays, wherever these live. A caption
that is impossible has a score of -inf; so pictures with few captions fill up their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minidl.data import Vocabulary
from minidl.data.text import END, SPECIAL
from minidl.device import array_module, to_device

ENDS = SPECIAL.index(END)
IMPOSSIBLE = -float("inf")


@dataclass(frozen=True)
class Caption:
    """A caption, and how likely the network finds it.

    Args:
        words: of the caption, without <s> and </s>.
        numbers: of the words in the vocabulary, then that of </s>.
        log_prob: natural logarithm of the caption's probability, the sum of log_probs.
        log_probs: that of each of numbers, given the picture and the words before.
    """

    words: list[str]
    numbers: list[int]
    log_prob: float
    log_probs: list[float]


@dataclass
class Hypotheses:
    """K captions of each of P pictures, of as many words as have been said so far, </s> included.

    Args:
        scores: what decides which is better, float64 (P, K); -inf for none.
        numbers: of the words, int64 (P, K, L); 0 behind </s>.
        log_probs: of the words, float64 (P, K, L); 0 behind </s>.
    """

    scores: Any
    numbers: Any
    log_probs: Any

    def best(self, k: int) -> Hypotheses:
        """The k best of each picture, the best first; of equal ones, those that come first."""
        order = array_module(self.scores).argsort(-self.scores, axis=1, kind="stable")
        return self.take(order[:, :k])

    def take(self, order: Any) -> Hypotheses:
        """Those with the numbers (P, k) of each picture."""
        pictures = array_module(order).arange(len(order))[:, None]
        return Hypotheses(
            self.scores[pictures, order],
            self.numbers[pictures, order],
            self.log_probs[pictures, order],
        )

    def of(self, pictures: Any) -> Hypotheses:
        """The captions of some of the pictures."""
        return Hypotheses(self.scores[pictures], self.numbers[pictures], self.log_probs[pictures])

    def and_then(self, numbers: Any, log_probs: Any, scores: Any) -> Hypotheses:
        """Each with one more word, (P, K), and a new score."""
        xp = array_module(numbers)
        return Hypotheses(
            scores,
            xp.concatenate([self.numbers, numbers[:, :, None]], axis=2),
            xp.concatenate([self.log_probs, log_probs[:, :, None]], axis=2),
        )

    def and_others(self, others: Hypotheses) -> Hypotheses:
        """These, then others of the same pictures that have as many words or more."""
        xp = array_module(self.scores)
        more = ((0, 0), (0, 0), (0, others.numbers.shape[2] - self.numbers.shape[2]))
        return Hypotheses(
            xp.concatenate([self.scores, others.scores], axis=1),
            xp.concatenate([xp.pad(self.numbers, more), others.numbers], axis=1),
            xp.concatenate([xp.pad(self.log_probs, more), others.log_probs], axis=1),
        )

    def said(self, vocabulary: Vocabulary) -> list[list[Caption]]:
        """In words, for each picture those that are possible."""
        scores, numbers, log_probs = (
            to_device(x, "cpu").tolist() for x in (self.scores, self.numbers, self.log_probs)
        )
        return [
            [
                as_caption(vocabulary, *caption)
                for score, *caption in zip(*picture)
                if score > IMPOSSIBLE
            ]
            for picture in zip(scores, numbers, log_probs)
        ]


def none_yet(xp: Any, pictures: int, count: int, score: float) -> Hypotheses:
    """`count` captions of 0 words for each picture."""
    return Hypotheses(
        xp.full((pictures, count), score, xp.float64),
        xp.zeros((pictures, count, 0), xp.int64),
        xp.zeros((pictures, count, 0), xp.float64),
    )


def as_caption(vocabulary: Vocabulary, numbers: list[int], log_probs: list[float]) -> Caption:
    """A caption up to its </s>."""
    length = numbers.index(ENDS) + 1
    numbers, log_probs = numbers[:length], log_probs[:length]
    return Caption(vocabulary.decode(numbers), numbers, sum(log_probs), log_probs)
