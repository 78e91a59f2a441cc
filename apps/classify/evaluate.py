"""How good a trained network is on a labelled set."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minidl
import models
from apps.classify.data import evaluation_loader
from apps.classify.metrics import Evaluation
from apps.classify.views import make_views
from apps.shared.run_folder import BEST, find_checkpoint
from minidl.data import Dataset, open_dataset, transforms
from minidl.errors import ArgumentError, CheckpointError, DataError, MinidlError
from minidl.nn import Module
from minidl.nn.functional import softmax
from minidl.tensor import Tensor


@dataclass
class Trained:
    """A network as a checkpoint describes it.

    Args:
        model: with its weights, in evaluation mode.
        name: of the network, as in models.names().
        classes: names, in the order of the outputs.
        preprocessing: what a picture goes through first.
        meta: all that the checkpoint says.
    """

    model: Module
    name: str
    classes: list[str]
    preprocessing: transforms.Compose
    meta: dict[str, Any]


def load_trained(run: str, op: str, best: bool | None = None) -> Trained:
    """The network of a run folder, or of a checkpoint file.

    Args:
        run: path of either.
        op: who asks, for errors.
        best: of a folder, the network of the best epoch (True) or of the last step (False); None
            for the one that training kept and reported.

    Raises:
        ArgumentError: best is given for a file.
        CheckpointError: none there, damaged, or not of a classifier.
    """
    folder = Path(run)
    if best is not None and folder.is_file():
        option = "--best" if best else "--last"
        raise ArgumentError(
            op, f"{option} chooses in a run folder, and this is a file", {"run": run},
            f"leave out {option}, or name the folder {folder.parent}",
        )  # fmt: skip
    path = find_checkpoint(run, op)
    if best:
        return load_best(path.with_name(BEST), op)
    checkpoint = minidl.io.load_checkpoint(path)
    kept_best = keeps_best(checkpoint.meta.get("settings") or {})
    if best is None and kept_best and folder.is_dir() and path.with_name(BEST).exists():
        return load_best(path.with_name(BEST), op)
    return build_trained(checkpoint, path, op)


def kept_checkpoint(run: str, op: str) -> Path:
    """The file of the network that a run kept and reported: of its best epoch, or the last step.

    Raises:
        CheckpointError: there is none, or it is damaged.
    """
    path = find_checkpoint(run, op)
    best = path.with_name(BEST)
    if not best.exists():
        return path
    settings = minidl.io.load_checkpoint(path).meta.get("settings") or {}
    return best if keeps_best(settings) else path


def weight_file(source: str, op: str) -> str | Path:
    """The file of the weights that a run kept; another file, or a published name, is itself.

    Raises:
        CheckpointError: as kept_checkpoint.
    """
    # Unlike Path.is_dir, False for a name that is too long.
    return kept_checkpoint(source, op) if os.path.isdir(source) else source


def keeps_best(settings: dict[str, Any]) -> bool:
    """Whether a run reports the network of its best epoch; older runs do with early stopping."""
    if "keep" in settings:
        return settings["keep"] == "best"
    return settings.get("early_stopping") is not None


def load_best(path: Path, op: str) -> Trained:
    """The network of the best epoch."""
    if not path.exists():
        raise CheckpointError(
            op, f"the run has no {BEST}", {"run": str(path.parent)}, "--last takes the last step"
        )
    return build_trained(minidl.io.load_checkpoint(path), path, op)


def build_trained(checkpoint: Any, path: Path, op: str) -> Trained:
    """The network that a loaded checkpoint describes; `path` is for errors."""
    meta = checkpoint.meta
    try:
        name, classes = meta["model"], list(meta["classes"])
        arguments, steps = dict(meta["model_arguments"]), meta["preprocessing"]
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            op, "the checkpoint is not one of a classifier", {"path": str(path), "lacks": error}
        ) from None
    try:
        model = models.build(name, **arguments)
        model.load_state_dict(checkpoint.model)
        preprocessing = transforms.from_config(steps)
    except (MinidlError, TypeError) as error:
        raise CheckpointError(
            op, "the checkpoint does not fit this version of the network",
            {"path": str(path), "model": name, "reason": getattr(error, "rule", str(error))},
        ) from None  # fmt: skip
    return Trained(model.eval(), name, classes, preprocessing, meta)


def evaluate(trained: Trained, dataset: Dataset, workers: int = 1, tta: str = "none") -> Evaluation:
    """Ask the network about every picture of a labelled set.

    Args:
        trained: the network.
        dataset: its classes are the network's, or some of them in any order.
        workers: threads that prepare batches.
        tta: test-time augmentation, one of views.CHOICES.

    Raises:
        DataError: the data have classes that the network has not.
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
    say: Callable[[str], None] = lambda text: None,
) -> tuple[Evaluation, Dataset]:
    """Evaluate a run on a data set, by default the one it was trained on.

    Args:
        run: run folder or checkpoint file.
        data, data_dir: as for training.
        split: "train" or "test".
        workers: threads that prepare batches.
        tta: test-time augmentation, one of views.CHOICES.
        best: see load_trained.
        say: called with a line of text, if the classes had to be matched by name.

    Returns:
        what was found, and the data set.

    Raises:
        ArgumentError: no such way of test-time augmentation.
        DataError: the data are missing or damaged, or have classes that the network has not.
        CheckpointError: the run is.
    """
    trained = load_trained(run, "evaluate", best)
    settings = trained.meta.get("settings", {})
    if data is None:
        data, data_dir = settings.get("data", "digits"), data_dir or settings.get("data_dir")
    # Where no pictures are set apart, another share would test on some that the run has learned.
    own = data == settings.get("data") or os.path.abspath(data) == settings.get("data")
    dataset = open_dataset(data, split, data_dir, settings.get("test_share") if own else None)
    class_places(trained, dataset, data)
    if dataset.classes != trained.classes:
        say(
            f"classes matched by name: the data have {len(dataset.classes)} of the network's "
            f"{len(trained.classes)}"
        )
    return evaluate(trained, dataset, workers, tta), dataset


def class_places(trained: Trained, dataset: Dataset, data: str = "") -> np.ndarray:
    """Where each class of the data is among the network's: int (len(dataset.classes),).

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
