"""Initialisers: the distribution that each one's formula says, and PyTorch's gains."""

import math

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, DtypeError, GraphError, ShapeError
from minidl.nn import init

SHAPE = (60, 40, 3, 5)  # fan_in 600, fan_out 900


def drawn(initialiser, *arguments, shape=SHAPE, **options):
    minidl.manual_seed(0)
    tensor = minidl.empty(*shape)
    assert initialiser(tensor, *arguments, **options) is tensor
    return tensor.numpy()


def assert_uniform(values, bound):
    assert np.abs(values).max() <= bound
    assert np.abs(values).max() > 0.999 * bound
    assert_moments(values, bound / math.sqrt(3))


def assert_moments(values, std, mean=0.0):
    """Mean and standard deviation within five standard errors of a normal sample."""
    assert abs(values.mean() - mean) < 5 * std / math.sqrt(values.size)
    assert abs(values.std() - std) < 5 * std / math.sqrt(2 * values.size)


def assert_normal(values, std, mean=0.0):
    assert_moments(values, std, mean)
    inside = (np.abs(values - mean) < std).mean()
    assert abs(inside - 0.6827) < 0.01


def test_uniform():
    values = drawn(init.uniform_, 2.0, 5.0)
    assert_uniform(values - 3.5, 1.5)


def test_normal():
    assert_normal(drawn(init.normal_, 3.0, 0.5), 0.5, 3.0)


@pytest.mark.parametrize("initialiser, value", [(init.zeros_, 0), (init.ones_, 1)])
def test_constants(initialiser, value):
    np.testing.assert_array_equal(drawn(initialiser), value)
    np.testing.assert_array_equal(drawn(init.constant_, 2.5), 2.5)


def test_xavier():
    assert_uniform(drawn(init.xavier_uniform_, 2.0), 2 * math.sqrt(6 / 1500))
    assert_normal(drawn(init.xavier_normal_, gain=2.0), 2 * math.sqrt(2 / 1500))


@pytest.mark.parametrize("mode, fan", [("fan_in", 600), ("fan_out", 900)])
@pytest.mark.parametrize("a, nonlinearity, gain", [
    (0.0, "leaky_relu", math.sqrt(2)), (math.sqrt(5), "leaky_relu", math.sqrt(1 / 3)),
    (7.0, "relu", math.sqrt(2)), (0.0, "tanh", 5 / 3), (0.0, "linear", 1.0),
])  # fmt: skip
def test_kaiming(mode, fan, a, nonlinearity, gain):
    options = {"a": a, "mode": mode, "nonlinearity": nonlinearity}
    assert_uniform(drawn(init.kaiming_uniform_, **options), gain * math.sqrt(3 / fan))
    assert_normal(drawn(init.kaiming_normal_, **options), gain / math.sqrt(fan))


def test_truncated_normal():
    values = drawn(init.trunc_normal_, 1.0, 2.0, 0.0, 4.0)
    assert values.min() >= 0 and values.max() <= 4

    def cumulative(x):
        return (1 + math.erf((x - 1) / 2 / math.sqrt(2))) / 2

    for x in (0.5, 1.0, 2.5):  # the share below x is that of the normal distribution, rescaled
        share = (cumulative(x) - cumulative(0)) / (cumulative(4) - cumulative(0))
        assert abs((values < x).mean() - share) < 5 * math.sqrt(share * (1 - share) / values.size)


@pytest.mark.parametrize("shape", [(6, 6), (4, 9), (9, 4), (4, 3, 2, 2), (8, 1, 2)])
def test_orthogonal(shape):
    matrix = drawn(init.orthogonal_, 3.0, shape=shape).reshape(shape[0], -1).astype(np.float64)
    product = matrix @ matrix.T if len(matrix) <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 9 * np.eye(len(product)), atol=1e-5)


def test_orthogonal_has_no_preferred_sign():
    minidl.manual_seed(0)
    corners = [init.orthogonal_(minidl.empty(3, 3)).numpy()[0, 0] for _ in range(200)]
    assert 60 < sum(corner > 0 for corner in corners) < 140


@pytest.mark.parametrize("shape", [(3, 3), (2, 4), (4, 2)])
def test_identity(shape):
    np.testing.assert_array_equal(drawn(init.eye_, shape=shape), np.eye(*shape))


@pytest.mark.parametrize("K, C, groups", [(4, 4, 1), (3, 5, 1), (5, 3, 1), (4, 2, 2), (6, 2, 2)])
def test_dirac_convolution_passes_channels_through(K, C, groups):
    x = minidl.randn(2, C * groups, 5, 6)
    weight = init.dirac_(minidl.empty(K, C, 3, 3), groups)
    y = minidl.nn.functional.conv2d(x, weight, padding=1, groups=groups).numpy()
    expected = np.zeros_like(y)
    for group in range(groups):
        for c in range(min(C, K // groups)):
            expected[:, group * (K // groups) + c] = x.numpy()[:, group * C + c]
    np.testing.assert_array_equal(y, expected)


def test_sparse():
    values = drawn(init.sparse_, 0.3, std=2.0, shape=(50, 400))
    assert ((values == 0).sum(axis=0) == 15).all()
    assert_normal(values[values != 0], 2.0)


@pytest.mark.torch
def test_gains_and_structure_are_pytorchs():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    for name in init.GAINS:
        expected = torch.nn.init.calculate_gain(name)
        assert init.calculate_gain(name) == pytest.approx(expected, rel=1e-12)
    expected = torch.nn.init.calculate_gain("leaky_relu", 0.3)
    assert init.calculate_gain("leaky_relu", 0.3) == pytest.approx(expected, rel=1e-12)
    for shape, groups in (((4, 3, 5), 2), ((6, 2, 4, 3), 3), ((3, 3, 2, 2, 2), 1)):
        expected = torch.nn.init.dirac_(torch.empty(shape), groups).numpy()
        np.testing.assert_array_equal(drawn(init.dirac_, groups, shape=shape), expected)


def test_the_seed_decides():
    for initialiser in (init.normal_, init.kaiming_uniform_, init.orthogonal_, init.trunc_normal_):
        np.testing.assert_array_equal(drawn(initialiser), drawn(initialiser))


def test_layout_and_dtype_do_not_matter():
    memory = minidl.empty(3, 5, 40, 60)
    seen = minidl.Tensor(memory.data.transpose(3, 2, 0, 1))
    minidl.manual_seed(0)
    init.normal_(seen)
    np.testing.assert_array_equal(seen.numpy(), drawn(init.normal_))


x = minidl.empty(4, 3)


@pytest.mark.parametrize("call, error, text", [
    (lambda: init.uniform_(x, 2.0, 1.0), ArgumentError, "a is at most b"),
    (lambda: init.uniform_(x, 0.0, math.nan), ArgumentError, "finite"),
    (lambda: init.uniform_(x, -1e308, 1e308), ArgumentError, "finite"),
    (lambda: init.xavier_uniform_(x, math.inf), ArgumentError, "finite"),
    (lambda: init.normal_(x, std=math.inf), ArgumentError, "finite"),
    (lambda: init.normal_(minidl.ones(1).expand(3)), GraphError, "read-only"),
    (lambda: init.calculate_gain(["relu"]), ArgumentError, "no such"),
    (lambda: init.kaiming_normal_(x, mode=["fan_in"]), ArgumentError, '"fan_in" or "fan_out"'),
    (lambda: init.normal_(x, 0.0, -1.0), ArgumentError, "std is at least 0"),
    (lambda: init.normal_(x, std="1"), ArgumentError, "std is a number"),
    (lambda: init.trunc_normal_(x, a=5.0, b=6.0), ArgumentError, "a thousandth"),
    (lambda: init.trunc_normal_(x, a=1.0, b=-1.0), ArgumentError, "a thousandth"),
    (lambda: init.trunc_normal_(x, a=math.nan), ArgumentError, "a thousandth"),
    (lambda: init.kaiming_normal_(x, mode="in"), ArgumentError, '"fan_in" or "fan_out"'),
    (lambda: init.kaiming_normal_(x, nonlinearity="rulu"), ArgumentError, "did you mean relu?"),
    (lambda: init.xavier_uniform_(minidl.empty(4)), ShapeError, "at least 2 dimensions"),
    (lambda: init.orthogonal_(minidl.empty(4)), ShapeError, "at least 2 dimensions"),
    (lambda: init.eye_(minidl.empty(2, 2, 2)), ShapeError, "2 dimensions"),
    (lambda: init.dirac_(x), ShapeError, "3, 4 or 5"),
    (lambda: init.dirac_(minidl.empty(4, 2, 3), 3), ArgumentError, "divides the output channels"),
    (lambda: init.sparse_(x, 1.5), ArgumentError, "from 0 to 1"),
    (lambda: init.zeros_(x.data), DtypeError, "must be a Tensor"),
    (lambda: init.ones_(minidl.arange(3)), DtypeError, "floating-point"),
])  # fmt: skip
def test_mistakes(call, error, text):
    with pytest.raises(error) as caught:
        call()
    assert text in str(caught.value)
