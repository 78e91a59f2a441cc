"""CIDEr-D: how much a caption says of what people say about its picture, and not about others
(Vedantam, Lawrence Zitnick and Parikh 2015, section 8).

    w(g)   = count of g in the caption * log(pictures / pictures with g in a reference)
    sim_k  = sum_g min(w_c(g), w_r(g)) w_r(g) / (|w_c| |w_r|)   over g of k words in a row
    CIDEr-D = 10 mean_r mean_k sim_k exp(-(l_c - l_r)^2 / (2 sigma^2))       k = 1..4, sigma = 6

Words that belong to every picture, such as "a", weigh nothing; a word that no reference has weighs
as one of a single picture. The minimum keeps a caption from gaining by repeating a word, the
exponential by being much longer or shorter than the reference. A caption equal to all references of
its picture scores 10. With a single picture, all weights are log(1) = 0, and so is the score.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from apps.caption.metrics.ngrams import Words, check_captions, check_references, count_ngrams


def cider_d(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[float, np.ndarray]:
    """CIDEr-D of a data set, from 0 to 10.

    Args:
        candidates: for each picture the words of the caption to score.
        references: for each picture the words of its true captions, at least one.

    Returns:
        (mean over pictures, score of each picture float64 (N,))

    Raises:
        ArgumentError: lists of different lengths, no references, or text in place of words.

    >>> flowers = [[["a", "red", "flower"]], [["a", "blue", "flower"]], [["a", "red", "rose"]]]
    >>> mean, each = cider_d([["a", "red", "flower"], ["a", "flower"], ["a", "rose"]], flowers)
    >>> round(mean, 2), each.round(2).tolist()
    (3.56, [7.5, 0.85, 2.31])
    """
    return CiderD(references).score(candidates)


@dataclass(frozen=True)
class Weights:
    """A caption as weights of its words in a row.

    Args:
        by_length: for k = 1..n the weight of each k words in a row.
        norms: the Euclidean length of each of these.
        words: how many there are.
    """

    by_length: list[dict[tuple[str, ...], float]]
    norms: list[float]
    words: int


class CiderD:
    """CIDEr-D against fixed references, whose weights are computed once.

    Args:
        references: as in cider_d.
        n: the longest row of words.
        sigma: words by which captions may differ in length.

    Raises:
        ArgumentError: no references, or text in place of words.
    """

    def __init__(self, references: Sequence[Sequence[Words]], n: int = 4, sigma: float = 6.0):
        check_references("cider_d", references)
        self.references, self.n, self.sigma = references, n, sigma
        self.pictures: Counter[tuple[str, ...]] = Counter()  # whose references have these words
        for texts in references:
            rows = [row for text in texts for row in count_ngrams(text, n)]
            self.pictures.update({g for row in rows for g in row})
        known: dict[tuple[str, ...], Weights] = {}  # many pictures may share a caption
        for text in (text for texts in references for text in texts):
            if tuple(text) not in known:
                known[tuple(text)] = self.weigh(text)
        self.weights = [[known[tuple(text)] for text in texts] for texts in references]

    def score(self, candidates: Sequence[Words]) -> tuple[float, np.ndarray]:
        """CIDEr-D of captions.

        Args:
            candidates, and what is returned and raised: as in cider_d.
        """
        check_captions("cider_d", candidates, self.references)
        scores = []
        for words, references in zip(candidates, self.weights):
            said = self.weigh(words)
            scores.append(sum(self.similarity(said, one) for one in references) / len(references))
        return float(np.mean(scores)), np.array(scores)

    def weigh(self, words: Words) -> Weights:
        """The weights of a caption."""
        all_pictures = math.log(len(self.references))
        by_length = []
        for row in count_ngrams(words, self.n):
            rarity = {g: all_pictures - math.log(max(1, self.pictures[g])) for g in row}
            by_length.append({g: count * rarity[g] for g, count in row.items()})
        norms = [math.sqrt(sum(weight**2 for weight in row.values())) for row in by_length]
        return Weights(by_length, norms, len(words))

    def similarity(self, said: Weights, meant: Weights) -> float:
        """From 0 to 10; the same words in the same order make 10, if they weigh anything."""
        total = 0.0
        for k in range(self.n):
            ours, theirs = said.by_length[k], meant.by_length[k]
            norm = said.norms[k] * meant.norms[k]
            if norm > 0:
                both = [(weight, theirs[g]) for g, weight in ours.items() if g in theirs]
                total += sum(min(own, true) * true for own, true in both) / norm
        difference = said.words - meant.words
        return 10 * total / self.n * math.exp(-(difference**2) / (2 * self.sigma**2))
