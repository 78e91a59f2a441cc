"""The update rules: against formulas written down once more in NumPy, and against PyTorch."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, optim

STEPS = 50

# --- the problem --------------------------------------------------------------------------------


def make_arrays(dtype):
    """Two parameters; the second lies transposed in memory, as convolution weights do."""
    rng = np.random.default_rng(0)
    first = rng.standard_normal((3, 4)).astype(dtype)
    second = rng.standard_normal((2, 3, 5, 4)).astype(dtype).transpose(3, 2, 0, 1)
    return [first, second]


def gradient(p, t, index):
    """Of a bowl whose bottom moves, so that gradients of all sizes and signs appear."""
    curvature = np.linspace(0.1, 3.0, p.size).reshape(p.shape)
    return (curvature * (p - np.sin(t + index))).astype(p.dtype)


def run_minidl(make, dtype):
    """All parameters after each of 50 steps."""
    parameters = [Tensor(array, requires_grad=True) for array in make_arrays(dtype)]
    optimizer = make(parameters)
    history = []
    for t in range(STEPS):
        for index, p in enumerate(parameters):
            p.grad = Tensor(gradient(p.data, t, index))
        optimizer.step()
        history.append([p.data.copy() for p in parameters])
    return history


def assert_same(actual, expected, rtol):
    for step, (a, e) in enumerate(zip(actual, expected)):
        for mine, theirs in zip(a, e):
            error = np.abs(mine - theirs).max() / max(1.0, np.abs(theirs).max())
            assert error <= rtol, f"step {step}: {error}"


# --- formulas, written for one parameter at a time ----------------------------------------------


def sgd(p, g, s, t, lr=0.1, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False):
    g = g + weight_decay * p
    s["v"] = g if t == 1 else momentum * s["v"] + (1 - dampening) * g
    return p - lr * (g + momentum * s["v"] if nesterov else s["v"])


def adam(p, g, s, t, lr=0.1, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0, amsgrad=False):
    g = g + weight_decay * p
    s["m"] = betas[0] * s.get("m", 0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0) + (1 - betas[1]) * g**2
    s["largest"] = np.maximum(s.get("largest", 0), s["v"])
    m_hat = s["m"] / (1 - betas[0] ** t)
    v_hat = (s["largest"] if amsgrad else s["v"]) / (1 - betas[1] ** t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps)


def adamw(p, g, s, t, lr=0.1, weight_decay=1e-2, **options):
    return adam(p - lr * weight_decay * p, g, s, t, lr=lr, **options)


def rmsprop(
    p, g, s, t, lr=0.1, alpha=0.99, eps=1e-8, weight_decay=0.0, momentum=0.0, centered=False
):
    g = g + weight_decay * p
    s["v"] = alpha * s.get("v", 0) + (1 - alpha) * g**2
    s["a"] = alpha * s.get("a", 0) + (1 - alpha) * g
    v = s["v"] - s["a"] ** 2 if centered else s["v"]
    s["b"] = momentum * s.get("b", 0) + g / (np.sqrt(v) + eps)
    return p - lr * s["b"]


def adagrad(
    p, g, s, t, lr=0.1, lr_decay=0.0, weight_decay=0.0, initial_accumulator_value=0.0, eps=1e-10
):
    g = g + weight_decay * p
    s["sum"] = s.get("sum", initial_accumulator_value) + g**2
    return p - lr / (1 + (t - 1) * lr_decay) * g / (np.sqrt(s["sum"]) + eps)


FORMULAS = {"SGD": sgd, "Adam": adam, "AdamW": adamw, "RMSprop": rmsprop, "Adagrad": adagrad}

RULES = [
    ("SGD", {}),
    ("SGD", {"momentum": 0.9}),
    ("SGD", {"momentum": 0.9, "dampening": 0.5, "weight_decay": 0.3}),
    ("SGD", {"momentum": 0.9, "nesterov": True, "weight_decay": 0.3}),
    ("Adam", {}),
    ("Adam", {"betas": (0.5, 0.7), "eps": 0.1, "weight_decay": 0.3}),
    ("Adam", {"betas": (0.9, 0.8), "amsgrad": True}),
    ("AdamW", {}),
    ("AdamW", {"weight_decay": 0.5, "betas": (0.7, 0.9), "eps": 0.01}),
    ("AdamW", {"weight_decay": 0.5, "betas": (0.9, 0.8), "amsgrad": True}),
    ("RMSprop", {}),
    ("RMSprop", {"alpha": 0.7, "eps": 0.1, "weight_decay": 0.3}),
    ("RMSprop", {"alpha": 0.7, "centered": True, "momentum": 0.5, "eps": 0.1}),
    ("Adagrad", {}),
    ("Adagrad", {"lr_decay": 0.1, "weight_decay": 0.3, "initial_accumulator_value": 0.5}),
    ("Adagrad", {"eps": 0.3}),
]
by_rule = pytest.mark.parametrize(
    "name, options", RULES, ids=lambda value: value if isinstance(value, str) else "-".join(value)
)


@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-6), (np.float64, 1e-12)])
@by_rule
def test_formula(name, options, dtype, rtol):
    """In float32 the formula runs in float64 on our parameters' path: one step at a time."""
    formula = FORMULAS[name]
    parameters = [Tensor(array, requires_grad=True) for array in make_arrays(dtype)]
    optimizer = getattr(optim, name)(parameters, lr=0.1, **options)
    states = [{}, {}]
    for t in range(STEPS):
        expected = []
        for index, p in enumerate(parameters):
            g = gradient(p.data, t, index)
            p.grad = Tensor(g)
            wide = p.data.astype(np.float64), g.astype(np.float64)
            expected.append(formula(*wide, states[index], t + 1, lr=0.1, **options))
        optimizer.step()
        assert all(p.dtype == dtype for p in parameters)
        assert_same([[p.data for p in parameters]], [expected], rtol)


@pytest.mark.torch
@pytest.mark.parametrize("maximize", [False, True], ids=["minimize", "maximize"])
@pytest.mark.parametrize("dtype, rtol", [(np.float32, 1e-6), (np.float64, 1e-12)])
@by_rule
def test_pytorch(name, options, dtype, rtol, maximize):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    options = options | {"lr": 0.01 if maximize else 0.1, "maximize": maximize}
    actual = run_minidl(lambda ps: getattr(optim, name)(ps, **options), dtype)
    parameters = [torch.tensor(array, requires_grad=True) for array in make_arrays(dtype)]
    optimizer = getattr(torch.optim, name)(parameters, **options)
    expected = []
    for t in range(STEPS):
        for index, p in enumerate(parameters):
            p.grad = torch.from_numpy(gradient(p.detach().numpy(), t, index))
        optimizer.step()
        expected.append([p.detach().numpy().copy() for p in parameters])
    assert_same(actual, expected, rtol)


# --- what all rules have in common --------------------------------------------------------------


def make_lbfgs_closure(parameters):
    def closure():
        for p in parameters:
            p.grad = None
        loss = sum(((p - 1) * (p - 1)).sum() for p in parameters)
        loss.backward()
        return loss

    return closure


@pytest.mark.parametrize("name", [*FORMULAS, "LBFGS"])
def test_updates_in_place(name):
    """Array, memory layout and views of a parameter stay; its gradient is not changed."""
    parameters = [Tensor(array, requires_grad=True) for array in make_arrays(np.float32)]
    optimizer = getattr(optim, name)(parameters, lr=0.1)
    arrays = [p.data for p in parameters]
    strides = [array.strides for array in arrays]
    before = [array.copy() for array in arrays]
    for _ in range(2):
        closure = make_lbfgs_closure(parameters)
        closure()
        gradients = [(p.grad.data, p.grad.data.copy()) for p in parameters]
        optimizer.step(closure if name == "LBFGS" else None)
        for g, original in gradients:
            np.testing.assert_array_equal(g, original)
    for p, array, old, stride in zip(parameters, arrays, before, strides):
        assert p.data is array and array.strides == stride
        assert (array != old).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_skips_frozen_and_unused(name):
    used, unused, frozen = (Tensor(np.ones(3, np.float32), requires_grad=True) for _ in range(3))
    optimizer = getattr(optim, name)([used, unused, frozen], lr=0.1, weight_decay=0.5)
    frozen.grad = Tensor(np.ones(3, np.float32))
    frozen.requires_grad = False  # frozen later, with an old gradient
    used.grad = Tensor(np.ones(3, np.float32))
    optimizer.step()
    assert (used.data < 1).all()
    assert (unused.data == 1).all() and (frozen.data == 1).all()


@pytest.mark.parametrize("name", FORMULAS)
def test_lr_mult(name):
    """A group with lr_mult 0.5 moves as one with half the lr does."""

    def run(**group):
        p = Tensor(np.full(3, 2.0), requires_grad=True)
        optimizer = getattr(optim, name)([{"params": [p], **group}], weight_decay=0.1)
        for t in range(5):
            p.grad = Tensor(gradient(p.data, t, 0))
            optimizer.step()
        return p.data

    np.testing.assert_allclose(run(lr=0.1, lr_mult=0.5), run(lr=0.05), rtol=1e-12)


def test_closure_is_called_once_with_recording():
    p = Tensor(np.ones(2), requires_grad=True)
    optimizer = optim.SGD([p], lr=0.25)
    closure = make_lbfgs_closure([p])
    p.data[...] = 3.0
    with minidl.no_grad():
        loss = optimizer.step(closure)
    assert loss.item() == 8.0
    np.testing.assert_array_equal(p.data, [2.0, 2.0])
