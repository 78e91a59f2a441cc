"""The sums over the batches of an epoch, from which its metrics come."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

from minidl.errors import CheckpointError
from minidl.function import no_grad
from minidl.training.metrics import Metric, as_number


class Totals:
    """Sums over batches.

    Args:
        metrics: name -> function or Metric, as check_metrics returns them. Metrics are copied, so
            that training and validation do not mix.
        op: who measures, for errors.

    Attributes:
        count: examples so far.
        seconds: time since the epoch began, without interruptions.
        sums: name -> [sum of value times weight, sum of weights] of everything that is a mean.
        measured: batches that the metrics have seen.
    """

    def __init__(self, metrics: dict[str, Callable | Metric], op: str = "fit"):
        self.op = op
        self.metrics = {
            name: copy.deepcopy(metric) if isinstance(metric, Metric) else metric
            for name, metric in metrics.items()
        }
        self.reset()

    def reset(self) -> None:
        self.count, self.seconds, self.measured = 0, 0.0, 0
        self.sums: dict[str, list[float]] = {}
        for metric in self.metrics.values():
            if isinstance(metric, Metric):
                metric.reset()

    def add_values(self, values: dict[str, float], weight: float) -> None:
        """Add the means of one batch, such as its loss."""
        for name, value in values.items():
            total = self.sums.setdefault(name, [0.0, 0])
            total[0] += value * weight
            total[1] += weight

    def measure(self, outputs: Any, targets: Any, weight: float) -> None:
        """Let each metric look at a batch."""
        self.measured += 1
        with no_grad():
            for name, metric in self.metrics.items():
                if isinstance(metric, Metric):
                    metric.update(outputs, targets)
                else:
                    value = as_number(self.op, name, metric(outputs, targets))
                    self.add_values({name: value}, weight)

    def compute(self, live: bool = False) -> dict[str, float]:
        """The values so far by name: the means, then the Metrics that have one.

        Args:
            live: leave out the Metrics that are not cheap to compute.
        """
        found = {name: total / weight for name, (total, weight) in self.sums.items()}
        for name, metric in self.metrics.items():
            if isinstance(metric, Metric) and self.measured and (metric.live or not live):
                value = metric.compute()
                if value is not None:
                    found[name] = as_number(self.op, name, value)
        return found

    def state_dict(self) -> dict[str, Any]:
        """JSON values and Tensors; metrics only where they have seen a batch.

        Functions remember nothing but sums. Their names are there so that another set of metrics
        is noticed.
        """
        metrics = self.metrics.items() if self.measured else ()
        return {
            "count": self.count,
            "seconds": self.seconds,
            "measured": self.measured,
            "sums": {name: list(total) for name, total in self.sums.items()},
            "metrics": {n: m.state_dict() if isinstance(m, Metric) else {} for n, m in metrics},
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take over the sums of an epoch in progress.

        Raises:
            CheckpointError: they are of other metrics.
        """
        self.reset()  # a state of no batch says nothing about metrics
        self.count, self.seconds = int(state["count"]), float(state["seconds"])
        self.measured = int(state["measured"])
        sums = state["sums"].items()
        self.sums = {name: [float(total), float(weight)] for name, (total, weight) in sums}
        saved = state["metrics"]
        if self.measured and set(saved) != set(self.metrics):
            raise CheckpointError(
                self.op, "the checkpoint was saved within an epoch, with other metrics",
                {"metrics": sorted(self.metrics), "saved": sorted(saved)},
                "resume with the metrics of the run that saved it",
            )  # fmt: skip
        for name, values in saved.items():
            metric = self.metrics[name]
            if isinstance(metric, Metric):
                metric.load_state_dict(values)
