"""Functions of a user's own, and what is noticed when one is wrong."""

import numpy as np
import pytest

import minidl
from minidl import Function
from minidl.errors import ArgumentError, DtypeError, GraphError, ShapeError


def leaf(*values):
    return minidl.tensor(list(values), requires_grad=True)


def test_a_wrong_backward_is_caught():
    class Wrong(Function):
        def forward(self, x):
            return x * 2

        def backward(self, gy):
            return gy.sum()

    with pytest.raises(ShapeError, match="Wrong: backward returned a gradient of another shape"):
        Wrong().apply(leaf(1.0, 2.0)).sum().backward()


def test_a_gradient_for_each_input():
    class OneOfTwo(Function):
        def forward(self, x, w):
            return x * w

        def backward(self, gy):
            return [gy]

    with pytest.raises(GraphError, match="OneOfTwo: backward returned 1 gradients for 2 inputs"):
        OneOfTwo().apply(leaf(1.0), leaf(2.0)).sum().backward()


def test_a_recorded_function_is_not_run_again_under_no_grad():
    class Square(Function):
        def forward(self, x):
            self.x = x
            return x * x

        def backward(self, gy):
            return 2 * gy * self.x

    x, square = leaf(3.0), Square()
    y = square.apply(x)
    with pytest.raises(GraphError, match="records one call"), minidl.no_grad():
        square.apply(leaf(5.0))
    y.sum().backward()
    assert x.grad.item() == 6


def test_no_grad_as_a_decorator():
    x = leaf(2.0)

    @minidl.no_grad()
    def double(tensor):
        """Twice."""
        return double(tensor * 2) if tensor.item() < 8 else tensor * 2

    assert not double(x).requires_grad and double.__doc__ == "Twice."
    assert minidl.is_grad_enabled() and (x * 2).requires_grad


class Double(Function):
    def forward(self, x):
        return 2 * x

    def backward(self, gy):
        return 2 * gy


@pytest.mark.parametrize("x", [3.0, np.ones(2), [1.0], None])
def test_apply_takes_tensors(x):
    for mode in (minidl.enable_grad(), minidl.no_grad()):
        with mode, pytest.raises(DtypeError, match=f"input 0  '{type(x).__name__}'"):
            Double().apply(x)


@pytest.mark.parametrize("gradient", [2.0, [2.0, 2.0], minidl.ones(2)])
def test_backward_returns_arrays(gradient):
    class Wrong(Double):
        def backward(self, gy):
            return (gradient,)

    y = Wrong().apply(leaf(1.0, 2.0)).sum()
    with pytest.raises(GraphError, match="Wrong: backward returned no array for input 0"):
        y.backward()


@pytest.mark.parametrize("result", [3.0, [1.0, 2.0], None, "text"])
def test_forward_returns_arrays(result):
    class Wrong(Double):
        def forward(self, x):
            return result

    with pytest.raises(DtypeError, match="Tensor: holds a NumPy or CuPy array"):
        Wrong().apply(leaf(1.0))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64"])
def test_outputs_that_are_no_floats_require_no_gradient(dtype):
    class Rounded(Function):
        def __init__(self, pair):
            self.pair = pair

        def forward(self, x):
            y = x.round().astype(dtype)
            return (y, 2 * x) if self.pair else y

        def backward(self, *gys):
            return 2 * gys[-1]

    x = leaf(0.2, 1.0)
    one, (first, second) = Rounded(False).apply(x), Rounded(True).apply(x)
    for y in (one, first):
        assert y.dtype == dtype and y.data.tolist() == [0, 1]
        assert not y.requires_grad and y.grad_fn is None
        with pytest.raises(GraphError):
            y.backward(np.ones(2))
    assert not (one.to("float32") * 3).requires_grad
    assert second.requires_grad
    second.sum().backward()
    assert x.grad.data.tolist() == [2, 2]


@pytest.mark.parametrize("data", [3.0, [1.0, 2.0], (1, 2), None])
def test_a_tensor_holds_an_array(data):
    with pytest.raises(DtypeError, match=r"holds a NumPy or CuPy array(.|\n)*minidl.tensor"):
        minidl.Tensor(data)


def test_no_grad_refuses_a_generator_function():
    def numbers():  # its body would run outside of the block, and record
        yield leaf(1.0) * 2

    with pytest.raises(ArgumentError, match="no_grad: the call of a generator function"):
        minidl.no_grad()(numbers)


def test_operations_on_integers_and_bools_leave_no_graph():
    words, x = minidl.tensor([1, 0, 2]), leaf(1.0, 2.0, 3.0)
    for y in (words > 0, words + 1, x > 2, x.argmax()):
        assert y.grad_fn is None and not y.requires_grad
