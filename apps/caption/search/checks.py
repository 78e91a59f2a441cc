"""Checks of what a search is given."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from minidl.checks import check_tensor
from minidl.data import Vocabulary
from minidl.errors import ArgumentError, ShapeError
from minidl.shapes import is_int, is_number
from minidl.tensor import Tensor
from models.show_and_tell import Decoder


def check_ensemble(
    op: str, decoders: Sequence[Decoder], features: Sequence[Tensor], vocabulary: Vocabulary,
    max_words: int,
) -> None:  # fmt: skip
    """Decoders, their features and the vocabulary belong together.

    Raises:
        ArgumentError, ShapeError, DtypeError
    """
    for name, given in (("decoders", decoders), ("features", features)):
        if not isinstance(given, list | tuple) or not given:
            kind = type(given).__name__
            hint = "of one for a single network"
            raise ArgumentError(op, f"{name} are a list", {name: kind}, hint)
    if len(decoders) != len(features):
        counts = {"decoders": len(decoders), "features": len(features)}
        raise ArgumentError(op, "each decoder has features of its own", counts)
    for decoder, x in zip(decoders, features):
        check_tensor(op, features=x)
        if decoder.words != len(vocabulary):
            raise ArgumentError(
                op, "the vocabulary is another one than the decoder learned with",
                {"words of the decoder": decoder.words, "of the vocabulary": len(vocabulary)},
            )  # fmt: skip
        if x.ndim != 2 or len(x) != len(features[0]):
            raise ShapeError(
                op, "features are of the same pictures, (P, F)",
                {f"features of decoder {i}": each for i, each in enumerate(features)},
            )  # fmt: skip
    check_count(op, "max_words", max_words)


def check_beam(op: str, width: int, n_best: int, alpha: float, words: int) -> None:
    """The beam is not wider than the vocabulary, and as wide as there are captions to find.

    Raises:
        ArgumentError
    """
    check_count(op, "width", width)
    check_count(op, "n_best", n_best)
    if width > words:
        raise ArgumentError(
            op, f"the beam is wider than the vocabulary of {words} words", {"width": width},
            "3 is usual",
        )  # fmt: skip
    if n_best > width:
        raise ArgumentError(
            op, "no more captions are found than the beam is wide",
            {"n_best": n_best, "width": width},
        )  # fmt: skip
    if not is_number(alpha) or not 0 <= alpha < math.inf:
        raise ArgumentError(op, "alpha is a number >= 0", {"alpha": alpha})


def check_count(op: str, name: str, value: Any) -> None:
    if not is_int(value) or value < 1:
        raise ArgumentError(op, f"{name} is an int >= 1", {name: value})
