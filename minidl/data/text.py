"""Text as numbers: words, a vocabulary, batches of sequences of different lengths."""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from minidl.checks import check_ordered
from minidl.errors import ArgumentError, DataError

PAD, UNKNOWN, START, END = "<pad>", "<unk>", "<s>", "</s>"
SPECIAL = (PAD, UNKNOWN, START, END)
JOINERS = "\u200c\u200d"  # invisible, inside of words in Persian and Hindi


def tokenize(text: str) -> list[str]:
    """The words of a text in lower case; punctuation is left out.

    Accents and vowel signs belong to their letters; where there is one character for both, that is
    taken, so that a word is the same however it was written.

    Args:
        text: any text.

    Returns:
        Its words, in order.

    Raises:
        ArgumentError: not a str.

    >>> minidl.data.tokenize("It's a flower, with 5 petals.")
    ["it's", 'a', 'flower', 'with', '5', 'petals']
    """
    if not isinstance(text, str):
        raise ArgumentError("tokenize", "expects text", {"text": text})
    text = unicodedata.normalize("NFC", text.lower())
    marks = "" if text.isascii() else "".join(sorted({c for c in text if is_mark(c)}))
    return word_pattern(marks).findall(text)


def is_mark(character: str) -> bool:
    """Whether a character belongs to the letter before it: an accent, a vowel sign, a joiner."""
    return unicodedata.category(character).startswith("M") or character in JOINERS


@functools.lru_cache(maxsize=256)
def word_pattern(marks: str) -> re.Pattern[str]:
    """Letters and digits, each with its marks, which re does not count as letters; "it's" is one
    word."""
    part = rf"[^\W_](?:[^\W_]|[{marks}])*" if marks else r"[^\W_]+"
    return re.compile(rf"{part}(?:['’]{part})*")


class Vocabulary:
    """Words and their numbers. The first four are special:

        0 <pad>  fills up a batch        1 <unk>  a word that is not in the vocabulary
        2 <s>    start of a sequence     3 </s>   end of a sequence

    Args:
        words: the others, each once, in the order of their numbers from 4 on.

    >>> texts = [["a", "red", "rose"], ["a", "rose"]]
    >>> vocabulary = minidl.data.Vocabulary.build(texts, min_count=2)
    >>> vocabulary.encode(["a", "blue", "rose"])
    [2, 4, 1, 5, 3]
    >>> vocabulary.decode([2, 4, 1, 5, 3, 0])
    ['a', '<unk>', 'rose']
    """  # fmt: skip

    def __init__(self, words: Sequence[str]):
        check_list("Vocabulary", "words", words)
        self.words = [*SPECIAL, *words]
        self.numbers = {word: number for number, word in enumerate(self.words)}
        wrong = [word for word in self.words if not isinstance(word, str) or not word]
        if wrong or len(self.numbers) != len(self.words):
            raise ArgumentError(
                "Vocabulary", "words are texts, each once, none of them special",
                {"wrong": wrong or [w for w, n in Counter(self.words).items() if n > 1][:5]},
            )  # fmt: skip

    @classmethod
    def build(cls, texts: Iterable[Sequence[str]], min_count: int = 1) -> Vocabulary:
        """The words of some texts, the most frequent first, equally frequent ones by alphabet.

        Args:
            texts: a list of words for each text.
            min_count: words that occur less often are left out, and become <unk>.
        """
        if isinstance(min_count, bool) or not isinstance(min_count, int) or min_count < 1:
            raise ArgumentError("Vocabulary", "min_count is an int >= 1", {"min_count": min_count})
        counts: Counter = Counter()
        check_list("Vocabulary", "texts", texts)
        for text in texts:
            check_list("Vocabulary", "a text", text, "use tokenize(text)")
            counts.update(text)
        for special in SPECIAL:
            counts.pop(special, None)
        kept = [word for word, count in counts.items() if count >= min_count]
        return cls(sorted(kept, key=lambda word: (-counts[word], word)))

    def __len__(self) -> int:
        return len(self.words)

    def __contains__(self, word: str) -> bool:
        return word in self.numbers

    def encode(self, words: Sequence[str], ends: bool = True) -> list[int]:
        """Numbers of words; 1 for each word that is not in the vocabulary.

        Args:
            words: list of words.
            ends: put <s> before them and </s> after them.
        """
        check_list("encode", "words", words, "use tokenize(text)")
        unknown = self.numbers[UNKNOWN]
        numbers = [self.numbers.get(word, unknown) for word in words]
        return [self.numbers[START], *numbers, self.numbers[END]] if ends else numbers

    def decode(self, numbers: Iterable[int]) -> list[str]:
        """Words of numbers, up to </s>; <pad> and <s> are left out.

        Raises:
            ArgumentError: a number without a word.
        """
        check_list("decode", "numbers", numbers)
        words = []
        for number in numbers:
            if hasattr(number, "item"):  # of an array or Tensor
                number = number.item()
            if not isinstance(number, int):
                raise ArgumentError("decode", "numbers are ints", {"number": number})
            if not 0 <= number < len(self.words):
                raise ArgumentError(
                    "decode", f"numbers run from 0 to {len(self.words) - 1}", {"number": number}
                )
            word = self.words[number]
            if word == END:
                break
            if word not in (PAD, START):
                words.append(word)
        return words

    def to_json(self) -> str:
        """The words as JSON text, for a checkpoint."""
        return json.dumps(self.words[len(SPECIAL) :], ensure_ascii=False)

    @classmethod
    def from_json(cls, text: str) -> Vocabulary:
        """The vocabulary that to_json wrote.

        Raises:
            DataError: not a JSON list of words.
        """
        try:
            words = json.loads(text)
            if not isinstance(words, list):
                raise ValueError("not a list")
            return cls(words)
        except (ValueError, TypeError) as error:  # also ArgumentError and JSONDecodeError
            raise DataError("Vocabulary", f"not the JSON of a vocabulary ({error})") from None


def pad_sequences(sequences: Sequence[Sequence[int]], value: int = 0) -> tuple[Any, Any]:
    """Sequences of different lengths as one Tensor, filled up at the end.

    Args:
        sequences: lists of ints, at least one.
        value: what fills up, by default the number of <pad>.

    Returns:
        (numbers int64 (N, longest), lengths int64 (N,)), both Tensors.

    >>> numbers, lengths = minidl.data.pad_sequences([[5, 6, 7], [8]])
    >>> numbers.tolist(), lengths.tolist()
    ([[5, 6, 7], [8, 0, 0]], [3, 1])
    """
    from minidl.tensor import Tensor

    check_list("pad_sequences", "sequences", sequences)
    if isinstance(value, bool) or not isinstance(value, int | np.integer):
        raise ArgumentError("pad_sequences", "value is an int", {"value": value})
    sequences = list(sequences)
    for sequence in sequences:
        check_list("pad_sequences", "a sequence", sequence)
    if len(sequences) == 0:
        raise ArgumentError("pad_sequences", "expects at least one sequence")
    lengths = np.array([len(sequence) for sequence in sequences], np.int64)
    numbers = np.full((len(sequences), int(lengths.max())), value, np.int64)
    for row, sequence in zip(numbers, sequences):
        values = np.asarray(sequence)
        if values.ndim != 1 or (values.size and values.dtype.kind not in "iu"):
            raise ArgumentError("pad_sequences", "a sequence is a list of ints", {"one": sequence})
        row[: len(sequence)] = values
    return Tensor(numbers), Tensor(lengths)


def check_list(op: str, name: str, values: Any, hint: str = "") -> None:
    """values is a list or the like, and no text, whose items would be letters.

    Raises:
        ArgumentError
    """
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ArgumentError(op, f"{name} is a list", {name: values}, hint)
    check_ordered(op, name, values)
