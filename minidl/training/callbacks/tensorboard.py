"""Curves for TensorBoard: `tensorboard --logdir FOLDER` shows them in a browser."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from minidl.device import to_device
from minidl.io.atomic import as_path
from minidl.io.tensorboard import EventFile
from minidl.shapes import is_number
from minidl.training.callback import Callback

NOT_SHOWN = ("epoch", "step", "seconds", "images_per_second")  # of run.metrics


class TensorBoard(Callback):
    """Write TensorBoard events: the loss of each step, the metrics of each epoch.

    Scalars: step/loss at each step (of a step function, all that it returns); train/loss,
    train/accuracy, validation/loss, validation/accuracy or whatever metrics there are, and lr at
    each epoch, all over the number of steps. A resumed run takes back what was written after its
    checkpoint, so that no point appears twice.

    Args:
        folder: where to write; it is made if it does not exist.
        filters: after each epoch, show the kernels of the first convolution as a picture.

    Raises:
        ArgumentError: folder is something else.
        CheckpointError: in a run, when the disk is full or the folder cannot be written to.

    >>> import tempfile
    >>> callback = minidl.callbacks.TensorBoard(tempfile.mkdtemp())
    """

    watches = True

    def __init__(self, folder: str | Path, filters: bool = False):
        self.folder, self.filters = as_path("TensorBoard", "folder", folder), filters
        self.events: EventFile | None = None

    def on_fit_start(self, run) -> None:
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog

        self.events = EventFile(self.folder)
        if run.step:
            # Tells TensorBoard to forget events of this step and later ones in older files.
            log = SessionLog(status=SessionLog.START)
            self.events.add(Event(step=run.step + 1, session_log=log))

    def on_step_end(self, run) -> None:
        for name, value in run.values.items():
            self.scalar(f"step/{name}", value, run.step)

    def on_epoch_end(self, run) -> None:
        for name, value in run.metrics.items():
            if name not in NOT_SHOWN and is_number(value):
                self.scalar(tag(name), value, run.step)
        weight = first_kernels(run.model) if self.filters else None
        if weight is not None:
            self.picture("filters", tile(weight), run.step)
        self.events.flush()

    def on_fit_end(self, run) -> None:
        if self.events is not None:
            events, self.events = self.events, None
            events.close()

    def scalar(self, tag: str, value: float, step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        self.add_value(Summary.Value(tag=tag, simple_value=value), step)

    def picture(self, tag: str, pixels: np.ndarray, step: int) -> None:
        """Write an (H, W, 3) uint8 picture."""
        from PIL import Image
        from tensorboard.compat.proto.summary_pb2 import Summary

        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        height, width, channels = pixels.shape
        image = Summary.Image(
            height=height, width=width, colorspace=channels, encoded_image_string=file.getvalue()
        )
        self.add_value(Summary.Value(tag=tag, image=image), step)

    def add_value(self, value: Any, step: int) -> None:
        from tensorboard.compat.proto.event_pb2 import Event
        from tensorboard.compat.proto.summary_pb2 import Summary

        self.events.add(Event(step=step, summary=Summary(value=[value])))


def tag(name: str) -> str:
    """Where TensorBoard shows a metric: the words before "/" group the charts."""
    if name == "lr" or name.startswith("lr_"):
        return name
    return f"validation/{name[4:]}" if name.startswith("val_") else f"train/{name}"


def first_kernels(model: Any) -> np.ndarray | None:
    """The first 4-d parameter (K, C, R, S), None if there is none."""
    for p in model.parameters():
        if p.data.ndim == 4:
            return to_device(p.data, "cpu")
    return None


def tile(weight: np.ndarray, scale: int = 4) -> np.ndarray:
    """Kernels (K, C, R, S) side by side as one picture (H, W, 3) uint8.

    Three channels are shown as colours, else the mean over channels in grey. Each kernel is
    stretched to the full range of brightness.
    """
    K, C, R, S = weight.shape
    kernels = weight if C == 3 else np.repeat(weight.mean(1, keepdims=True), 3, axis=1)
    low = kernels.min(axis=(1, 2, 3), keepdims=True)
    spread = np.maximum(kernels.max(axis=(1, 2, 3), keepdims=True) - low, 1e-12)
    pixels = ((kernels - low) / spread * 255).astype(np.uint8).transpose(0, 2, 3, 1)
    columns = math.ceil(math.sqrt(K))
    rows = math.ceil(K / columns)
    cells = np.zeros((rows * columns, R + 1, S + 1, 3), np.uint8)  # one black pixel in between
    cells[:K, :R, :S] = pixels
    grid = cells.reshape(rows, columns, R + 1, S + 1, 3).transpose(0, 2, 1, 3, 4)
    grid = grid.reshape(rows * (R + 1), columns * (S + 1), 3)
    return grid.repeat(scale, axis=0).repeat(scale, axis=1)
