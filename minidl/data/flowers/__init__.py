"""Drawn flowers with captions, and an oracle that reads them back.

dataset = minidl.data.flowers.load_flowers("train", size=32)
"""

from minidl.data.flowers.attributes import (
    ATTRIBUTES,
    COMBINATIONS,
    VALUES,
    describe,
    neighbours,
    split_combinations,
)
from minidl.data.flowers.captions import OXFORD_SENTENCES, captions
from minidl.data.flowers.dataset import class_captions, class_names, load_flowers
from minidl.data.flowers.extended import extended_flowers
from minidl.data.flowers.oracle import read
from minidl.data.flowers.render import TILT, draw

__all__ = [
    "ATTRIBUTES", "COMBINATIONS", "OXFORD_SENTENCES", "TILT", "VALUES", "captions",
    "class_captions", "class_names", "describe", "draw", "extended_flowers", "load_flowers",
    "neighbours", "read", "split_combinations",
]  # fmt: skip
