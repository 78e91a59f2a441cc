"""Cross-entropy of labels: each sample is one pass over its row of scores, samples in parallel.

Same functions and shapes as the reference kernel. Nothing of size (P, C) is written in forward:
the softmax that backward needs is made again from the two numbers kept for each row.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange


def forward(x, labels, weight, ignore_index, smoothing):
    losses, largest, log_sum = np.empty((3, len(x)), x.dtype)
    forward_rows(x, labels, weight, ignore_index, smoothing, losses, largest, log_sum)
    return losses, largest, log_sum


def backward(g, x, labels, weight, ignore_index, smoothing, largest, log_sum):
    gx = np.empty_like(x)
    g = np.ascontiguousarray(g)
    backward_rows(g, x, labels, weight, ignore_index, smoothing, largest, log_sum, gx)
    return gx


@njit(parallel=True, cache=True)
def forward_rows(x, labels, weight, ignore_index, smoothing, losses, largest, log_sum):
    P, C = x.shape
    for i in prange(P):
        top = x[i, 0]
        for c in range(1, C):
            top = max(top, x[i, c])
        total = x.dtype.type(0)
        for c in range(C):
            total += np.exp(x[i, c] - top)
        largest[i] = top
        log_sum[i] = np.log(total)
        label = labels[i]
        if label == ignore_index:
            losses[i] = 0
            continue
        loss = weight[label] * (log_sum[i] - (x[i, label] - top))
        if smoothing > 0:
            spread = x.dtype.type(0)
            for c in range(C):
                spread += weight[c] * (log_sum[i] - (x[i, c] - top))
            loss = (1 - smoothing) * loss + smoothing * spread / C
        losses[i] = loss


@njit(parallel=True, cache=True)
def backward_rows(g, x, labels, weight, ignore_index, smoothing, largest, log_sum, gx):
    P, C = x.shape
    each = smoothing / C  # how much of the target every class gets
    weight_sum = weight.sum()
    for i in prange(P):
        label = labels[i]
        if label == ignore_index:
            for c in range(C):
                gx[i, c] = 0
            continue
        own = (1 - smoothing) * weight[label]
        scale = x.dtype.type(g[i] * (own + each * weight_sum))
        for c in range(C):
            gx[i, c] = scale * np.exp(x[i, c] - largest[i] - log_sum[i])
        if smoothing > 0:
            for c in range(C):
                gx[i, c] -= g[i] * each * weight[c]
        gx[i, label] -= g[i] * own
