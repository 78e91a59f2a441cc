"""What a classifier got right: accuracy, confusion matrix, precision and recall, worst mistakes.

Top-k accuracy is the share of pictures whose true class is among the k most probable (top-1 is
accuracy). Where the true class shares its probability with others, those listed before it count
as more probable, as they do for the prediction.

A positive for class c is a picture predicted as c:

    precision[c] = true positives / all predicted as c      "how often is a c really one"
    recall[c]    = true positives / all that are c          "how many of the c were found"
    F1[c]        = 2 precision recall / (precision + recall)

A ratio with nothing below the line counts as 0, as in scikit-learn.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass
class Evaluation:
    """The probabilities that a network gave the pictures of a labelled set, in order.

    Args:
        classes: class names.
        labels: (N,) int, the true class of each picture.
        probabilities: (N, len(classes)) float, rows summing to 1.
        loss: mean cross entropy.
        seconds: how long the network took.
    """

    classes: list[str]
    labels: np.ndarray
    probabilities: np.ndarray
    loss: float
    seconds: float

    @property
    def predicted(self) -> np.ndarray:
        """(N,) int, the most probable class of each picture (the first of several)."""
        return self.probabilities.argmax(axis=1)

    @property
    def accuracy(self) -> float:
        """The share of pictures whose most probable class is the true one."""
        return float((self.predicted == self.labels).mean())

    def top(self, k: int) -> float:
        """The share of pictures whose true class is among the k most probable."""
        given = self.probabilities[np.arange(len(self.labels)), self.labels][:, None]
        before = np.arange(len(self.classes)) < self.labels[:, None]
        ahead = (self.probabilities > given) | ((self.probabilities == given) & before)
        known = np.isfinite(given[:, 0])  # a network that answers NaN names no class
        return float(((ahead.sum(axis=1) < k) & known).mean())

    @property
    def top5(self) -> float | None:
        """Top-5 accuracy; None where there are so few classes that it says nothing."""
        return self.top(5) if len(self.classes) > 5 else None

    def confusion(self) -> np.ndarray:
        """(true, predicted) counts."""
        n = len(self.classes)
        counts = np.bincount(self.labels * n + self.predicted, minlength=n * n)
        return counts.reshape(n, n)

    def per_class(self) -> list[dict]:
        """name, precision, recall, f1 and count (of true pictures) of each class."""
        confusion = self.confusion()
        hits = confusion.diagonal().astype(float)
        found, there = confusion.sum(axis=0), confusion.sum(axis=1)
        precision = np.divide(hits, found, out=np.zeros_like(hits), where=found > 0)
        recall = np.divide(hits, there, out=np.zeros_like(hits), where=there > 0)
        both = precision + recall
        f1 = np.divide(2 * precision * recall, both, out=np.zeros_like(hits), where=both > 0)
        columns = zip(
            self.classes, precision.tolist(), recall.tolist(), f1.tolist(), there.tolist()
        )
        keys = ("name", "precision", "recall", "f1", "count")
        return [dict(zip(keys, row)) for row in columns]

    def macro(self) -> dict[str, float]:
        """Means of precision, recall and f1 over the classes that have pictures, each alike."""
        rows = [row for row in self.per_class() if row["count"]]
        return {
            name: float(np.mean([row[name] for row in rows]))
            for name in ("precision", "recall", "f1")
        }

    def hardest(self, n: int) -> list[dict]:
        """The rows of per_class for the n classes with the lowest F1 that have pictures."""
        rows = [row for row in self.per_class() if row["count"]]
        return sorted(rows, key=lambda row: row["f1"])[:n]

    def mistakes(self) -> np.ndarray:
        """Indices of the pictures that were taken for another class, the worst first.

        Worst is where the true class got the lowest probability.
        """
        wrong = np.flatnonzero(self.predicted != self.labels)
        given = self.probabilities[wrong, self.labels[wrong]]
        return wrong[np.argsort(given, kind="stable")]

    def confused(self, n: int) -> list[tuple[int, int, int]]:
        """(true class, predicted class, count) of the n most frequent mistakes."""
        confusion = self.confusion()
        np.fill_diagonal(confusion, 0)
        order = np.argsort(-confusion, axis=None, kind="stable")[:n]
        pairs = [divmod(int(at), len(self.classes)) for at in order]
        return [(t, p, int(confusion[t, p])) for t, p in pairs if confusion[t, p]]

    def confused_pairs(self, n: int) -> list[dict]:
        """The same by name: true and predicted class name, count."""
        return [
            {"true": self.classes[t], "predicted": self.classes[p], "count": count}
            for t, p, count in self.confused(n)
        ]

    def examples(self, true: int, predicted: int, n: int) -> np.ndarray:
        """Indices of up to n pictures of one class that were called another, the surest first."""
        chosen = np.flatnonzero((self.labels == true) & (self.predicted == predicted))
        return chosen[np.argsort(-self.probabilities[chosen, predicted], kind="stable")][:n]
