"""What a worker reports of a slot, and how all workers count the reports of a step.

A report is numbers by name, so that every worker's Run holds the same sums, history and schedules:

    count                 examples
    values.<name>         what was minimized; of fit its loss
    means.<metric>        of a metric that is a function
    <metric>.<attribute>  of a Metric, which looked at this batch alone
"""

from __future__ import annotations

import copy
import math
from typing import Any

from minidl.errors import ArgumentError
from minidl.function import no_grad
from minidl.training.metrics import Metric, as_number
from minidl.training.run import Run


def check_metrics(run: Run) -> None:
    """The metrics of several batches can be added up.

    Raises:
        ArgumentError: one cannot; it is named.
    """
    for name, metric in run.totals.metrics.items():
        if isinstance(metric, Metric) and type(metric).merge is Metric.merge:
            raise ArgumentError(
                "dist", "metrics of a training on several machines can be added up",
                {name: type(metric).__name__}, "define its merge, or measure it in validation only",
            )  # fmt: skip


def report_of(run: Run, values: dict[str, float]) -> dict[str, float]:
    """What a slot found: the current batch of a run, and what was minimized, by name."""
    found: dict[str, float] = {"count": run.count}
    found |= {f"values.{name}": value for name, value in values.items()}
    if run.outputs is None:
        return found
    with no_grad():
        for name, metric in run.totals.metrics.items():
            if isinstance(metric, Metric):
                own = copy.deepcopy(metric)
                own.reset()
                own.update(run.outputs, run.targets)
                for key, value in own.state_dict().items():
                    found[f"{name}.{key}"] = math.nan if value is None else value
            else:
                value = as_number("fit", name, metric(run.outputs, run.targets))
                found[f"means.{name}"] = value
    return found


def count_reports(run: Run, reports: list[dict[str, Any]]) -> None:
    """Add the reports of a step, or several, to the sums of the epoch and the step, in order."""
    for report in reports:
        values, weight = report["values"], report["weight"]
        minimized = {
            name.removeprefix("values."): value
            for name, value in values.items()
            if name.startswith("values.")
        }
        for totals in (run.totals, run.step_totals):
            totals.count += int(values["count"])
            totals.add_values(minimized, weight)
        run.step_weight += weight
        if len(values) > 1 + len(minimized):
            run.totals.measured += 1
        for name, metric in run.totals.metrics.items():
            if f"means.{name}" in values:
                run.totals.add_values({name: values[f"means.{name}"]}, weight)
            elif isinstance(metric, Metric) and f"{name}.{metric.state[0]}" in values:
                state = {key: values[f"{name}.{key}"] for key in metric.state}
                metric.merge({key: None if v != v else v for key, v in state.items()})
