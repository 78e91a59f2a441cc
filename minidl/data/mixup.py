"""Mixup: each picture of a batch is blended with another one, and so are their labels.

    x = lam x_i + (1 - lam) x_j        t = lam onehot(label_i) + (1 - lam) onehot(label_j)

Zhang et al. 2018, "mixup: Beyond empirical risk minimization", equation 1. As in the authors'
program, j is a random permutation of the batch, and one lam ~ Beta(alpha, alpha) holds for all
of it.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minidl.data.loader import DataLoader
from minidl.errors import ArgumentError
from minidl.shapes import is_number
from minidl.tensor import Tensor

MIXUP = 3  # first word of a seed, see ORDER and AUGMENTATION in loader.py


class Mixup:
    """The batches of a loader, mixed: (x, t) with t float32 (N, num_classes), rows summing to 1.

    x = lam x_i + (1 - lam) x_j, t likewise, lam ~ Beta(alpha, alpha); Zhang et al. 2018,
    equation 1. A loss that takes class probabilities as targets, such as nn.CrossEntropyLoss,
    learns from them. Mixed pictures have no accuracy, as each has two labels: minidl.fit then
    measures that of the validation set alone.

    What is mixed in batch b of epoch e depends on (the loader's seed, e, b) alone.

    Args:
        loader: a DataLoader.
        alpha: > 0; small values leave most pictures nearly as they are, 1 mixes evenly.
        num_classes: the length of a row of t.

    Raises:
        ArgumentError: an argument is something else or out of range.

    >>> digits = minidl.data.open_dataset("digits", "test")
    >>> loader = minidl.data.Mixup(minidl.data.DataLoader(digits, 64), alpha=0.2, num_classes=10)
    >>> x, t = next(iter(loader))
    >>> x.shape, t.shape
    ((64, 1, 32, 32), (64, 10))
    """

    def __init__(self, loader: DataLoader, alpha: float, num_classes: int):
        if not isinstance(loader, DataLoader):
            raise ArgumentError("Mixup", "loader is a DataLoader", {"loader": loader})
        if not is_number(alpha) or not 0 < alpha < float("inf"):
            raise ArgumentError("Mixup", "alpha is a number > 0", {"alpha": alpha})
        is_int = isinstance(num_classes, int) and not isinstance(num_classes, bool)
        if not is_int or num_classes < 1:
            raise ArgumentError("Mixup", "num_classes is an int >= 1", {"num_classes": num_classes})
        self.loader, self.alpha, self.num_classes = loader, float(alpha), num_classes

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        loader = self.loader
        for x, labels in loader:
            yield self.mix(x, labels, self.random(loader.epoch, loader.handed_out - 1))

    def batch(self, epoch: int, b: int) -> tuple[Tensor, Tensor]:
        """Batch number b of an epoch, as DataLoader.batch."""
        return self.mix(*self.loader.batch(epoch, b), self.random(epoch, b))

    def random(self, epoch: int, b: int) -> np.random.Generator:
        """The random numbers of a batch."""
        return np.random.default_rng([MIXUP, self.loader.seed, epoch, b + 1])

    def mix(self, x: Tensor, labels: Tensor, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """One batch and its targets, mixed by these random numbers."""
        lam = np.float32(rng.beta(self.alpha, self.alpha))
        partner = rng.permutation(len(labels))
        if labels.data.max() >= self.num_classes:
            raise ArgumentError(
                "Mixup", f"labels run from 0 to {self.num_classes - 1}",
                {"largest label": int(labels.data.max()), "num_classes": self.num_classes},
            )  # fmt: skip
        targets = np.zeros((len(labels), self.num_classes), np.float32)
        targets[np.arange(len(labels)), labels.data] = 1
        other = x.data[partner]
        mixed = x.data - other  # lam (x - other) + other
        mixed *= lam
        mixed += other
        return Tensor(mixed), Tensor(lam * targets + (1 - lam) * targets[partner])

    def state_dict(self) -> dict[str, int]:
        """The loader's position."""
        return self.loader.state_dict()

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Go on at a position of the loader."""
        self.loader.load_state_dict(state)
