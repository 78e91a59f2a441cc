"""Charts that stay readable: one value far above the others, tiny values, equal ones."""

import re

import numpy as np
import pytest

from apps.shared.charts import BANDS, HEIGHT, TOP, Series, line_chart, nice_ticks


def ticks_and_ys(values):
    svg = line_chart("Loss", list(range(1, len(values) + 1)), [Series("a", values)], "{:g}".format)
    ticks = [float(t) for t in re.findall(r'text-anchor="end">([-+\d.e]+)</text>', str(svg))]
    ys = [float(y) for y in re.findall(r'<circle class="dot s0" cx="[\d.]+" cy="([\d.]+)"', svg)]
    return ticks, ys, str(svg)


def test_one_outlier_does_not_flatten_the_rest():
    values = [141.0] + [2.0 - 0.1 * i for i in range(15)]
    ticks, ys, svg = ticks_and_ys(values)
    assert max(ticks) < 3
    assert ys[0] == TOP and ys[-1] > HEIGHT / 2  # at the upper edge, not outside of the chart
    assert "epoch 1 · a 141" in svg and "141 at epoch 1" in svg


def test_ordinary_curves_are_whole():
    values = [4.0 / (i + 1) for i in range(12)]
    ticks, ys, _ = ticks_and_ys(values)
    assert max(ticks) >= 4 and min(ys) >= TOP
    ticks, _, _ = ticks_and_ys([100.0, 1.0, 1.0])  # few values: nothing is usual yet
    assert max(ticks) >= 100


@pytest.mark.parametrize(
    "values", [[1e-30, 1e-30], [0.0, 0.0], [3e-13, 1e-13], [2e-20, 1e-25], [5e11, 5e11]]
)
def test_the_axis_encloses_values_of_any_size(values):
    ticks, ys, _ = ticks_and_ys(values)
    assert 2 <= len(ticks) == len(set(ticks)) <= 8
    assert ticks[0] <= min(values) and max(values) <= ticks[-1]
    assert all(TOP <= y <= HEIGHT for y in ys)


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


def test_the_axis_counts_what_it_is_told():
    svg = str(line_chart("Loss", [0, 37, 74], [Series("a", [3.0, 2.0, 1.0])], str, "step"))
    assert ">step<" in svg and "epoch" not in svg and "step 37 · a 2.0" in svg
    shown = re.findall(r'text-anchor="middle">(\d+)<', svg)
    assert shown == ["0", "20", "40", "60"]


@pytest.mark.parametrize("xs", [[1], [7], [1, 2], [37, 74, 111], [0, 250, 10_000], [999, 1001]])
def test_the_x_axis_has_whole_numbers_within_the_plot(xs):
    svg = str(line_chart("Loss", xs, [Series("a", [1.0] * len(xs))], str))
    marks = re.findall(r'class="tick" x="(\S+)" y="\S+" text-anchor="middle">(\d+)<', svg)
    assert 1 <= len(marks) <= 7
    places = [float(x) for x, _ in marks]
    assert places == sorted(places) and 46 <= places[0] and places[-1] <= 310


def test_a_long_history_stays_small_and_whole():
    n = 5000
    values = [1 + 1 / (i + 1) for i in range(n)]
    svg = str(line_chart("Loss", list(range(n)), [Series("a", values)], "{:.3g}".format, "step"))
    (path,) = re.findall(r'class="line s0" d="([^"]+)"', svg)
    assert path.count("L") == n - 1  # every value is drawn
    assert svg.count('class="band"') == BANDS and "step 0 ·" in svg and f"step {n - 1} ·" in svg
    bands = re.findall(r'<rect x="(\S+)" y="0" width="(\S+)"', svg)
    for (left, width), (following, _) in zip(bands, bands[1:]):
        assert float(left) + float(width) == pytest.approx(float(following), abs=0.02)


def test_many_values_at_a_place_are_lines_of_a_box():
    series = [Series(f"the part {i} of the loss", [1.0, 2.0]) for i in range(8)]
    svg = str(line_chart("Loss", [1, 2], series, str))
    boxes = re.findall(r'class="box" x="(\S+)" y="\S+" width="(\S+)" height="(\S+)"', svg)
    assert len(boxes) == 2 and svg.count("<tspan") == 2 * 9
    for left, width, height in boxes:
        assert 46 <= float(left) and float(left) + float(width) <= 310.1 and float(height) < 170
    assert 'class="line s0"' in svg and 'class="line s5"' in svg and 's6"' not in svg
    assert svg.count('<path class="line s1"') == 2  # the eighth has the second colour
