"""Batches of pictures with one of their captions each.

All that is random in a batch is drawn from (seed, epoch, first picture of the batch): a step is a
function of its batch and the weights, and a run that goes on in the middle of an epoch makes the
same steps.

    ((pictures, words), (next_words, lengths))              words begin with <s>
    ((pictures, words, own), (next_words, lengths))         with scheduled sampling
    ((pictures, words), (next_words, lengths, present))     with the loss of a picture's phrases
"""

from __future__ import annotations

from typing import Any

import numpy as np

from apps.caption.data import Part
from apps.caption.phrases import Phrases
from apps.shared.rows import Rows
from minidl.data import DataLoader, Vocabulary, pad_sequences, transforms
from minidl.tensor import Tensor

CAPTIONS = 13  # first word of a seed: what the numbers are for


class CaptionLoader(DataLoader):
    """Batches of a part of the data.

    Args:
        part: pictures with captions.
        vocabulary: makes numbers of words.
        preprocessing: of the pictures, from uint8 (S, S, 3) on.
        batch_size, seed, workers: as of DataLoader.
        learns: whether the order, and the caption of a picture, is another one in each epoch.
        own: share of input words in the last epoch that are those that the network would say.
        epochs: of the run.
        phrases: targets tell which of them are in any caption of a picture, too; None: they don't.

    Attributes:
        features: in place of pictures, float32 (N, F); None for pictures.
    """

    def __init__(
        self, part: Part, vocabulary: Vocabulary, preprocessing: transforms.Compose,
        batch_size: int, seed: int, workers: int, learns: bool = True, own: float = 0.0,
        epochs: int = 1, phrases: Phrases | None = None,
    ):  # fmt: skip
        n = len(part)
        super().__init__(
            part.pictures, batch_size, preprocessing, shuffle=learns, seed=seed,
            num_workers=workers,
            drop_last=learns and n > batch_size > 1 and n % batch_size == 1,  # for batch norm
        )  # fmt: skip
        self.learns, self.own, self.epochs = learns, own, epochs
        self.phrases = phrases
        self.features: np.ndarray | None = None
        number: dict[tuple[str, ...], int] = {}
        self.rows = Rows(
            [number.setdefault(tuple(words), len(number)) for words in texts]
            for texts in part.references
        )
        self.numbers = [vocabulary.encode(list(words)) for words in number]

    def prepare(self, indices: np.ndarray, epoch: int) -> tuple[Any, Any]:
        random = np.random.default_rng(
            [CAPTIONS, self.seed, epoch if self.learns else 0, int(indices[0])]
        )
        chosen = self.rows.pick(indices, random)
        numbers, lengths = pad_sequences([self.numbers[i] for i in chosen])
        words, next_words = numbers[:, :-1], numbers[:, 1:]
        targets: tuple[Tensor, ...] = next_words, lengths - 1
        if self.phrases is not None:
            targets = *targets, Tensor(self.phrases.present(indices))
        share = self.share(epoch) if self.learns else 0.0
        if not share:
            return (self.seen(indices, epoch), words), targets
        own = Tensor(random.random(words.shape) < share)
        return (self.seen(indices, epoch), words, own), targets

    def seen(self, indices: np.ndarray, epoch: int) -> Tensor:
        """The pictures of a batch, or their features."""
        if self.features is not None:
            return Tensor(np.array(self.features[indices]))
        return super().prepare(indices, epoch)[0]

    def share(self, epoch: int) -> float:
        """Of input words that are the network's own, in an epoch counted from 0."""
        return self.own * epoch / max(1, self.epochs - 1)


def count_words(inputs: Any, targets: Any) -> int:
    """What a batch counts in means over batches: its words, </s> among them."""
    return int(targets[1].sum().item())
