"""Says what is on a picture, word by word: Show and Tell.

Vinyals, Toshev, Bengio and Erhan 2016, "Show and Tell: Lessons learned from the 2015 MSCOCO Image
Captioning Challenge", section 3; what it leaves open is as in the authors' code, im2txt.

    log p(S | I) = sum_t log p(S_t | I, S_0 ... S_t-1)        S_0 = <s>, the last word is </s>

A CNN makes features of the picture. A linear layer brings them to the size of a word's vector, and
the LSTM sees them once, before the first word; so all that the words know of the picture is in the
state that it leaves behind. From then on the LSTM sees a word and gives scores for the next one:

    features        <s>           a          red                     parameters (V = 12,000 words)
       |             |            |           |       picture    2,048 x 512             1,048,576
    picture      embedding    embedding   embedding   embedding      V x 512             6,144,000
       |             |            |           |
     LSTM    ->    LSTM    ->   LSTM   ->   LSTM      LSTM       2,048 x (512 + 512 + 1) 2,099,200
                     |            |           |
                    out          out         out      out            V x (512 + 1)       6,156,000
                     |            |           |
                     a           red        rose                                        15,447,776

There is dropout on what goes into the LSTM and on what comes out, not on its state. im2txt's
weights start uniform in +-0.08, for sums over 512 numbers. Here a weight of a sum over n numbers
starts in +-0.08 sqrt(512 / n), so that sums come out equally large whatever n is: with 0.08 a
narrow LSTM would hardly notice the picture, and learn to say the same of all. Vectors of words, no
sums, start in +-0.08. Biases start at 0, that of the forget gate at 1 (as TensorFlow's cells have
it): in the beginning the LSTM forgets little, and the last word can learn from the picture.

    loss  =  - sum over the words that count of log p(word)  /  their number        section 3.1

Inside, arrays are (time, batch, ...), so padding is at the end of memory.
"""

from __future__ import annotations

import math
from typing import Any

import minidl
from minidl import nn
from minidl.checks import check_ndim, check_tensor
from minidl.device import array_module
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn import init
from minidl.nn.checks import check_sizes
from minidl.ops.lstm import check_lengths
from minidl.ops.word_step import word_step
from minidl.tensor import Tensor

BOUND, WIDE = 0.08, 512  # of the weights at the start: of sums over so many numbers
NO_LABEL = -100  # stands for a word that does not count

State = tuple[Tensor, Tensor]


class ShowAndTell(nn.Module):
    """A CNN and a decoder: scores of words from pictures.

    Args:
        cnn: makes features of pictures, (N, C, H, W) -> (N, F) or (N, F, 1, 1).
        decoder: of F features.

    Shapes: pictures (N, C, H, W), words (N, L) -> (N, L, V), see Decoder.

    >>> from models.picture_encoder import PictureEncoder
    >>> from models.show_and_tell import Decoder, ShowAndTell
    >>> net = ShowAndTell(PictureEncoder(width=2, out=6), Decoder(6, 10, 8, 8))
    >>> net(minidl.ones(1, 3, 32, 32), minidl.tensor([[2, 5, 4, 7]])).shape
    (1, 4, 10)
    """

    def __init__(self, cnn: nn.Module, decoder: Decoder):
        super().__init__()
        self.cnn, self.decoder = cnn, decoder

    def forward(self, pictures: Tensor, words: Tensor) -> Tensor:
        return self.decoder(self.look(pictures), words)

    def look(self, pictures: Tensor) -> Tensor:
        """The features (N, F) of pictures."""
        return self.cnn(pictures).flatten(1)


class Decoder(nn.Module):
    """Scores of the next word, given a picture's features and the words so far.

    Args:
        features: numbers that the CNN makes of a picture, F.
        words: how many there are, V, those with a special meaning included.
        embedding: numbers of a word's vector.
        hidden: units of the LSTM, H.
        dropout: probability of dropping a number before and after the LSTM, in training.

    Shapes: features (N, F), integers (N, L) that begin with <s> -> scores (N, L, V). Those at t are
    of the word after words[:, t].

    >>> from models.show_and_tell import Decoder
    >>> decoder = Decoder(features=6, words=10, embedding=8, hidden=8)
    >>> decoder(minidl.randn(3, 6), minidl.tensor([[2, 5], [2, 4], [2, 5]])).shape
    (3, 2, 10)

    Or word by word, each chosen from the scores before:

    >>> state = decoder.start(minidl.randn(3, 6))
    >>> scores, state = decoder.step(minidl.tensor([2, 2, 2]), state)
    >>> scores.shape
    (3, 10)
    """

    def __init__(
        self,
        features: int,
        words: int,
        embedding: int = 512,
        hidden: int = 512,
        dropout: float = 0.3,
    ):
        super().__init__()
        check_sizes("Decoder", features=features, words=words, embedding=embedding, hidden=hidden)
        self.features, self.words, self.hidden = features, words, hidden
        self.picture = nn.Linear(features, embedding, bias=False)
        self.embedding = nn.Embedding(words, embedding)
        self.lstm = OneBiasLSTM(embedding, hidden)
        self.out = nn.Linear(hidden, words)
        self.dropout = nn.Dropout(dropout)
        for part in (self.picture, self.out):
            draw_weights(part)
        init.uniform_(self.embedding.weight, -BOUND, BOUND)

    def forward(self, features: Tensor, words: Tensor) -> Tensor:
        self.check_features(features)
        self.check_words(words, 2, "(N, L)", len(features))
        pictures = self.picture(features).unsqueeze(0)
        x = minidl.cat([pictures, self.embedding(words.transpose(0, 1))])  # (1 + L, N, E)
        y, _ = self.lstm(self.dropout(x), self.no_state(features))
        return self.out(self.dropout(y[1:])).transpose(0, 1)

    def start(self, features: Tensor) -> State:
        """The LSTM's state after it has seen pictures.

        Args:
            features: (N, F).

        Returns:
            state and cell, (N, H) each.
        """
        self.check_features(features)
        x = self.dropout(self.picture(features).unsqueeze(0))
        return self.lstm(x, self.no_state(features))[1]

    def step(self, words: Tensor, state: State) -> tuple[Tensor, State]:
        """Scores of the word after these, and the state behind them.

        Args:
            words: integers (N,), at first <s>.
            state: of `start` or of the step before; its rows may be in another order, or be taken
                several times.

        Returns:
            (scores (N, V), state).
        """
        self.check_state(state)
        self.check_words(words, 1, "(N,)", len(state[0]))
        y, state = self.lstm(self.dropout(self.embedding(words).unsqueeze(0)), state)
        return self.out(self.dropout(y[0])), state

    def advance(self, words: Tensor, state: State, parents: Tensor) -> State:
        """One step of a search: no dropout, no gradient, and no scores.

        Args:
            words: integers (N,).
            state: of S sequences.
            parents: integers (N,), from which of these each word goes on.

        Returns:
            state and cell, (N, H) each. `out` makes scores of the state.
        """
        lstm = self.lstm
        weights = lstm.weight_ih, lstm.weight_hh, lstm.bias
        return word_step(words, self.embedding.weight, *state, parents, *weights)

    def no_state(self, features: Tensor) -> State:
        """Zeros, before the picture."""
        zeros = array_module(features.data).zeros((len(features), self.hidden), features.dtype)
        return Tensor(zeros), Tensor(zeros)

    def check_features(self, features: Tensor) -> None:
        check_tensor("Decoder", features=features)
        if features is None or features.ndim != 2 or features.shape[1] != self.features:
            raise ShapeError(
                "Decoder", f"features are (N, {self.features})", {"features": features},
                "do they come from another CNN?",
            )  # fmt: skip

    def check_words(self, words: Tensor, ndim: int, dims: str, count: int) -> None:
        """Integers with a row for each of `count` pictures, all of them in the vocabulary."""
        check_tensor("Decoder", words=words)
        check_ndim("Decoder", "words", words, ndim, dims)
        if words.dtype.kind not in "iu":
            raise DtypeError("Decoder", "words are integers", {"words": f"{words.dtype}"})
        if len(words) != count or 0 in words.shape[1:]:
            raise ShapeError(
                "Decoder", f"words are {dims}, a row for each picture that begins with <s>",
                {"words": words, "pictures": count},
            )  # fmt: skip
        array = words.data
        wrong = (array < 0) | (array >= self.words)
        if wrong.any():
            raise ArgumentError(
                "Decoder", f"{int(array[wrong][0])} is none of the {self.words} words",
                {"words": words, "V": self.words},
                f"words are numbered from 0 to {self.words - 1}; is the vocabulary another one?",
            )  # fmt: skip

    def check_state(self, state: State) -> None:
        if not isinstance(state, tuple | list) or len(state) != 2:
            raise ArgumentError("Decoder", "a state is a pair of Tensors", {"state": state})
        for name, x in zip(("state", "cell"), state):
            check_tensor("Decoder", input=x)
            if x.ndim != 2 or x.shape[1] != self.hidden or len(x) != len(state[0]):
                raise ShapeError(
                    "Decoder", f"{name} is (N, {self.hidden})", {name: x, "N": len(state[0])},
                    "does it come from another decoder?",
                )  # fmt: skip

    def extra_repr(self) -> str:
        return f"features={self.features}, words={self.words}"


class OneBiasLSTM(nn.Module):
    """One layer of LSTM with one bias instead of two; that of the forget gate starts at 1.

    Names and order of the rows are those of nn.LSTMCell.

    Args:
        input_size: I.
        hidden_size: H.

    Shapes: (T, N, I), (state, cell) of (N, H) each -> (T, N, H), (state, cell).
    """

    def __init__(self, input_size: int, hidden_size: int):
        super().__init__()
        self.weight_ih = nn.Parameter(minidl.empty(4 * hidden_size, input_size))
        self.weight_hh = nn.Parameter(minidl.empty(4 * hidden_size, hidden_size))
        self.bias = nn.Parameter(minidl.empty(4 * hidden_size))
        draw_weights(self)
        self.bias.data[hidden_size : 2 * hidden_size] = 1

    def forward(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        no_bias = Tensor(array_module(x.data).zeros_like(self.bias.data))
        y, h, c = minidl.ops.lstm(x, *state, self.weight_ih, self.weight_hh, self.bias, no_bias)
        return y, (h, c)


def draw_weights(net: nn.Module) -> None:
    """Uniform values for matrices, whose rows are the weights of a sum; zeros for biases."""
    for parameter in net.parameters():
        if parameter.ndim == 2:
            bound = BOUND * math.sqrt(WIDE / parameter.shape[1])
            init.uniform_(parameter, -bound, bound)
        else:
            init.zeros_(parameter)


def caption_loss(scores: Tensor, targets: tuple[Tensor, Any]) -> Tensor:
    """The mean over the words that count of -log p(word); e to its power is the perplexity.

    What stands behind a caption's end, in the scores or among the words, changes nothing.

    Args:
        scores: of a Decoder, (N, L, V).
        targets: (next_words, lengths): the word that follows each of the decoder's input, integers
            (N, L), and how many of them count, </s> included, integers (N,).

    Returns:
        A 0-d tensor.

    Raises:
        ShapeError: next_words are not (N, L).
        ArgumentError: lengths are not N ints from 0 to L, or a word that counts is out of range.

    >>> from models.show_and_tell import caption_loss
    >>> next_words, lengths = minidl.data.pad_sequences([[4, 5, 3], [3]])
    >>> caption_loss(minidl.zeros(2, 3, 10), (next_words, lengths))
    tensor(2.3026)
    """
    op, (next_words, lengths) = "caption_loss", targets
    check_tensor(op, input=scores, target=next_words)
    check_ndim(op, "scores", scores, 3, "(N, L, V)")
    N, L, V = scores.shape
    if next_words.shape != (N, L):
        raise ShapeError(
            op, "next_words are (N, L)", {"scores": scores, "next_words": next_words}
        )  # fmt: skip
    xp = array_module(next_words.data)
    ends = xp.asarray(check_lengths(op, lengths, L, N)).reshape(N, 1)
    labels = xp.where(xp.arange(L) < ends, next_words.data, NO_LABEL)
    rows = scores.transpose(0, 1).reshape(L * N, V)  # as they lie in memory: no copy
    return nn.functional.cross_entropy(rows, Tensor(labels.T.reshape(L * N)), None, NO_LABEL)
