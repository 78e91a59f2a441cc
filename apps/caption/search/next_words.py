"""What a network, or several together, would say next, and what is never said.

    log p(word)  =  scores[word] - log_sum         log_sum = log sum_v e^(scores[v])

Several networks are an ensemble: the mean of their probabilities counts (Vinyals et al. 2016,
section 5, "Ensembling").

A search takes few of the thousands of words. So only the logarithms of the probabilities that are
asked for are computed; and a single network's likeliest words are found without writing down the
scores of the others (minidl/ops/likeliest.py).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

import minidl
from apps.caption.search.captions import ENDS, IMPOSSIBLE
from minidl import nn
from minidl.data.text import PAD, SPECIAL, START, UNKNOWN
from minidl.device import array_module
from minidl.nn.functional import cross_entropy, likeliest
from minidl.tensor import Tensor
from models.show_and_tell import Decoder, State

STARTS = SPECIAL.index(START)
NEVER_SAID = [SPECIAL.index(word) for word in (PAD, UNKNOWN, START)]
MOST_IN_A_ROW = 2  # of one word
FEW = 8  # words that are looked for one by one


@dataclass
class NextWords:
    """Scores of the next word after R captions.

    Args:
        scores: (R, V). The methods write into it.
        log_sum: see above, float64 (R, 1).
    """

    scores: Any
    log_sum: Any

    def ban(self, said: Any) -> None:
        """Make impossible what may not follow.

        Args:
            said: words so far, int64 (R, L).
        """
        self.scores[:, NEVER_SAID] = IMPOSSIBLE
        rows = (again := repeated(said)) >= 0
        self.scores[rows, again[rows]] = IMPOSSIBLE

    def log_probs(self, words: Any) -> Any:
        """Those of a word for each row (R,), or of one for all, float64 (R,)."""
        rows = array_module(self.scores).arange(len(self.scores))
        return self.scores[rows, words] - self.log_sum[:, 0]

    def only(self, word: int) -> tuple[Any, Any]:
        """One word for all rows, as `likeliest` returns it."""
        xp, log_probs = array_module(self.scores), self.log_probs(word)[:, None]
        return xp.full(log_probs.shape, word, xp.int64), log_probs

    def likeliest(self, k: int) -> tuple[Any, Any]:
        """The k likeliest words of each row, in any order. Their scores are lost.

        Returns:
            the words, int64 (R, k), and their log_probs, float64 (R, k).
        """
        xp, (R, V) = array_module(self.scores), self.scores.shape
        if k > FEW:
            words = xp.sort(xp.argpartition(self.scores, V - k, axis=1)[:, V - k :], axis=1)
            return words, xp.take_along_axis(self.scores, words, 1) - self.log_sum
        words, log_probs = xp.empty((R, k), xp.int64), xp.empty((R, k), xp.float64)
        rows = xp.arange(R)
        for i in range(k):
            words[:, i] = self.scores.argmax(axis=1)
            log_probs[:, i] = self.scores[rows, words[:, i]]
            self.scores[rows, words[:, i]] = IMPOSSIBLE
        return words, log_probs - self.log_sum


class Ensemble:
    """Decoders that say captions together, each with the features of its own CNN.

    Args:
        decoders: in evaluation mode.
        features: for each of them, (P, F).
    """

    def __init__(self, decoders: Sequence[Decoder], features: Sequence[Tensor]):
        self.decoders = decoders
        self.states: list[State] = [d.start(x) for d, x in zip(decoders, features)]
        self.rows = array_module(features[0].data).arange(len(features[0]))  # that go on

    def step(self, words: Any) -> NextWords:
        """What may follow words, int64 (R,), which follow what was said before."""
        self.advance(words)
        scores = [d.out(h).data for d, (h, _) in zip(self.decoders, self.states)]
        if len(scores) == 1:
            return NextWords(scores[0], log_sum(scores[0]))
        return mean_of(scores)

    def likeliest(self, words: Any, said: Any, k: int) -> tuple[Any, Any]:
        """The k likeliest words that may follow, as NextWords.likeliest returns them.

        Args:
            words: as in `step`.
            said: words so far, int64 (R, L).
        """
        if len(self.decoders) > 1:
            following = self.step(words)
            following.ban(said)
            return following.likeliest(k)
        (decoder,), xp = self.decoders, array_module(words)
        self.advance(words)
        banned = xp.empty((len(words), len(NEVER_SAID) + 1), xp.int64)
        banned[:, :-1], banned[:, -1] = xp.asarray(NEVER_SAID), repeated(said)
        h, _ = self.states[0]
        chosen, log_probs, _ = likeliest(h, decoder.out.weight, decoder.out.bias, k, Tensor(banned))
        return chosen.data, log_probs.data

    def only(self, word: int, words: Any) -> tuple[Any, Any]:
        """One word for all rows, as NextWords.only returns it, which may follow words (R,)."""
        if len(self.decoders) > 1:
            return self.step(words).only(word)
        (decoder,), xp = self.decoders, array_module(words)
        self.advance(words)
        (h, _), weight, bias = self.states[0], decoder.out.weight, decoder.out.bias
        _, _, log_sum = likeliest(h, weight, bias, 1)
        scores = h.data @ weight.data[word] + bias.data[word]
        return xp.full((len(words), 1), word, xp.int64), (scores - log_sum.data)[:, None]

    def advance(self, words: Any) -> None:
        """Bring the states behind the words."""
        read, parents = Tensor(words), Tensor(self.rows)
        for i, decoder in enumerate(self.decoders):
            self.states[i] = decoder.advance(read, self.states[i], parents)
        self.rows = array_module(words).arange(len(words))

    def go_on_with(self, rows: Any) -> None:
        """Go on from these alone, in this order; some may be there several times."""
        self.rows = self.rows[rows]


@contextmanager
def evaluating_all(decoders: Sequence[Decoder]) -> Iterator[None]:
    """`with evaluating_all(decoders):` they are in evaluation mode, nothing is recorded, no weight
    changes."""
    with ExitStack() as stack:
        stack.enter_context(minidl.no_grad())
        for decoder in decoders:
            stack.enter_context(nn.evaluating(decoder))
            stack.enter_context(nn.unchanging(decoder))
        yield


def repeated(said: Any) -> Any:
    """The last word of each row (R,) of int64 (R, L) where it may not be said again, else -1."""
    xp = array_module(said)
    if said.shape[1] < MOST_IN_A_ROW:
        return xp.full(len(said), -1, xp.int64)
    last = said[:, -1]
    return xp.where((said[:, -MOST_IN_A_ROW:] == last[:, None]).all(axis=1), last, -1)


def log_sum(scores: Any) -> Any:
    """log sum_v e^(scores[v]) of each row, float64 (R, 1).

    What cross_entropy computes of a word is log_sum - scores[word].
    """
    xp, R = array_module(scores), len(scores)
    word = Tensor(xp.full(R, ENDS, xp.int64))
    losses = cross_entropy(Tensor(scores), word, reduction="none")
    return (losses.data.astype(xp.float64) + scores[:, ENDS])[:, None]


def mean_of(scores: Sequence[Any]) -> NextWords:
    """What several would say: the logarithm of the sum of their probabilities as scores."""
    xp = array_module(scores[0])
    total = xp.zeros_like(scores[0])
    for each in scores:
        total += xp.exp(each - log_sum(each).astype(each.dtype))
    with np.errstate(divide="ignore"):  # a word that none of them would ever say
        together = xp.log(total)
    return NextWords(together, xp.full((len(together), 1), math.log(len(scores)), xp.float64))
