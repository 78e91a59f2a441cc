"""Write the metrics of each epoch to a file that any tool can read."""

from __future__ import annotations

from pathlib import Path

from minidl.io.atomic import as_path, write_atomically
from minidl.io.json import to_json
from minidl.training.callback import Callback


class Metrics(Callback):
    """metrics.jsonl: one JSON object per epoch and line, there as soon as the epoch ends.

    A resumed run starts the file with the epochs that its checkpoint knows, so that none appears
    twice. NaN and infinities, which JSON has not, are written as null.

    Args:
        path: the file; its folder must exist.

    Raises:
        ArgumentError: path is something else.
        CheckpointError: in a run, when the file cannot be written.

    >>> import os, tempfile
    >>> callback = minidl.callbacks.Metrics(os.path.join(tempfile.mkdtemp(), "metrics.jsonl"))
    """

    watches = True

    def __init__(self, path: str | Path):
        self.path = as_path("Metrics", "path", path)

    def on_fit_start(self, run) -> None:
        self.write(run)

    def on_epoch_end(self, run) -> None:
        self.write(run)

    def write(self, run) -> None:
        """The whole history: it is short, and so the file is never half written."""
        text = "".join(to_json(metrics) + "\n" for metrics in run.history)
        write_atomically(self.path, text.encode(), "Metrics")
