"""report.html while a run goes on."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from minidl.callbacks import Callback

EVERY = 60  # seconds between reports


class LiveReport(Callback):
    """Write the report after an epoch, at most once a minute; the last one is the run's results.

    Args:
        write: called with the Run.
    """

    order = 50  # after what adds to the metrics
    watches = True

    def __init__(self, write: Callable[[Any], None]):
        self.write, self.written = write, 0.0

    def on_epoch_end(self, run) -> None:
        if run.epoch < run.epochs and time.monotonic() - self.written >= EVERY:
            self.write(run)
            self.written = time.monotonic()
