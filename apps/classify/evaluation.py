"""How good a trained network is on a labelled set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

import numpy as np

import minidl
from apps.classify.metrics import Evaluation
from apps.classify.views import make_views
from apps.shared.batches import evaluation_loader
from apps.shared.trained import Trained, load_trained
from minidl.data import Dataset, open_dataset
from minidl.errors import DataError
from minidl.nn import Module
from minidl.nn.functional import softmax
from minidl.tensor import Tensor


def load_classifier(run: str, best: bool | None = None) -> Trained:
    """The classifier of a run folder or checkpoint file; arguments and errors of load_trained."""
    return load_trained(run, best, kind="classifier", needs=("classes",))


def evaluate(trained: Trained, dataset: Dataset, workers: int = 1, tta: str = "none") -> Evaluation:
    """Ask the network about every picture of a labelled set.

    Args:
        trained: the network.
        dataset: its classes are the network's, or some of them in any order.
        workers: threads that prepare batches.
        tta: test-time augmentation, one of views.CHOICES.

    Raises:
        DataError: the data have classes that the network lacks.
    """
    places = class_places(trained, dataset)
    views = make_views(trained.preprocessing, tta)
    # A single view is the preprocessing itself, which the loader computes faster.
    steps = trained.preprocessing if len(views) == 1 else views
    parts, labels = [], []
    started = time.perf_counter()
    for x, truth in evaluation_loader(dataset, steps, workers):
        parts.append(class_probabilities(trained.model, x, len(views)))
        labels.append(places[truth.numpy()])
    probabilities, labels = np.concatenate(parts), np.concatenate(labels)
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    tiny = np.finfo(np.float32).tiny  # a probability that was rounded to 0 still has a loss
    loss = float(-np.log(np.maximum(given, tiny)).mean())
    seconds = time.perf_counter() - started
    return Evaluation(trained.classes, labels, probabilities, loss, seconds)


def class_probabilities(model: Module, x: Tensor, views: int = 1) -> np.ndarray:
    """The softmax of a network's scores, averaged over the views of each picture.

    Args:
        model: in evaluation mode.
        x: (N, views C, H, W).
        views: how many there are of each picture, see views.Views.

    Returns:
        (N, classes), rows summing to 1.
    """
    N, C, H, W = x.shape
    with minidl.no_grad():
        y = model(x.reshape(N * views, C // views, H, W))
        return softmax(y, dim=1).numpy().reshape(N, views, -1).mean(axis=1)


def evaluate_run(
    run: str,
    data: str | None,
    data_dir: str | None,
    split: str,
    workers: int = 1,
    tta: str = "none",
    best: bool | None = None,
    log: Callable[[str], None] = lambda text: None,
) -> tuple[Evaluation, Dataset]:
    """Evaluate a run on a data set, by default the one it was trained on.

    Args:
        run: run folder or checkpoint file.
        data, data_dir: as for training.
        split: "train" or "test".
        workers: threads that prepare batches.
        tta: test-time augmentation, one of views.CHOICES.
        best: as of load_trained.
        log: called with a line of text, if the classes had to be matched by name.

    Returns:
        what was found, and the data set.

    Raises:
        ArgumentError: no such way of test-time augmentation.
        DataError: the data are missing or damaged, or have classes that the network lacks.
        CheckpointError: the run is.
    """
    trained = load_classifier(run, best)
    settings = trained.meta.get("settings", {})
    if data is None:
        data, data_dir = settings.get("data", "digits"), data_dir or settings.get("data_dir")
    # Where no pictures are set apart, another share would test on some that the run has learned.
    own = data == settings.get("data") or os.path.abspath(data) == settings.get("data")
    dataset = open_dataset(data, split, data_dir, settings.get("test_share") if own else None)
    class_places(trained, dataset, data)
    if dataset.classes != trained.classes:
        log(
            f"classes matched by name: the data have {len(dataset.classes)} of the network's "
            f"{len(trained.classes)}"
        )
    return evaluate(trained, dataset, workers, tta), dataset


def class_places(trained: Trained, dataset: Dataset, data: str = "") -> np.ndarray:
    """The place of each class of the data among the network's: int (len(dataset.classes),).

    They are matched by name unless they are the same, in the same order.

    Raises:
        DataError: a name is not among the network's, or there twice.
    """
    if dataset.classes == trained.classes:
        return np.arange(len(trained.classes))
    place = {name: i for i, name in enumerate(trained.classes)}
    unknown = [name for name in dataset.classes if name not in place]
    if not unknown and len(place) == len(trained.classes):
        return np.array([place[name] for name in dataset.classes])
    rule = "the data have other classes than the network was trained on"
    if len(dataset.classes) != len(trained.classes):
        rule = f"the data have {len(dataset.classes)} classes, the network {len(trained.classes)}"
    raise DataError(
        "evaluate", rule,
        {"data": data, "its classes": shorten(dataset.classes),
         "the network's": shorten(trained.classes)},
        f"the network does not know {shorten(unknown)}" if unknown else "",
    )  # fmt: skip


def shorten(names: list[str], at_most: int = 8) -> str:
    """The names in one line, the first ones if they are many."""
    more = f", ... ({len(names)})" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more
