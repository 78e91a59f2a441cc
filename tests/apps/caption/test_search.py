"""Beam search and sampling: against all captions there are, and against a plain beam search."""

import doctest
import itertools
import math

import numpy as np
import pytest

import minidl
from apps.caption.search import Caption, beam, beam_search, next_words, sample, sampling
from apps.caption.search.beam import search
from apps.caption.search.next_words import Ensemble, evaluating_all
from minidl.data import Vocabulary
from minidl.errors import ArgumentError, DtypeError, MinidlError, ShapeError
from models.show_and_tell import Decoder

PAD, UNK, START, END = range(4)
FEATURES = 5


def vocabulary_of(n):
    """n words beside the special ones."""
    return Vocabulary([f"word{i}" for i in range(n)])


def decoder_of(n, seed=0, deviation=0.7, dtype="float64", dropout=0.3):
    """A decoder of n words with decided opinions, in training mode: searches must not be."""
    minidl.manual_seed(seed)
    net = Decoder(FEATURES, n + 4, 4, 6, dropout).to(dtype)
    for parameter in net.parameters():
        minidl.nn.init.normal_(parameter, 0, deviation)
    return net


def features_of(pictures, seed=0, dtype="float64"):
    values = np.random.default_rng(seed).standard_normal((pictures, FEATURES))
    return minidl.tensor(values).to(dtype)


def log_probs_of(decoders, features, numbers):
    """By teacher forcing: of each word and </s> of one caption of one picture."""
    words = minidl.tensor([[START, *numbers[:-1]]])
    probabilities = 0
    for decoder, x in zip(decoders, features):
        with minidl.no_grad(), minidl.nn.evaluating(decoder):
            scores = decoder(x, words)
        probabilities = probabilities + minidl.nn.functional.softmax(scores, 2).numpy()[0]
    return np.log((probabilities / len(decoders))[np.arange(len(numbers)), numbers])


def may_be_said(numbers):
    in_a_row = any(len(set(numbers[i : i + 3])) == 1 for i in range(len(numbers) - 2))
    return not in_a_row


def all_captions(decoders, features, n, max_words, alpha=0.0):
    """(score, numbers with </s>) of all captions of one picture, the best first."""
    found = []
    for length in range(max_words + 1):
        for numbers in itertools.product(range(4, n + 4), repeat=length):
            if may_be_said(numbers):
                numbers = [*numbers, END]
                log_prob = log_probs_of(decoders, features, numbers).sum()
                found.append((log_prob / len(numbers) ** alpha, numbers))
    return sorted(found, reverse=True)


def searched(decoders, features, n, **options):
    """search, which takes a beam that is wider than the vocabulary."""
    options = {"width": 3, "n_best": 1, "max_words": 20, "alpha": 0.0} | options
    with evaluating_all(decoders):
        return search(Ensemble(decoders, features), vocabulary_of(n), **options)


@pytest.mark.parametrize("n, max_words, alpha", [(1, 4, 0), (2, 4, 0), (3, 3, 0), (3, 3, 0.7)])
@pytest.mark.parametrize("several", [False, True])
def test_as_wide_as_everything_it_is_exhaustive(n, max_words, alpha, several):
    """All captions there are, in the order of their probability, of each picture of a batch."""
    decoders = [decoder_of(n), decoder_of(n, 1)][: 1 + several]
    features = [features_of(3, i) for i in range(len(decoders))]
    n_best = sum(n**length for length in range(max_words + 1))
    width = max(n + 4, n**max_words)
    found = searched(
        decoders, features, n, width=width, n_best=n_best, max_words=max_words, alpha=alpha
    )
    for i, said in enumerate(found):
        own = [x[i : i + 1] for x in features]
        expected = all_captions(decoders, own, n, max_words, alpha)
        assert [one.numbers for one in said] == [numbers for _, numbers in expected]
        scores = [one.log_prob / len(one.numbers) ** alpha for one in said]
        np.testing.assert_allclose(scores, [score for score, _ in expected], rtol=1e-9)


def plain_beam_search(decoder, features, width, n_best, max_words, alpha):
    """One picture, one caption at a time, as one would write it down."""
    partial, complete = [(0.0, [])], []
    for length in range(1, max_words + 2):
        longer = []
        for total, numbers in partial:
            log_p = log_probs_after(decoder, features, numbers)
            words = [w for w in range(END, len(log_p)) if may_be_said([*numbers, w][-3:])]
            likeliest = sorted(words, key=lambda w: -log_p[w])[:width]
            for word in likeliest if length <= max_words else [END]:
                if word == END:
                    complete.append(((total + log_p[END]) / length**alpha, [*numbers, END]))
                else:
                    longer.append((total + log_p[word], [*numbers, word]))
        partial = sorted(longer, reverse=True)[:width]
    return sorted(complete, reverse=True)[:n_best]


def log_probs_after(decoder, features, numbers):
    with minidl.no_grad(), minidl.nn.evaluating(decoder):
        scores = decoder(features, minidl.tensor([[START, *numbers]]))
        return minidl.nn.functional.log_softmax(scores[0, -1], 0).numpy()


@pytest.mark.parametrize("width, n_best", [(1, 1), (3, 3), (5, 2), (12, 12)])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_is_plain_beam_search(width, n_best, alpha):
    """With pictures in one batch that end at different times."""
    n, decoder, features = 9, decoder_of(9), features_of(6)
    decoder.out.bias.data[END] += 1  # else few captions would end by themselves
    found = beam_search([decoder], [features], vocabulary_of(n), width, n_best, 6, alpha)
    lengths = set()
    for i, said in enumerate(found):
        expected = plain_beam_search(decoder, features[i : i + 1], width, n_best, 6, alpha)
        assert [one.numbers for one in said] == [numbers for _, numbers in expected]
        lengths |= {len(one.numbers) for one in said}
    assert len(lengths) > 1


def test_many_words_at_once():
    """A beam wider than is looked for word by word finds the same as a narrow one."""
    n, features = 40, features_of(2)
    decoder = decoder_of(n)
    for width in (next_words.FEW, next_words.FEW + 1):
        found = beam_search([decoder], [features], vocabulary_of(n), width, width, 4)
        for i, said in enumerate(found):
            expected = plain_beam_search(decoder, features[i : i + 1], width, width, 4, 0)
            assert [one.numbers for one in said] == [numbers for _, numbers in expected]


@pytest.mark.parametrize("how", ["beam", "sample"])
@pytest.mark.parametrize("several", [False, True])
def test_log_probs_are_the_networks(how, several):
    n, words = 12, vocabulary_of(12)
    decoders = [decoder_of(n, i, dtype="float32") for i in range(1 + several)]
    features = [features_of(7, i, "float32") for i in range(len(decoders))]
    if how == "beam":
        found = beam_search(decoders, features, words, 4, 4, 8)
    else:
        found = sample(decoders, features, words, np.random.default_rng(0), 4, 0.7, 8)
    for i, picture in enumerate(found):
        assert len(picture) == 4
        for said in picture:
            own = [x[i : i + 1] for x in features]
            expected = log_probs_of(decoders, own, said.numbers)
            np.testing.assert_allclose(said.log_probs, expected, rtol=1e-4, atol=1e-5)
            assert said.log_prob == pytest.approx(sum(said.log_probs), rel=1e-12)
            assert said.words == [words.words[number] for number in said.numbers[:-1]]


def insisting(n, word, strength=50.0):
    """A decoder that says one word, and hardly ever anything else."""
    net = decoder_of(n, deviation=0.1)
    net.out.bias.data[word] += strength
    return net


@pytest.mark.parametrize("word", [PAD, UNK, START])
def test_never_said(word):
    vocabulary, features = vocabulary_of(3), features_of(2)
    net = insisting(3, word)
    found = beam_search([net], [features], vocabulary, 3, 3, 5)
    found += sample([net], [features], vocabulary, np.random.default_rng(0), 20, 1.0, 5)
    assert not any({PAD, UNK, START} & {*said.numbers} for picture in found for said in picture)


def test_no_third_time_in_a_row():
    """But any number of times in a caption."""
    vocabulary, features = vocabulary_of(2), features_of(1)
    net = insisting(2, 4)
    random = np.random.default_rng(0)
    found = beam_search([net], [features], vocabulary, 2, 2, 9)
    found += sample([net], [features], vocabulary, random, 5, 1.0, 9)
    for said in itertools.chain(*found):
        assert may_be_said(said.numbers)
    assert max(said.numbers.count(4) for said in itertools.chain(*found)) > 2


@pytest.mark.parametrize("max_words", [1, 4])
def test_a_forced_end(max_words):
    """Its probability counts as the network has it, however small."""
    vocabulary, features = vocabulary_of(6), features_of(2)
    net = decoder_of(6)
    net.out.bias.data[END] -= 40  # never among the likeliest
    found = beam_search([net], [features], vocabulary, 3, 1, max_words)
    found += sample([net], [features], vocabulary, np.random.default_rng(0), 2, 1.0, max_words)
    for said in itertools.chain(*found):
        assert len(said.words) == max_words and said.numbers[-1] == END
        assert said.log_probs[-1] < -30


def test_a_caption_of_0_words():
    net = insisting(3, END)
    (said,), *_ = beam_search([net], [features_of(1)], vocabulary_of(3))
    assert said == Caption([], [END], said.log_prob, [said.log_prob]) and -1e-9 < said.log_prob <= 0


def test_fewer_captions_than_were_asked_for():
    """Of one word there are "", "a", "a a", and no more."""
    (said,) = beam_search([decoder_of(1)], [features_of(1)], vocabulary_of(1), 5, 5)
    assert sorted(len(one.words) for one in said) == [0, 1, 2]


def test_pictures_in_parts(monkeypatch):
    """The same captions, whether all pictures are searched together or one by one."""
    net, features, vocabulary = decoder_of(5), features_of(5), vocabulary_of(5)
    expected = beam_search([net], [features], vocabulary)
    drawn = sample([net], [features], vocabulary, np.random.default_rng(3), 2)
    monkeypatch.setattr(beam, "MOST_SCORES", 1)
    monkeypatch.setattr(sampling, "MOST_SCORES", 1)
    for a, b in zip(expected, beam_search([net], [features], vocabulary)):
        assert [one.numbers for one in a] == [one.numbers for one in b]
    again = sample([net], [features], vocabulary, np.random.default_rng(3), 2)
    assert [[one.numbers for one in picture] for picture in drawn] == [
        [one.numbers for one in picture] for picture in again
    ]


def test_no_pictures():
    assert beam_search([decoder_of(3)], [features_of(0)], vocabulary_of(3)) == []
    random = np.random.default_rng(0)
    assert sample([decoder_of(3)], [features_of(0)], vocabulary_of(3), random) == []


def test_modes_and_gradients_stay():
    net, features = decoder_of(3), features_of(1)
    beam_search([net], [features], vocabulary_of(3))
    assert net.training and minidl.is_grad_enabled()
    assert all(parameter.grad is None for parameter in net.parameters())


def test_an_ensemble_of_one_network_twice_is_that_network():
    net, features, vocabulary = decoder_of(6), features_of(3), vocabulary_of(6)
    once = beam_search([net], [features], vocabulary, 3, 3)
    twice = beam_search([net, net], [features, features], vocabulary, 3, 3)
    for a, b in zip(itertools.chain(*once), itertools.chain(*twice)):
        assert a.numbers == b.numbers and a.log_prob == pytest.approx(b.log_prob, rel=1e-9)


# --- sampling -----------------------------------------------------------------------------------


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.0])
def test_words_are_as_frequent_as_they_are_likely(temperature):
    """The first word of 4,000 captions; what may not be said has its share given to the others."""
    n, net, features = 4, decoder_of(4), features_of(1)
    random = np.random.default_rng(0)
    (said,) = sample([net], [features], vocabulary_of(n), random, 4000, temperature, 1)
    weights = np.exp(log_probs_after(net, features, []) / temperature)
    weights[[PAD, UNK, START]] = 0
    counts = np.bincount([one.numbers[0] for one in said], minlength=n + 4)
    deviation = np.sqrt(weights / weights.sum() / 4000)
    assert (np.abs(counts / 4000 - weights / weights.sum()) <= 4 * deviation).all()
    assert counts[:3].sum() == 0


def test_a_low_temperature_is_a_beam_of_one():
    """Both take the likeliest word each time."""
    net, features, vocabulary = decoder_of(6), features_of(4), vocabulary_of(6)
    drawn = sample([net], [features], vocabulary, np.random.default_rng(0), 2, 1e-6, 6)
    greedy = beam_search([net], [features], vocabulary, 1, 1, 6)
    for one, (expected,) in zip(drawn, greedy):
        assert [said.numbers for said in one] == [expected.numbers] * 2


def test_draws_are_of_their_seed():
    net, features, vocabulary = decoder_of(9), features_of(3), vocabulary_of(9)
    draws = [sample([net], [features], vocabulary, np.random.default_rng(s)) for s in (0, 0, 1)]
    assert draws[0] == draws[1] != draws[2]


# --- what does not fit --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "change, error, says",
    [
        ({"width": 0}, ArgumentError, "width is an int >= 1"),
        ({"width": 2.0}, ArgumentError, "width is an int >= 1"),
        ({"width": 8}, ArgumentError, "wider than the vocabulary of 7 words"),
        ({"n_best": 4}, ArgumentError, "no more captions are found than the beam is wide"),
        ({"n_best": True}, ArgumentError, "n_best is an int >= 1"),
        ({"max_words": 0}, ArgumentError, "max_words is an int >= 1"),
        ({"alpha": -1}, ArgumentError, "alpha is a number >= 0"),
        ({"alpha": math.nan}, ArgumentError, "alpha is a number >= 0"),
        ({"decoders": []}, ArgumentError, "decoders are a list"),
        ({"decoders": decoder_of(3)}, ArgumentError, "of one for a single network"),
        ({"features": features_of(2)}, ArgumentError, "features are a list"),
        ({"features": [features_of(2)] * 2}, ArgumentError, "features of its own"),
        ({"features": [np.ones((2, FEATURES))]}, DtypeError, "must be a Tensor"),
        ({"features": [minidl.ones(2, 3)]}, ShapeError, "features are (N, 5)"),
        ({"vocabulary": vocabulary_of(4)}, ArgumentError, "another one than the decoder learned"),
        (
            {"decoders": [decoder_of(3)] * 2, "features": [features_of(2), features_of(3)]},
            ShapeError, "of the same pictures",
        ),
        ({"decoders": [decoder_of(3), decoder_of(4)], "features": [features_of(2)] * 2},
         ArgumentError, "another one"),
    ],
)  # fmt: skip
def test_what_does_not_fit(change, error, says):
    given = {
        "decoders": [decoder_of(3)], "features": [features_of(2)], "vocabulary": vocabulary_of(3)
    } | change  # fmt: skip
    with pytest.raises(error) as caught:
        beam_search(**given)
    assert isinstance(caught.value, MinidlError) and says in str(caught.value)
    if not {"width", "n_best", "alpha"} & {*change}:
        with pytest.raises(error):
            sample(**given, random=np.random.default_rng(0))


@pytest.mark.parametrize("temperature", [0, -1, math.nan, math.inf, "hot"])
def test_temperatures_that_are_none(temperature):
    random = np.random.default_rng(0)
    with pytest.raises(ArgumentError, match="temperature is a number > 0"):
        sample([decoder_of(3)], [features_of(1)], vocabulary_of(3), random, temperature=temperature)


@pytest.mark.parametrize("module", [beam, sampling], ids=lambda module: module.__name__)
def test_examples_run(module):
    assert doctest.testmod(module).failed == 0
