"""Photographs from several places, and random squares of them."""

import tarfile

import numpy as np
import pytest
from PIL import Image

from apps.style.fast.photographs import Photographs, reduced, square
from minidl.errors import DataError


def test_folders_archives_files_and_data_sets_together(photos, tmp_path):
    with tarfile.open(tmp_path / "photos.tar", "w") as tar:
        tar.add(photos / "deep", "inside/deep")
    places = [str(photos), str(tmp_path / "photos.tar"), str(photos / "a.png"), "digits"]
    found = Photographs(places)
    assert [len(place.names) for place in found.places] == [3, 2, 1, 1442]
    batch = found.batch(0, 40, 48)
    assert batch.shape == (40, 48, 48, 3) and batch.dtype == np.uint8


def test_places_are_drawn_from_equally_often(photos, tmp_path):
    (tmp_path / "black").mkdir()
    for i in range(30):
        Image.new("RGB", (40, 40)).save(tmp_path / "black" / f"{i}.png")
    batch = Photographs([str(photos), str(tmp_path / "black")]).batch(0, 200, 32)
    black = np.mean([not one.any() for one in batch])
    assert 0.4 < black < 0.6


def test_photographs_held_out_are_in_no_batch(tmp_path):
    """Each is of one grey, which tells which it is; 2 of 40 are held out, by their names."""
    for i in range(40):
        Image.new("RGB", (40, 40), (6 * i,) * 3).save(tmp_path / f"{i}.png")
    found = Photographs([str(tmp_path)])
    (place,) = found.places
    kept = {6 * int(place.names[i].split(".")[0]) for i in place.held_out}
    assert 1 <= len(kept) == found.held_out <= 5 and len(found) == 40 - len(kept)
    seen = {int(one[0, 0, 0]) for i in range(60) for one in found.batch(i, 8, 32)}
    unseen = {int(one[0, 0, 0]) for one in found.unseen(40, 32)}
    assert unseen == kept and seen == {6 * i for i in range(40)} - kept
    Image.new("RGB", (40, 40), "white").save(tmp_path / "later.png")
    assert kept <= {
        6 * int(place.names[i].split(".")[0])
        for place in Photographs([str(tmp_path)]).places
        for i in place.held_out
        if place.names[i] != "later.png"
    }


def test_of_few_photographs_none_is_held_out(photos):
    found = Photographs([str(photos), str(photos / "a.png")])
    assert found.held_out == 0 and len(found) == 4
    assert np.array_equal(found.unseen(3, 32), found.unseen(3, 32))
    assert not np.array_equal(found.unseen(3, 32), found.batch(0, 3, 32))


def test_a_batch_depends_on_its_number_alone(photos):
    one, other = Photographs([str(photos)], seed=3), Photographs([str(photos)], seed=3)
    in_order = [one.batch(i, 2, 32) for i in range(4)]
    assert np.array_equal(other.batch(3, 2, 32), in_order[3])
    assert np.array_equal(list(other.batches(1, 4, 2, 32)), in_order[1:])
    assert not np.array_equal(in_order[0], in_order[1])
    assert not np.array_equal(Photographs([str(photos)], seed=4).batch(0, 2, 32), in_order[0])


def test_squares_come_from_everywhere_in_every_size_and_mirrored():
    """A picture whose pixels say where they are."""
    rows, columns = np.mgrid[:60, :90]
    image = np.stack([rows * 4, columns * 2, rows * 0], axis=2).astype(np.uint8)
    rng = np.random.default_rng(0)
    squares = [square(image, 20, rng).astype(float) for _ in range(300)]
    sides = [(one[-1, 0, 0] - one[0, 0, 0]) / 4 for one in squares]
    assert min(sides) < 22 and max(sides) > 56
    middles = np.array([[one[10, 10, 0] / 4, one[10, 10, 1] / 2] for one in squares])
    assert (middles.min(0) < [14, 14]).all() and (middles.max(0) > [45, 75]).all()
    mirrored = np.mean([one[0, 0, 1] > one[0, -1, 1] for one in squares])
    assert 0.4 < mirrored < 0.6


def test_a_small_photograph_is_enlarged():
    image = np.random.default_rng(0).integers(0, 256, (8, 11, 3)).astype(np.uint8)
    assert square(image, 32, np.random.default_rng(0)).shape == (32, 32, 3)


def test_reduced_photographs_are_averages():
    """Of a pattern finer than the new pixels nothing is left but its mean."""
    image = np.zeros((1, 32, 32, 3), np.uint8)
    image[:, ::2] = 200
    small = reduced(image, 4)
    assert small.shape == (1, 8, 8, 3)
    assert np.abs(small[:, 1:-1].astype(float) - 100).max() < 12


def test_a_damaged_photograph_is_named_and_left_out(photos, tmp_path):
    (tmp_path / "p").mkdir()
    Image.new("RGB", (40, 40), "white").save(tmp_path / "p" / "white.png")
    (tmp_path / "p" / "damaged.png").write_bytes((tmp_path / "p" / "white.png").read_bytes()[:60])
    told = []
    batch = Photographs([str(tmp_path / "p")], note=told.append).batch(0, 20, 32)
    assert (batch == 255).all()
    assert len(told) == 1 and "damaged.png" in told[0]


def test_nothing_but_damaged_photographs(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="not a picture"):
        Photographs([str(tmp_path)]).batch(0, 1, 32)


@pytest.mark.parametrize(
    "location, says",
    [("nowhere", "no such file, folder or data set"), ("cifar11", "did you mean cifar10")],
)
def test_no_such_place(location, says):
    with pytest.raises(DataError) as caught:
        Photographs([location])
    assert says in str(caught.value)


def test_a_folder_without_pictures(tmp_path):
    (tmp_path / "notes.txt").write_text("no picture")
    with pytest.raises(DataError, match="no pictures in it"):
        Photographs([str(tmp_path)])
