"""R-precision: is the sentence that a picture was drawn for found among a hundred?

The text encoder and the picture encoder that learned with it compare the picture with its own
sentence and 99 of other classes; the share of pictures whose own sentence comes first is the figure
(Xu et al. 2018, "AttnGAN", section 4, with R = 1). Chance is 1 %.
"""

from __future__ import annotations

import numpy as np

OTHERS = 99


def r_precision(
    pictures: np.ndarray, texts: np.ndarray, classes: np.ndarray, random: np.random.Generator
) -> float | None:
    """The share of pictures that are nearest to their own text.

    Args:
        pictures: of drawn pictures, numbers by the picture encoder, (N, D).
        texts: of their sentences, numbers by the text encoder, (N, D).
        classes: of the sentences, int (N,).
        random: chooses the other sentences.

    Returns:
        None where fewer than 99 others are of another class: chance would be more than 1 %.
    """
    scores = pictures @ texts.T
    right = []
    for i, own in enumerate(classes):
        others = np.flatnonzero(classes != own)
        if len(others) < OTHERS:
            return None
        others = random.choice(others, OTHERS, replace=False)
        right.append(scores[i, i] > scores[i, others].max())
    return float(np.mean(right))
