"""The best value of a metric so far: what Checkpoint and EarlyStopping watch."""

from __future__ import annotations

from typing import Any

from minidl.errors import ArgumentError
from minidl.training.metrics import lower_is_better


class Best:
    """The best value so far of one metric.

    Args:
        op: who asks, for errors.
        monitor: name of the metric, a key of run.metrics.
        mode: "min" where lower is better, "max" where higher is; "auto" decides by the name, see
            minidl.training.metrics.
        min_delta: an improvement smaller than this does not count.
    """

    def __init__(self, op: str, monitor: str, mode: str = "auto", min_delta: float = 0.0):
        if not isinstance(monitor, str):
            raise ArgumentError(op, "monitor is the name of a metric", {"monitor": monitor})
        self.op, self.monitor, self.min_delta = op, monitor, min_delta
        check_mode(op, mode)
        falls = lower_is_better(monitor) if mode == "auto" else mode == "min"
        self.sign = -1 if falls else 1
        self.value: float | None = None

    def improved(self, metrics: dict[str, Any]) -> bool:
        """Look at the metrics of a finished epoch; whether they are the best so far."""
        value = metric(self.op, self.monitor, metrics)
        if value != value:
            return False  # NaN is never an improvement
        if self.value is not None and self.sign * (value - self.value) <= self.min_delta:
            return False
        self.value = value
        return True


def metric(op: str, name: str, metrics: dict[str, Any]) -> float:
    """A metric by name.

    Raises:
        ArgumentError: there is none of that name; names those there are.
    """
    if name not in metrics:
        hint = "val_... needs fit(validation=...)" if name.startswith("val_") else ""
        raise ArgumentError(op, f"there is no metric {name!r}", {"metrics": sorted(metrics)}, hint)
    return metrics[name]


def check_mode(op: str, mode: Any) -> None:
    if mode not in ("auto", "min", "max"):
        raise ArgumentError(op, 'mode is "auto", "min" or "max"', {"mode": mode})
