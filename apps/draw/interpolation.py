"""Ways from one sentence or noise to another.

Sentences are walked along the line between their embeddings (Reed et al. 2016, section 5); only
GAN-INT trains the generator on points of such lines. Noise is walked along the sphere: points on
the line between two normal vectors are shorter than normal vectors ever are (White 2016, "Sampling
generative networks").
"""

from __future__ import annotations

import numpy as np


def along_line(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """n points from a to b, both included, at equal distances.

    Args:
        a, b: float32 (D,).
        n: at least 2.

    Returns:
        float32 (n, D).

    >>> from apps.draw.interpolation import along_line
    >>> along_line(np.zeros(1, np.float32), np.ones(1, np.float32), 3).tolist()
    [[0.0], [0.5], [1.0]]
    """
    part = np.linspace(0, 1, n, dtype=np.float32)[:, None]
    return (1 - part) * a + part * b


def along_sphere(a: np.ndarray, b: np.ndarray, n: int) -> np.ndarray:
    """n points from a to b, both included, at equal angles.

        sin((1 - t) w) / sin w a + sin(t w) / sin w b,    w the angle between a and b

    Args:
        a, b: float32 (D,), neither of them 0 nor opposite to the other.
        n: at least 2.

    Returns:
        float32 (n, D).
    """
    cosine = float(np.dot(a, b) / (np.linalg.norm(a) * np.linalg.norm(b)))
    angle = np.arccos(np.clip(cosine, -1, 1))
    if np.sin(angle) < 1e-6:
        return along_line(a, b, n)
    part = np.linspace(0, 1, n)[:, None]
    points = (np.sin((1 - part) * angle) * a + np.sin(part * angle) * b) / np.sin(angle)
    return points.astype(np.float32)
