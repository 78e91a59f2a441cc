"""Charts that stay readable: one value far above the others, tiny values, equal ones."""

import re

import pytest

from apps.shared.charts import HEIGHT, TOP, Series, line_chart


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
