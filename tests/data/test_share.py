"""The share of pictures to test on, where a folder, list or archive sets none apart."""

import shutil

import numpy as np
import pytest

from minidl.data import open_dataset
from minidl.errors import ArgumentError, DataError
from tests.data.make import mnist_files, picture_tree, write, write_tree


@pytest.fixture(params=["folder", "list", "archive"])
def data(request, tmp_path, monkeypatch):
    """100 pictures of two classes, without a test part."""
    monkeypatch.setattr("minidl.data.cache.cache_folder", lambda: tmp_path / "cache")
    files = picture_tree(n=50, splits=("",))
    write_tree(tmp_path / "data", files)
    if request.param == "list":
        lines = "".join(f"{name} {name.split('/')[0]}\n" for name in sorted(files))
        write(tmp_path / "data" / "list.txt", lines.encode())
    if request.param == "archive":
        return shutil.make_archive(str(tmp_path / "packed"), "zip", tmp_path / "data")
    return tmp_path / "data"


def names(data, share, split="test"):
    return set(open_dataset(data, split, test_share=share).names)


def test_a_larger_share_holds_the_smaller_one(data):
    shares = [0.05, 0.2, 0.5, 0.9]
    parts = [names(data, share) for share in shares]
    assert names(data, None) == parts[1]
    for share, part, more in zip(shares, parts, [*parts[1:], None]):
        assert abs(len(part) - 100 * share) < 15
        assert names(data, share, "train").isdisjoint(part)
        assert len(names(data, share, "train")) + len(part) == 100
        assert more is None or part < more


def test_the_same_from_the_cache(data):
    first = [names(data, share) for share in (0.3, None)]
    assert [names(data, share) for share in (0.3, None)] == first and first[0] != first[1]
    whole = open_dataset(data, "test", test_share=0.3)
    again = open_dataset(data, "test", test_share=0.3)
    np.testing.assert_array_equal(whole.labels, again.labels)


def test_a_share_of_data_that_have_a_test_part_is_refused(tmp_path):
    write_tree(tmp_path / "folders", picture_tree(n=3))
    write_tree(tmp_path / "mnist", mnist_files())
    lists = tmp_path / "lists"
    write_tree(lists, picture_tree(n=2, splits=("",)))
    for name in ("train", "test"):
        write(lists / f"{name}.txt", b"cat/0.png cat\ndog/0.png dog\n")
    for data in (tmp_path / "folders", tmp_path / "mnist", lists, "digits", "cifar10"):
        for split in ("train", "test"):
            with pytest.raises(DataError, match="the data come with pictures to test on"):
                open_dataset(data, split, test_share=0.3)


@pytest.mark.parametrize("share", [0, 1, -0.5, 2, float("nan"), True, "0.2"])
def test_no_share(data, share):
    with pytest.raises(ArgumentError, match="test_share lies between 0 and 1"):
        open_dataset(data, "train", test_share=share)
