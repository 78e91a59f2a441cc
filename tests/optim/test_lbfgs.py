"""L-BFGS: the same path as PyTorch's, known minima, and losses of any scale."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, optim
from minidl.errors import ShapeError
from minidl.optim.line_search import Point, strong_wolfe

WOLFE = "strong_wolfe"


def rosenbrock(x, y):
    """A bent valley; the minimum is at (1, 1)."""
    return ((1 - x) * (1 - x)).sum() + 100 * ((y - x * x) * (y - x * x)).sum()


def bowl(x, y):
    """Convex, not quadratic, one axis ten times as steep; the minimum is at (2, -1)."""
    u, v = (x - 2) * (x - 2), (y + 1) * (y + 1)
    return u.sum() + 10 * v.sum() + (u * v).sum() + (u * u).sum() * 0.1


def start(dtype):
    return [np.array([-1.2], dtype), np.array([1.0], dtype)]


def minimize(function, steps, dtype=np.float64, scale=1.0, **options):
    """Parameters after each step, and how often the loss was computed."""
    parameters = [Tensor(array, requires_grad=True) for array in start(dtype)]
    optimizer = optim.LBFGS(parameters, **options)
    history, calls = [], 0

    def closure():
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = function(*parameters) * scale
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
        history.append(np.concatenate([p.data for p in parameters]))
    return history, calls


def minimize_torch(torch, function, steps, **options):
    parameters = [torch.tensor(array, requires_grad=True) for array in start(np.float64)]
    optimizer = torch.optim.LBFGS(parameters, **options)
    history, calls = [], 0

    def closure():
        nonlocal calls
        calls += 1
        optimizer.zero_grad()
        loss = function(*parameters)
        loss.backward()
        return loss

    for _ in range(steps):
        optimizer.step(closure)
        history.append(np.concatenate([p.detach().numpy().copy() for p in parameters]))
    return history, calls


@pytest.mark.torch
@pytest.mark.parametrize(
    "function, options",
    [
        (rosenbrock, {"max_iter": 4, "line_search_fn": WOLFE}),
        (rosenbrock, {"max_iter": 4, "history_size": 1, "line_search_fn": WOLFE}),
        (rosenbrock, {"max_iter": 5, "max_eval": 4, "lr": 0.5, "line_search_fn": WOLFE}),
        (bowl, {"max_iter": 2, "max_eval": 10, "line_search_fn": WOLFE}),
        (bowl, {"max_iter": 3, "lr": 0.05}),
        (bowl, {"max_iter": 1, "lr": 0.2, "history_size": 2}),
    ],
    ids=["wolfe", "wolfe-history", "wolfe-evaluations", "bowl-wolfe", "fixed", "fixed-one"],
)
def test_pytorch(function, options):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    actual, calls = minimize(function, 50, **options)
    expected, expected_calls = minimize_torch(torch, function, 50, **options)
    for step, (a, e) in enumerate(zip(actual, expected)):
        np.testing.assert_allclose(a, e, rtol=1e-6, atol=1e-6, err_msg=f"step {step}")
    assert calls == expected_calls


@pytest.mark.parametrize("dtype, tolerance", [(np.float32, 1e-2), (np.float64, 1e-6)])
def test_finds_the_minimum(dtype, tolerance):
    options = {"max_iter": 40, "tolerance_change": 1e-15, "line_search_fn": WOLFE}
    history, calls = minimize(rosenbrock, 5, dtype, **options)
    assert history[-1].dtype == dtype
    np.testing.assert_allclose(history[-1], 1.0, atol=tolerance)
    assert calls < 250


@pytest.mark.parametrize("line_search", [None, WOLFE])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-12, 1e-6])
def test_tiny_losses_move(scale, dtype, line_search):
    """Multiplying a loss by a tiny number leaves its minimum where it is, and findable."""

    def valley(x, y):
        return ((x - 2) * (x - 2)).sum() + 5 * ((y + 1) * (y + 1)).sum()

    history, _ = minimize(valley, 3, dtype, scale, line_search_fn=line_search)
    np.testing.assert_allclose(history[-1], [2, -1], atol=1e-3)


def test_history_is_bounded():
    p = Tensor(np.array([3.0, -2.0]), requires_grad=True)
    optimizer = optim.LBFGS([p], history_size=3, max_iter=12, line_search_fn=WOLFE)

    def closure():
        optimizer.zero_grad()
        loss = (p * p * p * p).sum() + (p * p).sum() * 0.1
        loss.backward()
        return loss

    optimizer.step(closure)
    assert len(optimizer.memory()["s"]) == len(optimizer.memory()["y"]) == 3


def test_does_not_move_at_a_minimum_or_on_nan():
    for value, expression in ((0.0, lambda p: p * p), (-1.0, lambda p: p * float("nan"))):
        p = Tensor(np.full(2, value), requires_grad=True)
        optimizer = optim.LBFGS([p], line_search_fn=WOLFE)

        def closure(p=p, optimizer=optimizer, expression=expression):
            optimizer.zero_grad()
            loss = expression(p).sum()
            loss.backward()
            return loss

        optimizer.step(closure)
        np.testing.assert_array_equal(p.data, value)


def test_frozen_parameter_stays():
    parameters = [Tensor(array, requires_grad=True) for array in start(np.float64)]
    optimizer = optim.LBFGS(parameters, line_search_fn=WOLFE)
    parameters[1].requires_grad = False

    def closure():
        optimizer.zero_grad()
        loss = bowl(*parameters)
        loss.backward()
        return loss

    optimizer.step(closure)
    np.testing.assert_allclose(parameters[0].data, 2.0, atol=1e-4)
    np.testing.assert_array_equal(parameters[1].data, start(np.float64)[1])


@pytest.mark.parametrize("first_step", [1e-3, 0.1, 1.0, 30.0, 1e4])
@pytest.mark.parametrize(
    "f, slope",
    [
        (lambda t: (t - 3) ** 2, lambda t: 2 * (t - 3)),
        (lambda t: -t / (t * t + 2), lambda t: (t * t - 2) / (t * t + 2) ** 2),
        (lambda t: (t + 0.004) ** 5 - 2 * (t + 0.004) ** 4,
         lambda t: 5 * (t + 0.004) ** 4 - 8 * (t + 0.004) ** 3),
    ],
    ids=["parabola", "more-thuente-1", "more-thuente-2"],
)  # fmt: skip
def test_strong_wolfe_conditions(f, slope, first_step):
    """On functions of Moré and Thuente (1994), from steps far too short and far too long."""
    calls = []

    def evaluate(t):
        calls.append(t)
        return Point(t, f(t), None, slope(t))

    c1, c2 = 1e-4, 0.9
    point, count = strong_wolfe(evaluate, evaluate(0.0), first_step, 40, c1=c1, c2=c2)
    assert point.f <= f(0) + c1 * point.t * slope(0)
    assert abs(slope(point.t)) <= c2 * abs(slope(0))
    assert count == len(calls) - 1


def test_strong_wolfe_survives_infinite_losses():
    """Beyond t = 1 the loss is infinite, then NaN: the search comes back."""

    def evaluate(t):
        if t > 1:
            return Point(t, float("inf") if t < 3 else float("nan"), None, float("nan"))
        return Point(t, (t - 0.8) ** 2, None, 2 * (t - 0.8))

    for first_step in (2.0, 10.0):
        point, _ = strong_wolfe(evaluate, evaluate(0.0), first_step, 30)
        assert 0 < point.t <= 1 and point.f < 0.64


def test_a_gradient_assigned_by_hand_has_the_shape_of_its_parameter():
    p, other = (minidl.ones(2, requires_grad=True) for _ in range(2))
    p.grad, other.grad = minidl.ones(3), minidl.ones(1)  # together as many as there should be
    with pytest.raises(ShapeError, match="LBFGS: p.grad is a Tensor of p's shape"):
        optim.LBFGS([p, other]).step(lambda: (p * other).sum())
    assert p.tolist() == other.tolist() == [1, 1]
