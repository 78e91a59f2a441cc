"""Captions as numbers: words or letters, and what of a caption is not known.

A reader is either; its `config` is kept in checkpoints, and `reader_from` makes it again. What it
does not know counts as <unk>, and `unknown` names it. No caption of the training has an unknown
word, so `forgotten` makes some: else <unk> would be a random vector as loud as any word.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minidl.data.text import Vocabulary, tokenize
from minidl.errors import CheckpointError, DataError
from models.text_encoder import ALPHABET, LONGEST, NUMBERS

PAD, UNKNOWN = 0, 1  # of words; of letters 0 is both


class Words:
    """Captions as words of a vocabulary.

    Args:
        vocabulary: the words that are known.

    >>> from apps.draw.texts import Words
    >>> words = Words.of(["a red flower", "a blue one"])
    >>> words.unknown("A red, ruffled flower.")
    ['ruffled']
    """

    kind = "word-lstm"
    unit = "word"

    def __init__(self, vocabulary: Vocabulary):
        self.vocabulary = vocabulary

    @classmethod
    def of(cls, texts: Sequence[str]) -> Words:
        """The words of some captions."""
        return cls(Vocabulary.build([tokenize(text) for text in texts]))

    def __len__(self) -> int:
        """How many numbers there are."""
        return len(self.vocabulary)

    def parts(self, text: str) -> list[str]:
        return tokenize(text)

    def number(self, part: str) -> int:
        return self.vocabulary.numbers.get(part, UNKNOWN)

    def is_known(self, part: str) -> bool:
        return part in self.vocabulary

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, "words": self.vocabulary.to_json()}

    def unknown(self, text: str) -> list[str]:
        """What of a caption is not known, each part once."""
        return list(dict.fromkeys(part for part in self.parts(text) if not self.is_known(part)))

    def encode(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        """Captions as numbers.

        Args:
            texts: at least one.

        Returns:
            (numbers int64 (N, longest), lengths int64 (N,)).

        Raises:
            DataError: a caption is empty.
        """
        rows = [[self.number(part) for part in self.parts(text)] for text in texts]
        empty = [text for text, row in zip(texts, rows) if not row]
        if empty:
            raise DataError(
                "caption", f"a caption needs at least one {self.unit}", {"caption": empty[0]}
            )
        lengths = np.array([len(row) for row in rows], np.int64)
        numbers = np.full((len(rows), lengths.max()), PAD, np.int64)
        for row, into in zip(rows, numbers):
            into[: len(row)] = row
        return numbers, lengths


class Letters(Words):
    """Captions as letters of Reed's alphabet; those behind the 201st are not read."""

    kind = "char-cnn-rnn"
    unit = "letter"

    def __init__(self):
        pass

    @classmethod
    def of(cls, texts: Sequence[str]) -> Letters:
        return cls()

    def __len__(self) -> int:
        return len(ALPHABET) + 1

    def parts(self, text: str) -> list[str]:
        return list(text.strip().lower()[:LONGEST])

    def number(self, part: str) -> int:
        return NUMBERS.get(part, 0)

    def is_known(self, part: str) -> bool:
        return part in NUMBERS

    def config(self) -> dict[str, Any]:
        return {"kind": self.kind, "alphabet": ALPHABET}


def forgotten(
    numbers: np.ndarray, lengths: np.ndarray, share: float, random: np.random.Generator
) -> np.ndarray:
    """Captions of which some words are unknown, each with the same chance.

    Args:
        numbers: of words, int64 (N, longest).
        lengths: int64 (N,).
        share: of the words.
        random: chooses them.
    """
    is_word = np.arange(numbers.shape[1]) < lengths[:, None]
    return np.where(is_word & (random.random(numbers.shape) < share), UNKNOWN, numbers)


READERS = {reader.kind: reader for reader in (Words, Letters)}


def reader_from(config: Any) -> Words:
    """The reader that a checkpoint holds.

    Raises:
        CheckpointError: it holds none that is known here.
    """
    kind = config.get("kind") if isinstance(config, dict) else None
    if kind == Words.kind and isinstance(config.get("words"), str):
        return Words(Vocabulary.from_json(config["words"]))
    if kind == Letters.kind and config.get("alphabet") == ALPHABET:
        return Letters()
    raise CheckpointError(
        "draw", "the checkpoint holds no vocabulary that this version reads", {"kind": kind}
    )
