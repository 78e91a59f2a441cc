"""Beam search: likely captions, found without looking at all of them.

Of each picture there are a few partial captions, the beam. At each step, for each of them the
`width` likeliest words are looked at:

    </s> ends the caption: it joins the complete ones, of which the best are kept
    with any other it is a longer partial caption: of all these, the `width` likeliest go on

Complete and partial captions are kept apart, so that a short caption does not take the place of a
long one that is still being said. And </s> has to be among the likeliest words where it stands:
the empty caption is all too often likelier than any of ten words. A partial caption becomes less
likely with each word; once none can become better than the complete ones, the picture is finished.

Vinyals et al. 2016, section 3.1, "Inference"; width 3 is the best in section 5, "Beam size
reduction". Longer captions are less likely by their length alone. With alpha > 0, complete captions
are ranked by log_prob / length^alpha, length counting </s> (im2txt's length normalization).

All pictures, and all partial captions of each, take a step together.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from apps.caption.search.captions import ENDS, IMPOSSIBLE, Caption, Hypotheses, none_yet
from apps.caption.search.checks import check_beam, check_ensemble
from apps.caption.search.next_words import STARTS, Ensemble, evaluating_all
from minidl.data import Vocabulary
from minidl.device import array_module
from minidl.tensor import Tensor
from models.show_and_tell import Decoder

OP = "beam_search"
MOST_SCORES = 2**20  # of a step: they should stay in the cache


def beam_search(
    decoders: Sequence[Decoder],
    features: Sequence[Tensor],
    vocabulary: Vocabulary,
    width: int = 3,
    n_best: int = 1,
    max_words: int = 20,
    alpha: float = 0.0,
) -> list[list[Caption]]:
    """The likeliest captions of pictures that beam search finds.

    <unk>, <pad> and <s> are never said, and no word three times in a row. A caption that has
    max_words words ends there.

    Args:
        decoders: one, or several as an ensemble.
        features: of the pictures, for each decoder (P, F).
        vocabulary: that the decoders learned with.
        width: partial captions of a picture that are kept, up to the number of words.
        n_best: captions to find for each picture, up to width.
        max_words: of a caption, without </s>.
        alpha: of the length normalization, >= 0.

    Returns:
        For each picture its captions, the best first: n_best, or all there are if that is less.

    Raises:
        ArgumentError: an argument is out of range, or the decoders have other vocabularies.
        ShapeError: the features do not fit the decoders, or each other.

    >>> import minidl
    >>> from apps.caption.search import beam_search
    >>> from models.show_and_tell import Decoder
    >>> vocabulary = minidl.data.Vocabulary(["a", "red", "rose"])
    >>> decoder = Decoder(features=6, words=len(vocabulary), embedding=4, hidden=4)
    >>> found = beam_search([decoder], [minidl.randn(2, 6)], vocabulary, n_best=2, max_words=4)
    >>> len(found), len(found[0]), found[0][0].log_prob > found[0][1].log_prob
    (2, 2, True)
    """
    check_ensemble(OP, decoders, features, vocabulary, max_words)
    check_beam(OP, width, n_best, alpha, len(vocabulary))
    at_once = max(1, MOST_SCORES // (width * len(vocabulary)))
    said: list[list[Caption]] = []
    with evaluating_all(decoders):
        for first in range(0, len(features[0]), at_once):
            ensemble = Ensemble(decoders, [x[first : first + at_once] for x in features])
            said += search(ensemble, vocabulary, width, n_best, max_words, alpha)
    return said


def search(
    ensemble: Ensemble, vocabulary: Vocabulary, width: int, n_best: int, max_words: int,
    alpha: float,
) -> list[list[Caption]]:  # fmt: skip
    """beam_search of a few pictures, for any width."""
    state = ensemble.states[0][0].data
    xp, P = array_module(state), len(state)
    pictures, words = xp.arange(P), xp.full(P, STARTS, xp.int64)
    partial, complete = none_yet(xp, P, 1, 0.0), none_yet(xp, P, n_best, IMPOSSIBLE)
    said: list[list[Caption]] = [[] for _ in range(P)]
    for length in range(1, max_words + 2):
        if length <= max_words:
            numbers = partial.numbers.reshape(len(words), length - 1)
            chosen, log_probs = ensemble.likeliest(words, numbers, min(width, len(vocabulary)))
        else:  # all captions end
            chosen, log_probs = ensemble.only(ENDS, words)
        if (are_ends := chosen == ENDS).any():
            ends = xp.where(are_ends, log_probs, IMPOSSIBLE).max(axis=1)
            complete = complete.and_others(ended(partial, ends, length**alpha)).best(n_best)
            log_probs[are_ends] = IMPOSSIBLE
        partial, rows = continued(partial, chosen, log_probs, width)
        goes_on = complete.scores[:, -1] < partial.scores[:, 0] / (max_words + 1) ** alpha
        if not goes_on.all():
            found = complete.of(~goes_on).said(vocabulary)
            for picture, captions in zip(pictures[~goes_on].tolist(), found):
                said[picture] = captions
            pictures, rows = pictures[goes_on], rows[goes_on]
            partial, complete = partial.of(goes_on), complete.of(goes_on)
        if len(pictures) == 0:
            break
        ensemble.go_on_with(rows.reshape(-1))
        words = partial.numbers[:, :, -1].reshape(-1)
    return said


def ended(partial: Hypotheses, log_probs: Any, divisor: float) -> Hypotheses:
    """Partial captions with </s> behind them, whose log_probs are (P B,), and what then counts."""
    xp, shape = array_module(log_probs), partial.scores.shape
    log_probs = log_probs.reshape(shape)
    scores = (partial.scores + log_probs) / divisor
    return partial.and_then(xp.full(shape, ENDS, xp.int64), log_probs, scores)


def continued(
    partial: Hypotheses, words: Any, log_probs: Any, width: int
) -> tuple[Hypotheses, Any]:
    """The beam after one more word.

    Args:
        partial: B captions of each of P pictures.
        words: that may follow them, int64 (P B, k).
        log_probs: of the words, float64 (P B, k).
        width: how many are to go on.

    Returns:
        the `width` likeliest captions, the likeliest first; and which of the P B captions each was
        before, int64 (P, width).
    """
    xp, (P, B), k = array_module(words), partial.scores.shape, words.shape[1]
    scores = xp.repeat(partial.scores, k, axis=1) + log_probs.reshape(P, B * k)
    order = xp.argsort(-scores, axis=1, kind="stable")[:, :width]
    pictures = xp.arange(P)[:, None]
    places, parents = order + B * k * pictures, order // k
    chosen = (x.reshape(-1)[places] for x in (words, log_probs, scores))
    return partial.take(parents).and_then(*chosen), parents + B * pictures
