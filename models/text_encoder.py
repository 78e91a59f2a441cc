"""What a sentence says, as a vector: two encoders.

    WordLstm       word -> vector 32, LSTM 128, mean over the words, linear -> 128
    CharCnnRnn     the hybrid of Reed et al. 2016b, "Learning deep representations of fine-grained
                   visual descriptions", section 4: 201 characters of an alphabet of 70

                                        out (channels x places)
                   one place a character      70 x 201
                   conv 4, relu, pool 3      384 x  66
                   conv 4, relu, pool 3      512 x  21
                   conv 4, relu, pool 3/2    256 x   8
                   LSTM, mean over time      256
                   linear                   1024

Both take numbers (N, L) and the length of each sentence; what stands behind a sentence's end
changes nothing. They are trained so that a sentence comes close to the picture that it is about
(apps/draw/matching.py) and frozen then.

Reed's code has 70 characters in its alphabet with "-" twice, of which the second counts: numbers
are the same here, so number 37 is never met. Its recurrent layer is a plain one or a GRU; here it
is an LSTM.
"""

from __future__ import annotations

from typing import Any

import minidl
from minidl import nn
from minidl.checks import check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.tensor import Tensor

ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-,;.!?:'\"/\\|_@#$%^&*~`+-=<>()[]{} "
NUMBERS = {character: number for number, character in enumerate(ALPHABET, 1)}  # 0: none of them
LONGEST = 201  # characters that CharCnnRnn reads


def character_numbers(text: str) -> list[int]:
    """A text as CharCnnRnn reads it: in lower case, each character's place in the alphabet from 1.

    Args:
        text: any text; what comes after 201 characters is left out.

    Returns:
        At most 201 numbers, 0 for a character that is not in the alphabet.

    Raises:
        ArgumentError: not a str.

    >>> from models.text_encoder import character_numbers
    >>> character_numbers("A béd")
    [1, 70, 2, 0, 4]
    """
    if not isinstance(text, str):
        raise ArgumentError("character_numbers", "expects text", {"text": text})
    return [NUMBERS.get(character, 0) for character in text.lower()[:LONGEST]]


class WordLstm(nn.Module):
    """The mean over the words of what an LSTM makes of them, then a linear layer.

    Args:
        words: how many there are, those with a special meaning included; 0 is <pad>.
        embedding: numbers of a word's vector.
        hidden: units of the LSTM.
        out: numbers of the sentence's vector.

    Shapes: integers (N, L), lengths (N,) -> (N, out).

    >>> from models.text_encoder import WordLstm
    >>> numbers, lengths = minidl.data.pad_sequences([[5, 6, 7], [8]])
    >>> WordLstm(words=10)(numbers, lengths).shape
    (2, 128)
    """

    def __init__(self, words: int, embedding: int = 32, hidden: int = 128, out: int = 128):
        super().__init__()
        self.out_features = out
        self.embedding = nn.Embedding(words, embedding, padding_idx=0)
        self.lstm = nn.LSTM(embedding, hidden, batch_first=True)
        self.out = nn.Linear(hidden, out)

    def forward(self, numbers: Tensor, lengths: Any) -> Tensor:
        counts = check_sentences("WordLstm", numbers, lengths)
        states, _ = self.lstm(self.embedding(numbers), lengths=counts)  # 0 behind the end
        divisors = Tensor(counts.reshape(-1, 1).astype(states.dtype))
        return self.out(states.sum(1) / divisors)


class CharCnnRnn(nn.Module):
    """Convolutions over characters, a recurrent layer, the mean over time; Reed et al. 2016b.

    Args:
        out: numbers of the sentence's vector.
        widths: channels of the three convolutions; the last is also the LSTM's.

    Shapes: numbers of character_numbers (N, L), lengths (N,) -> (N, out), L any: what is beyond 201
    is left out.

    >>> from models.text_encoder import CharCnnRnn, character_numbers
    >>> sentences = [character_numbers(text) for text in ("a red flower", "a bird")]
    >>> CharCnnRnn(16, widths=(4, 4, 4))(*minidl.data.pad_sequences(sentences)).shape
    (2, 16)
    """

    def __init__(self, out: int = 1024, widths: tuple[int, int, int] = (384, 512, 256)):
        super().__init__()
        self.out_features = out
        channels = [len(ALPHABET), *widths]
        self.convs = nn.ModuleList([
            nn.Conv2d(before, after, (1, 4)) for before, after in zip(channels, widths)
        ])  # fmt: skip
        self.lstm = nn.LSTM(widths[-1], widths[-1], batch_first=True)
        self.out = nn.Linear(widths[-1], out)

    def forward(self, numbers: Tensor, lengths: Any) -> Tensor:
        counts = check_sentences("CharCnnRnn", numbers, lengths)
        x = one_places(numbers, counts, self.out.weight.dtype)
        for conv, step in zip(self.convs, (3, 3, 2)):
            x = nn.functional.max_pool2d(conv(x).relu(), (1, 3), (1, step))
        states, _ = self.lstm(x.reshape(*x.shape[:2], -1).transpose(1, 2))
        return self.out(states.mean(1))


def one_places(numbers: Tensor, counts: Any, dtype: Any) -> Tensor:
    """(N, 70, 1, 201): 1 at the place of each character, 0 where there is none."""
    xp, size = array_module(numbers.data), min(numbers.shape[1], LONGEST)
    places = xp.arange(LONGEST)
    characters = xp.zeros((len(numbers), LONGEST), numbers.data.dtype)
    characters[:, :size] = numbers.data[:, :size]
    characters[places >= counts[:, None]] = 0
    rows = xp.arange(1, len(ALPHABET) + 1).reshape(1, -1, 1, 1)
    return Tensor((characters[:, None, None] == rows).astype(dtype))


def check_sentences(op: str, numbers: Tensor, lengths: Any) -> Any:
    """The lengths of sentences as an array of integers (N,), each from 1 to L.

    Args:
        op: named in errors.
        numbers: the sentences, integers (N, L).
        lengths: integers (N,), a Tensor, array or list.

    Raises:
        DtypeError: numbers are no integer Tensor, or lengths no integers.
        ShapeError: not (N, L), or another number of lengths.
        ArgumentError: a sentence is empty, or longer than L.
    """
    check_tensor(op, numbers=numbers)
    if numbers.data.dtype.kind not in "iu":
        raise DtypeError(op, "numbers are integers", {"numbers": numbers.dtype})
    if numbers.ndim != 2:
        raise ShapeError(op, "numbers are (N, L)", {"numbers": numbers})
    counts = lengths.data if isinstance(lengths, Tensor) else minidl.tensor(lengths).data
    if counts.shape != (len(numbers),):
        raise ShapeError(op, "lengths are (N,)", {"numbers": numbers, "lengths": lengths})
    if len(counts) and counts.dtype.kind not in "iu":
        raise DtypeError(op, "lengths are integers", {"lengths": counts.dtype})
    if len(counts) and not 1 <= counts.min() <= counts.max() <= numbers.shape[1]:
        raise ArgumentError(
            op, f"a length is at least 1 and at most L = {numbers.shape[1]}", {"lengths": lengths},
            "an empty sentence says nothing that could be encoded",
        )  # fmt: skip
    return counts
