"""BLEU: what share of a caption's words, pairs, triples and quadruples is in the references
(Papineni et al. 2002).

    p_k    = words in a row, k of them, that a reference has as well / all that were said;
             each counts at most as often as in the reference that has it most often
    B      = min(1, exp(1 - r / c))   c words were said, and r are in the references: of each
                                      picture the reference that comes closest in length
    BLEU-n = B (p_1 p_2 ... p_n)^(1/n)

Both sums of p_k, as well as r and c, go over all pictures before they are divided: the score of a
data set is not the mean over its pictures. Of two references that are equally close, the shorter
one counts. As in coco-caption, tiny numbers keep a fraction from being 0 or 0 / 0, so BLEU-4
without a single right quadruple is small, not 0.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from apps.caption.metrics.ngrams import Words, check_captions, count_ngrams

TINY, SMALL = 1e-15, 1e-9  # added to numerators and denominators


def bleu(
    candidates: Sequence[Words], references: Sequence[Sequence[Words]], n: int = 4
) -> list[float]:
    """BLEU-1 to BLEU-n of a data set, each from 0 to 1.

    Args:
        candidates: for each picture the words of the caption to score.
        references: for each picture the words of its true captions, at least one.
        n: the longest row of words.

    Returns:
        n floats.

    Raises:
        ArgumentError: lists of different lengths, no references, or text in place of words.

    >>> said = ["a", "red", "flower", "on", "a", "wall"]
    >>> [round(score, 3) for score in bleu([said], [[["a", "red", "flower", "in", "a", "vase"]]])]
    [0.667, 0.516, 0.405, 0.0]
    """
    check_captions("bleu", candidates, references)
    right, said, length = [0] * n, [0] * n, 0
    for words, texts in zip(candidates, references):
        most: list[Counter] = [Counter() for _ in range(n)]
        for text in texts:
            for k, counts in enumerate(count_ngrams(text, n)):
                most[k] |= counts  # of two counts the larger one
        for k, counts in enumerate(count_ngrams(words, n)):
            right[k] += (counts & most[k]).total()  # the smaller one
            said[k] += counts.total()
        length += closest_length(len(words), texts)
    return bleu_of_counts(right, said, length)


def closest_length(length: int, texts: Sequence[Words]) -> int:
    """The length of the text whose length is closest, the shorter one of two."""
    return min((abs(len(text) - length), len(text)) for text in texts)[1]


def bleu_of_counts(right: Sequence[int], said: Sequence[int], length: int) -> list[float]:
    """BLEU-1 to BLEU-n from the counts of a data set.

    Args:
        right: n counts: words that a reference has as well, pairs, triples, ...
        said: n counts: all words, all pairs, ...
        length: words of the references.
    """
    ratio = (said[0] + TINY) / (length + SMALL)
    brevity = math.exp(1 - 1 / ratio) if ratio < 1 else 1.0
    scores, product = [], 1.0
    for k in range(len(said)):
        product *= (right[k] + TINY) / (said[k] + SMALL)
        scores.append(brevity * product ** (1 / (k + 1)))
    return scores
