"""Save the run regularly, and on Ctrl-C."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, CheckpointError
from minidl.io.atomic import as_path, reason
from minidl.io.checkpoint import save_checkpoint
from minidl.training.best import Best, check_mode
from minidl.training.callback import Callback
from minidl.training.resume import run_state


class Checkpoint(Callback):
    """Save `checkpoint.safetensors`, to go on from, and `best.safetensors`, the best epoch's model.

    fit(..., resume=folder / "checkpoint.safetensors") goes on from the last save. Ctrl-C finishes
    the step in progress, saves, and then raises KeyboardInterrupt; a second Ctrl-C does not wait.

    Args:
        folder: where to write; it is made if it does not exist.
        every_epochs: save after every so many epochs and after the last; None for the last only.
        every_steps: save after every so many steps, too.
        monitor: the metric that decides which epoch is best. "auto" takes val_accuracy, else
            val_loss; None saves no best model.
        meta: JSON values that go into both files: how to build the model, classes, preprocessing.
        mode: "min" where a lower metric is better, "max" where a higher one is; "auto" takes min
            if "loss" is in its name.

    Raises:
        ArgumentError: every_epochs or every_steps is not an int >= 1, or another argument is of
            another type.
        CheckpointError: the folder cannot be made; later, the disk is full, ...

    >>> import tempfile
    >>> callback = minidl.callbacks.Checkpoint(tempfile.mkdtemp(), meta={"model": "lenet5"})
    """

    order = 100  # last: what it saves must include what the other callbacks did

    def __init__(
        self,
        folder: str | Path,
        every_epochs: int | None = 1,
        every_steps: int | None = None,
        monitor: str | None = "auto",
        meta: dict[str, Any] | None = None,
        mode: str = "auto",
    ):
        for name, value in (("every_epochs", every_epochs), ("every_steps", every_steps)):
            is_int = isinstance(value, int) and not isinstance(value, bool)
            if value is not None and (not is_int or value < 1):
                raise ArgumentError("Checkpoint", f"{name} is an int >= 1 or None", {name: value})
        if monitor is not None and not isinstance(monitor, str):
            raise ArgumentError("Checkpoint", "monitor is a name or None", {"monitor": monitor})
        if meta is not None and not isinstance(meta, dict):
            raise ArgumentError("Checkpoint", "meta is a dict", {"meta": meta})
        check_mode("Checkpoint", mode)
        self.folder = as_path("Checkpoint", "folder", folder)
        self.every_epochs, self.every_steps = every_epochs, every_steps
        self.monitor, self.mode, self.meta = monitor, mode, dict(meta or {})
        self.best: Best | None = None
        self.best_value: float | None = None
        self.interrupted = False
        self.previous_handler: Any = None
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CheckpointError(
                "Checkpoint", f"cannot make the folder: {reason(error)}", {"folder": str(folder)}
            ) from error

    @property
    def path(self) -> Path:
        """The file to resume from."""
        return self.folder / "checkpoint.safetensors"

    @property
    def best_path(self) -> Path:
        return self.folder / "best.safetensors"

    def on_fit_start(self, run) -> None:
        self.interrupted = False
        in_main_thread = threading.current_thread() is threading.main_thread()
        if in_main_thread and signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, None):
            self.previous_handler = signal.signal(signal.SIGINT, self.on_interrupt)

    def on_interrupt(self, number, frame) -> None:
        """Ctrl-C: wait for the end of the step, where the run is in a state that can be saved."""
        if self.interrupted:
            raise KeyboardInterrupt
        self.interrupted = True

    def on_step_end(self, run) -> None:
        if self.interrupted or (self.every_steps and run.step % self.every_steps == 0):
            self.save(run)

    def on_validation_step_end(self, run) -> None:
        if self.interrupted:
            self.save(run)

    def on_epoch_end(self, run) -> None:
        self.save_if_best(run)
        due = self.every_epochs and run.epoch % self.every_epochs == 0
        last = run.stop or run.epoch == run.epochs
        if due or last or self.interrupted:
            self.save(run)

    def on_fit_end(self, run) -> None:
        if self.previous_handler is not None:
            signal.signal(signal.SIGINT, self.previous_handler)
            self.previous_handler = None
        if self.interrupted and run.error is None:
            raise KeyboardInterrupt  # it came after the last save: nothing is lost

    def save(self, run) -> None:
        """Write checkpoint.safetensors; after Ctrl-C, end the run."""
        if run.is_chief:
            save_checkpoint(self.path, run.model, run.optimizer, run_state(run), self.meta)
        if self.interrupted:
            raise KeyboardInterrupt

    def save_if_best(self, run) -> None:
        if self.best is None:
            monitor = self.monitor
            if monitor == "auto":
                known = [name for name in ("val_accuracy", "val_loss") if name in run.metrics]
                monitor = known[0] if known else None
            if monitor is None:
                return
            self.best = Best("Checkpoint", monitor, self.mode)
            self.best.value = self.best_value
        if self.best.improved(run.metrics):
            self.best_value = self.best.value
            if run.is_chief:
                meta = {**self.meta, "metrics": run.metrics}
                save_checkpoint(self.best_path, run.model, meta=meta)

    def state_dict(self) -> dict[str, Any]:
        return {"best_value": self.best_value}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.best_value = state["best_value"]
