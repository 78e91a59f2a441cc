"""The embedding layer."""

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError


def test_padding_row_starts_at_zero_and_stays():
    layer = nn.Embedding(5, 3, padding_idx=-2)
    assert layer.padding_idx == 3
    np.testing.assert_array_equal(layer.weight.detach().numpy()[3], 0)
    layer(minidl.tensor([[3, 1], [1, 3]])).sum().backward()
    expected = np.zeros((5, 3))
    expected[1] = 2
    np.testing.assert_array_equal(layer.weight.grad.numpy(), expected)


def test_rows_start_normal():
    minidl.manual_seed(0)
    weight = nn.Embedding(1000, 50).weight.detach().numpy()
    assert abs(weight.mean()) < 0.02 and abs(weight.std() - 1) < 0.02


def test_gradient_is_the_same_sum_in_both_kernel_sets():
    """Bit by bit, in float32: rows are summed in the order of their places."""
    rng = np.random.default_rng(0)
    indices = minidl.tensor(rng.integers(0, 7, (40, 25)))
    upstream = rng.standard_normal((40, 25, 6)).astype(np.float32)
    gradients = []
    for kernels in ("reference", "numba"):
        with minidl.use_cpu_kernels(kernels):
            weight = minidl.ones(7, 6, requires_grad=True)
            nn.functional.embedding(indices, weight).backward(upstream)
            gradients.append(weight.grad.numpy())
    np.testing.assert_array_equal(*gradients)


@pytest.mark.parametrize("kernels", ["reference", "numba"])
def test_indices_written_anew_before_backward_change_nothing(kernels):
    """A loader may reuse its buffer; an index out of range would make a kernel write anywhere."""
    indices = np.array([[0, 1], [2, 0]])
    with minidl.use_cpu_kernels(kernels):
        weight = minidl.ones(3, 2, requires_grad=True)
        y = nn.functional.embedding(minidl.Tensor(indices), weight)
        indices[:] = 10**6
        y.sum().backward()
    np.testing.assert_array_equal(weight.grad, [[2, 2], [1, 1], [1, 1]])


@pytest.mark.parametrize("dtype", ["uint8", "int32", "uint64"])
def test_indices_of_any_integer_dtype(dtype):
    weight = minidl.ones(3, 2, requires_grad=True)
    nn.functional.embedding(minidl.tensor([2, 0, 2], dtype=dtype), weight).sum().backward()
    np.testing.assert_array_equal(weight.grad, [[1, 1], [0, 0], [2, 2]])


def test_state_dict_and_repr():
    layer = nn.Embedding(4, 2, padding_idx=0)
    assert {name: value.shape for name, value in layer.state_dict().items()} == {"weight": (4, 2)}
    assert repr(layer) == "Embedding(4, 2, padding_idx=0)"


@pytest.mark.parametrize(
    "arguments", [(0, 3), (3, -1), (3, 2.5), (True, 3), (3, 2, 3), (3, 2, "0")]
)
def test_mistakes(arguments):
    with pytest.raises(ArgumentError, match="^Embedding: "):
        nn.Embedding(*arguments)
