"""What TensorBoard shows of a run."""

import numpy as np
import pytest

from minidl import callbacks
from minidl.errors import CheckpointError
from tests.training.small import (
    fit_with,
    make,
)


def read_events(folder):
    event_accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator"
    )
    events = event_accumulator.EventAccumulator(str(folder))
    events.Reload()
    return events


def points(events, tag):
    return [(point.step, point.value) for point in events.Scalars(tag)]


def test_tensorboard(tmp_path):
    parts = make()
    history = fit_with(callbacks.TensorBoard(tmp_path, filters=True), epochs=2, model=parts)
    events = read_events(tmp_path)
    for tag, name in (
        ("train/loss", "loss"), ("train/accuracy", "accuracy"), ("validation/loss", "val_loss"),
        ("validation/accuracy", "val_accuracy"), ("lr", "lr"),
    ):  # fmt: skip
        expected = [(entry["step"], pytest.approx(entry[name], rel=1e-6)) for entry in history]
        assert points(events, tag) == expected
    assert [step for step, _ in points(events, "step/loss")] == list(range(1, 11))
    image = events.Images("filters")[-1]
    assert image.encoded_image_string.startswith(b"\x89PNG")
    # 4 kernels of 1x4 as 2x2 cells with a border pixel, four times as large
    assert (image.width, image.height) == (2 * 5 * 4, 2 * 2 * 4)


def test_tensorboard_folder_is_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match="TensorBoard: cannot write events"):
        fit_with(callbacks.TensorBoard(tmp_path / "file"))


def test_tile_shows_each_kernel():
    from minidl.training.callbacks.tensorboard import tile

    weight = np.zeros((3, 1, 2, 2), np.float32)
    weight[0, 0, 0, 1] = 5.0
    weight[2, 0, 1, 0] = -1.0
    picture = tile(weight, scale=1)
    assert picture.shape == (6, 6, 3) and picture.dtype == np.uint8
    assert picture[:2, :2, 0].tolist() == [[0, 255], [0, 0]]
    assert picture[3:5, :2, 0].tolist() == [[255, 255], [0, 255]]
