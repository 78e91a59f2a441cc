"""Batches: what is in them follows from seed, epoch and place; words of the network's own."""

import numpy as np
import pytest

import minidl
from apps.caption.batches import CaptionLoader, count_words
from apps.caption.data import part_of
from apps.caption.learning import LearningLoss, captions_alone, with_own_words
from apps.caption.phrases import Phrases
from apps.caption.training import words_of
from minidl.data import Vocabulary, tokenize
from minidl.data import transforms as T
from models.show_and_tell import Decoder
from tests.apps.flowers import made_up

END = T.Compose([T.ToFloat()])


@pytest.fixture(scope="module")
def part():
    return part_of(made_up(), T.Compose([]))


@pytest.fixture(scope="module")
def vocabulary(part):
    return words_of(part, 1)[0]


def loader(part, vocabulary, **more):
    return CaptionLoader(part, vocabulary, END, 8, 0, 0, **more)


def test_the_words_that_follow_are_those_one_place_further(part, vocabulary):
    (pictures, words), (following, lengths) = next(iter(loader(part, vocabulary, learns=False)))
    assert pictures.shape == (8, 3, 32, 32)
    for i, length in enumerate(lengths.tolist()):
        assert words[i].tolist()[1:length] == following[i].tolist()[: length - 1]
        assert words[i, 0].item() == 2 and following[i, length - 1].item() == 3
        said = vocabulary.decode(following[i].tolist())
        assert said in [tokenize(text) for text in part.captions[i]]
    assert count_words(None, (following, lengths)) == (following.numpy() > 0).sum()


def test_a_batch_follows_from_seed_epoch_and_place(part, vocabulary):
    first, again = loader(part, vocabulary), loader(part, vocabulary)
    epochs = [list(first) for _ in range(2)]
    again.load_state_dict({"epoch": 1, "batch": 3})
    for one, other in zip(epochs[1][3:], again, strict=True):
        for a, b in zip((*one[0], *one[1]), (*other[0], *other[1])):
            np.testing.assert_array_equal(a.numpy(), b.numpy())
    texts = [[batch[1][0].tolist() for batch in epoch] for epoch in epochs]
    assert texts[0] != texts[1]


def test_watched_pictures_have_the_same_captions_in_each_epoch(part, vocabulary):
    watched = loader(part, vocabulary, learns=False)
    first, second = ([batch[1][0].tolist() for batch in watched] for _ in range(2))
    assert first == second


def test_features_stand_in_place_of_pictures(part, vocabulary):
    batches = loader(part, vocabulary, learns=False)
    batches.features = np.arange(2 * len(part), dtype=np.float32).reshape(-1, 2)
    (features, _), _ = next(iter(batches))
    np.testing.assert_array_equal(features.numpy(), batches.features[:8])


def test_the_share_of_own_words_grows_with_the_epochs(part, vocabulary):
    batches = loader(part, vocabulary, own=0.5, epochs=5)
    assert [batches.share(epoch) for epoch in range(5)] == [0, 0.125, 0.25, 0.375, 0.5]
    kinds = [len(next(iter(loader_at))[0]) for loader_at in at_epochs(batches, (0, 2))]
    assert kinds == [2, 3]
    batches.load_state_dict({"epoch": 4, "batch": 0})
    own = np.concatenate([inputs[2].numpy().ravel() for inputs, _ in batches])
    assert own.mean() == pytest.approx(0.5, abs=0.1)


def at_epochs(batches, epochs):
    for epoch in epochs:
        batches.load_state_dict({"epoch": epoch, "batch": 0})
        yield batches


def test_own_words_are_what_the_network_says_there():
    minidl.manual_seed(0)
    decoder, features = Decoder(5, 12, 6, 6), minidl.randn(4, 5)
    words = minidl.tensor(np.random.default_rng(0).integers(4, 12, (4, 6)))
    own = minidl.tensor(np.random.default_rng(1).random((4, 6)) < 0.5)
    decoder.train()
    found = with_own_words(decoder, features, words, own).numpy()
    assert decoder.training
    decoder.eval()
    scores = decoder(features, minidl.tensor(found)).detach().numpy()
    expected = np.where(own.numpy()[:, 1:], scores[:, :-1].argmax(2), words.numpy()[:, 1:])
    np.testing.assert_array_equal(found[:, 0], words.numpy()[:, 0])
    np.testing.assert_array_equal(found[:, 1:], expected)
    nothing = with_own_words(decoder, features, words, minidl.tensor(np.zeros((4, 6), bool)))
    np.testing.assert_array_equal(nothing.numpy(), words.numpy())


def test_rare_words_are_unknown(part):
    all_words, longest = words_of(part, 1)
    few, _ = words_of(part, 20)
    assert 4 < len(few) < len(all_words) and isinstance(few, Vocabulary)
    assert longest == max(len(tokenize(text)) for texts in part.captions for text in texts)


def test_phrases_of_all_captions_of_a_picture(part, vocabulary):
    phrases = Phrases(part.references)
    chosen = loader(part, vocabulary, phrases=phrases)
    (_, words), (_, _, present) = next(iter(chosen))
    assert present.shape == (8, len(phrases)) and present.dtype == np.float32
    _, (_, _, present) = chosen.prepare(np.array([2, 5]), 0)
    for row, index in zip(present.numpy(), (2, 5)):
        texts = [tokenize(text) for text in part.captions[index]]
        words = {word for text in texts for word in text}
        pairs = {pair for text in texts for pair in zip(text, text[1:])}
        found = {phrases.names[i] for i in np.flatnonzero(row)}
        assert found == ({(word,) for word in words} | pairs) & set(phrases.names)
        assert len(found) > 20


def test_the_loss_of_the_phrases_of_a_picture():
    scores, present = minidl.zeros(2, 1, 4), minidl.tensor([[0.0, 1, 0], [1, 1, 1]])
    targets = minidl.tensor([[3], [3]]), minidl.tensor([1, 1]), present
    alone = captions_alone((scores, minidl.zeros(2, 3)), targets).item()
    assert alone == pytest.approx(np.log(4))
    found = LearningLoss(0.5)((scores, minidl.zeros(2, 3)), targets).item()
    assert found == pytest.approx(alone + 0.5 * 3 * np.log(2))
    assert LearningLoss(0.5)(scores, targets[:2]).item() == pytest.approx(alone)
