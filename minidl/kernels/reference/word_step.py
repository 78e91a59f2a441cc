"""One step of an LSTM that reads words. See minidl/ops/word_step.py."""

from __future__ import annotations

from minidl.kernels.reference import lstm


def word_step(words, embedding, h, c, parents, w_ih, w_hh, b):
    """The state and cell (N, H) after words (N,) that follow the states h, c[parents] (N,).

    embedding (V, I); h, c (S, H); words and parents int64.
    """
    return lstm.step(embedding[words], h[parents], c[parents], w_ih, w_hh, b)
