import numpy as np
import pytest

from minidl.data import channel_statistics, load_digits
from minidl.errors import ArgumentError, DataError
from tests.data.make import pixels


def test_splits_are_disjoint_complete_and_stratified():
    from sklearn.datasets import load_digits as original

    train, test = load_digits("train"), load_digits("test")
    assert len(train) + len(test) == 1797
    assert not set(train.names) & set(test.names)
    total = np.bincount(original().target)
    np.testing.assert_array_equal(np.bincount(test.labels), total // 5)
    number = int(test.names[7].split()[1])
    assert original().target[number] == test.labels[7]


def test_pictures_keep_the_ink_of_the_blocks():
    from sklearn.datasets import load_digits as original

    test = load_digits("test")
    assert test.image_shape == (32, 32, 1) and test.images.dtype == np.uint8
    blocks = original().images[[int(name.split()[1]) for name in test.names]]
    border = test.images.copy()
    border[:, 6:26, 6:26] = 0
    assert not border.any()
    ink = test.images[:, 6:26, 6:26].mean((1, 2, 3)) / 255
    np.testing.assert_allclose(ink, blocks.mean((1, 2)) / 16, atol=0.02)
    assert test.images.max() == 255


@pytest.mark.parametrize("padding", [0, 12])
def test_padding(padding):
    images = load_digits("test", padding).images
    assert images.shape == (355, 32, 32, 1)
    rows = np.flatnonzero(images.any((0, 2, 3)))
    assert rows[0] == padding and rows[-1] == 31 - padding


def test_refuses():
    with pytest.raises(ArgumentError, match='"train" or "test"'):
        load_digits("validation")
    with pytest.raises(ArgumentError, match="0 to 12"):
        load_digits("test", padding=13)


def test_channel_statistics_equal_numpy():
    from minidl.data import ArrayDataset

    images = pixels(50, 6, 7, 3)
    images[..., 2] = 9
    mean, std = channel_statistics(ArrayDataset(images, [0] * 50, ["a"]))
    expected = (images / 255).reshape(-1, 3)
    np.testing.assert_allclose(mean, expected.mean(0), rtol=1e-12)
    np.testing.assert_allclose(std[:2], expected.std(0)[:2], rtol=1e-12)
    assert std[2] == 1  # constant
    with pytest.raises(ArgumentError, match="sample"):
        channel_statistics(load_digits("test"), 0)
    with pytest.raises(DataError, match="empty"):
        channel_statistics(ArrayDataset(images[:0], [], ["a"]))
