"""Cross-entropy of labels, all samples at once. See minidl/ops/cross_entropy.py for the formulas.

Shapes: x (P, C) scores, labels (P,) int64, weight (C,), g (P,) gradients of the losses.
ignore_index is a label whose samples count nothing. The largest score of a row and the logarithm
of the sum are kept apart: added together, a large score would swallow the digits of the other.
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.weighting import weighted


def forward(x, labels, weight, ignore_index, smoothing):
    """losses (P,), and for backward the largest score and the log of the sum, (P,) each."""
    largest = x.max(axis=1)
    log_sum = np.log(np.exp(x - largest[:, None]).sum(axis=1))
    surprise = log_sum[:, None] - (x - largest[:, None])  # -log p
    kept = labels != ignore_index
    label = np.where(kept, labels, 0)
    losses = weighted(weight[label], surprise[np.arange(len(x)), label])
    if smoothing > 0:
        of_all = weighted(weight, surprise).sum(axis=1)
        losses = weighted(1 - smoothing, losses) + smoothing * of_all / x.shape[1]
    return np.where(kept, losses, 0).astype(x.dtype), largest, log_sum


def backward(g, x, labels, weight, ignore_index, smoothing, largest, log_sum):
    """gx (P, C)."""
    P, C = x.shape
    kept = labels != ignore_index
    label = np.where(kept, labels, 0)
    q = np.zeros_like(x)  # the smoothed, weighted target
    q[np.arange(P), label] = (1 - smoothing) * weight[label]
    q += smoothing / C * weight
    p = np.exp(x - largest[:, None] - log_sum[:, None])
    gx = g[:, None] * (p * q.sum(axis=1, keepdims=True) - q)
    return np.where(kept[:, None], gx, 0).astype(x.dtype)
