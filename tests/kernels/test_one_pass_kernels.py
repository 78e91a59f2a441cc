"""Kernels of one pass over memory: the reference's bits, in any memory, alone and shared out."""

import numpy as np
import pytest

from minidl import Tensor, optim
from minidl.kernels.cpu import adagrad, adam, leaky_relu, relu, relu6, rmsprop, sgd, tanh
from minidl.kernels.reference import adagrad as reference_adagrad
from minidl.kernels.reference import adam as reference_adam
from minidl.kernels.reference import leaky_relu as reference_leaky_relu
from minidl.kernels.reference import relu as reference_relu
from minidl.kernels.reference import relu6 as reference_relu6
from minidl.kernels.reference import rmsprop as reference_rmsprop
from minidl.kernels.reference import sgd as reference_sgd
from minidl.kernels.reference import tanh as reference_tanh
from tests.kernels.guards import read_only, with_gaps

MEMORY = {
    "as it comes": lambda x: x.copy(),
    "axes reversed": np.asfortranarray,
    "channels last": lambda x: np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1),
    "gaps": with_gaps,
    "backwards": lambda x: np.ascontiguousarray(x[::-1])[::-1],
}
in_memory = pytest.mark.parametrize("memory", MEMORY.values(), ids=MEMORY)


def numbers(shape=(3, 5, 4, 2), count=1):
    """Normal, with zeros of both signs, infinities and NaN among them."""
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, dtype=np.float32) for _ in range(count)]
    for array in arrays:
        odd = rng.permutation(array.size)[:5]
        array.reshape(-1)[odd] = np.array([0, -0.0, np.inf, -np.inf, np.nan])[: len(odd)]
    return arrays


def rectified(x, gy):
    y, y6 = relu.forward(x), relu6.forward(4 * x)
    return (
        y, relu.backward(gy, y), y6, relu6.backward(gy, y6),
        leaky_relu.forward(x, 0.2), leaky_relu.backward(gy, x, 0.2),
    )  # fmt: skip


def rectified_by_reference(x, gy):
    y, y6 = reference_relu.forward(x), reference_relu6.forward(4 * x)
    return (
        y, reference_relu.backward(gy, y), y6, reference_relu6.backward(gy, y6),
        reference_leaky_relu.forward(x, 0.2), reference_leaky_relu.backward(gy, x, 0.2),
    )  # fmt: skip


@pytest.mark.parametrize("shape", [(1, 5, 4, 2), (3, 5, 4, 2), (2, 1, 3, 1), (1, 3, 1, 1), (4, 3)])
@pytest.mark.parametrize("first, more", [(0, 4), (3, 0), (2, 3)])
def test_gradient_of_a_part_of_the_channels(shape, first, more):
    """As of what cat joined; what lies between its rows must not be looked at."""
    x, gy = numbers(shape, count=2)
    last = np.moveaxis(x, 1, -1)
    wide = np.full((*last.shape[:-1], first + shape[1] + more), np.nan, np.float32)
    part = np.moveaxis(wide[..., first : first + shape[1]], -1, 1)
    part[...] = gy
    y = relu.forward(MEMORY["channels last"](x))
    expected = reference_relu.backward(gy, reference_relu.forward(x))
    np.testing.assert_array_equal(relu.backward(part, y), expected)


@in_memory
def test_rectifiers_in_any_memory(memory):
    x, gy = numbers(count=2)
    for actual, expected in zip(rectified(memory(x), gy), rectified_by_reference(x, gy)):
        np.testing.assert_array_equal(actual, expected)
    for actual, expected in zip(rectified(x, memory(gy)), rectified_by_reference(x, gy)):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.parametrize("size", [0, 1, relu.LARGE - 1, relu.LARGE, relu.LARGE + relu.BLOCK + 1])
def test_rectifiers_of_any_size(size):
    x, gy = numbers((size,), 2)
    for actual, expected in zip(rectified(x, gy), rectified_by_reference(x, gy)):
        np.testing.assert_array_equal(actual, expected)


@pytest.mark.slow  # compiles everything once more, for arrays that cannot be written to
def test_rectifiers_of_read_only_arrays():
    x, gy = numbers(count=2)
    for actual, expected in zip(
        rectified(read_only(x), read_only(gy)), rectified_by_reference(x, gy)
    ):
        np.testing.assert_array_equal(actual, expected)


@in_memory
def test_tanh_in_any_memory(memory):
    """Infinity becomes 1, NaN stays, and where no gradient arrives, none leaves."""
    x, gy, y = numbers(count=3)
    for dtype, within in ((np.float32, 2e-7), (np.float64, 1e-15)):
        gy, y = gy.astype(dtype), y.astype(dtype)
        with np.errstate(invalid="ignore"):
            actual = tanh.forward(memory(x.astype(dtype)))
        assert actual.dtype == dtype
        np.testing.assert_allclose(actual, np.tanh(x.astype(dtype)), rtol=0, atol=within)
        np.testing.assert_array_equal(np.signbit(actual), np.signbit(x))
        expected = reference_tanh.backward(gy, y)
        np.testing.assert_allclose(tanh.backward(memory(gy), y), expected, rtol=1e-6)
        np.testing.assert_allclose(tanh.backward(gy, memory(y)), expected, rtol=1e-6)


def test_tanh_of_any_size_of_a_number():
    x = np.concatenate([np.linspace(-12, 12, 999), np.logspace(-44, 38, 999)]).astype(np.float32)
    with np.errstate(over="ignore", invalid="ignore"):  # of a square that counts for nothing
        y = tanh.forward(x)
    np.testing.assert_allclose(y, np.tanh(x.astype(np.float64)), rtol=2e-7, atol=1e-44)


SGD = [
    {
        "lr": 0.1,
        "momentum": momentum,
        "dampening": dampening,
        "weight_decay": decay,
        "nesterov": nesterov,
    }
    for momentum, dampening, nesterov in [(0, 0, False), (0.9, 0, True), (0.9, 0.3, False)]
    for decay in (0, 0.02)
]
ADAM = [
    {
        "t": t,
        "lr": 0.1,
        "beta1": 0.8,
        "beta2": 0.99,
        "eps": 1e-3,
        "weight_decay": weight_decay,
        "decay": decay,
    }
    for t, weight_decay, decay in [(1, 0, 0), (7, 0.3, 0), (7, 0, 0.3)]
]
RMSPROP = [
    {"lr": 0.1, "alpha": 0.9, "eps": 1e-3, "weight_decay": weight_decay, "momentum": momentum}
    for weight_decay, momentum in [(0, 0), (0.3, 0.8)]
]
ADAGRAD = [{"lr": 0.1, "eps": 1e-3, "weight_decay": weight_decay} for weight_decay in (0, 0.3)]
SIZES = [(), (0, 3), (3, 5, 4, 2), (sgd.LARGE + sgd.BLOCK + 1,)]


def assert_same_sgd(options, p, g, v):
    v = v if options["momentum"] else None
    expected_p, expected_v = p.copy(), v if v is None else v.copy()
    reference_sgd.step(expected_p, g, expected_v, **options)
    sgd.step(p, g, v, **options)
    np.testing.assert_array_equal(p, expected_p)
    if v is not None:
        np.testing.assert_array_equal(v, expected_v)


def assert_same_adam(options, p, g, m, v, largest):
    arrays = [p, m, np.abs(v), largest]
    expected = [array if array is None else array.copy() for array in arrays]
    reference_adam.step(expected[0], g, *expected[1:], **options)
    adam.step(arrays[0], g, *arrays[1:], **options)
    for actual, right in zip(arrays, expected):
        if right is not None:
            np.testing.assert_array_equal(actual, right)


def assert_same_rmsprop(options, p, g, v, a, b):
    arrays = [p, np.abs(v), a, b if options["momentum"] else None]
    expected = [array if array is None else array.copy() for array in arrays]
    reference_rmsprop.step(expected[0], g, *expected[1:], **options)
    rmsprop.step(arrays[0], g, *arrays[1:], **options)
    for actual, right in zip(arrays, expected):
        if right is not None:
            np.testing.assert_array_equal(actual, right)


def assert_same_adagrad(options, p, g, s):
    s = np.abs(s)
    expected_p, expected_s = p.copy(), s.copy()
    reference_adagrad.step(expected_p, g, expected_s, **options)
    adagrad.step(p, g, s, **options)
    np.testing.assert_array_equal(p, expected_p)
    np.testing.assert_array_equal(s, expected_s)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("options", SGD)
@np.errstate(invalid="ignore")
def test_sgd(options, shape):
    assert_same_sgd(options, *numbers(shape, 3))


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("options", ADAM)
@np.errstate(invalid="ignore")
def test_adam(options, amsgrad, shape):
    p, g, m, v, largest = numbers(shape, 5)
    assert_same_adam(options, p, g, m, v, largest if amsgrad else None)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("options", RMSPROP)
@np.errstate(invalid="ignore")
def test_rmsprop(options, centered, shape):
    """Also where the square of the mean is larger than the mean of squares: NaN in both."""
    p, g, v, a, b = numbers(shape, 5)
    assert_same_rmsprop(options, p, g, v, a if centered else None, b)


@pytest.mark.parametrize("shape", SIZES)
@pytest.mark.parametrize("options", ADAGRAD)
@np.errstate(invalid="ignore")
def test_adagrad(options, shape):
    assert_same_adagrad(options, *numbers(shape, 3))


@in_memory
@np.errstate(invalid="ignore")
def test_optimizers_change_parameters_in_any_memory(memory):
    p, g, m, v, largest = numbers(count=5)
    assert_same_sgd(SGD[-1], memory(p), g, v.copy())
    assert_same_sgd(SGD[-1], p.copy(), memory(g), memory(v))
    assert_same_adam(ADAM[-1], memory(p), g, m.copy(), v, largest.copy())
    assert_same_adam(ADAM[-1], p.copy(), memory(g), memory(m), memory(v), memory(largest))
    assert_same_rmsprop(RMSPROP[-1], memory(p), g, m.copy(), v.copy(), largest.copy())
    assert_same_rmsprop(RMSPROP[-1], p.copy(), memory(g), memory(m), memory(v), memory(largest))
    assert_same_adagrad(ADAGRAD[-1], memory(p), g, v)
    assert_same_adagrad(ADAGRAD[-1], p.copy(), memory(g), memory(v))


@pytest.mark.parametrize("shape", [(7,), (adam.LARGE + 1,)], ids=["alone", "shared"])
@np.errstate(invalid="ignore", divide="ignore")
def test_without_eps_they_divide_by_zero_like_numpy(shape):
    """Where no gradient ever came: NaN, not an exception half way through the parameters."""
    p, g = np.ones(shape, np.float32), np.zeros(shape, np.float32)
    g[1] = 1
    m, v = np.zeros(shape, np.float32), np.zeros(shape, np.float32)
    assert_same_adam({**ADAM[0], "eps": 0.0}, p.copy(), g, m, v.copy(), None)
    assert_same_rmsprop({**RMSPROP[0], "eps": 0.0}, p.copy(), g, v.copy(), None, None)
    assert_same_adagrad({**ADAGRAD[0], "eps": 0.0}, p, g, v)


def test_a_step_goes_down():
    """The optimizers hand their options on in the right order: a parabola of each."""
    for make in (
        lambda p: optim.SGD(p, 0.1, 0.5), lambda p: optim.AdamW(p, 0.1),
        lambda p: optim.RMSprop(p, 0.01, momentum=0.5), lambda p: optim.Adagrad(p, 0.5),
    ):  # fmt: skip
        w = Tensor(np.array([1.0, -2.0], np.float32), requires_grad=True)
        optimizer = make([w])
        for _ in range(100):
            optimizer.zero_grad()
            (w * w).sum().backward()
            optimizer.step()
        assert np.abs(w.data).max() < 0.05
