"""Batches: what is in them depends on seed, epoch and place alone, and wrong captions are wrong."""

from dataclasses import replace

import numpy as np
import pytest

from apps.draw.batches import MatchingBatches, PlayingBatches, as_pictures, as_pixels, cut
from apps.draw.data import pairs_of
from apps.draw.presets import from_command_line
from apps.draw.texts import UNKNOWN, Words
from apps.shared.rows import Rows
from minidl.data.captioned import CaptionedDataset
from minidl.data.flowers import COMBINATIONS
from minidl.errors import DataError
from tests.apps.flowers import CLASSES

SETTINGS = from_command_line({"batch_size": 8, "noise": 4, "workers": 0})


def loader(pairs, **changes):
    """Batches whose embedding of a caption is its number, so that one can tell who it is."""
    numbers = np.arange(len(pairs.texts), dtype=np.float32)[:, None]
    return PlayingBatches(pairs, numbers, replace(SETTINGS, **changes))


def classes_of(pairs, captions):
    """Which classes have these captions."""
    owners = {int(t): int(pairs.classes[i]) for i in range(len(pairs)) for t in pairs.captions[i]}
    return np.array([owners[int(t)] for t in np.ravel(captions)])


def values(batch):
    return {name: tensor.numpy() for name, tensor in batch.items()}


@pytest.mark.parametrize("gan", ["cls", "cls-int"])
def test_a_batch_is_the_same_whenever_it_is_made(pairs, gan):
    first, second = loader(pairs, gan=gan), loader(pairs, gan=gan, workers=2)
    for (a, _), (b, _) in zip([*first, *first], [*second, *second]):
        for name, value in values(a).items():
            np.testing.assert_array_equal(value, values(b)[name], err_msg=name)


def test_a_resumed_loader_goes_on_in_the_middle_of_an_epoch(pairs):
    whole = [values(batch) for batch, _ in loader(pairs)]
    resumed = loader(pairs)
    resumed.load_state_dict({"epoch": 0, "batch": 4})
    rest = [values(batch) for batch, _ in resumed]
    assert len(rest) == len(whole) - 4
    for a, b in zip(rest, whole[4:]):
        for name, value in a.items():
            np.testing.assert_array_equal(value, b[name], err_msg=name)


def test_another_seed_or_epoch_is_another_batch(pairs):
    first = loader(pairs)
    batches = [next(iter(first))[0], next(iter(loader(pairs, seed=1)))[0]]
    first.load_state_dict({"epoch": 1, "batch": 0})
    batches.append(next(iter(first))[0])
    noises = [batch["noise"].numpy().tobytes() for batch in batches]
    assert len(set(noises)) == 3


@pytest.mark.parametrize("near_share", [0.0, 0.5, 1.0])
def test_a_wrong_caption_is_of_another_class_and_a_right_one_is_not(pairs, near_share):
    batches = loader(pairs, near_share=near_share)
    for _ in range(5):
        for batch, _ in batches:
            pictures = as_pixels(batch["pictures"])
            whose = [np.flatnonzero((pairs.pictures == p).all((1, 2, 3)))[0] for p in pictures]
            own = pairs.classes[whose]
            np.testing.assert_array_equal(classes_of(pairs, batch["text"].numpy()), own)
            assert (classes_of(pairs, batch["wrong"].numpy()) != own).all()


def test_a_wrong_caption_is_none_of_the_pictures_own():
    """Though classes share captions."""
    pictures = np.arange(12, dtype=np.uint8).repeat(32 * 32 * 3).reshape(12, 32, 32, 3)
    texts = [["a flower", f"flower {i % 4}"] for i in range(12)]
    pairs = pairs_of(CaptionedDataset(pictures, texts, np.arange(12) % 4))
    batches = loader(pairs, augment="none", near_share=0.0)
    random = np.random.default_rng(0)
    for _ in range(10):
        for indices in np.arange(12).reshape(3, 4):
            found = batches.wrong(indices, random)
            assert found.shape == (1, 4) and not pairs.captions.have(indices, found[0]).any()


def test_near_captions_differ_in_one_attribute_where_there_are_such(pairs):
    random, own = np.random.default_rng(0), np.repeat(np.arange(len(CLASSES)), 50)
    other = pairs.other_class(own, random, near_share=1.0)
    assert (other != own).all()
    has_near = pairs.neighbours.sizes[own] > 0
    a, b = COMBINATIONS[pairs.numbers[own]], COMBINATIONS[pairs.numbers[other]]
    assert ((a != b).sum(1)[has_near] == 1).all() and has_near.any() and not has_near.all()


def test_every_other_class_occurs_equally_often(pairs):
    own = np.full(12_000, 3)
    counts = np.bincount(pairs.other_class(own, np.random.default_rng(0)), minlength=12)
    assert counts[3] == 0
    assert (np.abs(np.delete(counts, 3) - 12_000 / 11) < 5 * np.sqrt(12_000 / 11)).all()


@pytest.mark.parametrize(
    "gan, names, noises",
    [
        ("gan", {"pictures", "noise", "new_noise"}, 8),
        ("conditional", {"text", "drawn_text", "new_text"}, 8),
        ("cls", {"wrong", "text"}, 8),
        ("int", {"new_text", "between"}, 12),
        ("cls-int", {"wrong", "new_text", "between"}, 12),
    ],
)
def test_what_each_kind_of_gan_gets(pairs, gan, names, noises):
    batch, _ = next(iter(loader(pairs, gan=gan)))
    assert names <= set(batch) and ("wrong" in batch) == ("cls" in gan)
    assert ("text" in batch) == (gan != "gan")
    assert batch["new_noise"].shape == (noises, 4)


def test_embeddings_of_several_captions_are_averaged(pairs):
    one = loader(pairs, captions=400)
    batch, _ = next(iter(one))
    whose = [
        np.flatnonzero((pairs.pictures == p).all((1, 2, 3)))[0]
        for p in as_pixels(batch["pictures"])
    ]
    means = np.array([pairs.captions[i].mean() for i in whose])
    np.testing.assert_allclose(batch["text"].numpy()[:, 0], means, atol=1)


def test_matching_batches_have_each_class_once(pairs):
    numbers, lengths = np.arange(len(pairs.texts))[:, None], np.ones(len(pairs.texts), np.int64)
    batches = MatchingBatches(pairs, 12, 0, 0, numbers, lengths, 32)
    sizes = []
    for _ in range(3):
        for (pictures, texts, _), _ in batches:
            found = classes_of(pairs, texts.numpy()[:, 0])
            assert len(set(found)) == len(found) == len(pictures)
            sizes.append(len(found))
    assert max(sizes) > 6


def test_some_words_of_matching_batches_are_unknown(pairs):
    reader = Words.of(pairs.texts)
    numbers, lengths = reader.encode(pairs.texts)
    unknown, words, before = 0, 0, {}
    for share in (0.0, 0.2):
        batches = MatchingBatches(pairs, 12, 0, 0, numbers, lengths, 32, word_dropout=share)
        made = [[part.numpy() for part in batch] for _ in range(10) for batch, _ in batches]
        before[share] = made
    for (a, texts, sizes), (b, dropped, _) in zip(before[0.0], before[0.2]):
        np.testing.assert_array_equal(a, b)  # the pictures, and which captions, are the same
        is_word = np.arange(texts.shape[1]) < sizes[:, None]
        assert ((dropped == texts) | (is_word & (dropped == UNKNOWN))).all()
        assert UNKNOWN not in texts
        unknown, words = unknown + (dropped == UNKNOWN).sum(), words + is_word.sum()
    assert 0.17 < unknown / words < 0.23


def test_fewer_pictures_than_a_batch_has(pairs):
    with pytest.raises(DataError, match="fewer pictures than a batch"):
        loader(pairs, batch_size=64)


def test_pixels_survive_the_way_to_the_network_and_back():
    pixels = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3)).astype(np.uint8)
    x = as_pictures(pixels)
    assert x.shape == (3, 3, 8, 8) and -1 <= x.numpy().min() and x.numpy().max() <= 1
    np.testing.assert_array_equal(as_pixels(x), pixels)


def test_cut_takes_parts_and_mirrors_half():
    pixels = np.arange(2000 * 4 * 4 * 3, dtype=np.int64).reshape(2000, 4, 4, 3)
    parts = cut(pixels, 2, np.random.default_rng(0), flips=True)
    corners = set()
    mirrored = 0
    for one, part in zip(pixels, parts):
        turned = part[0, 0, 0] > part[0, 1, 0]
        mirrored += turned
        part = part[:, ::-1] if turned else part
        top, left = np.argwhere((one == part[0, 0]).all(-1))[0]
        np.testing.assert_array_equal(part, one[top : top + 2, left : left + 2])
        corners.add((int(top), int(left)))
    assert len(corners) == 9 and 800 < mirrored < 1200


def test_rows():
    rows = Rows([[1, 2], [], [3]])
    assert [row.tolist() for row in (rows[0], rows[1], rows[2])] == [[1, 2], [], [3]]
    found = rows.pick(np.array([0] * 200 + [2] * 10), np.random.default_rng(0))
    assert set(found[:200]) == {1, 2} and set(found[200:]) == {3}
    assert 60 < (found[:200] == 1).sum() < 140


def test_without_classes_pictures_of_the_same_captions_are_one():
    pictures = np.zeros((4, 32, 32, 3), np.uint8)
    texts = [["a rose"], ["a lily", "white"], ["a rose"], ["white", "a lily"]]
    pairs = pairs_of(CaptionedDataset(pictures, texts))
    assert pairs.classes.tolist() == [0, 1, 0, 1] and pairs.neighbours is None
