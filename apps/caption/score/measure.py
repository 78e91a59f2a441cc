"""All figures of some sentences about some pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from apps.caption.metrics import bleu, cider_d, distinct_share, rouge_l

Words = Sequence[str]


def measure(
    said: Sequence[Words], references: Sequence[Sequence[Words]]
) -> tuple[dict[str, Any], np.ndarray]:
    """BLEU-1 to BLEU-4, ROUGE-L, CIDEr-D, the share of different sentences, and words in each.

    Args:
        said: words of a sentence for each picture.
        references: of each picture the words of its captions.

    Returns:
        the figures, and CIDEr-D of each picture.
    """
    mean, each = cider_d(said, references)
    return {
        "bleu": bleu(said, references), "rouge_l": rouge_l(said, references), "cider_d": mean,
        "distinct": distinct_share(said), "words": float(np.mean([len(words) for words in said])),
    }, each  # fmt: skip
