"""Metrics: what is measured while a model learns.

A metric is a function or an object:

    function    (outputs, targets) -> number of one batch; an epoch's value is their weighted mean
    Metric      looks at every batch of an epoch and computes its value from all of them: what is no
                mean over batches, such as F1, perplexity or CIDEr-D

The name under which it is passed is its name everywhere: in the history, files, TensorBoard, and,
with "val_" in front, for the validation set. Two words in a name have a meaning: what has "loss"
in it is better when lower, what has "accuracy" in it is a share of 1 and shown in percent.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from minidl.errors import ArgumentError, CheckpointError
from minidl.shapes import is_int, is_number
from minidl.tensor import Tensor

RESERVED = ("epoch", "step", "lr", "seconds", "images_per_second")


class Metric:
    """Base class of metrics that need more of an epoch than a mean over its batches.

    A subclass has reset, update and compute, and names in `state` the attributes in which it
    remembers the batches. A checkpoint holds those, so that a run resumed in the middle of an epoch
    computes the same value. What measures is a copy of the object that was passed, one for training
    and one for validation.

    Attributes:
        state: names of attributes; their values are JSON values and Tensors.
        live: whether compute is cheap enough to be shown after each step.

    >>> class LargestError(minidl.metrics.Metric):
    ...     state = ("largest",)
    ...     def reset(self):
    ...         self.largest = 0.0
    ...     def update(self, outputs, targets):
    ...         self.largest = max(self.largest, (outputs - targets).abs().amax().item())
    ...     def compute(self):
    ...         return self.largest
    >>> x = minidl.tensor([[1.0], [4.0]])
    >>> minidl.evaluate(minidl.nn.Identity(), [(x, x + 0.5)], metrics={"worst": LargestError()})
    {'worst': 0.5}
    """

    state: tuple[str, ...] = ()
    live = False

    def reset(self) -> None:
        """Forget all batches. Called before each epoch."""
        raise NotImplementedError(f"{type(self).__name__}.reset")

    def update(self, outputs: Any, targets: Any) -> None:
        """Look at a batch: what the model made of it, and what it should have made."""
        raise NotImplementedError(f"{type(self).__name__}.update")

    def compute(self) -> float | None:
        """The value for the batches since reset; None where there is none."""
        raise NotImplementedError(f"{type(self).__name__}.compute")

    def merge(self, state: dict[str, Any]) -> None:
        """Add the batches that another copy of this metric has seen: its state_dict.

        Only training on several machines needs it, where each looks at other batches.
        """
        raise NotImplementedError(f"{type(self).__name__}.merge")

    def state_dict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if set(state) != set(self.state):
            raise CheckpointError(
                "fit", f"the saved state is not one of {type(self).__name__}",
                {"saved": sorted(state), "expected": sorted(self.state)},
            )  # fmt: skip
        for name, value in state.items():
            setattr(self, name, value)


class Accuracy(Metric):
    """Share of the examples whose label is among the k highest outputs.

    Of a tuple of outputs, as networks with auxiliary heads give them in training, the first counts.

    Args:
        k: how many guesses are allowed; 5 for top-5 accuracy.

    Shapes: outputs (N, classes), targets int (N,).

    Raises:
        ArgumentError: k is not an int >= 1; in update, the shapes are others.

    >>> accuracy = minidl.metrics.Accuracy()
    >>> accuracy.update(minidl.tensor([[0.1, 0.9], [0.8, 0.2]]), minidl.tensor([1, 1]))
    >>> accuracy.compute()
    0.5
    """

    state = ("correct", "count")
    live = True

    def __init__(self, k: int = 1):
        if not is_int(k) or k < 1:
            raise ArgumentError("Accuracy", "k is an int >= 1", {"k": k})
        self.k = k
        self.reset()

    def reset(self) -> None:
        self.correct, self.count = 0, 0

    def update(self, outputs: Any, targets: Any) -> None:
        scores = first(outputs)
        if not are_classes(scores, targets):
            raise ArgumentError(
                "Accuracy", "outputs are (N, classes), targets N class numbers",
                {"outputs": scores, "targets": targets},
            )  # fmt: skip
        scores, labels = scores.data, targets.data
        if self.k == 1:
            hits = scores.argmax(1) == labels
        else:
            hits = ((-scores).argsort(1, kind="stable")[:, : self.k] == labels[:, None]).any(1)
        self.correct += int(hits.sum())
        self.count += len(labels)

    def merge(self, state: dict[str, Any]) -> None:
        self.correct += int(state["correct"])
        self.count += int(state["count"])

    def compute(self) -> float | None:
        return self.correct / self.count if self.count else None


class AccuracyOfClasses(Accuracy):
    """The default of fit: Accuracy where targets are class numbers in every batch, else nothing."""

    def update(self, outputs: Any, targets: Any) -> None:
        if self.correct is not None and are_classes(first(outputs), targets):
            super().update(outputs, targets)
        else:
            self.correct = None

    def merge(self, state: dict[str, Any]) -> None:
        if self.correct is not None and state["correct"] is not None:
            super().merge(state)
        else:
            self.correct = None

    def compute(self) -> float | None:
        return None if self.correct is None else super().compute()


def first(outputs: Any) -> Any:
    """The outputs, or the first one of several."""
    return outputs[0] if isinstance(outputs, tuple) and outputs else outputs


def are_classes(scores: Any, targets: Any) -> bool:
    """Whether scores are (N, classes) and targets N class numbers."""
    return (
        isinstance(scores, Tensor)
        and isinstance(targets, Tensor)
        and scores.data.ndim == 2
        and scores.data.shape[1] > 0
        and targets.data.dtype.kind in "iu"
        and targets.data.shape == scores.data.shape[:1]
    )


def is_share(name: str) -> bool:
    """Whether a metric of that name is a share of 1, which people read in percent."""
    return "accuracy" in name


def lower_is_better(name: str) -> bool:
    """Whether a metric of that name should fall, as a loss does."""
    return "loss" in name


# --- checks -------------------------------------------------------------------------------------


def as_number(op: str, name: str, value: Any) -> float:
    """The number in what a metric returned.

    Raises:
        ArgumentError: it is none, or more than one.
    """
    if isinstance(value, Tensor) and value.data.size == 1:
        value = value.item()
    if is_number(value):
        return float(value)
    raise ArgumentError(op, f"{name} is one number for a batch", {name: value}, "take its .mean()")


def check_metrics(op: str, metrics: Any) -> dict[str, Callable | Metric]:
    """The metrics that someone passed, by name; None stands for the default.

    Raises:
        ArgumentError: they are not a dict of functions and Metrics, or a name is taken.
    """
    if metrics is None:
        return {"accuracy": AccuracyOfClasses()}
    if not isinstance(metrics, dict):
        raise ArgumentError(
            op, "metrics are a dict: name -> function or Metric", {"metrics": metrics},
            'metrics={"accuracy": minidl.metrics.Accuracy()}, say',
        )  # fmt: skip
    for name, metric in metrics.items():
        check_name(op, name)
        if name == "loss":
            raise ArgumentError(op, "loss is measured anyway", {"metrics": sorted(metrics)})
        if isinstance(metric, type) or not (isinstance(metric, Metric) or callable(metric)):
            hint = "make an instance of it: add ()" if isinstance(metric, type) else ""
            rule = "a metric is a function (outputs, targets) -> number, or a Metric"
            raise ArgumentError(op, rule, {name: metric}, hint)
        if isinstance(metric, Metric) and not metric.state:
            raise ArgumentError(
                op, "a Metric names in `state` the attributes that a checkpoint must hold",
                {name: type(metric).__name__}, 'state = ("total", "count"), say',
            )  # fmt: skip
    return dict(metrics)


def check_name(op: str, name: Any) -> None:
    """A name that can stand in the history beside what fit writes there."""
    if not isinstance(name, str) or not name:
        raise ArgumentError(op, "the name of a metric is text", {"name": name})
    if name in RESERVED or name.startswith(("val_", "lr_")):
        raise ArgumentError(
            op, "the name of a metric is not one that fit uses itself", {"name": name},
            f"fit uses {', '.join(RESERVED)}, lr_... and val_...",
        )  # fmt: skip
