"""The matching loss: its formula pair by pair, and its closed gradient."""

import numpy as np
import pytest

import minidl
from apps.draw.matching import matching_loss
from minidl.debug.gradcheck import gradcheck
from minidl.errors import ArgumentError, DtypeError, ShapeError

N, D = 5, 3
V, T = np.random.default_rng(1).normal(0, 1, (2, N, D))


def pair_by_pair(v, t, margin):
    """Loss and gradients as Reed's code adds them up."""
    loss, gv, gt, scores = 0.0, np.zeros_like(v), np.zeros_like(t), v @ t.T
    for i in range(len(v)):
        for j in range(len(v)):
            if i == j:
                continue
            excess = margin + scores[i, j] - scores[i, i]
            if excess > 0:  # picture i likes text j too much
                loss += excess
                gv[i] += t[j] - t[i]
                gt[j] += v[i]
                gt[i] -= v[i]
            excess = margin + scores[i, j] - scores[j, j]
            if excess > 0:  # text j likes picture i too much
                loss += excess
                gt[j] += v[i] - v[j]
                gv[i] += t[j]
                gv[j] -= t[j]
    return loss / len(v) ** 2, gv / len(v) ** 2, gt / len(v) ** 2


@pytest.mark.parametrize("margin", [1.0, 0.2, 4])
def test_pair_by_pair(margin):
    v, t = (minidl.tensor(x, requires_grad=True) for x in (V, T))
    loss = matching_loss(v, t, margin)
    (3 * loss).backward()
    expected, gv, gt = pair_by_pair(V, T, margin)
    assert 0 < expected and loss.item() == pytest.approx(expected, rel=1e-12)
    np.testing.assert_allclose(v.grad.numpy(), 3 * gv, rtol=1e-10, atol=1e-13)
    np.testing.assert_allclose(t.grad.numpy(), 3 * gt, rtol=1e-10, atol=1e-13)


def test_gradient_by_differences():
    v, t = (minidl.tensor(x, requires_grad=True) for x in (V, T))
    assert gradcheck(matching_loss, [v, t])


def test_both_directions_count_alike():
    v, t = minidl.tensor(V), minidl.tensor(T)
    assert matching_loss(v, t).item() == pytest.approx(matching_loss(t, v).item(), rel=1e-12)


def test_only_one_side_learns():
    v, t = minidl.tensor(V), minidl.tensor(T, requires_grad=True)
    matching_loss(v, t).backward()
    _, _, gt = pair_by_pair(V, T, 1.0)
    np.testing.assert_allclose(t.grad.numpy(), gt, rtol=1e-10)


def test_nothing_to_learn():
    """Pairs that prefer each other by more than the margin, and a batch of one pair."""
    far = minidl.tensor(3 * np.eye(4), requires_grad=True)
    loss = matching_loss(far, minidl.tensor(np.eye(4)))
    loss.backward()
    assert loss.item() == 0 and not far.grad.numpy().any()
    assert matching_loss(minidl.ones(1, 3), minidl.ones(1, 3)).item() == 0


def test_no_information_costs_the_margin_for_each_wrong_pair():
    """Twice (directions) N (N - 1) pairs of N^2."""
    loss = matching_loss(minidl.zeros(4, 2), minidl.zeros(4, 2), margin=2.0)
    assert loss.item() == pytest.approx(2 * 2.0 * 4 * 3 / 16)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: matching_loss(minidl.ones(2, 3), minidl.ones(2, 4)), ShapeError, "(N, D)"),
        (lambda: matching_loss(minidl.ones(2), minidl.ones(2)), ShapeError, "(N, D)"),
        (lambda: matching_loss(minidl.ones(0, 3), minidl.ones(0, 3)), ArgumentError, "a pair"),
        (
            lambda: matching_loss(minidl.ones(2, 3), minidl.ones(2, 3), margin="1"),
            ArgumentError, "margin",
        ),
        (
            lambda: matching_loss(minidl.ones(2, 3), minidl.ones(2, 3, dtype="float64")),
            DtypeError, "float64",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value)
