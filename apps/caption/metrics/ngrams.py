"""Words in a row, which BLEU and CIDEr-D count, and the check of what a metric is given."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from minidl.errors import ArgumentError

Words = Sequence[str]


def count_ngrams(words: Words, n: int = 4) -> list[Counter[tuple[str, ...]]]:
    """How often each word, each two words in a row, ... up to n words in a row occur.

    Args:
        words: of a caption.
        n: the longest row.

    Returns:
        n counters: of single words, of pairs, and so on. Those longer than the caption are empty.

    >>> count_ngrams(["a", "b", "a"], n=2)
    [Counter({('a',): 2, ('b',): 1}), Counter({('a', 'b'): 1, ('b', 'a'): 1})]
    """
    return [
        Counter(tuple(words[i : i + k]) for i in range(len(words) - k + 1)) for k in range(1, n + 1)
    ]


def check_captions(
    op: str, candidates: Sequence[Words], references: Sequence[Sequence[Words]]
) -> None:
    """There is a caption and at least one reference for each picture, all of them word lists.

    Raises:
        ArgumentError
    """
    if len(candidates) != len(references):
        raise ArgumentError(
            op, "expects one caption and one list of references for each picture",
            {"captions": len(candidates), "lists of references": len(references)},
        )  # fmt: skip
    for words in candidates:
        check_words(op, words)
    check_references(op, references)


def check_references(op: str, references: Sequence[Sequence[Words]]) -> None:
    """There is at least one picture, each with at least one reference, all of them word lists.

    Raises:
        ArgumentError
    """
    if len(references) == 0:
        raise ArgumentError(op, "expects the captions of at least one picture")
    for texts in references:
        if isinstance(texts, str) or len(texts) == 0:
            raise ArgumentError(
                op, "each picture has a list of one reference or more", {"references": texts}
            )
        for words in texts:
            check_words(op, words)


def check_words(op: str, words: Words) -> None:
    """A caption is a list of words; a str would be taken for a list of letters."""
    if isinstance(words, str) or not all(isinstance(word, str) for word in words):
        raise ArgumentError(
            op, "a caption is a list of words", {"caption": words}, "minidl.data.tokenize makes it"
        )
