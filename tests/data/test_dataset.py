import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minidl.data import ArrayDataset, Dataset, Subset, load_digits, split_dataset
from minidl.data.dataset import choose_by_hash, unit_hash
from minidl.errors import ArgumentError, DataError
from tests.data.make import pixels


def test_array_dataset_items():
    images = pixels(4, 3, 5, 3)
    dataset = ArrayDataset(images, [0, 1, 1, 0], ["a", "b"], list("wxyz"))
    image, label = dataset[2]
    np.testing.assert_array_equal(image, images[2])
    assert (label, type(label)) == (1, int)
    assert dataset.image_shape == (3, 5, 3)
    assert repr(dataset) == "ArrayDataset(4 images, 3x5x3, 2 classes)"


def test_grey_arrays_get_a_channel():
    assert ArrayDataset(pixels(2, 3, 4), [0, 0], ["a"])[0][0].shape == (3, 4, 1)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ((pixels(2, 3, 4).astype(np.float32), [0, 0], ["a"]), "uint8"),
        ((pixels(2, 3, 4, 2), [0, 0], ["a"]), "1 or 3 channels"),
        ((pixels(3, 4), [0, 0], ["a"]), "(N, H, W, C)"),
        ((pixels(2, 3, 4), [0], ["a"]), "one label per image"),
        ((pixels(2, 3, 4), [0.5, 0], ["a"]), "integers"),
        ((pixels(2, 3, 4), [0, 3], ["a", "b"]), "out of range 0 to 1"),
        ((pixels(2, 3, 4), [0, -1], ["a", "b"]), "out of range 0 to 1"),
        ((pixels(2, 3, 4), [0, 0], ["a"], ["one"]), "one name per image"),
    ],
)
def test_array_dataset_refuses(arguments, says):
    with pytest.raises(DataError) as caught:
        ArrayDataset(*arguments)
    assert says in str(caught.value)


def test_subset():
    whole = ArrayDataset(pixels(5, 2, 2), [0, 1, 2, 0, 1], list("abc"), list("vwxyz"))
    part = Subset(Subset(whole, [4, 2, 0]), [1, 0])
    assert part.names == ["x", "z"]
    assert part.labels.tolist() == [2, 1]
    np.testing.assert_array_equal(part[0][0], whole[2][0])
    assert part.image_shape == (2, 2, 1)
    for wrong in ([5], [-1]):
        with pytest.raises(DataError, match="indices run from 0 to 4"):
            Subset(whole, wrong)


def test_labels_of_a_plain_dataset():
    class Three(Dataset):
        classes = ["a", "b"]

        def __len__(self):
            return 3

        def __getitem__(self, index):
            return pixels(2, 2, 1), index % 2

    assert Three().labels.tolist() == [0, 1, 0]
    assert Three().image_shape is None
    assert repr(Three()) == "Three(3 images, sizes differ, 2 classes)"
    with pytest.raises(NotImplementedError):
        Dataset()[0]


def test_hash_is_the_same_on_every_machine():
    # Pinned: another value would move pictures between training and test of existing runs.
    assert unit_hash("tulip/1.jpg") == pytest.approx(0.1141330, abs=1e-6)


def test_split_parts_are_disjoint_and_complete():
    digits = load_digits("train")
    larger, smaller = split_dataset(digits, 0.1)
    assert sorted(larger.names + smaller.names) == sorted(digits.names)
    assert 0.07 < len(smaller) / len(digits) < 0.13
    assert set(smaller.labels) == set(range(10))
    again, _ = split_dataset(digits, 0.1)
    assert again.names == larger.names
    other, _ = split_dataset(digits, 0.1, salt="2")
    assert other.names != larger.names


@settings(deadline=None)
@given(st.integers(1, 60), st.floats(0.05, 0.95))
def test_split_does_not_move_items_when_others_come(n, fraction):
    names = [f"{i}.jpg" for i in range(100)]
    labels = np.zeros(100, np.int64)
    before = choose_by_hash(names[:n], labels[:n], fraction)
    after = choose_by_hash(names, labels, fraction)
    moved = (before != after[:n]).sum()
    assert moved <= 1  # the one that made sure that neither side was empty
    if n > 1:
        assert 0 < before.sum() < n


@pytest.mark.parametrize("fraction", [0, 1, -0.5, "half"])
def test_split_refuses_fraction(fraction):
    with pytest.raises(ArgumentError, match="between 0 and 1"):
        split_dataset(load_digits("test"), fraction)


def test_a_stamp_changes_with_the_pixels():
    images = np.random.default_rng(0).integers(0, 256, (4, 3, 5, 1)).astype(np.uint8)
    whole = ArrayDataset(images, [0, 1, 0, 1], ["a", "b"])
    before = [whole.stamp(i) for i in range(4)]
    assert len(set(before)) == 4
    assert [Subset(whole, [3, 1]).stamp(i) for i in (0, 1)] == [before[3], before[1]]
    turned = ArrayDataset(images.reshape(4, 5, 3, 1), [0, 1, 0, 1], ["a", "b"])
    assert turned.stamp(0) != before[0]  # the same bytes in another shape
    images[2, 0, 0] ^= 1
    assert [i for i in range(4) if whole.stamp(i) != before[i]] == [2]
