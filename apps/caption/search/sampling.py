"""Captions drawn at random, as often as the network finds them likely.

    p(word)^(1 / T), made to sum to 1

The temperature T makes likely words likelier (T < 1) or all words more alike (T > 1). What may not
be said has probability 0, as in beam search.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.caption.search.captions import ENDS, Caption, Hypotheses
from apps.caption.search.checks import check_count, check_ensemble
from apps.caption.search.next_words import STARTS, Ensemble, NextWords, evaluating_all
from minidl.data import Vocabulary
from minidl.device import array_module
from minidl.errors import ArgumentError
from minidl.shapes import is_number
from minidl.tensor import Tensor
from models.show_and_tell import Decoder

OP = "sample"
MOST_SCORES = 2**20  # of a step: they should stay in the cache


def sample(
    decoders: Sequence[Decoder],
    features: Sequence[Tensor],
    vocabulary: Vocabulary,
    random: np.random.Generator,
    n: int = 1,
    temperature: float = 1.0,
    max_words: int = 20,
) -> list[list[Caption]]:
    """Captions of pictures, drawn at random.

    <unk>, <pad> and <s> are never said, and no word three times in a row. A caption that has
    max_words words ends there. Probabilities in what is returned are those of the network, whatever
    the temperature.

    Args:
        decoders: one, or several as an ensemble.
        features: of the pictures, for each decoder (P, F).
        vocabulary: that the decoders learned with.
        random: draws. It goes on where it is: pictures one by one get the captions that they would
            get together.
        n: captions of each picture; some may be the same.
        temperature: T, > 0.
        max_words: of a caption, without </s>.

    Returns:
        For each picture n captions, as they were drawn.

    Raises:
        ArgumentError: an argument is out of range, or the decoders have other vocabularies.
        ShapeError: the features do not fit the decoders, or each other.

    >>> import minidl
    >>> from apps.caption.search import sample
    >>> from models.show_and_tell import Decoder
    >>> vocabulary = minidl.data.Vocabulary(["a", "red", "rose"])
    >>> decoder = Decoder(features=6, words=len(vocabulary), embedding=4, hidden=4)
    >>> random = np.random.default_rng(0)
    >>> found = sample([decoder], [minidl.randn(2, 6)], vocabulary, random, n=3, max_words=4)
    >>> len(found), len(found[0]), max(len(said.words) for said in found[0]) <= 4
    (2, 3, True)
    """
    check_ensemble(OP, decoders, features, vocabulary, max_words)
    check_count(OP, "n", n)
    if not is_number(temperature) or not 0 < temperature < float("inf"):
        raise ArgumentError(OP, "temperature is a number > 0", {"temperature": temperature})
    at_once = max(1, MOST_SCORES // (n * len(vocabulary)))
    said: list[list[Caption]] = []
    with evaluating_all(decoders):
        for first in range(0, len(features[0]), at_once):
            part = [x[first : first + at_once] for x in features]
            draws = random.random((len(part[0]), n, max_words))
            ensemble = Ensemble(decoders, part)
            said += draw(ensemble, draws, temperature).said(vocabulary)
    return said


def draw(ensemble: Ensemble, draws: np.ndarray, temperature: float) -> Hypotheses:
    """Captions of a few pictures.

    Args:
        ensemble: that have seen P pictures.
        draws: numbers from 0 to 1, (P, n, max_words), that say which word is next.
        temperature: T.
    """
    P, n, max_words = draws.shape
    xp = array_module(ensemble.states[0][0].data)
    rows = xp.arange(P * n)  # of captions that have not ended
    ensemble.go_on_with(rows // n)
    draws = xp.asarray(draws.reshape(P * n, max_words))
    words = xp.full(P * n, STARTS, xp.int64)
    numbers = xp.zeros((P * n, max_words + 1), xp.int64)
    log_probs = xp.zeros((P * n, max_words + 1), xp.float64)
    for t in range(max_words + 1):
        following = ensemble.step(words)
        if t < max_words:
            words = drawn(following, numbers[rows, :t], draws[rows, t], temperature)
        else:
            words = xp.full(len(rows), ENDS, xp.int64)
        numbers[rows, t], log_probs[rows, t] = words, following.log_probs(words)
        goes_on = words != ENDS
        if not goes_on.all():
            rows, words = rows[goes_on], words[goes_on]
            ensemble.go_on_with(goes_on)
        if len(rows) == 0:
            break
    scores = log_probs.sum(axis=1).reshape(P, n)
    shape = P, n, max_words + 1
    return Hypotheses(scores, numbers.reshape(shape), log_probs.reshape(shape))


def drawn(following: NextWords, said: Any, draws: Any, temperature: float) -> Any:
    """The first word (R,) up to which all together are likelier than draws (R,)."""
    following.ban(said)
    xp, scores = array_module(draws), following.scores
    weights = (scores - scores.max(axis=1, keepdims=True)).astype(xp.float64)
    together = xp.cumsum(xp.exp(weights / temperature), axis=1)
    return (together[:, :-1] <= draws[:, None] * together[:, -1:]).sum(axis=1)
