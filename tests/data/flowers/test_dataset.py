"""The flowers as a data set."""

import hashlib

import numpy as np
import pytest

from minidl.data import cache, open_captioned
from minidl.data.flowers import (
    COMBINATIONS,
    captions,
    dataset,
    load_flowers,
    read,
    split_combinations,
)
from minidl.data.flowers.extended import KINDS
from minidl.errors import ArgumentError


def test_training_flowers():
    dataset = load_flowers(per_combination=1, extended=0.2)
    train, _ = split_combinations()
    assert len(dataset) == round(1142 / 0.8) and dataset.picture(0).shape == (32, 32, 3)
    plain = dataset.classes < 1344
    assert plain.sum() == 1142 and set(dataset.classes[plain]) == set(train)
    assert dataset.captions[7] == captions(COMBINATIONS[dataset.classes[7]])
    kinds = {dataset.class_names[number].split()[0] for number in dataset.classes[~plain]}
    assert kinds == {kind.name for kind in KINDS}


def test_held_out_flowers_are_other_combinations():
    held_out = load_flowers("held-out", seed=4, per_combination=2)
    assert set(held_out.classes) == set(split_combinations()[1]) and len(held_out) == 404
    assert (read(held_out.pictures) == COMBINATIONS[held_out.classes]).mean() > 0.999


def test_seeds_draw_other_flowers_of_the_same_split():
    one, same, other = (load_flowers("held-out", per_combination=1, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.pictures, same.pictures)
    np.testing.assert_array_equal(one.classes, other.classes)
    assert (one.pictures != other.pictures).mean() > 0.5


def test_flowers_that_are_turned(monkeypatch):
    """The same flowers in the same order, each turned by an angle of its own."""
    monkeypatch.setattr("minidl.data.flowers.dataset.split_combinations", lambda: ([5], [7, 9]))
    upright, turned = (open_captioned(name, "test") for name in ("flowers", "flowers-turned"))
    assert turned.captions == upright.captions and len(turned) == 24
    assert (read(turned.pictures) == COMBINATIONS[turned.classes]).all()
    differences = (turned.pictures != upright.pictures).mean((1, 2, 3))
    assert differences.max() > 0.2


def test_open_captioned_knows_them():
    dataset = open_captioned("flowers", "test")
    assert dataset.pictures.shape == (2424, 32, 32, 3) and dataset.findings == []
    with pytest.raises(ArgumentError, match="size is 32 or 64"):
        open_captioned("flowers", "test", size=48)


@pytest.mark.parametrize(
    "wrong",
    [{"split": "test"}, {"per_combination": 0}, {"seed": -1}, {"extended": 1.0}, {"size": 31}],
)
def test_arguments_are_checked(wrong):
    with pytest.raises(ArgumentError, match=next(iter(wrong))):
        load_flowers(**{"split": "held-out", "per_combination": 1} | wrong)


# --- the cache ----------------------------------------------------------------------------------

FEW = {"split": "held-out", "per_combination": 1}
HASH = "9ce4743107c1f533"


@pytest.fixture
def drawings(monkeypatch):
    """All flowers are kept; what was drawn, in place of read, is noted."""
    monkeypatch.setattr(dataset, "KEPT_FROM", 1)
    noted, draw_split = [], dataset.draw_split
    monkeypatch.setattr(dataset, "draw_split", lambda *a: noted.append(a) or draw_split(*a))
    return noted


def test_flowers_are_drawn_once(drawings):
    train = {"split": "train", "per_combination": 1}
    first, second = load_flowers(**train), load_flowers(**train)
    assert len(drawings) == 1
    np.testing.assert_array_equal(first.pictures, second.pictures)
    np.testing.assert_array_equal(first.classes, second.classes)
    assert first.captions == second.captions and second.pictures.flags.writeable


def test_kept_or_drawn_pictures_have_the_bits_of_every_machine(drawings):
    found = [hashlib.sha256(load_flowers(**FEW).pictures).hexdigest()[:16] for _ in range(2)]
    assert found == [HASH] * 2 and len(drawings) == 1


@pytest.mark.parametrize(
    "other", [{"seed": 1}, {"size": 64}, {"tilt": 180}, {"per_combination": 2}, {"split": "train"}]
)
def test_other_arguments_are_other_flowers(drawings, other):
    load_flowers(**FEW), load_flowers(**FEW | other)
    assert len(drawings) == 2


def test_another_program_draws_anew(drawings, monkeypatch):
    load_flowers(**FEW)
    monkeypatch.setattr(dataset, "hash_of_program", lambda: "of another version")
    load_flowers(**FEW), load_flowers(**FEW)
    assert len(drawings) == 2
    assert len(list((cache.cache_folder() / "arrays").iterdir())) == 1  # in place of the other


@pytest.mark.parametrize("damage", [lambda data: data[:5000], lambda data: b"", None])
def test_damaged_files_are_drawn_anew(drawings, damage):
    first = load_flowers(**FEW)
    (path,) = (cache.cache_folder() / "arrays").iterdir()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data if damage is None else damage(data))
    np.testing.assert_array_equal(load_flowers(**FEW).pictures, first.pictures)
    assert len(drawings) == 2


def test_a_cache_that_cannot_be_written_to(drawings, monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    assert len(load_flowers(**FEW)) == 202


def test_few_flowers_are_not_kept():
    load_flowers(**FEW)
    assert not (cache.cache_folder() / "arrays").exists()
