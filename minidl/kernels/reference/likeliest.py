"""The likeliest words of a linear layer. See minidl/ops/likeliest.py."""

from __future__ import annotations

import numpy as np


def likeliest(x, w, b, k, banned):
    """Words (R, k), the likeliest first, their log_probs (R, k), and log_sum (R,), float64.

    x (R, K), w (V, K), b (V,); banned (R, n) int64: words that are not chosen, -1 for none.
    """
    scores = (x @ w.T + b).astype(np.float64)
    top = scores.max(axis=1)
    with np.errstate(invalid="ignore"):
        log_sum = top + np.log(np.exp(scores - top[:, None]).sum(axis=1))
    rows, places = np.nonzero(banned >= 0)
    scores[rows, banned[rows, places]] = -np.inf
    words = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return words, np.take_along_axis(scores, words, 1) - log_sum[:, None], log_sum
