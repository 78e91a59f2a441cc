"""The figures of `minidl draw score` for generators of which one knows what they must be."""

from types import SimpleNamespace

import numpy as np
import pytest

from apps.draw import results
from apps.draw.data import Pairs, pairs_of
from apps.draw.diversity import spread_within_classes
from apps.draw.presets import from_command_line
from apps.draw.score import score
from apps.draw.score.left_open import left_open, share_that_differ
from apps.draw.score.score import captions_seen, score_part
from apps.draw.score.text import show
from apps.shared.rows import Rows
from minidl.data.captioned import CaptionedDataset
from minidl.data.flowers import (
    ATTRIBUTES,
    COMBINATIONS,
    captions,
    class_captions,
    draw,
    extended_flowers,
    load_flowers,
    split_combinations,
)

N = 400


class Painter:
    """Draws flowers in place of a network.

    Args:
        flower_of: combination that a sentence is of -> the one that is drawn.
    """

    settings = SimpleNamespace(size=32, noise=2)

    def __init__(self, flower_of=lambda combinations: combinations):
        self.flower_of = flower_of
        self.number = {text: i for i, row in enumerate(COMBINATIONS) for text in captions(row)}

    def embed(self, texts):
        return np.array([self.number.get(text, 0) for text in texts])

    def draw(self, embeddings, noise):
        flowers = COMBINATIONS[self.flower_of(embeddings)]
        return draw(flowers, 32, np.random.default_rng(len(noise)))


@pytest.fixture(scope="module")
def held_out() -> Pairs:
    return pairs_of(load_flowers("held-out", per_combination=2), is_flowers=True)


def test_who_draws_what_a_sentence_says_has_all_right(held_out):
    found = score_part(Painter(), held_out, N, 0, is_flowers=True)
    assert [round(100 * share) for share in found["attributes"].values()] == [100] * 6
    assert found["all_six"]["attributes"] > 0.98 and found["all_six"]["real"] > 0.98
    for name in ATTRIBUTES:  # shuffled is the level of chance
        assert found["shuffled"][name] == pytest.approx(found["chance"][name], abs=0.06)
    assert found["all_six"]["shuffled"] < 0.03
    assert found["diversity"]["same"] == pytest.approx(1, abs=0.1)
    assert found["diversity"]["across"] == pytest.approx(1, abs=0.05)


def test_who_does_not_read_has_the_level_of_chance(held_out):
    numbers = held_out.numbers
    random = np.random.default_rng(1)
    painter = Painter(lambda combinations: random.choice(numbers, len(combinations)))
    found = score_part(painter, held_out, N, 0, is_flowers=True)
    for name in ATTRIBUTES:
        assert found["attributes"][name] == pytest.approx(found["chance"][name], abs=0.06)
    assert found["all_six"]["attributes"] < 0.03


def test_one_attribute_that_is_never_right(held_out):
    def recolored(combinations):
        step = len(COMBINATIONS) // 7  # to the next of seven colors
        return (combinations + step) % len(COMBINATIONS)

    found = score_part(Painter(recolored), held_out, N, 0, is_flowers=True)
    assert found["attributes"]["color"] < 0.01 and found["all_six"]["attributes"] < 0.01
    assert min(found["attributes"][name] for name in ATTRIBUTES if name != "color") > 0.98


def test_who_knows_what_was_seen_alone_has_no_sentence_right(held_out):
    """Five of six attributes look like much, where the nearest combination was learned."""
    found = score_part(Painter(), held_out, N, 0, is_flowers=True)
    assert np.mean(list(found["nearest_seen"].values())) == pytest.approx(5 / 6)
    assert found["all_six"]["nearest_seen"] == 0
    seen = split_combinations()[0][::20]
    dataset = CaptionedDataset(
        draw(COMBINATIONS[seen]), [captions(COMBINATIONS[n]) for n in seen], seen
    )
    found = score_part(Painter(), pairs_of(dataset, is_flowers=True), 50, 0, is_flowers=True)
    assert "nearest_seen" not in found


def test_the_tables_have_all_that_was_measured(held_out, extended, capsys):
    from apps.shared.console import Console

    part = score_part(Painter(), held_out, 50, 0, is_flowers=True)
    left = {"left_open": {"background": 0.25}}
    show(Console(), {"held_out": part, "seen": part | left})
    said = capsys.readouterr().out
    for words in ("all six", "held out", "nearest seen flower", "real pictures", "chance", "0.25"):
        assert words in said
    assert captions_seen(held_out, held_out) == 1 and captions_seen(held_out, extended) == 0


def test_score_and_report_have_the_parts_of_flowers(held_out, extended, monkeypatch):
    numbers = split_combinations()[0][:60]
    rows = COMBINATIONS[numbers]
    dataset = CaptionedDataset(draw(rows), [captions(row) for row in rows], numbers)
    seen = pairs_of(dataset, is_flowers=True)
    painter = Painter()
    painter.settings = from_command_line({"noise": 2})
    monkeypatch.setattr(score, "load_artist", lambda source: painter)
    monkeypatch.setattr(score, "open_pairs", lambda *arguments: seen)
    monkeypatch.setattr(score, "held_out_pairs", lambda settings: held_out)
    monkeypatch.setattr(score, "feature_network_or_none", lambda log: None)
    found = score.score_run("nowhere", None, None, 50, 0, lambda text: None)
    assert found["data"] == "flowers" and "captions_seen" not in found["held_out"]
    assert found["held_out"]["all_six"]["attributes"] > 0.9 < found["seen"]["attributes"]["count"]
    monkeypatch.setattr(results, "JUDGED", 50)
    training = SimpleNamespace(
        settings=painter.settings, encoders=None, pairs=extended, held_out=held_out
    )
    judged = results.judge(training, painter)
    assert judged["held_out"]["all_six"]["attributes"] > 0.9
    assert judged["left_open"]["background"] == 0  # it has one flower for all that it cannot read


# --- diversity --------------------------------------------------------------------------------


def test_all_classes_are_the_measure_of_diversity():
    """Colors come in the order of classes, and they differ in what varies."""
    pictures = np.zeros((200, 2, 2, 3), np.uint8)
    pictures[121::2] = 100
    members = Rows(np.arange(200).reshape(100, 2))
    assert spread_within_classes(pictures, members) == pytest.approx(0.4 * 100)


@pytest.fixture(scope="module")
def extended() -> Pairs:
    """Some of the classes that have ten pictures or more."""
    flowers, classes = extended_flowers(1800, np.random.default_rng(0))
    chosen = np.isin(classes, np.flatnonzero(np.bincount(classes) >= 10)[::4])
    flowers, classes = flowers[chosen], classes[chosen]
    texts = [class_captions(number) for number in classes]
    return pairs_of(CaptionedDataset(draw(flowers), texts, classes), is_flowers=True)


class Copier:
    """Draws real pictures of a sentence: another each time, or always the same.

    Args:
        pairs: has the pictures.
        always_the_same: whether the noise decides nothing.
    """

    settings = Painter.settings

    def __init__(self, pairs, always_the_same):
        self.pairs, self.always_the_same = pairs, always_the_same

    def embed(self, texts):
        class_of = {
            self.pairs.texts[t]: c
            for i, c in enumerate(self.pairs.classes) for t in self.pairs.captions[i]
        }  # fmt: skip
        return np.array([class_of[text] for text in texts])

    def draw(self, embeddings, noise):
        rows = [self.pairs.members[c] for c in embeddings]
        turns = np.zeros(len(rows), int) if self.always_the_same else np.arange(len(rows))
        return self.pairs.pictures[[row[i % len(row)] for i, row in zip(turns, rows)]]


def test_what_sentences_leave_open_varies_as_in_the_data_or_not_at_all(extended):
    random = np.random.default_rng(0)
    same = left_open(Copier(extended, True), extended, random)
    assert set(same) == {"count", "shape", "center", "background", "size"}
    assert set(same.values()) == {0.0}
    varied = left_open(Copier(extended, False), extended, random)
    assert all(0.8 < share < 1.2 for share in varied.values()), varied


def test_sentences_that_name_all_leave_nothing_open(held_out):
    assert left_open(Painter(), held_out, np.random.default_rng(0)) is None


def test_share_that_differ():
    assert share_that_differ(np.array([1, 1, 1])) == 0
    assert share_that_differ(np.array([0, 1, -1])) == 1
    assert share_that_differ(np.array([0, 0, 1])) == pytest.approx(2 / 3)
