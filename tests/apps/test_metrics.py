"""Precision, recall and the rest against scikit-learn, which computes them independently."""

import re

import numpy as np
import pytest

from apps.classify.charts import Series, line_chart, nice_ticks
from apps.classify.metrics import Evaluation
from apps.classify.pictures import filter_images


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


@pytest.mark.parametrize(
    "low, high", [(0.013, 2.31), (0.1, 0.1), (0, 0), (0.985, 0.9917), (1e-6, 3e-6), (-5, 1e4)]
)
def test_ticks_enclose_the_values(low, high):
    ticks = nice_ticks(low, high)
    assert ticks[0] <= low + 1e-9 and ticks[-1] >= high - 1e-9
    assert 2 <= len(ticks) <= 8
    np.testing.assert_allclose(np.diff(ticks), ticks[1] - ticks[0], rtol=1e-6)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.4, None, 0.3], [1.0, float("nan"), 2.0]])
def test_chart_of_odd_histories(values):
    svg = str(line_chart("Loss", list(range(1, len(values) + 1)), [Series("a<b", values)], str))
    assert "nan" not in svg.replace("training", "") and "a<b" not in svg and "a&lt;b" in svg


def test_curves_rise_with_their_values_to_the_right():
    svg = str(line_chart("Loss", [1, 2, 3], [Series("x", [1.0, 3.0, 2.0])], str))
    path = re.search(r'class="line s0" d="M(\S+) (\S+) L(\S+) (\S+) L(\S+) (\S+)"', svg)
    x1, y1, x2, y2, x3, y3 = map(float, path.groups())
    assert x1 < x2 < x3 and x2 - x1 == pytest.approx(x3 - x2, abs=0.02)
    assert y2 < y3 < y1 and y3 - y2 == pytest.approx(y1 - y3, abs=0.02)  # y points down
    ticks = re.findall(r'class="tick" x="40" y="(\S+)" dy="4" text-anchor="end">([\d.]+)<', svg)
    at = {float(text): float(y) for y, text in ticks}
    assert at[1.0] == y1 and at[3.0] == y2


def test_chart_without_values_says_so():
    assert "No values" in line_chart("Loss", [1], [Series("x", [None])], str)


def test_filters_keep_zero_grey_and_sign():
    weight = np.zeros((2, 1, 3, 3), np.float32)
    weight[0, 0, 0, 0], weight[0, 0, 2, 2] = -2, 1
    first, zero = filter_images(weight)
    assert first[0, 0] == 0 and first[2, 2] == 191 and first[1, 1] == 128
    assert (zero == 128).all()
    assert filter_images(np.ones((3, 3, 5, 5), np.float32), at_most=2)[0].shape == (5, 5, 3)
