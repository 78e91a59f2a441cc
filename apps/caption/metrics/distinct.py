"""How many different captions there are: a network may say the same about all pictures."""

from __future__ import annotations

from collections.abc import Sequence

from apps.caption.metrics.ngrams import Words
from minidl.errors import ArgumentError


def distinct_share(candidates: Sequence[Words]) -> float:
    """Different captions / captions: 1 where each is another one, 1 / N where all are the same.

    Args:
        candidates: for each picture the words of its caption.

    Raises:
        ArgumentError: no captions.

    >>> distinct_share([["a", "rose"], ["a", "rose"], ["a", "tulip"], ["a", "rose"]])
    0.5
    """
    if len(candidates) == 0:
        raise ArgumentError("distinct_share", "expects the captions of at least one picture")
    return len({tuple(words) for words in candidates}) / len(candidates)
