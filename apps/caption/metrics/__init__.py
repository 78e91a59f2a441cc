"""How good captions are, by comparing their words with those that people wrote.

Each equals its twin in coco-caption (Chen et al. 2015, "Microsoft COCO Captions: Data Collection
and Evaluation Server"), whose PyPI package is pycocoevalcap, but for the words: they come as lists
and are compared as they are. All captions and references of a data set go into one call, since BLEU
is a fraction over the whole, and CIDEr-D weighs words by how many pictures they are about.

    candidates   for each picture a caption as a list of words
    references   for each picture a list of such captions, one or more
"""

from apps.caption.metrics.bleu import bleu
from apps.caption.metrics.cider import CiderD, cider_d
from apps.caption.metrics.distinct import distinct_share
from apps.caption.metrics.rouge import rouge_l

__all__ = ["CiderD", "bleu", "cider_d", "distinct_share", "rouge_l"]
