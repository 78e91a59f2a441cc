"""Sentences about drawn flowers.

Each template of the six attributes names all of them, so a caption says which combination a flower
is; the last one says it in other words. Those of extended flowers (extended.py) name only what
their kind is about, as the sentences of the paper do.
"""

from __future__ import annotations

from typing import Any

from minidl.data.flowers.attributes import ATTRIBUTES, check_flowers, describe
from minidl.errors import ArgumentError

NUMBERS = {4: "four", 5: "five", 6: "six", 8: "eight"}
TEMPLATES = (
    "the flower has {count} {shape} {color} petals and the center of it is {center}, it is {size} "
    "and the background is {background}",
    "this {size} flower has petals that are {color} and {shape}, {count} in number, with a "
    "{center} center and a {background} background",
    "a {size} {color} flower with {count} {shape} petals and a {center} center on a {background} "
    "background",
    "{count} {shape} {color} petals around a {center} middle, a {size} bloom before a "
    "{background} background",
    "on a {background} background a {size} flower whose center is {center} and whose {count} "
    "petals are {color} and {shape}",
    "the center of this flower is {center} and its {shape} petals are {color}, there are {count} "
    "petals, the flower is {size} and behind it is {background}",
    "the petals on this {size} flower are {color} and {shape} with a {center} center, there are "
    "{count} of them in front of {background}",
    "this flower is {color} in color and {size} in size, has {digit} petals that are {shape} and a "
    "{center} center, the background is {background}",
    "a {other_size} flower before {place}, its {count} {other_shape} petals are {color} and its "
    "middle is {center}",
)
OTHER_WORDS = {
    "small": "little", "large": "big", "round": "rounded", "pointed": "pointy",
    "dark green": "leaves", "sky blue": "the sky", "gray": "a grey wall",
}  # fmt: skip

# Six captions of Oxford-102 in the words of their authors.
OXFORD_SENTENCES = (
    "the flower has yellow petals and the center of it is brown",
    "the flower shown has yellow anther red pistil and bright red petals",
    "this flower has petals that are yellow, white and purple and has dark lines",
    "the petals on this flower are white with a yellow center",
    "this flower has a lot of small round pink petals",
    "this flower is orange in color, and has petals that are ruffled and rounded",
)


def captions(flower: Any) -> list[str]:
    """All captions of a flower's six attributes, a sentence per template.

    Args:
        flower: whole numbers, (6,), as in attributes.py.

    Raises:
        ArgumentError: something else; of extended flowers their class says it: class_captions.

    >>> from minidl.data.flowers import captions
    >>> captions((2, 1, 0, 1, 0, 1))[2]
    'a large yellow flower with five round petals and a brown center on a dark green background'
    """
    row = check_flowers("captions", [flower])[0]
    if row[len(ATTRIBUTES) :].any():
        rule = "the flower has extras, which these sentences do not name"
        raise ArgumentError("captions", rule, {"flower": row.tolist()})
    words = describe(row)
    count = words["count"]
    words |= {"count": NUMBERS[count], "digit": str(count)}
    for name, other in (("size", "other_size"), ("shape", "other_shape"), ("background", "place")):
        words[other] = OTHER_WORDS[words[name]]
    return [template.format(**words) for template in TEMPLATES]
