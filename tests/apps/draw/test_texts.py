"""Captions as numbers, and their embeddings."""

import numpy as np
import pytest

import minidl
from apps.draw.embeddings import discriminant, embed, made_comparable, standard
from apps.draw.networks import make_text_encoder
from apps.draw.schedule import HoldThenFall
from apps.draw.texts import READERS, Letters, Words, reader_from
from minidl.errors import CheckpointError, DataError

TEXTS = ["a red flower", "this blue flower has petals", "flower"]


@pytest.mark.parametrize("kind", READERS)
def test_a_reader_comes_back_from_its_config(kind):
    reader = READERS[kind].of(TEXTS)
    again = reader_from(reader.config())
    for a, b in zip(reader.encode(TEXTS), again.encode(TEXTS)):
        np.testing.assert_array_equal(a, b)


def test_unknown_words_and_letters_are_named_once_and_read_all_the_same():
    words = Words.of(TEXTS)
    assert words.unknown("a Ruffled ruffled rose, a flower") == ["ruffled", "rose"]
    numbers, lengths = words.encode(["a ruffled flower"])
    assert lengths == [3] and numbers[0, 1] == words.vocabulary.numbers["<unk>"]
    letters = Letters()
    assert letters.unknown("Rosé – rosé") == ["é", "–"]
    assert letters.encode(["é a"])[0][0, 0] == 0


@pytest.mark.parametrize("reader", [Words.of(TEXTS), Letters()])
@pytest.mark.parametrize("text", ["", "   "])
def test_an_empty_caption_is_refused(reader, text):
    with pytest.raises(DataError, match=f"needs at least one {reader.unit}"):
        reader.encode(["a flower", text])


def test_a_vocabulary_that_nobody_knows():
    for config in (None, {}, {"kind": "word-lstm"}, {"kind": "char-cnn-rnn", "alphabet": "ab"}):
        with pytest.raises(CheckpointError, match="no vocabulary"):
            reader_from(config)


@pytest.mark.parametrize("kind", READERS)
def test_standardised_embeddings(kind):
    minidl.manual_seed(0)
    reader = READERS[kind].of(TEXTS)
    encoder = make_text_encoder(reader, 6)
    raw = embed(encoder, reader, TEXTS)
    text = made_comparable(encoder, raw)
    np.testing.assert_array_equal(embed(encoder, reader, TEXTS), raw)  # it stays as it is
    found = embed(text, reader, TEXTS)
    np.testing.assert_allclose(found.mean(0), 0, atol=1e-4)
    np.testing.assert_allclose(found, (raw - raw.mean(0)) / np.maximum(raw.std(0), 1e-3), atol=1e-4)
    # Others change nothing of the statistics, and a caption's embedding not with its neighbours.
    alone = embed(text, reader, TEXTS[:1])
    np.testing.assert_allclose(alone, found[:1], atol=1e-4)
    assert not any(p.requires_grad for p in text.parameters())


def test_hold_then_fall():
    optimizer = minidl.optim.SGD(minidl.nn.Linear(1, 1).parameters(), lr=2.0)
    schedule = HoldThenFall(optimizer, 100, 0.5, 0.05)
    rates = [schedule.lr(2.0, t) for t in (0, 49, 50, 75, 99, 100, 200)]
    assert rates == pytest.approx([2, 2, 2, 1, 0.1, 0.1, 0.1])


def test_discriminant_embeddings():
    """How a caption is put is gone; what it says is equally strong, however weak it was."""
    random = np.random.default_rng(0)
    turn = np.linalg.qr(random.normal(size=(5, 5)))[0]
    says = random.normal(size=(500, 1, 3)) * [10.0, 3.0, 1.5]
    put = random.normal(size=(500, 6, 2)) * [20.0, 5.0]
    captions = np.concatenate([np.repeat(says, 6, 1), put], 2) @ turn
    captions += 0.01 * random.normal(size=captions.shape)
    groups = list(np.arange(3000).reshape(500, 6))
    flat = captions.reshape(3000, 5)
    found = (flat - flat.mean(0)) @ discriminant(flat, groups)
    assert found.var(0).sum() == pytest.approx(5)
    means = found.reshape(500, 6, 5).mean(1)
    assert (found.reshape(500, 6, 5) - means[:, None]).var() < 0.06  # of 1; it was 80 %
    gains = np.linalg.lstsq(says[:, 0] / [10.0, 3.0, 1.5], means, rcond=None)[0]
    strengths = np.linalg.norm(gains, axis=1)
    assert strengths.max() / strengths.min() < 1.1  # it was 7


def test_one_caption_for_each_picture_is_whitening_with_a_floor():
    random = np.random.default_rng(0)
    captions = random.normal(size=(4000, 3)) * [10.0, 1.0, 1e-4]
    found = captions @ discriminant(captions, list(np.arange(4000)[:, None]))
    strengths = np.sort(found.var(0))[::-1]
    assert strengths[0] / strengths[1] < 1.2 and strengths[2] < 1e-3


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "captions, groups",
    [
        (np.eye(9, 4), [range(9)]),  # all pictures have the same nine captions
        (np.ones((6, 4)), [range(3), range(3, 6)]),  # the encoder tells no two apart
        (np.eye(4), [[0, 1], [0, 1]]),
        (np.array([[1.0, 0], [-1, 0], [0, 1], [0, -1]]), [[0, 1], [2, 3]]),  # of the same mean
        (np.eye(1, 4), [[0]]),
    ],
)
def test_where_captions_of_different_pictures_do_not_differ(captions, groups):
    """There is nothing to discriminate: each number of deviation 1."""
    found = discriminant(captions, [np.array(group) for group in groups])
    np.testing.assert_array_equal(found, standard(captions))
    assert np.isfinite(captions @ found).all()


def test_an_embedding_of_one_number_may_be_discriminated():
    captions = np.array([[0.0], [0.1], [5.0], [5.1]])
    found = captions @ discriminant(captions, [np.array([0, 1]), np.array([2, 3])])
    assert found.var() == pytest.approx(1)
