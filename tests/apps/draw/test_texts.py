"""Captions as numbers, and their embeddings."""

import numpy as np
import pytest

import minidl
from apps.draw.embeddings import embed, made_comparable, whitening
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
    with pytest.raises(DataError, match=f"caption without a {reader.unit}"):
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


def test_whitened_embeddings():
    """What no picture shows is gone, and what is left is equally strong in every direction."""
    random = np.random.default_rng(0)
    strengths = np.array([10.0, 1.0, 0.5, 20.0])  # of captions; the last one no picture shows
    turn = np.linalg.qr(random.normal(size=(4, 4)))[0]
    latent = random.normal(size=(5000, 4))
    captions = (latent * strengths) @ turn
    pictures = (random.normal(size=(5000, 4)) * [2.0, 1.0, 3.0, 0.0]) @ turn
    found = (captions - captions.mean(0)) @ whitening(captions, pictures)
    assert found.var(0).sum() == pytest.approx(4)
    # By least squares: how much of each latent direction is in them.
    fits = [found @ np.linalg.lstsq(found, column, rcond=None)[0] for column in latent.T]
    left = [np.mean((fit - column) ** 2) for fit, column in zip(fits, latent.T)]
    assert max(left[:3]) < 0.01 and left[3] > 0.99
    gains = np.linalg.lstsq(latent[:, :3], found, rcond=None)[0]
    assert np.linalg.norm(gains, axis=1).max() / np.linalg.norm(gains, axis=1).min() < 4.5
