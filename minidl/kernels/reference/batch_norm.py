"""Batch and instance normalization.

    xhat = (x - mean) inv_std            y = w xhat + b

x is (N, C, ...). Its values fall into groups that have a mean and a variance for each channel: one
group of all pictures (batch normalization), or each picture one (per_image, instance
normalization). Statistics are float64 arrays of shape (groups, C); w and b are (C,) or, where each
picture has its own, (N, C): the statistics are repeated for each picture then.
"""

from __future__ import annotations

import numpy as np

from minidl.kernels.reference import relu as rectifier


def statistics(x, per_image):
    """mean and variance (divided by the number of values), in two passes.

    sum(x^2)/M - mean^2 would need one pass, but subtracts two large numbers where the mean is
    large against the spread, and keeps no digit of the variance.
    """
    axes = reduced_axes(x, groups=len(x) if per_image else 1)
    mean = x.mean(axis=axes, keepdims=True, dtype=np.float64)
    variance = np.square(x - mean).mean(axis=axes, keepdims=True)
    return mean.reshape(-1, x.shape[1]), variance.reshape(-1, x.shape[1])


def normalize(x, mean, inv_std, w, b, relu=False):
    """y, or with relu its positive part."""
    xhat = (x - spread(mean, x)) * spread(inv_std, x)
    w, b = np.broadcast_to(w, mean.shape), np.broadcast_to(b, mean.shape)
    y = (spread(w, x) * xhat + spread(b, x)).astype(x.dtype)
    return rectifier.forward(y) if relu else y


def gradient_sums(gy, x, mean, inv_std):
    """sum gy and sum gy xhat, each (groups, C)."""
    axes = reduced_axes(x, len(mean))
    xhat = (x - spread(mean, x)) * spread(inv_std, x)
    sum_gy = gy.sum(axis=axes, dtype=np.float64)
    sum_gy_xhat = (gy * xhat).sum(axis=axes)
    return sum_gy.reshape(-1, x.shape[1]), sum_gy_xhat.reshape(-1, x.shape[1])


def backward_training(gy, x, mean, inv_std, w, mean_gy, mean_gy_xhat):
    """gx where mean and inv_std came from x: what shifts or stretches all of x has no effect.

    The means are those of w gy and w gy xhat over what the statistics are taken over.
    """
    inv_std, w = spread(inv_std, x), spread(np.broadcast_to(w, mean.shape), x)
    xhat = (x - spread(mean, x)) * inv_std
    centered = gy * w - spread(mean_gy, x) - xhat * spread(mean_gy_xhat, x)
    return (centered * inv_std).astype(gy.dtype)


def backward_evaluation(gy, inv_std, w):
    """gx where mean and inv_std are constants."""
    return (gy * spread(w * inv_std, gy)).astype(gy.dtype)


def reduced_axes(x, groups):
    """The axes that a statistic of x sums over: pixels, and pictures where they are one group."""
    pixels = tuple(range(2, x.ndim))
    return pixels if groups == len(x) else (0, *pixels)


def spread(statistic, x):
    """(groups, C) as (groups, C, 1, 1), to meet x."""
    return statistic.reshape(*statistic.shape, *(1,) * (x.ndim - 2))
