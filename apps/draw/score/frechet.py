"""Frechet distance of features: how far two sets of pictures are from each other as a whole.

    |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2))        m means, C covariances of the features

It is the 2-Wasserstein distance of the normal distributions with those means and covariances
(Heusel et al. 2017, "GANs trained by a two time-scale update rule", section 3, with features of
Inception). Here the features are the averages of SqueezeNet's last maps, so figures compare with
each other, not with those of papers. It is biased upwards where there are few pictures: compare
only sets of the same sizes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

import minidl
import models
from minidl.errors import ArgumentError
from minidl.tensor import Tensor
from models.weights.load import load_weights
from models.weights.maps.preprocessing import IMAGENET

WEIGHTS = "squeezenet"
SIDE = 128  # pixels to which pictures are enlarged: the network's maps are a 16th as wide
AT_ONCE = 32


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """The distance of two sets of features.

    Args:
        a, b: (N, D) and (M, D), at least two rows each.

    Raises:
        ArgumentError: of other shapes.

    >>> from apps.draw.score.frechet import frechet_distance
    >>> points = np.random.default_rng(0).normal(size=(100, 3))
    >>> round(frechet_distance(points, points + 1), 6)
    3.0
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or min(len(a), len(b)) < 2:
        raise ArgumentError(
            "frechet_distance", "expects features (N, D) and (M, D)", {"a": a, "b": b}
        )
    a, b = a.astype(np.float64), b.astype(np.float64)
    cov_a, cov_b = np.atleast_2d(np.cov(a.T)), np.atleast_2d(np.cov(b.T))
    root = root_of(cov_a)
    values = np.linalg.eigvalsh(root @ cov_b @ root)  # those of C1 C2, which is not symmetric
    both = np.sqrt(np.maximum(values, 0)).sum()
    apart = ((a.mean(0) - b.mean(0)) ** 2).sum()
    return float(max(0.0, apart + np.trace(cov_a) + np.trace(cov_b) - 2 * both))


def root_of(matrix: np.ndarray) -> np.ndarray:
    """The symmetric root of a symmetric matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T


def feature_network() -> Callable[[np.ndarray], np.ndarray]:
    """SqueezeNet with its weights, fetched once (5 MB): uint8 (N, H, W, 3) -> float32 (N, 512).

    Raises:
        CheckpointError: they cannot be fetched.
    """
    net = models.build("squeezenet").eval()
    needed = load_weights(net, WEIGHTS).preprocessing or IMAGENET
    mean = minidl.tensor([255 * value for value in needed.mean]).reshape(1, 3, 1, 1)
    scale = minidl.tensor([1 / (255 * value) for value in needed.std]).reshape(1, 3, 1, 1)

    def features(pictures: np.ndarray) -> np.ndarray:
        found = []
        with minidl.no_grad():
            for first in range(0, len(pictures), AT_ONCE):
                part = pictures[first : first + AT_ONCE].astype(np.float32)
                x = (Tensor(part.transpose(0, 3, 1, 2)) - mean) * scale
                x = minidl.nn.functional.interpolate(x, size=(SIDE, SIDE), mode="bilinear")
                found.append(net.features(x).mean((2, 3)).numpy())
        return np.concatenate(found)

    return features
