"""The callbacks that every run has, made from its settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from apps.shared.run_folder import METRICS
from minidl import callbacks


def standard_callbacks(
    folder: Path,
    meta: dict[str, Any],
    monitor: str | None,
    early_stopping: int | None = None,
    clip_grad: float | None = None,
    schedule: callbacks.Schedule | None = None,
) -> list[callbacks.Callback]:
    """Checkpoints, metrics, TensorBoard and progress; then what the settings ask for.

    Args:
        folder: of the run.
        meta: what the checkpoints hold beside the weights.
        monitor: the metric that decides which epoch is best; None where none does.
        early_stopping: epochs without a better one after which the run stops, or None; it needs
            a monitor.
        clip_grad: largest norm of the gradients, or None.
        schedule: from make_schedule, or None.
    """
    checkpoint = callbacks.Checkpoint(folder, monitor=monitor, meta=meta)
    chosen: list[callbacks.Callback] = [
        callbacks.StopOnNaN(),
        callbacks.Metrics(folder / METRICS),
        callbacks.TensorBoard(folder),
        checkpoint,
        FirstCheckpoint(checkpoint),
        callbacks.Progress(),
    ]
    if schedule is not None:
        chosen.append(schedule)
    if clip_grad is not None:
        chosen.append(callbacks.ClipGradients(clip_grad))
    if early_stopping is not None:
        assert monitor is not None, "early stopping watches a metric"
        chosen.append(callbacks.EarlyStopping(monitor, patience=early_stopping))
    return chosen


class FirstCheckpoint(callbacks.Callback):
    """Save before the first step, so that a run killed in its first epoch can go on, too."""

    order = callbacks.Checkpoint.order + 1
    watches = True

    def __init__(self, checkpoint: callbacks.Checkpoint):
        self.checkpoint = checkpoint

    def on_fit_start(self, run) -> None:
        if not self.checkpoint.path.exists():
            self.checkpoint.save(run)
