"""The mistakes as pictures: the worst ones, and those of the most confused pairs of classes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.classify.metrics import Evaluation
from apps.shared.pictures import Picture

WORST = 24
PAIRS = 9
EXAMPLES = 4  # pictures of a pair


@dataclass
class Mistake(Picture):
    """A picture that was taken for another class.

    Args:
        true, predicted: names of the classes.
        p_true, p_predicted: the probabilities that the network gave them.
        name: of the picture.
    """

    true: str = ""
    predicted: str = ""
    p_true: str = ""
    p_predicted: str = ""
    name: str = ""


@dataclass
class Pair:
    """A class that was taken for another more than once.

    Args:
        true, predicted: names of the classes.
        count, of: how many of how many pictures.
        mistakes: some of them.
        answer: a picture of the predicted class that was recognised; None if there is none.
    """

    true: str
    predicted: str
    count: int
    of: int
    mistakes: list[Picture]
    answer: Picture | None


def worst_mistakes(evaluation: Evaluation, dataset) -> list[Mistake]:
    """Those whose true class got the lowest probability, the worst first."""
    names = getattr(dataset, "names", None)
    found = []
    for index in evaluation.mistakes()[:WORST].tolist():
        true, predicted = int(evaluation.labels[index]), int(evaluation.predicted[index])
        given = evaluation.probabilities[index]
        found.append(
            Mistake(
                image_of(dataset, index),
                alt=f"{evaluation.classes[true]}, taken for {evaluation.classes[predicted]}",
                true=evaluation.classes[true],
                predicted=evaluation.classes[predicted],
                p_true=probability(given[true]),
                p_predicted=probability(given[predicted]),
                name=names[index] if names else f"picture {index}",
            )
        )
    return found


def confused_pairs(evaluation: Evaluation, dataset) -> list[Pair]:
    """Pairs of classes that were confused more than once, with pictures."""
    pairs = []
    for true, predicted, count in evaluation.confused(PAIRS):
        if count < 2:
            break
        names = evaluation.classes[true], evaluation.classes[predicted]
        wrong = evaluation.examples(true, predicted, EXAMPLES)
        right = evaluation.examples(predicted, predicted, 1)
        alt = f"{names[0]}, taken for {names[1]}"
        mistakes = [Picture(image_of(dataset, i), alt=alt) for i in wrong]
        answers = [Picture(image_of(dataset, i), alt=f"{names[1]}, recognised") for i in right]
        of = int((evaluation.labels == true).sum())
        pairs.append(Pair(*names, count, of, mistakes, answers[0] if answers else None))
    return pairs


def image_of(dataset, index: int) -> np.ndarray:
    """A picture of a data set, uint8 (H, W, C)."""
    return np.asarray(dataset[int(index)][0])


def probability(p: float) -> str:
    """0.987 as "98.7 %"."""
    return f"{100 * p:.1f}\u00a0%"
