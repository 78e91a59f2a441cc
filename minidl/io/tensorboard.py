"""The event files that TensorBoard reads.

A file is a row of records, each an Event (a protocol buffer) between its length and two checksums;
the package tensorboard knows that format. Its own EventFileWriter writes in a thread, where a full
disk ends in a traceback and the run goes on without curves. So this one writes where it is called.
"""

from __future__ import annotations

import contextlib
import io
import itertools
import os
import socket
import time
from pathlib import Path
from typing import Any

from minidl.errors import CheckpointError
from minidl.io.atomic import reason

FLUSH_SECONDS = 5.0  # how old curves in a browser can be


class EventFile:
    """A new file of events in a folder.

    Args:
        folder: where to put it; it is made if it does not exist.

    Raises:
        CheckpointError: the folder cannot be written to.
    """

    def __init__(self, folder: str | Path):
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.summary.writer.record_writer import RecordWriter

        self.folder = Path(folder)
        self.waiting = io.BytesIO()  # records that are not in the file yet
        self.records = RecordWriter(self.waiting)
        self.flushed = time.monotonic()
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.file = open_new(self.folder)
        except OSError as error:
            raise self.failed(error) from error
        self.add(Event(file_version="brain.Event:2"))

    def add(self, event: Any) -> None:
        """Write an Event, at the latest FLUSH_SECONDS later when another one comes.

        Raises:
            CheckpointError: the disk is full, ...
        """
        event.wall_time = time.time()
        self.records.write(event.SerializeToString())
        if time.monotonic() - self.flushed > FLUSH_SECONDS:
            self.flush()

    def flush(self) -> None:
        """Write what is waiting. What cannot be written is given up, so that close succeeds."""
        data = self.waiting.getvalue()
        self.waiting.seek(0)
        self.waiting.truncate()
        self.flushed = time.monotonic()
        try:
            while data:  # a disk that becomes full takes a part first
                data = data[self.file.write(data) :]
        except OSError as error:
            raise self.failed(error) from error

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self.file.close()

    def failed(self, error: OSError) -> CheckpointError:
        return CheckpointError(
            "TensorBoard", f"cannot write events: {reason(error)}", {"folder": str(self.folder)}
        )


def open_new(folder: Path) -> Any:
    """An event file of a name that was not there; TensorBoard reads them by ascending name."""
    stem = f"events.out.tfevents.{int(time.time()):010d}.{socket.gethostname()}.{os.getpid()}"
    for number in itertools.count():
        with contextlib.suppress(FileExistsError):
            return open(folder / f"{stem}.{number}", "xb", buffering=0)
