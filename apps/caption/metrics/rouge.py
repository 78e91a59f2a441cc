"""ROUGE-L: how long a sequence of words caption and reference share (Lin 2004).

    L = words of the longest sequence that both have in the same order, with gaps allowed
    P = L / words of the caption        R = L / words of the reference
    F = (1 + b^2) P R / (R + b^2 P)     b = 1.2: R counts more than P

With several references, P and R are each the largest of all, perhaps of different references, as in
coco-caption. The score of a data set is the mean over pictures.
"""

from __future__ import annotations

from collections.abc import Sequence

from apps.caption.metrics.ngrams import Words, check_captions

BETA = 1.2
NOTHING = ("",)  # a caption without words counts as one empty word, as in coco-caption


def rouge_l(candidates: Sequence[Words], references: Sequence[Sequence[Words]]) -> float:
    """ROUGE-L of a data set, from 0 to 1.

    Args:
        candidates: for each picture the words of the caption to score.
        references: for each picture the words of its true captions, at least one.

    Raises:
        ArgumentError: lists of different lengths, no references, or text in place of words.

    >>> said = ["a", "red", "flower", "on", "a", "wall"]
    >>> round(rouge_l([said], [[["a", "red", "flower", "in", "a", "vase"], ["a", "wall"]]]), 4)
    0.8299
    """
    check_captions("rouge_l", candidates, references)
    scores = [score(words, texts) for words, texts in zip(candidates, references)]
    return sum(scores) / len(scores)


def score(words: Words, texts: Sequence[Words]) -> float:
    """ROUGE-L of one picture."""
    words = words or NOTHING
    shared = [longest_common(words, text or NOTHING) for text in texts]
    precision = max(shared) / len(words)
    recall = max(length / len(text or NOTHING) for length, text in zip(shared, texts))
    if precision == 0:
        return 0.0
    return (1 + BETA**2) * precision * recall / (recall + BETA**2 * precision)


def longest_common(a: Words, b: Words) -> int:
    """Words of the longest common subsequence.

    Row i of the table has the answers for the first i words of a and each beginning of b.

    >>> longest_common(["a", "red", "rose"], ["a", "big", "rose"])
    2
    """
    row = [0] * (len(b) + 1)
    for word in a:
        above, row = row, [0]
        for j, other in enumerate(b):
            row.append(above[j] + 1 if word == other else max(above[j + 1], row[j]))
    return row[-1]
