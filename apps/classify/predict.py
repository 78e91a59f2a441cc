"""Ask a trained network what is on pictures."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from apps.classify.evaluation import class_probabilities
from apps.classify.views import make_views
from apps.shared.batches import evaluation_batch
from apps.shared.options import OptionError
from apps.shared.trained import Trained
from minidl.data import read_picture
from minidl.errors import DataError
from minidl.tensor import Tensor


def predict(
    trained: Trained, paths: list[str], top: int, tta: str = "none"
) -> Iterator[tuple[str, list[dict[str, Any]] | DataError]]:
    """The most probable classes of picture files, in their order.

    Args:
        trained: from load_trained.
        paths: of the files; any format that Pillow reads.
        top: how many classes, at most as many as there are.
        tta: test-time augmentation, one of views.CHOICES.

    Returns:
        for each path, as soon as it is known, (path, answer). An answer is a list of
        {"class": name, "probability": float}, the most probable first, or the DataError that says
        why there is none.

    Raises:
        OptionError: top is below 1, or no such way of test-time augmentation.
    """
    if top < 1:
        raise OptionError("top must be at least 1", {"--top": top})
    return answers(trained, paths, top, make_views(trained.preprocessing, tta))


def answers(trained: Trained, paths: list[str], top: int, views: Any) -> Iterator[tuple[str, Any]]:
    """What predict returns. Pictures go through the network together, as many as fit."""
    waiting: list[tuple[str, Any]] = []  # path, and its views or an error
    for path in paths:
        try:
            waiting.append((path, views(read_picture(path))))
        except DataError as error:
            waiting.append((path, error))
        first = next((x for _, x in waiting if isinstance(x, np.ndarray)), None)
        if first is None or len(waiting) >= evaluation_batch(first):
            yield from answer_together(trained, waiting, top, len(views))
            waiting = []
    yield from answer_together(trained, waiting, top, len(views))


def answer_together(trained: Trained, waiting: list, top: int, views: int) -> Iterator:
    """(path, answer) of some pictures, from one call of the network."""
    known = [x for _, x in waiting if isinstance(x, np.ndarray)]
    rows = iter(class_probabilities(trained.model, Tensor(np.stack(known)), views) if known else ())
    for path, x in waiting:
        if isinstance(x, np.ndarray):
            x = most_probable(trained.classes, next(rows), top)
        yield path, x


def most_probable(classes: list[str], probabilities: np.ndarray, top: int) -> list[dict[str, Any]]:
    """{"class", "probability"} of the first `top` classes."""
    order = np.argsort(-probabilities, kind="stable")[:top]
    return [{"class": classes[i], "probability": float(probabilities[i])} for i in order]
