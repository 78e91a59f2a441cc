"""Who gets the gradient where two values are equal, or one is NaN."""

import numpy as np
import pytest

import minidl

nan = float("nan")
X = [-1.0, 0.0, 0.5, 1.0, 2.0]


def gradients(f, *values):
    inputs = [minidl.tensor(value, dtype="float64", requires_grad=True) for value in values]
    f(*inputs).sum().backward()
    return tuple(x.grad.tolist() for x in inputs)


@pytest.mark.parametrize(
    "low, high", [(0.0, 1.0), (0.0, None), (None, 1.0), (0.5, 0.5), (1.0, 0.0)]
)
def test_clamp_divides_gradients_alike_by_numbers_and_by_tensors(low, high):
    (expected,) = gradients(lambda x: x.clamp(low, high), X)
    bounds = [None if bound is None else [bound] * len(X) for bound in (low, high)]
    given = [bound for bound in bounds if bound is not None]

    def clamp(x, *tensors):
        tensors = list(tensors)
        return x.clamp(*(None if bound is None else tensors.pop(0) for bound in bounds))

    gx, *others = gradients(clamp, X, *given)
    assert gx == expected
    # What the input does not get, a bound gets in full: the result moves with one of them.
    np.testing.assert_array_equal(np.sum([gx, *others], axis=0), np.ones(len(X)))


@pytest.mark.parametrize("bound", ["0-d", "(1,)", "(5,)"])
def test_clamp_by_tensors_of_any_shape(bound):
    shape = {"0-d": (), "(1,)": (1,), "(5,)": (5,)}[bound]
    gx, g_low = gradients(lambda x, low: x.clamp(low), X, np.zeros(shape).tolist())
    assert gx == [0, 1, 1, 1, 1] and np.sum(g_low) == 1


def test_clamp_leaves_no_gradient_to_nan():
    for x, low in ((nan, 0.0), (0.0, nan)):
        gx, g_low = gradients(lambda x, low: x.clamp(low), x, low)
        assert (gx, g_low) == (0, 0)
        (gx,) = gradients(lambda x: x.clamp(low), x)  # noqa: B023
        assert gx == 0


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_are_shared_and_nan_passes_gradients_to_both(name):
    function = getattr(minidl, name)
    ga, gb = gradients(function, [1.0, 2.0, 1.0, nan, 1.0, nan], [1.0, 1.0, 2.0, 1.0, nan, nan])
    first = [0.5, 1, 0, 1, 1, 1] if name == "maximum" else [0.5, 0, 1, 1, 1, 1]
    second = [0.5, 0, 1, 1, 1, 1] if name == "maximum" else [0.5, 1, 0, 1, 1, 1]
    assert ga == first and gb == second


@pytest.mark.parametrize("name", ["max", "min", "amax", "amin"])
def test_nan_is_the_largest_and_the_smallest_and_gets_the_gradient(name):
    (gx,) = gradients(lambda x: getattr(x, name)(), [1.0, nan, 2.0, nan])
    assert gx == [0, 0.5, 0, 0.5]


def test_who_decides_a_tie_of_x_and_0():
    """As in PyTorch, not all alike: each where the reader of its name expects it."""
    zero = [0.0, -0.0]
    assert gradients(lambda x: x.clamp(min=0), zero) == ([1, 1],)
    assert gradients(lambda x: x.maximum(0), zero) == ([0.5, 0.5],)
    assert gradients(lambda x: x.relu(), zero) == ([0, 0],)
    assert gradients(lambda x: minidl.where(x > 0, x, 0.0), zero) == ([0, 0],)
    assert gradients(lambda x: x.abs(), zero) == ([0, 0],)
    assert gradients(lambda x: minidl.stack([x, x]).max(dim=0).values, zero) == ([1, 1],)


def number(x, value, *shape):
    """A tensor of one number, of x's dtype."""
    return minidl.full(shape, value, dtype=x.dtype)


SAME = {
    "square": [lambda x: x.square(), lambda x: x * x, lambda x: x**2, lambda x: x**2.0,
               lambda x: x ** number(x, 2), lambda x: x.pow(number(x, 2, 1))],
    "half": [lambda x: x / 2, lambda x: x * 0.5, lambda x: x / number(x, 2), lambda x: 0.5 * x,
             lambda x: x.div(number(x, 2, 1)), lambda x: minidl.div(x, minidl.tensor([2]))],
    "reciprocal": [lambda x: 1 / x, lambda x: x**-1, lambda x: number(x, 1) / x,
                   lambda x: x ** number(x, -1)],
    "one": [lambda x: x**0, lambda x: x ** number(x, 0), lambda x: minidl.pow(x, 0.0)],
    "first": [lambda x: x**1, lambda x: x ** number(x, 1), lambda x: x * 1, lambda x: x + 0],
    "exponential": [lambda x: 2.0**x, lambda x: minidl.pow(2, x), lambda x: number(x, 2) ** x],
    "largest": [lambda x: x.max(dim=0).values, lambda x: x[x.argmax().item()],
                lambda x: x.index_select(0, x.argmax().reshape(1)).reshape(())],
    "norm": [lambda x: x.norm(), lambda x: x.norm("fro"), lambda x: x.norm(2.0, 0),
             lambda x: x.norm(dim=(0,), keepdim=True)],
    "clamp": [lambda x: x.clamp(-1, 1), lambda x: x.clip(-1.0, 1.0),
              lambda x: x.clamp(number(x, -1), number(x, 1, 1)),
              lambda x: x.clamp(min=-1).clamp(max=1)],
}  # fmt: skip


@pytest.mark.parametrize("name", SAME)
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_ways_to_write_the_same_agree(name, dtype):
    values = [0.0, -0.0, 1.0, -1.0, 2.5, -3.0, float("inf"), float("-inf"), nan]
    for rows in [values] if name not in ("largest", "norm") else [[3.0, -4.0], [0.0, 0.0], [2, 2]]:
        results = []
        for way in SAME[name]:
            x = minidl.tensor(rows, dtype=dtype, requires_grad=True)
            with np.errstate(all="ignore"):
                y = way(x)
                y.sum().backward()
            results.append((y.data.reshape(-1), x.grad.data))
            assert y.dtype == dtype
        for y, gx in results[1:]:
            np.testing.assert_array_equal(y, results[0][0])
            np.testing.assert_allclose(gx, results[0][1], rtol=2 * np.finfo(dtype).eps)
