"""How good a trained network is on a labelled set."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import minidl
import models
from apps.classify.data import evaluation_loader
from apps.classify.metrics import Evaluation
from apps.classify.run_folder import BEST, find_checkpoint
from minidl.data import Dataset, open_dataset, transforms
from minidl.errors import CheckpointError, DataError, MinidlError
from minidl.nn import Module
from minidl.nn.functional import softmax


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


def load_trained(run: str, op: str) -> Trained:
    """The network of a run folder, or of a checkpoint file.

    A folder's network is that of the last step; with early stopping, that of the best epoch.

    Args:
        run: path of either.
        op: who asks, for errors.

    Raises:
        CheckpointError: none there, damaged, or not of a classifier.
    """
    path = find_checkpoint(run, op)
    checkpoint = minidl.io.load_checkpoint(path)
    best = path.with_name(BEST)
    stops_early = (checkpoint.meta.get("settings") or {}).get("early_stopping") is not None
    if stops_early and Path(run).is_dir() and best.exists():
        path, checkpoint = best, minidl.io.load_checkpoint(best)
    return build_trained(checkpoint, path, op)


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


def evaluate(trained: Trained, dataset: Dataset, workers: int = 1) -> Evaluation:
    """Ask the network about every picture of a labelled set."""
    parts, labels = [], []
    started = time.perf_counter()
    with minidl.no_grad():
        for x, truth in evaluation_loader(dataset, trained.preprocessing, workers):
            parts.append(softmax(trained.model(x), dim=1).numpy())
            labels.append(truth.numpy())
    probabilities, labels = np.concatenate(parts), np.concatenate(labels)
    given = probabilities[np.arange(len(labels)), labels].astype(np.float64)
    tiny = np.finfo(np.float32).tiny  # a probability that was rounded to 0 still has a loss
    loss = float(-np.log(np.maximum(given, tiny)).mean())
    seconds = time.perf_counter() - started
    return Evaluation(trained.classes, labels, probabilities, loss, seconds)


def evaluate_run(
    run: str, data: str | None, data_dir: str | None, split: str, workers: int = 1
) -> Evaluation:
    """Evaluate a run on a data set, by default the one it was trained on.

    Args:
        run: run folder or checkpoint file.
        data, data_dir: as for training.
        split: "train" or "test".
        workers: threads that prepare batches.

    Raises:
        DataError: the data are missing or damaged, or their classes are not the network's.
        CheckpointError: the run is.
    """
    trained = load_trained(run, "evaluate")
    settings = trained.meta.get("settings", {})
    if data is None:
        data, data_dir = settings.get("data", "digits"), data_dir or settings.get("data_dir")
    dataset = open_dataset(data, split, data_dir)
    check_classes(trained, dataset, data)
    return evaluate(trained, dataset, workers)


def check_classes(trained: Trained, dataset: Dataset, data: str) -> None:
    """The data's classes are the network's, in the same order.

    Raises:
        DataError
    """
    if dataset.classes == trained.classes:
        return
    rule = "the data have other classes than the network was trained on"
    if len(dataset.classes) != len(trained.classes):
        rule = f"the data have {len(dataset.classes)} classes, the network {len(trained.classes)}"
    raise DataError(
        "evaluate", rule,
        {"data": data, "its classes": shorten(dataset.classes),
         "the network's": shorten(trained.classes)},
    )  # fmt: skip


def shorten(names: list[str], at_most: int = 8) -> str:
    """The names in one line, the first ones if they are many."""
    more = f", ... ({len(names)})" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more
