"""gradcheck: passes right gradients, finds wrong ones of every kind, and says where."""

import numpy as np
import pytest

import minidl
from minidl.debug import GradientError, gradcheck
from minidl.errors import ArgumentError, DtypeError, GraphError
from minidl.function import Function


def scaled_product(change):
    """A function a * b whose gradient of a goes through `change`, the rest being right."""

    class Product(Function):
        def forward(self, a, b):
            self.a, self.b = a, b
            return a * b

        def backward(self, gy):
            return change(gy * self.b), gy * self.a

    return lambda a, b: Product().apply(a, b)


def inputs(*shape):
    rng = np.random.default_rng(0)
    return [
        minidl.tensor(rng.standard_normal(shape), dtype="float64", requires_grad=True)
        for _ in range(2)
    ]


def one_element(value):
    def change(ga):
        ga = ga.copy()
        ga[1, 2] = value(ga[1, 2])
        return ga

    return change


def test_right_gradients_pass():
    assert gradcheck(scaled_product(lambda ga: ga), inputs(2, 3)) is True


@pytest.mark.parametrize(
    "change, element",
    [
        (lambda ga: -ga, None),
        (lambda ga: ga * 1.001, None),
        (lambda ga: ga + 1e-3, None),
        (np.zeros_like, None),
        (lambda ga: ga[::-1].copy(), None),
        (one_element(lambda g: g + 1e-3), (1, 2)),
        (one_element(lambda g: np.nan), (1, 2)),
        (one_element(lambda g: np.inf), (1, 2)),
        (lambda ga: np.full_like(ga, np.nan), (0, 0)),
    ],
    ids=["sign", "factor", "offset", "zero", "order", "one-element", "nan", "inf", "all-nan"],
)
def test_wrong_gradients_are_found(change, element):
    with pytest.raises(GradientError, match="differs from central differences") as caught:
        gradcheck(scaled_product(change), inputs(2, 3))
    message = str(caught.value)
    assert "input        0" in message
    if element is not None:
        assert f"element      {element}" in message


def test_a_missing_term_is_found():
    class SumOfSquares(Function):
        """y = (sum x)^2, with the derivative of sum x^2."""

        def forward(self, x):
            self.x = x
            return x.sum(keepdims=True) ** 2

        def backward(self, gy):
            return 2 * gy * self.x

    x = inputs(3)[0]
    with pytest.raises(GradientError):
        gradcheck(lambda x: SumOfSquares().apply(x), [x])


def test_a_gradient_that_stops_is_found():
    a, b = inputs(2, 2)
    with pytest.raises(GradientError, match="backward     0.0"):
        gradcheck(lambda a, b: a.detach() * b, [a, b])


def test_every_output_of_several_counts():
    class Two(Function):
        """(x, 2x), with the gradient of the second one forgotten."""

        def forward(self, x):
            return x.copy(), 2 * x

        def backward(self, gy, gz):
            return None if gy is None else gy.copy()

    x = inputs(2)[0]
    assert gradcheck(lambda x: Two().apply(x)[0], [x])
    with pytest.raises(GradientError):
        gradcheck(lambda x: Two().apply(x), [x])


def test_inputs_are_left_as_they_were():
    a, b = inputs(2, 3)
    before, gradient = a.data.copy(), minidl.ones(2, 3, dtype="float64")
    a.grad = gradient
    gradcheck(lambda a, b: a * b, [a, b])
    np.testing.assert_array_equal(a.data, before)
    assert a.grad is gradient and b.grad is None


def test_inputs_in_any_memory_layout():
    a = minidl.Tensor(np.asfortranarray(np.random.default_rng(0).random((3, 4))), True)
    assert gradcheck(lambda a: (a * a).sum(0), [a])


def test_only_inputs_that_require_a_gradient_are_checked():
    a, b = inputs(2, 3)
    assert gradcheck(scaled_product(lambda ga: -ga), [a.detach(), b])
    index = minidl.tensor([1, 0])
    assert gradcheck(lambda a, index: a[index], [a, index])


@pytest.mark.parametrize(
    "given",
    [
        [minidl.ones(2, requires_grad=True)],  # float32: differences would be noise
        [minidl.ones(2, dtype="float64")],
        [minidl.ones(2, dtype="float64", requires_grad=True), minidl.ones(2, requires_grad=True)],
        [],
    ],
    ids=["float32", "no-gradient", "mixed", "empty"],
)
def test_refuses_what_cannot_be_checked(given):
    with pytest.raises(DtypeError, match="float64 input with requires_grad=True"):
        gradcheck(lambda *xs: xs[0] * 2, given)


def test_one_tensor_needs_no_list_and_no_grad_is_no_obstacle():
    a = inputs(2)[0]
    with minidl.no_grad():
        assert gradcheck(lambda a: a * a, a)


@pytest.mark.parametrize(
    "function", [lambda a: a > 0, lambda a: 1.0, lambda a: None, lambda a: (a, 2)]
)
def test_refuses_a_function_without_floating_point_output(function):
    """Without an output there is nothing to differ: the check would pass, and say nothing."""
    with pytest.raises(DtypeError, match="returns a floating-point Tensor"):
        gradcheck(function, inputs(2)[:1])


def test_refuses_read_only_memory():
    with pytest.raises(GraphError, match="read-only"):
        gradcheck(lambda a: a * a, minidl.Tensor(np.broadcast_to(np.ones(1), 3), True))


@pytest.mark.parametrize("given", [5, None, "x", np.ones(2)], ids=str)
def test_refuses_inputs_that_are_none(given):
    with pytest.raises(DtypeError, match="inputs is a Tensor or a list of them"):
        gradcheck(lambda a: a * a, given)


@pytest.mark.parametrize(
    "name, rule, values",
    [
        ("eps", "eps is a number above 0", [0, -1e-6, np.nan, np.inf, "a", True]),
        ("atol", "atol is a number >= 0", [-1e-9, np.nan, np.inf, "a", None]),
        ("rtol", "rtol is a number >= 0", [-1e-9, np.nan, np.inf, "a", None]),
        ("seed", "seed is an int >= 0", [-1, 0.5, "a", None]),
    ],
)
def test_refuses_numbers_out_of_range(name, rule, values):
    for value in values:
        with pytest.raises(ArgumentError, match=rule):
            gradcheck(lambda a: a * a, inputs(2)[0], **{name: value})
    assert gradcheck(lambda a: a * a, inputs(2)[0], atol=1e-6, rtol=0, seed=np.int64(3))
