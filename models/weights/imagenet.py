"""The 1,000 classes of ImageNet's challenge (ILSVRC 2012), as networks number them.

Each is a set of synonyms in WordNet 3.0 (Miller 1995), and the classes are in the order of their
WordNet numbers, n01440764 to n15075141. imagenet_classes.txt has the first word of each set. Where
two classes have the same first word, what they are is told apart: "crane (bird)", "tank suit".
"""

from __future__ import annotations

from pathlib import Path

FILE = Path(__file__).parent / "imagenet_classes.txt"


def class_names() -> list[str]:
    """The names of the classes, in the order of the scores.

    >>> from models.weights.imagenet import class_names
    >>> names = class_names()
    >>> len(names), names[0], names[208]
    (1000, 'tench', 'Labrador retriever')
    """
    return FILE.read_text(encoding="utf-8").splitlines()
