import os

import numpy as np
import pytest

from minidl.data import DataLoader, open_dataset, transforms
from minidl.errors import DataError
from tests.data.make import picture_tree, pixels, png, write, write_tree

T = transforms


def test_train_and_test_folders(tmp_path):
    write_tree(tmp_path, picture_tree(n=3))
    train, test = open_dataset(tmp_path, "train"), open_dataset(tmp_path, "test")
    assert train.classes == test.classes == ["cat", "dog"]
    assert train.names[4] == "dog/1.png" and train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    image, label = test[4]
    np.testing.assert_array_equal(image, pixels(4, 5, 3, seed=111))
    assert label == 1


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "testing"])
def test_other_names_of_the_test_folder(name, tmp_path):
    files = picture_tree(n=2)
    write_tree(tmp_path, {n.replace("test/", f"{name}/"): c for n, c in files.items()})
    assert len(open_dataset(tmp_path, "test")) == 4


@pytest.mark.parametrize("outer", ["", "train/"])
def test_without_a_test_folder_the_split_is_stable(outer, tmp_path):
    files = picture_tree(n=30, splits=("",))
    write_tree(tmp_path / "a", {outer + name: content for name, content in files.items()})
    write_tree(tmp_path / "b", files)
    train, test = open_dataset(tmp_path / "a", "train"), open_dataset(tmp_path / "a", "test")
    assert len(train) + len(test) == 60 and not set(train.names) & set(test.names)
    assert 4 <= len(test) <= 20 and set(test.labels) == {0, 1}
    assert open_dataset(tmp_path / "b", "test").names == test.names
    write(tmp_path / "b/dog/new.png", png(pixels(4, 5, 3)))
    more = set(open_dataset(tmp_path / "b", "test").names)
    assert more - {"dog/new.png"} == set(test.names)


def test_what_is_left_alone(tmp_path):
    write_tree(tmp_path, picture_tree(n=2))
    for name in ("notes.txt", "train/cat/notes.txt", "train/.DS_Store", "train/cat/._0.png",
                 "__MACOSX/train/cat/0.png", "train/.git/x.png", "train/cat/Thumbs.db",
                 ):  # fmt: skip
        write(tmp_path / name, b"x")
    write(tmp_path / "train/cat/deeper/still/9.PNG", png(pixels(4, 5, 3)))
    train = open_dataset(tmp_path, "train")
    assert train.classes == ["cat", "dog"] and len(train) == 5
    assert "cat/deeper/still/9.PNG" in train.names


def test_one_outer_folder_is_looked_through(tmp_path):
    write_tree(tmp_path / "outer/inner", picture_tree(n=2))
    assert open_dataset(tmp_path, "train").names[0] == "cat/0.png"
    write_tree(tmp_path / "one-class", {"cats/1.png": png(pixels(3, 3, 3)),
                                        "cats/2.png": png(pixels(3, 3, 3))})  # fmt: skip
    assert open_dataset(tmp_path / "one-class", "train").classes == ["cats"]


def test_links_are_followed_without_going_in_circles(tmp_path):
    write_tree(tmp_path / "real", picture_tree(n=2))
    os.symlink(tmp_path / "real", tmp_path / "link")
    os.symlink(tmp_path / "real", tmp_path / "real/train/cat/circle")
    os.symlink(tmp_path / "real/test/dog", tmp_path / "real/train/hound")
    train = open_dataset(tmp_path / "link", "train")
    assert train.classes == ["cat", "dog", "hound"]
    assert sum(name.startswith("hound/") for name in train.names) == 2
    assert sum(name.startswith("cat/") for name in train.names) == 2


def test_grey_pictures_stay_grey_and_mixed_ones_become_rgb(tmp_path):
    grey = {
        f"{part}/a/{i}.png": png(pixels(4, 4, 1, seed=i))
        for part in ("train", "test")
        for i in (1, 2)
    }
    write_tree(tmp_path / "grey", grey)
    assert open_dataset(tmp_path / "grey", "test")[0][0].shape == (4, 4, 1)
    write_tree(tmp_path / "mixed", grey | {"train/a/3.png": png(pixels(4, 4, 3))})
    for split in ("train", "test"):  # one number of channels for both parts
        for image, _ in open_dataset(tmp_path / "mixed", split):
            assert image.shape == (4, 4, 3)


def test_different_sizes_go_through_resize(tmp_path):
    for i in range(6):
        write(tmp_path / f"train/a/{i}.png", png(pixels(10 + i, 20 - i, 3)))
    dataset = open_dataset(tmp_path, "train")
    assert dataset.image_shape is None and "sizes differ" in repr(dataset)
    transform = T.Compose([T.Resize(8), T.CenterCrop(8), T.ToFloat()])
    for x, _ in DataLoader(dataset, 4, transform):
        assert x.shape[1:] == (3, 8, 8)
    with pytest.raises(DataError, match="differ in size"):
        list(DataLoader(dataset, 4))


def test_a_broken_picture_is_named_when_it_is_read(tmp_path):
    write_tree(tmp_path, picture_tree(n=3))
    bad = tmp_path / "train/dog/1.png"
    bad.write_bytes(bad.read_bytes()[:-30])
    dataset = open_dataset(tmp_path, "train")
    with pytest.raises(DataError) as caught:
        list(DataLoader(dataset, 2, num_workers=2))
    assert str(bad) in str(caught.value)


BAD = {
    "empty folder": ({}, "train", "there are no files"),
    "no pictures": ({"a/x.txt": b"x", "b/y.txt": b"y"}, "train", "no pictures"),
    "side by side": ({"1.png": b"x", "2.png": b"x"}, "train", "without a folder per class"),
    "empty class": ({"a/1.png": b"x", "b/2.txt": b"x"}, "train", "a class has no pictures"),
    "only to test": ({"test/a/1.png": b"x"}, "train", "none to train on"),
    "one picture": ({"a/1.png": png(pixels(2, 2, 3))}, "test", "too few pictures"),
    "class only in test": (
        {"train/a/1.png": png(pixels(2, 2, 3)), "test/b/1.png": png(pixels(2, 2, 3))},
        "test", "only in the test part",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_refuses(case, tmp_path):
    files, split, says = BAD[case]
    write_tree(tmp_path, files)
    with pytest.raises(DataError) as caught:
        open_dataset(tmp_path, split)
    assert says in str(caught.value) and str(tmp_path) in str(caught.value)


def test_empty_class_folder_is_named(tmp_path):
    write_tree(tmp_path, picture_tree(n=2))
    (tmp_path / "train/fox").mkdir()
    with pytest.raises(DataError, match="train/fox"):
        open_dataset(tmp_path, "train")


def test_one_picture_is_enough_to_train_on_or_to_test_on(tmp_path):
    write(tmp_path / "test/a/1.png", png(pixels(2, 2, 3)))
    assert len(open_dataset(tmp_path, "test")) == 1


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_no_permission(tmp_path):
    write_tree(tmp_path, picture_tree(n=2))
    (tmp_path / "train/dog").chmod(0)
    try:
        with pytest.raises(DataError, match="no permission"):
            open_dataset(tmp_path, "train")
    finally:
        (tmp_path / "train/dog").chmod(0o755)
