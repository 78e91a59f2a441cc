"""`minidl draw sample` and `score`: what they draw and measure, say and refuse."""

import json

import numpy as np
import pytest
from PIL import Image

import minidl as library
from apps.draw.sampling import load_artist, save_artist
from apps.draw.sheet import Wish, draw_wish
from minidl.errors import CheckpointError
from tests.apps.conftest import last_json, minidl

RED, BLUE = "a red flower", "a blue flower"


@pytest.fixture(scope="module")
def artist(drawing_run):
    return load_artist(str(drawing_run))


def images(pictures):
    return np.stack([one.image for one in pictures])


def test_the_same_seed_draws_the_same(artist):
    first, second = (images(draw_wish(artist, Wish([RED], 4, seed=3))) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert (first != images(draw_wish(artist, Wish([RED], 4, seed=4)))).any()
    assert first.shape == (4, 32, 32, 3) and first.dtype == np.uint8


def test_captions_are_rows_in_order(artist):
    pictures = draw_wish(artist, Wish([RED, BLUE], 3))
    assert [one.caption for one in pictures] == [RED] * 3 + [BLUE] * 3


def test_a_walk_to_another_sentence_begins_and_ends_there(artist):
    walk = draw_wish(artist, Wish([RED], 5, interpolate=BLUE))
    assert [one.caption for one in walk] == [RED, "", "", "", BLUE]
    noise = np.repeat(artist.noise(1, 0), 2, 0)
    ends = artist.draw(artist.embed([RED, BLUE]), noise)
    # Products of another number of rows are rounded otherwise, which may move a byte by one.
    np.testing.assert_allclose(images(walk)[[0, -1]].astype(int), ends.astype(int), atol=1)


def test_a_walk_between_noises_begins_and_ends_there(artist):
    walk = images(draw_wish(artist, Wish([RED], 5, interpolate_noise=True)))
    ends = artist.draw(artist.embed([RED, RED]), artist.noise(2, 0))
    assert np.abs(walk[[0, -1]].astype(int) - ends).max() <= 1
    assert (walk[0] != walk[2]).any()


def test_a_file_of_half_precision_draws_nearly_the_same(artist, tmp_path):
    save_artist(tmp_path / "alone.safetensors", artist)
    alone = load_artist(str(tmp_path / "alone.safetensors"))
    a, b = (images(draw_wish(one, Wish([RED], 4))).astype(int) for one in (artist, alone))
    assert np.abs(a - b).max() <= 2
    assert "/" not in str(alone.meta["settings"]["data"])


def test_a_sheet_and_what_is_said(drawing_run, tmp_path):
    sheet = tmp_path / "sheet.png"
    words = ("draw", "sample", drawing_run, "a red glorious rose", "-n", 2, "-o", sheet)
    result = minidl(*words, "--json")
    assert result.exit_code == 0, result.output
    assert "the words glorious, rose" in result.output and "<unk>" in result.output
    assert last_json(result.stdout)["unknown"] == ["glorious", "rose"]
    with Image.open(sheet) as picture:
        assert picture.width == 16 + 2 * (160 + 16)
    again = minidl(*words)
    assert again.exit_code == 2 and "--overwrite" in again.output


@pytest.mark.parametrize(
    "words, says",
    [
        ([""], "at least one word"),
        (["..."], "at least one word"),
        ([RED, BLUE, "--interpolate", RED], "a walk begins at one caption"),
        ([RED, "--interpolate", " "], "at least one word"),
        ([RED, "--interpolate-noise", "-n", 1], "at least 2 pictures"),
        ([RED, "-n", 10_000], "at most 4,096"),
        ([RED, "-o", "sheet.gif"], "ends in .png"),
    ],
)
def test_wishes_that_will_not_do(drawing_run, tmp_path, monkeypatch, words, says):
    monkeypatch.chdir(tmp_path)
    result = minidl("draw", "sample", drawing_run, *words)
    assert result.exit_code == 2 and says in result.output and "Traceback" not in result.output
    assert not list(tmp_path.iterdir())


def test_no_such_network(tmp_path):
    result = minidl("draw", "sample", "flovers", RED, "-o", tmp_path / "a.png")
    assert result.exit_code == 2 and "no such file or name" in result.output


def test_a_run_of_something_else(tmp_path):
    path = tmp_path / "other.safetensors"
    library.io.save_checkpoint(path, library.nn.Linear(1, 1), meta={"model": "lenet"})
    with pytest.raises(CheckpointError, match="not one of minidl draw train"):
        load_artist(str(path))


def test_a_file_of_another_version(drawing_run, tmp_path):
    found = library.io.load_checkpoint(drawing_run / "generator.safetensors")
    found.meta["settings"]["unheard_of"] = 1
    path = tmp_path / "old.safetensors"
    library.io.save_checkpoint(path, library.nn.Linear(1, 1), meta=found.meta)
    with pytest.raises(CheckpointError, match="another version"):
        load_artist(str(path))


def test_a_vocabulary_of_another_checkpoint(drawing_run, tmp_path):
    """One word more than the encoder has vectors for."""
    found = library.io.load_checkpoint(drawing_run / "generator.safetensors")
    words = json.loads(found.meta["reader"]["words"]) + ["zebra"]
    found.meta["reader"]["words"] = json.dumps(words)
    artist = load_artist(str(drawing_run / "generator.safetensors"))
    parts = library.nn.ModuleDict({"generator": artist.generator, "text": artist.text})
    path = tmp_path / "mixed.safetensors"
    library.io.save_checkpoint(path, parts, meta=found.meta)
    with pytest.raises(CheckpointError, match="do not belong together"):
        load_artist(str(path))


def test_score(drawing_run, monkeypatch):
    monkeypatch.setattr("apps.draw.score.score.feature_network_or_none", lambda log: fake_features)
    result = minidl("draw", "score", drawing_run, "-n", 150, "--json")
    assert result.exit_code == 0, result.output
    found = last_json(result.stdout)
    # Its test pictures have captions of the training: those hold out nothing.
    assert set(found) == {"run", "data", "n", "seed", "seen", "test"}
    part = found["test"]
    assert part["captions_seen"] == 1 and "held out" not in result.output
    assert part["frechet"] > 0 and part["diversity"]["same"] > 0
    assert 0 <= part["r_precision"] <= 1
    assert "attributes" not in part  # the oracle reads those of `--data flowers` alone
    assert "Against real pictures" in result.output


def fake_features(pictures):
    return pictures.reshape(len(pictures), -1, 64, 3).mean((1, 2))


def test_score_of_a_file_alone(drawing_run, jsonl):
    result = minidl("draw", "score", drawing_run / "generator.safetensors", "-n", 50)
    assert result.exit_code == 2 and "flowers" in result.output  # it does not know where data lie
