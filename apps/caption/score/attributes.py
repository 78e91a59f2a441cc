"""What a sentence about a drawn flower says, read back from its words, and whether that is right.

    a large yellow flower with five round petals and a brown center on a gray background
    -> size large, color yellow, count 5, shape round, center brown, background gray

The sentences that a network learned from are templates with gaps (minidl.data.flowers), and one
that it says is read by the template that it fits as a whole. What fits none says nothing. Those of
extended flowers name two attributes at most of the six; what they say besides (dark lines, ruffled
petals) is wrong of the 1,344.

An attribute that a sentence does not name is not right: otherwise a network that knows two of six
would do best to be silent about the others.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minidl.data.flowers import ATTRIBUTES, VALUES, describe
from minidl.data.flowers.attributes import EXTRAS
from minidl.data.flowers.captions import NUMBERS, OTHER_WORDS, TEMPLATES
from minidl.data.flowers.extended import KINDS, LARGE

GAPS = {  # gap of a template -> attribute, word -> value
    **{name: (name, {str(value): value for value in values}) for name, values in VALUES.items()},
    "count": ("count", {word: number for number, word in NUMBERS.items()}),
    "digit": ("count", {str(number): number for number in NUMBERS}),
    **{
        gap: (name, {OTHER_WORDS[value]: value for value in VALUES[name]})
        for gap, name in (
            ("other_size", "size"), ("other_shape", "shape"), ("place", "background")
        )
    },
    **{name: (name, {str(value): value for value in values}) for name, values in EXTRAS.items()},
}  # fmt: skip


def named_attributes(words: Sequence[str]) -> dict[str, Any]:
    """What a sentence names: attribute -> value; nothing where it fits no template.

    Args:
        words: of the sentence.

    >>> from apps.caption.score.attributes import named_attributes
    >>> named_attributes("the petals on this flower are white with a yellow center".split())
    {'color': 'white', 'center': 'yellow'}
    """
    number, found = fitting_template(words)
    if found is None:
        return {}
    said = {GAPS[gap][0]: GAPS[gap][1][word] for gap, word in found.groupdict().items()}
    return said | patterns()[number][1]


def fitting_template(words: Sequence[str]) -> tuple[int, re.Match[str] | None]:
    """The number of the template that a sentence fits, and its gaps; (-1, None) where it fits none.

    The first ones are those of the six attributes, in the order of a flower's captions.
    """
    text = " ".join(words)
    for number, (pattern, _) in enumerate(patterns()):
        found = pattern.fullmatch(text)
        if found:
            return number, found
    return -1, None


@functools.cache
def patterns() -> list[tuple[re.Pattern[str], dict[str, Any]]]:
    """Each template as a pattern, and what it says besides its gaps."""
    found = [(pattern_of(template), {}) for template in TEMPLATES]
    for kind in KINDS:
        besides = {name: value_of(name, n) for name, n in kind.fixed.items() if name not in LARGE}
        found += [(pattern_of(template), besides) for template in kind.templates]
    return found


def pattern_of(template: str) -> re.Pattern[str]:
    """A template as a pattern of words with a space between them."""
    words = [word.strip(",.") for word in template.split()]
    return re.compile(" ".join(gap_pattern(word) or re.escape(word) for word in words))


def gap_pattern(word: str) -> str:
    """The pattern of "{color}"; "" of a word."""
    gap = re.fullmatch(r"\{(\w+)\}", word)
    if not gap:
        return ""
    choices = "|".join(re.escape(value) for value in GAPS[gap[1]][1])
    return f"(?P<{gap[1]}>{choices})"


def value_of(name: str, number: int) -> Any:
    """The value of an attribute, or of an extra, by its number."""
    return VALUES[name][number] if name in VALUES else EXTRAS[name][number - 1]


def judged(said: Sequence[Sequence[str]], flowers: np.ndarray) -> dict[str, Any]:
    """How often sentences about flowers are right.

    Args:
        said: words of a sentence for each.
        flowers: of the 1,344, int (N, 6).

    Returns:
        all_right: the share of sentences that name all six, and all of them right.
        nothing_wrong: the share that name something, and nothing wrong; they may be silent about
        some. attributes: of each the share of sentences that name it, and right.
    """
    true = [describe(row) for row in flowers]
    read = [named_attributes(words) for words in said]
    pairs = list(zip(read, true))
    return {
        "all_right": share(found == real for found, real in pairs),
        "nothing_wrong": share(
            bool(found) and found.items() <= real.items() for found, real in pairs
        ),
        "attributes": {
            name: share(found.get(name) == real[name] for found, real in pairs)
            for name in ATTRIBUTES
        },
    }


def share(hits: Iterable[bool]) -> float:
    """Of those that are True."""
    return float(np.mean(list(hits)))
