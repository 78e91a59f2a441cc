"""The readers on real data sets. These lie beside a checkout, and are never part of it."""

import hashlib

import numpy as np
import pytest

from minidl.data import DataLoader, channel_statistics, open_dataset, transforms
from minidl.data.idx import parse_idx
from minidl.data.sources import available
from tests.data.make import SHARED, idx

T = transforms


def real(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{path} is not there")
    return path


def test_mnist():
    folder = real("mnist")
    train, test = open_dataset("mnist", "train", folder), open_dataset("mnist", "test", SHARED)
    assert (len(train), len(test), train.image_shape) == (60_000, 10_000, (28, 28, 1))
    assert np.bincount(train.labels).tolist() == [
        5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949,
    ]  # fmt: skip
    assert test.labels[:8].tolist() == [7, 2, 1, 0, 4, 1, 4, 9]
    mean, std = channel_statistics(train, 60_000)
    assert (round(mean[0], 4), round(std[0], 4)) == (0.1307, 0.3081)  # as is well known


@pytest.mark.parametrize(
    "name, md5",
    [
        ("train-images-idx3-ubyte", "6bbc9ace898e44ae57da46a324031adb"),
        ("train-labels-idx1-ubyte", "a25bea736e30d166cdddb491f175f624"),
        ("t10k-images-idx3-ubyte", "2646ac647ad5339dbf082846283269ea"),
        ("t10k-labels-idx1-ubyte", "27ae3e4e09519cfbb04c329615203637"),
    ],
)
def test_mnist_read_and_written_again_is_the_original(name, md5):
    array = parse_idx((real("mnist") / f"{name}.gz").read_bytes(), name)
    assert hashlib.md5(idx(array)).hexdigest() == md5


def test_flowers():
    train, test = (open_dataset(real("flowers17.tar"), split) for split in ("train", "test"))
    assert len(train) + len(test) == 1360 and len(train.classes) == 17
    assert 200 < len(test) < 340 and set(test.labels) == set(range(17))
    transform = T.Compose([T.RandomResizedCrop(32), T.RandomHorizontalFlip(), T.ToFloat()])
    x, labels = next(iter(DataLoader(test, 16, transform, shuffle=True, num_workers=2)))
    assert x.shape == (16, 3, 32, 32) and x.numpy().std() > 0.1


@pytest.mark.slow
def test_cifar_as_jpeg_is_decoded_once(monkeypatch):
    path = real("cifar10-jpeg.tar.xz")
    test = open_dataset(path, "test")
    monkeypatch.delattr("PIL.Image.open")
    again = open_dataset("cifar10", "test", SHARED)
    assert np.bincount(again.labels).tolist() == [1000] * 10
    assert again.classes[6] == "frog" and again.names[0] == "airplane/0000.jpg"
    np.testing.assert_array_equal(again.images, test.images)
    mean, _ = channel_statistics(test, 10_000)
    np.testing.assert_allclose(
        mean, [0.4942, 0.4851, 0.4504], atol=0.005
    )  # of the original test set


def test_available_finds_them():
    found = {row["name"]: row["found"] for row in available(real("mnist").parent)}
    assert found["mnist"] == str(SHARED / "mnist")
