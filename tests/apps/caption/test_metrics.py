"""BLEU, ROUGE-L and CIDEr-D against coco-caption's own program, and against counts by hand."""

import doctest
import math
import sys

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from apps.caption.metrics import CiderD, bleu, cider_d, distinct_share, rouge_l
from apps.caption.metrics.bleu import bleu_of_counts
from minidl.errors import ArgumentError

EXACT = {"rel_tol": 0, "abs_tol": 1e-9}


# --- the oracle -------------------------------------------------------------------------------


def theirs(candidates, references):
    """BLEU-1..4, ROUGE-L, CIDEr-D, and the CIDEr-D of each picture, by pycocoevalcap.

    Its tokenizer is a Java program; these classes take text whose words are parted by spaces.
    """
    reason = "pycocoevalcap, with which these must agree, is not installed (pip: '.[test]')"
    pytest.importorskip("pycocoevalcap", reason=reason)
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    said = {i: [" ".join(words)] for i, words in enumerate(candidates)}
    true = {i: [" ".join(text) for text in texts] for i, texts in enumerate(references)}
    scores, _ = Bleu(4).compute_score(true, said, verbose=0)
    mean, each = Cider().compute_score(true, said)
    return scores, Rouge().compute_score(true, said)[0], mean, each


def assert_equal_to_theirs(candidates, references):
    scores, rouge, mean, each = theirs(candidates, references)
    found = bleu(candidates, references)
    assert all(math.isclose(a, b, **EXACT) for a, b in zip(found, scores)) and len(found) == 4
    assert math.isclose(rouge_l(candidates, references), rouge, **EXACT)
    found, found_each = cider_d(candidates, references)
    assert math.isclose(found, mean, **EXACT)
    np.testing.assert_allclose(found_each, each, rtol=0, atol=1e-9)


# Few words, so that captions share many; letters with the accent in them and apart, and others.
WORDS = st.sampled_from(["a", "red", "rose", "the", "Blüte", "Blu\u0308te", "花", "🌷", "it's"])
CAPTIONS = st.lists(WORDS, max_size=9)
PICTURES = st.tuples(CAPTIONS, st.lists(CAPTIONS, min_size=1, max_size=4))
CORPORA = st.lists(PICTURES, min_size=1, max_size=6)


@settings(max_examples=80, deadline=None)
@given(CORPORA)
def test_scores_equal_those_of_pycocoevalcap(corpus):
    assume(any(text for _, texts in corpus for text in texts))  # else it fails on an empty maximum
    assert_equal_to_theirs([words for words, _ in corpus], [texts for _, texts in corpus])


ROSE, TULIP = "the red rose is open".split(), "a yellow tulip in a vase".split()


@pytest.mark.parametrize(
    "candidates, references",
    [
        ([ROSE], [[ROSE, TULIP]]),
        ([[], ROSE], [[ROSE], [TULIP]]),
        ([[], []], [[ROSE], [[]]]),
        ([["rose"], ["a", "tulip"]], [[ROSE], [TULIP]]),
        ([["rose"] * 8, ["a"] * 7], [[ROSE], [TULIP]]),
        ([ROSE, TULIP], [[ROSE[:3], ROSE + ROSE[:2]], [TULIP, ["tulip"], TULIP * 3]]),
        ([ROSE * 5, TULIP], [[ROSE], [TULIP * 5]]),
    ],
    ids=["one picture", "nothing said", "nothing anywhere", "shorter than four words",
         "one word again and again", "equally near lengths", "far from the length"],
)  # fmt: skip
def test_odd_corpora_score_as_in_pycocoevalcap(candidates, references):
    assert_equal_to_theirs(candidates, references)


def test_a_large_corpus_scores_as_in_pycocoevalcap():
    rng = np.random.default_rng(0)
    words = [f"w{i}" for i in range(50)]

    def caption():
        return list(rng.choice(words, rng.integers(1, 15), p=np.arange(50, 0, -1) / 1275))

    candidates = [caption() for _ in range(60)]
    references = [[caption() for _ in range(rng.integers(1, 6))] for _ in candidates]
    assert_equal_to_theirs(candidates, references)


# --- known results ----------------------------------------------------------------------------


def test_bleu_of_the_counts_that_coco_caption_prints():
    scores = bleu_of_counts([5732, 2510, 1043, 423], [9893, 8893, 7893, 6893], 9855)
    assert [round(score, 3) for score in scores] == [0.579, 0.404, 0.279, 0.191]


def test_bleu_of_a_short_caption_pays_for_its_brevity():
    candidates, references = [["red", "rose"]], [[["red", "rose", "in", "bloom"]]]
    assert bleu(candidates, references, n=1)[0] == pytest.approx(math.exp(1 - 4 / 2))


def test_a_caption_that_is_its_reference_has_all_that_can_be_had():
    references = [[ROSE], [TULIP]]
    assert bleu([ROSE, TULIP], references) == pytest.approx([1] * 4)
    assert rouge_l([ROSE, TULIP], references) == pytest.approx(1)
    mean, each = cider_d([ROSE, TULIP], references)
    assert mean == pytest.approx(10) and each == pytest.approx([10, 10])
    assert each.dtype == np.float64


def test_cider_of_one_picture_is_nothing_for_every_word_is_everywhere():
    assert cider_d([ROSE], [[ROSE]])[0] == 0


def test_references_that_are_kept_serve_for_several_captions():
    kept = CiderD([[ROSE], [TULIP]])
    for candidates in ([ROSE, ROSE], [TULIP, TULIP], [[], ["rose"]]):
        mean, each = cider_d(candidates, [[ROSE], [TULIP]])
        again, each_again = kept.score(candidates)
        assert (mean, each.tolist()) == (again, each_again.tolist())


def test_distinct_captions():
    assert distinct_share([ROSE, TULIP]) == 1
    assert distinct_share([ROSE, list(ROSE), TULIP, ROSE]) == 0.5


# --- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [bleu, rouge_l, cider_d])
@pytest.mark.parametrize(
    "candidates, references, said",
    [
        ([ROSE], [], "for each picture|at least one picture"),
        ([], [], "at least one picture"),
        ([ROSE], [[]], "one reference or more"),
        ([ROSE], ["the red rose"], "one reference or more"),
        ([ROSE], [["the red rose"]], r"list of words(?s:.*)tokenize"),
        (["the red rose"], [[ROSE]], r"list of words(?s:.*)tokenize"),
        ([[1, 2]], [[ROSE]], "list of words"),
    ],
)
def test_what_is_no_corpus_is_refused(metric, candidates, references, said):
    with pytest.raises(ArgumentError, match=said):
        metric(candidates, references)


def test_no_captions_have_no_distinct_share():
    with pytest.raises(ArgumentError, match="at least one picture"):
        distinct_share([])


@pytest.mark.parametrize("name", ["ngrams", "bleu", "rouge", "cider", "distinct"])
def test_examples_run(name):
    assert doctest.testmod(sys.modules[f"apps.caption.metrics.{name}"]).failed == 0
