"""Products with matrices that stay as they are: the numbers, the memory around, and the promise."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import minidl
from minidl import nn
from minidl.errors import DtypeError
from minidl.kernels.cpu import matmul
from minidl.kernels.cpu.vector import panels
from minidl.kernels.sums import LONG
from minidl.kernels.unchanging import entries, unchanging
from tests.kernels.guards import (
    MARGIN,
    SENTINEL,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    guarded_scratch,
    run_in_python,
)

PANEL = panels.PANEL


@pytest.fixture(autouse=True, scope="module")
def panels_for_small_matrices():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "LEAST", 0)
        yield


def problem(rows, N, K, seed=0):
    """x (rows, K) and w (N, K)."""
    rng = np.random.default_rng(seed)
    return (rng.standard_normal((n, K)).astype(np.float32) for n in (rows, N))


def with_panels(x, w, out=None, bias=None):
    with unchanging([w]):
        return panels.product_with_panels(x, w.T, out, bias)


def assert_right(rows, N, K):
    """As in float64, nothing read beside x and w and bias, nothing written beside y."""
    x, w = map(between_nans, problem(rows, N, K))
    bias = between_nans(np.arange(N, dtype=np.float32) if rows % 2 else np.zeros(N, np.float32))
    buffer = np.full(rows * N + 2 * MARGIN, SENTINEL)
    out = buffer[MARGIN:-MARGIN].reshape(rows, N)
    assert with_panels(x, w, out, bias if rows % 2 else None) is out
    assert (buffer[:MARGIN] == SENTINEL).all() and (buffer[-MARGIN:] == SENTINEL).all()
    right = x.astype(np.float64) @ w.T.astype(np.float64) + bias
    np.testing.assert_allclose(out, right, rtol=1e-6, atol=2e-7 * K + 1e-6)


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 40), st.integers(1, 5 * PANEL), st.integers(1, 3 * PANEL))
@example(2, 1, 1)
@example(14, PANEL, PANEL)
@example(15, PANEL + 1, 2 * PANEL + 1)
def test_any_shape(rows, N, K):
    assert_right(rows, N, K)


@pytest.mark.parametrize("rows, N, K", [(2, 3, 5), (9, 2 * PANEL, 7), (15, PANEL + 3, 600)])
def test_stays_inside_its_memory(monkeypatch, rows, N, K):
    """It begins as NaN, between sentinels. K beyond what is added up at once is among the cases."""
    guarded = guarded_scratch(monkeypatch)
    assert_right(rows, N, K)
    assert len(guarded.buffers) >= 2
    guarded.check()


def test_the_same_bits_with_any_number_of_threads():
    x, w = problem(5, 1280, 1000)  # whole panels of either width
    assert w.size > panels.FEWER
    assert_same_bits_with_any_number_of_threads(lambda: [with_panels(x, w)])


def test_a_row_has_the_same_bits_in_any_company():
    x, w = problem(33, 3 * PANEL + 5, 700)
    together = with_panels(x, w)
    for first, end in ((0, 2), (7, 16), (20, 33)):
        np.testing.assert_array_equal(with_panels(x[first:end], w), together[first:end])


def test_x_may_lie_anyhow():
    x, w = problem(6, 9, 8)
    expected = with_panels(x, w)
    for other in (np.asfortranarray(x), np.repeat(x, 2, 1)[:, ::2], x[::-1].copy()[::-1]):
        np.testing.assert_array_equal(with_panels(other, w), expected)


def test_what_is_left_to_the_blas():
    """No promise; one row or many; long sums; another dtype, order or shape; gaps in `out`."""
    x, w = problem(2, 9, 8)
    assert panels.product_with_panels(x, w.T) is None
    assert with_panels(np.ones((panels.MOST_ROWS + 1, 8), np.float32), w) is None
    assert with_panels(np.ones((0, 8), np.float32), w) is None
    assert with_panels(x[:1], w) is None
    assert with_panels(x.astype(np.float64), w) is None
    assert with_panels(x[0], w) is None
    assert with_panels(x, w.astype(np.float64)) is None
    assert with_panels(x, w, np.empty((2, 18), np.float32)[:, ::2]) is None
    assert with_panels(*problem(2, 3, LONG)) is None
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(panels, "LEAST", w.size + 1)
        assert with_panels(x, w) is None
    with unchanging([w]):
        assert panels.product_with_panels(x, w[:4].T) is None  # a part is another matrix
        assert panels.product_with_panels(np.ones((2, 9), np.float32), w) is None
    assert not entries


def test_the_product_takes_them(monkeypatch):
    """Of kernels/cpu/matmul.py, with `out` or without; panels are made once."""
    made = []
    original = panels.make_panels
    monkeypatch.setattr(panels, "make_panels", lambda w: made.append(w) or original(w))
    x, w = problem(3, 40, 8)
    expected, out = with_panels(x, w), np.empty((3, 40), np.float32)
    made.clear()
    with unchanging([w]):
        np.testing.assert_array_equal(matmul.product(x, w.T), expected)
        assert matmul.product(x, w.T, out) is out
        bias = np.arange(40, dtype=np.float32)
        np.testing.assert_array_equal(matmul.product(x, w.T, None, bias), expected + bias)
    np.testing.assert_array_equal(out, expected)
    assert len(made) == 1
    np.testing.assert_allclose(matmul.product(x, w.T), expected, rtol=1e-5, atol=1e-6)


def test_promises_end_one_by_one():
    x, w = problem(2, 9, 8)
    with unchanging([w, w]):
        with unchanging([w]):
            assert with_panels(x, w) is not None
        assert panels.product_with_panels(x, w.T) is not None
        before = with_panels(x, w)
    assert not entries
    w *= 2  # it may change now, and panels are made anew
    np.testing.assert_array_equal(with_panels(x, w), 2 * before)
    with pytest.raises(ZeroDivisionError), unchanging([w]):
        1 / 0  # noqa: B018
    assert not entries


def test_networks():
    """A Linear and an LSTMCell, with a gradient asked for as well."""
    net = nn.ModuleDict({"cell": nn.LSTMCell(5, 40), "out": nn.Linear(40, 70)})
    x = minidl.randn(3, 5, requires_grad=True)

    def run():
        state = None
        for _ in range(3):
            state = net["cell"](x, state)
        y = net["out"](state[0])
        x.grad = None
        y.sum().backward()
        return y.detach().numpy(), x.grad.numpy()

    expected = run()
    with nn.unchanging(net) as given:
        assert given is net and len(entries) == 3
        for ours, right in zip(run(), expected):
            np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-5)
    assert not entries
    with pytest.raises(DtypeError, match="model is a Module"), nn.unchanging([net]):
        pass


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
from tests.kernels import test_panels as t
t.panels.LEAST = 0
assert t.PANEL == {2 * width}
t.assert_right(3, {2 * width + 3}, 5)
"""
    run_in_python(code, processor)
