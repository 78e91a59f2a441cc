"""0 times infinity, and products that leave the range of floats where the result does not.

Each value here is what mathematics says; NaN or 0 is what the formula gives, computed as written.
"""

import warnings

import numpy as np
import pytest

import minidl
from minidl.nn import functional as F

inf, nan = float("inf"), float("nan")
both_kernel_sets = pytest.mark.parametrize("kernels", ["reference", "numba"])


def gradients(f, *values, dtype="float32"):
    """f's value and the gradients of its arguments, as nested lists, without a warning."""
    inputs = [minidl.tensor(value, dtype=dtype, requires_grad=True) for value in values]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        y = f(*inputs)
        (y if y.ndim == 0 else y.sum()).backward()
    return y.tolist(), *(x.grad.tolist() for x in inputs)


# --- powers -------------------------------------------------------------------------------------


def power_gradients(base, exponent):
    with np.errstate(all="ignore"):
        a = minidl.tensor(base, requires_grad=True)
        b = minidl.tensor(exponent, requires_grad=True)
        (a**b).backward()
    return a.grad.item(), b.grad.item()


@pytest.mark.parametrize("base", [inf, -inf, 0.0, -0.0, 3.0, -3.0, nan])
def test_a_power_with_exponent_0_does_not_depend_on_its_base(base):
    assert power_gradients(base, 0.0)[0] == 0
    x = minidl.tensor(base, requires_grad=True)
    (x**0).backward()
    assert x.grad.item() == 0


def test_gradients_of_powers_at_0_and_infinity():
    assert power_gradients(inf, 1.0)[0] == 1
    assert power_gradients(inf, -1.0) == (0, 0)  # inf^b stays 0 for all b < 0
    assert power_gradients(inf, 2.0) == (inf, inf)
    assert power_gradients(0.0, 2.0) == (0, 0)
    assert power_gradients(0.0, inf) == (0, 0)  # b a^(b-1) tends to 0 for |a| < 1
    assert power_gradients(0.5, inf) == (0, 0)
    assert power_gradients(2.0, -inf) == (0, 0)
    assert power_gradients(2.0, inf) == (inf, inf)
    assert np.isnan(power_gradients(-2.0, 2.0)[1])  # beside a whole exponent it is not real


@pytest.mark.parametrize("exponent", [inf, -inf])
def test_an_infinite_exponent_as_a_number_is_that_as_a_tensor(exponent):
    with np.errstate(all="ignore"):
        for base in (0.0, 0.5, 1.0, 2.0, inf):
            x = minidl.tensor(base, requires_grad=True)
            (x**exponent).backward()
            np.testing.assert_equal(x.grad.item(), power_gradients(base, exponent)[0])


# --- losses -------------------------------------------------------------------------------------


def test_binary_cross_entropy_of_scores_that_are_infinitely_sure():
    def losses(x, t, *weights):
        weight, pos_weight = (minidl.tensor(w) for w in weights) if weights else (None, None)
        return F.binary_cross_entropy_with_logits(x, t, weight, "none", pos_weight)

    x, t = [-inf, inf, -inf, inf, -inf, inf], [0.0, 1.0, 1.0, 0.0, 0.25, 0.25]
    y, gx, gt = gradients(losses, x, t)
    assert y == [0, 0, inf, inf, inf, inf]
    assert gx == [0, 0, -1, 1, -0.25, 0.75]
    assert gt == [inf, -inf, inf, -inf, inf, -inf]  # log(1 - s) - log s
    y, gx, _ = gradients(lambda x, t: losses(x, t, [0.0], [1.0]), x, t)
    assert y == [0] * 6 and gx == [0] * 6  # what weighs nothing costs nothing
    y, gx, gt = gradients(lambda x, t: losses(x, t, [1.0], [0.0]), [-inf], [1.0])
    assert (y, gx, gt) == ([0], [0], [0])  # positives weigh nothing
    assert np.isnan(gradients(losses, [nan], [0.0])[0]).all()


@both_kernel_sets
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 1.0])
def test_cross_entropy_beside_classes_that_are_ruled_out(smoothing, kernels):
    def loss(x):
        weight = minidl.tensor([1.0, 1.0, 0.0], dtype=x.dtype)
        return F.cross_entropy(
            x, minidl.tensor([0]), weight, reduction="sum", label_smoothing=smoothing
        )

    with minidl.use_cpu_kernels(kernels):
        y, gx = gradients(loss, [[0.5, 0.5, -inf]])
        expected, expected_gx = gradients(loss, [[0.5, 0.5, -300.0]])
        assert (y, gx) == (expected, expected_gx)
        assert y == pytest.approx(0.693147 * (1 - smoothing / 3))  # a third weighs nothing
        ruled_out = gradients(lambda x: loss(x.flip(1)), [[0.5, -inf, 0.5]])
        assert ruled_out[0] == (inf if smoothing else pytest.approx(0.693147))


@both_kernel_sets
def test_cross_entropy_of_a_class_that_weighs_nothing(kernels):
    weight, label = minidl.tensor([0.0, 1.0]), minidl.tensor([0])
    with minidl.use_cpu_kernels(kernels):
        for smoothing in (0.0, 0.25):
            y, gx = gradients(
                lambda x: F.cross_entropy(x, label, weight, -100, "sum", smoothing),  # noqa: B023
                [[-inf, 1.0]],
            )
            assert (y, gx) == (0, [[0, 0]])
        # A row that is ignored, whatever is in it
        y, gx = gradients(
            lambda x: F.cross_entropy(x, minidl.tensor([-100, 1])), [[nan, 1.0], [0.0, 0.0]]
        )
        assert y == pytest.approx(0.693147) and gx[0] == [0, 0]
    y, gx = gradients(lambda x: F.nll_loss(x, label, weight, reduction="sum"), [[-inf, -1.0]])
    assert (y, gx) == (0, [[0, 0]])


def test_cross_entropy_of_probabilities_where_a_target_of_0_meets_a_score_of_minus_infinity():
    def loss(x, t):
        return F.cross_entropy(x, t)

    y, gx, gt = gradients(loss, [[-inf, 0.0, 0.0]], [[0.0, 0.25, 0.75]])
    assert y == pytest.approx(0.693147) and gx == [[0, 0.25, -0.25]]
    assert gt == [[inf, pytest.approx(0.693147), pytest.approx(0.693147)]]
    assert gradients(loss, [[-inf, 0.0]], [[0.5, 0.5]])[0] == inf
    assert gradients(loss, [[-inf, 0.0]], [[0.0, 1.0]])[:2] == (0, [[0, 0]])
    weight = minidl.tensor([0.0, 1.0])
    y, gx, gt = gradients(lambda x, t: F.cross_entropy(x, t, weight), [[-inf, 0.0]], [[0.5, 0.5]])
    assert (y, gx, gt) == (0, [[0, 0]], [[0, 0]])


def test_multi_margin_loss_at_large_and_infinite_scores():
    weight, label = minidl.tensor([0.0, 1.0]), minidl.tensor([0])
    y, gx = gradients(lambda x: F.multi_margin_loss(x, label, 2, weight=weight), [[0.0, inf]])
    assert (y, gx) == (0, [[0, 0]])
    with np.errstate(over="ignore"):
        x = minidl.tensor([[0.0, 3e38]], requires_grad=True)
        F.multi_margin_loss(x, label, 2).backward()
    assert x.grad.tolist() == [[pytest.approx(-3e38), pytest.approx(3e38)]]


# --- gradients that a mask stops ----------------------------------------------------------------


@pytest.mark.parametrize(
    "choose",
    [
        lambda x: x.clamp(min=0),
        lambda x: x.clamp(min=minidl.tensor(0.0)),
        lambda x: x.maximum(0),
        lambda x: x.relu(),
        lambda x: minidl.where(x > 0, x, 0.0),
        lambda x: x.masked_fill(x < 0, 0.0),
        lambda x: minidl.stack([x, minidl.zeros(2)]).amax(dim=0),
        lambda x: minidl.stack([x, minidl.zeros(2)]).max(dim=0).values,
    ],
)
def test_an_infinite_gradient_stops_where_the_value_was_not_taken(choose):
    x = minidl.tensor([-1.0, 4.0], requires_grad=True)
    with np.errstate(divide="ignore"):
        choose(x).sqrt().sum().backward()  # the slope of sqrt is infinite at 0
    assert x.grad.tolist() == [0, 0.25]


NOT_CHOSEN = {
    "sqrt": (minidl.sqrt, [-1.0, 0.0]),
    "rsqrt": (minidl.rsqrt, [-1.0, 0.0, 1e-30]),
    "log": (minidl.log, [-1.0, 0.0]),
    "log1p": (minidl.log1p, [-2.0, -1.0]),
    "exp": (minidl.exp, [1000.0]),
    "expm1": (minidl.expm1, [1000.0]),
    "softplus-written-out": (lambda x: x.exp().log1p(), [1000.0]),
    "reciprocal": (lambda x: 1 / x, [0.0, 1e-30]),
    "quotient": (lambda x: x / (x - 1), [1.0]),
    "root": (lambda x: x**0.5, [-1.0, 0.0]),
    "powers": (lambda x: x**x, [-0.5, 0.0]),
    "exponent": (lambda x: 0.0**x, [-1.0]),
    "remainder": (lambda x: 1 % x, [0.0]),
    "entropy": (lambda x: x * x.log(), [0.0, -1.0]),
    "distance": (lambda x: (x * x).sqrt(), [0.0]),
    **{name: (getattr(F, name), [nan, inf]) for name in ("sigmoid", "tanh", "softplus", "relu")},
    **{
        name: (getattr(minidl, name), [nan, inf, -inf])
        for name in ("sin", "cos", "square", "abs", "exp", "sqrt", "log", "sign", "floor")
    },
    "clamp": (lambda x: x.clamp(-1, 1), [nan, inf]),
    "maximum": (lambda x: minidl.maximum(x, nan * x), [nan, 1.0]),
    "softmax": (lambda x: x.softmax(0), [-inf, -inf]),
    "log_softmax": (lambda x: x.log_softmax(0), [inf, -inf]),
    "logsumexp": (lambda x: x.logsumexp(0, keepdim=True).expand(3), [nan, inf, -inf]),
    "norm": (lambda x: x.norm(keepdim=True).expand(2), [nan, inf]),
}


@pytest.mark.parametrize("name", NOT_CHOSEN)
def test_the_branch_that_where_did_not_choose_has_no_gradient(name):
    function, values = NOT_CHOSEN[name]
    with np.errstate(all="ignore"):
        for masked in (
            lambda x: minidl.where(minidl.zeros_like(x) > 0, function(x), 2 * x),
            lambda x: function(x).masked_fill(minidl.ones_like(x) > 0, 0.0) + 2 * x,
        ):
            x = minidl.tensor(values, requires_grad=True)
            masked(x).sum().backward()
            assert x.grad.tolist() == [2.0] * len(values)


@pytest.mark.parametrize("value", [1.0, 1e30, inf])
def test_nor_has_it_in_a_large_array(value):
    x = minidl.full((50, 41), value, requires_grad=True)
    scale = minidl.full((50, 41), inf)
    with np.errstate(all="ignore"):
        minidl.where(minidl.zeros_like(x) > 0, x * scale, 2 * x).sum().backward()
    assert (x.grad.numpy() == 2).all()


@pytest.mark.parametrize("dtype", ["float16", "longdouble"])
@pytest.mark.parametrize("shape", [(), (2,), (50, 41)])
def test_nor_has_it_in_other_floats(shape, dtype):
    """No integer is as wide as a long double, and float16 is looked through otherwise."""
    x = minidl.full(shape, nan, dtype, requires_grad=True)
    y = minidl.where(minidl.zeros_like(x) > 0, x.exp().sqrt(), minidl.maximum(2 * x, 3 * x))
    (y + x.clamp(-1, 1) + x.masked_fill(x != x, 0.0)).sum().backward()
    assert x.grad.dtype == dtype and (x.grad.numpy() == 5).all()  # of both beside NaN
    x = minidl.full(shape, 2.0, dtype, requires_grad=True)
    x.exp().sum().backward()
    np.testing.assert_array_equal(x.grad.numpy(), np.exp(x.detach().numpy()))


@both_kernel_sets
def test_what_dropout_drops_is_0(kernels):
    with minidl.use_cpu_kernels(kernels):
        y, gx = gradients(lambda x: F.dropout(x, 1.0), [inf, -inf, 1.0])
        assert (y, gx) == ([0, 0, 0], [0, 0, 0])
        assert F.dropout2d(minidl.full((2, 3, 1, 1), inf), 1.0).sum().item() == 0
        assert np.isnan(F.dropout(minidl.tensor([nan]), 1.0).item())
        assert np.isnan(F.dropout2d(minidl.full((1, 1, 1, 1), nan), 1.0).item())


@both_kernel_sets
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_dropout2d_of_channels_that_are_infinite_here_and_there(kernels, dtype):
    x = np.arange(1, 49, dtype=dtype).reshape(2, 3, 4, 2)
    x[:, :, 1, 0] = inf
    x[:, :, 2, 1] = nan
    with minidl.use_cpu_kernels(kernels):
        minidl.manual_seed(3)
        m = F.dropout2d(minidl.ones(2, 3, 4, 2, dtype=dtype), 0.5).numpy()
        assert set(m[:, :, 0, 0].ravel()) == {0, 2}
        minidl.manual_seed(3)
        y, gx = gradients(lambda x: F.dropout2d(x, 0.5), x, dtype=dtype)
    np.testing.assert_array_equal(gx, m)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(y, np.where((m == 0) & np.isinf(x), 0, m * x))


def test_dropout2d_is_one_function():
    """Each further one is a pass over the maps, of which it made three."""
    x = minidl.ones(2, 3, 4, 4, requires_grad=True)
    y = F.dropout2d(x, 0.5)
    assert y.grad_fn.inputs == (x,)


@both_kernel_sets
def test_a_leaky_relu_of_slope_0_is_relu(kernels):
    with minidl.use_cpu_kernels(kernels):
        x = [-inf, -1.0, 0.0, 2.0, inf]
        assert gradients(lambda x: F.leaky_relu(x, 0.0), x) == gradients(F.relu, x)


# --- sums of exponentials -----------------------------------------------------------------------


def test_logsumexp_at_infinity():
    def gradient(x):
        return gradients(lambda x: x.logsumexp(0), x)

    assert gradient([inf, 1e25]) == (inf, [1, 0])
    assert gradient([inf, -inf, inf]) == (inf, [0.5, 0, 0.5])
    assert gradient([-inf, 2.0]) == (2, [0, 1])
    assert gradient([-inf, -inf]) == (-inf, [0, 0])
    assert gradient([3e38, 3e38])[1] == [0.5, 0.5]


# --- overflow on the way ------------------------------------------------------------------------


@pytest.mark.parametrize(
    "a, b, dtype", [(1e25, 1e25, "float32"), (1e-25, 1e-25, "float32"), (3e38, 1e25, "float32"),
                    (2.0, 300.0, "float16"), (1e200, 1e200, "float64"), (0.0, 1e-25, "float32")],
)  # fmt: skip
def test_the_gradient_of_a_divisor_overflows_only_where_the_quotient_does(a, b, dtype):
    _, ga, gb = gradients(lambda a, b: a / b, a, b, dtype=dtype)
    rtol = 2e-3 if dtype == "float16" else 1e-6
    assert ga == pytest.approx(1 / b, rel=rtol) and gb == pytest.approx(-(a / b / b), rel=rtol)


def test_the_gradient_of_rsqrt_overflows_only_where_the_result_does():
    x = 1.7e-26  # x^-1.5 is 4.5e38, beyond float32; half of it is not
    assert gradients(minidl.rsqrt, x)[1] == pytest.approx(-0.5 * x**-1.5, rel=1e-5)


@pytest.mark.parametrize("p", [1.5, 2, 3, 7.5])
@pytest.mark.parametrize(
    "scale, dtype", [(1e25, "float32"), (1e-25, "float32"), (300.0, "float16"), (1e200, "float64"),
                     (1e-200, "float64"), (1e-37, "float32")],
)  # fmt: skip
def test_norms_of_large_and_small_vectors(p, scale, dtype):
    rtol = 5e-3 if dtype == "float16" else 1e-5
    row = np.array([3.0, -4.0, 0.0])
    length, _ = gradients(lambda x: x.norm(p), row.tolist(), dtype="float64")
    y, gx = gradients(lambda x: x.norm(p), (scale * row).tolist(), dtype=dtype)
    assert y == pytest.approx(scale * length, rel=rtol)
    _, expected = gradients(lambda x: x.norm(p), row.tolist(), dtype="float64")
    assert gx == pytest.approx(expected, rel=rtol, abs=rtol)

    x = minidl.tensor([(scale * row).tolist()], dtype=dtype)
    np.testing.assert_allclose(F.normalize(x, p, eps=0).data[0], row / length, rtol=rtol)
    far = F.pairwise_distance(x, minidl.zeros_like(x), p, eps=0).item()
    assert far == pytest.approx(scale * length, rel=rtol)


@pytest.mark.parametrize("p", [0.5, 1, 1.5, 2, 3, inf])
def test_infinite_numbers_share_the_gradient_of_a_norm(p):
    """As many equal large ones do."""
    for row in ([1.0, inf, 3.0], [1.0, -inf, 3.0], [inf, 1.0, -inf]):
        y, gx = gradients(lambda x: x.norm(p), row)
        large = np.clip(row, -1e30, 1e30).tolist()
        _, expected = gradients(lambda x: x.norm(p), large, dtype="float64")
        endless = np.isinf(row)
        assert y == inf
        np.testing.assert_allclose(np.array(gx)[endless], np.array(expected)[endless], rtol=1e-6)
        rest = {0.5: inf, 1: 1}.get(p, 0)  # the limits
        assert (np.array(gx)[~endless] == rest).all()
    _, gx = gradients(lambda x: x.norm(p, dim=1), [[1.0, inf, inf], [0.0, 2.0, 0.0]])
    # A power's last digit is another on other processors.
    assert gx[1] == pytest.approx([0, 1, 0], rel=1e-6)
    assert gx[0][1] == pytest.approx(2 ** (1 / p - 1))
    _, ga, _ = gradients(lambda a, b: F.pairwise_distance(a, b, 2.0), [[inf, 0.0]], [[0.0, 0.0]])
    assert ga[0] == [1, 0]


def test_the_largest_magnitude_beside_nan():
    for dtype in ("float16", "float32", "float64"):
        y, gx = gradients(lambda x: x.norm(inf, dim=1), [[1.0, nan, 3.0], [1, -2, 2]], dtype=dtype)
        np.testing.assert_equal(y, [nan, 2])
        np.testing.assert_equal(gx, [[0, nan, 0], [0, -0.5, 0.5]])


@pytest.mark.parametrize("p", [0.5, 1, 1.01, 1.5, 2, 3, inf])
@pytest.mark.parametrize("other", [0.0, 1e-44, 1e-30, 2.0, 1e30])
def test_the_gradient_of_a_norm_at_0_is_0(p, other):
    _, gx = gradients(lambda x: x.norm(p), [0.0, other, -0.0])
    assert (gx[0], gx[2]) == (0, 0) and gx[1] == (other and pytest.approx(1, rel=0.3))


def test_norms_of_several_rows_at_once():
    x = minidl.tensor(
        [[3e25, 4e25], [3.0, 4.0], [3e-25, 4e-25], [0.0, 0.0], [inf, 1.0], [nan, 1.0]]
    )
    y = x.norm(dim=1)
    np.testing.assert_allclose(y.data, [5e25, 5, 5e-25, 0, inf, nan], rtol=1e-6)
    assert x.norm().data.shape == () and np.isnan(x.norm().item())


def test_unit_vectors_and_cosines_of_large_vectors():
    a, b = [[3e25, 4e25]], [[4e25, 3e25]]
    y, ga, gb = gradients(lambda a, b: F.cosine_similarity(a, b), a, b)
    assert y == [pytest.approx(0.96)]
    np.testing.assert_allclose(ga, [[4.48e-27, -3.36e-27]], rtol=1e-4)
    np.testing.assert_allclose(gb, [[-3.36e-27, 4.48e-27]], rtol=1e-4)
    y, ga = gradients(lambda a: F.normalize(a)[:, 0], a)
    assert y == [pytest.approx(0.6)]
    np.testing.assert_allclose(ga, [[1.28e-26, -0.96e-26]], rtol=1e-4)


@pytest.mark.parametrize("function", [F.normalize, lambda x: F.cosine_similarity(x, x)])
def test_zero_vectors_of_float16(function):
    """An eps of 1e-12 or 1e-8 is 0 in float16."""
    y, gx = gradients(function, [[0.0, 0.0]], dtype="float16")
    assert not np.any(y) and np.isfinite(gx).all()
