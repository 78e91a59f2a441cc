"""Precision, recall and the rest against scikit-learn, which computes them independently."""

import numpy as np
import pytest

from apps.classify.metrics import Evaluation


def evaluation(n_classes=5, n=200, seed=0):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, n_classes - 1, n)  # the last class has no picture
    logits = rng.standard_normal((n, n_classes))
    logits[np.arange(n), labels] += 1
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return Evaluation([f"c{i}" for i in range(n_classes)], labels, probabilities, 1.0, 1.0)


def test_figures_equal_scikit_learn():
    metrics = pytest.importorskip("sklearn.metrics")
    e = evaluation()
    matrix = metrics.confusion_matrix(e.labels, e.predicted, labels=range(5))
    np.testing.assert_array_equal(e.confusion(), matrix)
    assert e.accuracy == pytest.approx(metrics.accuracy_score(e.labels, e.predicted), abs=1e-15)
    expected = metrics.precision_recall_fscore_support(
        e.labels, e.predicted, labels=range(5), zero_division=0
    )
    for row, *values in zip(e.per_class(), *expected):
        given = [row[name] for name in ("precision", "recall", "f1", "count")]
        assert given == pytest.approx(values, abs=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5, 6])
def test_top_k_equals_scikit_learn(k):
    metrics = pytest.importorskip("sklearn.metrics")
    e = evaluation(n_classes=7)
    expected = metrics.top_k_accuracy_score(e.labels, e.probabilities, k=k, labels=range(7))
    assert e.top(k) == pytest.approx(expected, abs=1e-15)
    assert e.top(1) == e.accuracy and e.top5 == e.top(5)
    assert evaluation(n_classes=5).top5 is None


def test_top_k_of_equal_probabilities_and_nan():
    """A tie goes to the class listed first, as for the prediction; NaN names no class."""
    p = np.array([[0.4, 0.4, 0.2], [0.4, 0.4, 0.2], [np.nan] * 3])
    e = Evaluation(["a", "b", "c"], np.array([0, 1, 0]), p, 1.0, 1.0)
    assert [e.top(k) for k in (1, 2, 3)] == pytest.approx([1 / 3, 2 / 3, 2 / 3])


def test_means_over_the_classes_that_have_pictures():
    metrics = pytest.importorskip("sklearn.metrics")
    e = evaluation()  # the last class has none
    expected = metrics.precision_recall_fscore_support(
        e.labels, e.predicted, labels=range(4), average="macro", zero_division=0
    )
    assert list(e.macro().values()) == pytest.approx(expected[:3], abs=1e-12)
    assert list(e.macro()) == ["precision", "recall", "f1"]


def test_hardest_classes_have_the_lowest_f1():
    e = evaluation()
    f1 = sorted(row["f1"] for row in e.per_class() if row["count"])
    assert [row["f1"] for row in e.hardest(3)] == f1[:3]


def test_examples_of_a_pair_come_surest_first():
    e = evaluation()
    for true, predicted, count in e.confused(100):
        found = e.examples(true, predicted, 1000)
        assert len(found) == count
        assert (e.labels[found] == true).all() and (e.predicted[found] == predicted).all()
        assert (np.diff(e.probabilities[found, predicted]) <= 0).all()
        np.testing.assert_array_equal(e.examples(true, predicted, 2), found[:2])


def test_worst_mistakes_come_first():
    e = evaluation()
    wrong = e.mistakes()
    assert set(wrong) == set(np.flatnonzero(e.predicted != e.labels))
    given = e.probabilities[wrong, e.labels[wrong]]
    assert (np.diff(given) >= 0).all()


def test_confused_pairs_count_the_mistakes():
    e = evaluation()
    pairs = e.confused_pairs(100)
    assert sum(pair["count"] for pair in pairs) == len(e.mistakes())
    assert [p["count"] for p in pairs] == sorted((p["count"] for p in pairs), reverse=True)
    by_name = [(e.classes[t], e.classes[p], count) for t, p, count in e.confused(100)]
    assert [tuple(pair.values()) for pair in pairs] == by_name
