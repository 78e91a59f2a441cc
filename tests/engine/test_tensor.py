"""Tensor: types, changes in place, exchange with other libraries, copies, display, creation."""

import copy
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import mutually_broadcastable_shapes

import minidl
from minidl import Tensor
from minidl.debug import gradcheck
from minidl.errors import ArgumentError, DtypeError, GraphError, ShapeError

DTYPES = ["bool", "uint8", "int32", "int64", "float32", "float64"]


# --- broadcasting -------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(
    shapes=mutually_broadcastable_shapes(num_shapes=2, max_dims=4, min_side=0, max_side=3),
    multiply=st.booleans(),
    seed=st.integers(0, 9),
)
def test_broadcasting_equals_numpy(shapes, multiply, seed):
    rng = np.random.default_rng(seed)
    a, b = (rng.standard_normal(shape) for shape in shapes.input_shapes)
    x, y = Tensor(np.asarray(a), True), Tensor(np.asarray(b), True)
    function = minidl.ops.mul if multiply else minidl.ops.add
    z = function(x, y)
    np.testing.assert_array_equal(z.data, a * b if multiply else a + b)
    assert z.shape == shapes.result_shape
    assert gradcheck(function, [x, y])


@settings(max_examples=60, deadline=None)
@given(
    a=st.lists(st.integers(0, 3), max_size=4).map(tuple),
    b=st.lists(st.integers(0, 3), max_size=4).map(tuple),
)
def test_shapes_that_numpy_refuses_are_a_shape_error(a, b):
    try:
        expected = np.broadcast_shapes(a, b)
    except ValueError:
        with pytest.raises(ShapeError, match="do not broadcast"):
            minidl.zeros(a) + minidl.zeros(b)
    else:
        assert (minidl.zeros(a) + minidl.zeros(b)).shape == expected


# --- element types ------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("b", [*DTYPES, "0d float32", "0d float64", "0d int64", 2, 2.5, True])
@pytest.mark.parametrize("a", DTYPES)
def test_promotion_is_that_of_pytorch(a, b):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")

    def operand(lib, kind):
        if not isinstance(kind, str):
            return kind
        dtype = kind.split()[-1]
        return lib.ones(() if kind.startswith("0d") else (2,), dtype=dtypes[lib][dtype])

    dtypes = {minidl: {d: d for d in DTYPES}, torch: {d: getattr(torch, d) for d in DTYPES}}
    for expression in (lambda x, y: x * y, lambda x, y: y + x, lambda x, y: x / y):
        ours = expression(operand(minidl, a), operand(minidl, b))
        theirs = expression(operand(torch, a), operand(torch, b))
        assert f"torch.{ours.dtype}" == str(theirs.dtype)
        np.testing.assert_array_equal(ours.data, theirs.numpy())


@pytest.mark.parametrize(
    "left",
    [np.ones(2), np.float32(1), np.float64(1), np.ones((2, 1), np.int64), [1.0, 1.0]],
    ids=str,
)
def test_numpy_on_the_left(left):
    right = minidl.tensor([2.0, 3.0], requires_grad=True)
    for y in (left + right, left * right, left - right, left / right, left**right):
        assert isinstance(y, Tensor) and y.requires_grad
    assert isinstance(left == right, Tensor) and isinstance(left < right, Tensor)


def test_a_number_does_not_widen():
    x = minidl.ones(2)
    for y in (x * 2.0, 2 - x, x**2, x * np.float64(2), x + minidl.tensor(1.0, "float64"), x.mean()):
        assert y.dtype == np.float32


def test_functions_of_integers():
    x = minidl.tensor([0, 1, 2])
    assert minidl.exp(x).dtype == np.float32
    np.testing.assert_allclose(minidl.exp(x).data, np.exp([0, 1, 2]), rtol=1e-6)
    assert (x / 2).tolist() == [0, 0.5, 1]
    assert x.sum().dtype == np.int64 and minidl.tensor([True, True]).sum().item() == 2
    assert x.square().dtype == np.int64 and (x**2).dtype == np.int64
    assert x.clamp(min=0.5).tolist() == [0.5, 1, 2]


def test_conversions():
    x = minidl.tensor([0.0, 1.7, -1.7])
    assert x.long().tolist() == [0, 1, -1] and x.int().dtype == np.int32
    assert x.bool().tolist() == [False, True, True]
    assert x.double().dtype == np.float64 and x.half().dtype == np.float16
    assert x.to("float64").to(x).dtype == np.float32 and x.type_as(x.long()).dtype == np.int64
    assert x.to(minidl.float32) is x and x.to("cpu") is x and x.float() is x
    assert x.to("cpu", "float64").dtype == np.float64
    assert x.to(dtype=minidl.float64, device="cpu").dtype == np.float64


def test_gradient_passes_conversions_between_floats():
    x = minidl.tensor([1.0, 2.0], requires_grad=True)
    (x.double() * minidl.tensor([3.0, 4.0], "float64")).sum().backward()
    assert x.grad.dtype == np.float32 and x.grad.tolist() == [3, 4]


# --- comparison ---------------------------------------------------------------------------------


def test_comparisons_equal_numpy():
    a = np.array([[1.0, 2.0, np.nan], [np.inf, -1.0, 2.0]])
    b = np.array([1.0, 3.0, np.nan])
    x, y = Tensor(a), Tensor(b)
    for ours, expected in [
        (x == y, a == b), (x != y, a != b), (x < y, a < b), (x <= y, a <= b), (x > y, a > b),
        (x >= y, a >= b), (x == 2, a == 2), (3 > x, a < 3), (x.isnan(), np.isnan(a)),
        (x.isfinite(), np.isfinite(a)), (x.isinf(), np.isinf(a)), (~(x > 1), ~(a > 1)),
        ((x > 0) & (y < 2), (a > 0) & (b < 2)), ((x > 0) | (y < 2), (a > 0) | (b < 2)),
        ((x > 0) ^ (y < 2), (a > 0) ^ (b < 2)), ((x > 1).any(1), (a > 1).any(1)),
        ((x > 0).all(0, keepdim=True), (a > 0).all(0, keepdims=True)),
        (x.logical_not(), np.logical_not(a)), (x.logical_and(y), np.logical_and(a, b)),
        (x.logical_or(0), np.logical_or(a, 0)), (x.logical_xor(y), np.logical_xor(a, b)),
    ]:  # fmt: skip
        assert ours.dtype == np.bool_ and not ours.requires_grad
        np.testing.assert_array_equal(ours.data, expected)


def test_bits_of_integers():
    x = minidl.tensor([5, 6])
    assert (x & 3).tolist() == [1, 2] and (x | 1).tolist() == [5, 7] and (~x).tolist() == [-6, -7]
    with pytest.raises(DtypeError, match="compare first"):
        minidl.ones(2) & minidl.ones(2)


def test_equality_with_something_else_is_false():
    x = minidl.ones(2)
    assert (x == None) is False and (x != None) is True and (x == "text") is False  # noqa: E711
    assert {x: 1}[x] == 1  # hashed by identity


def test_equal_and_allclose():
    x = minidl.tensor([1.0, float("nan")])
    assert not x.equal(x) and minidl.ones(2).equal(minidl.ones(2))
    assert not minidl.ones(2).equal(minidl.ones(3))
    assert x.allclose(x, equal_nan=True) and not x.allclose(x)
    assert minidl.ones(2).allclose(minidl.ones(2) + 1e-7)


# --- changes in place ---------------------------------------------------------------------------


def test_update_of_a_parameter():
    p = minidl.tensor([1.0, 2.0], requires_grad=True)
    memory = p.data
    (p * 3).sum().backward()
    with minidl.no_grad():
        p -= 0.1 * p.grad
    p.data -= 0.1 * p.grad
    assert p.data is memory and p.requires_grad and p.is_leaf
    np.testing.assert_allclose(p.data, [0.4, 1.4], rtol=1e-6)


def test_in_place_methods():
    x = minidl.tensor([[1.0, 2.0], [3.0, 4.0]])
    memory = x.data
    y = x.add_(1).sub_(minidl.tensor([1.0, 0.0])).mul_(2).div_(minidl.tensor([[2.0], [4.0]]))
    assert y is x and x.data is memory
    assert x.tolist() == [[1, 3], [1.5, 2.5]]
    x.copy_(minidl.tensor([[7], [8]]))
    assert x.tolist() == [[7, 7], [8, 8]] and x.dtype == np.float32
    x.fill_(2.5)
    x[0, 1] = 9
    x[:, 0] = minidl.tensor([5.0, 6.0])
    assert x.tolist() == [[5, 9], [6, 2.5]] and x.zero_().sum().item() == 0
    assert x.data is memory
    x += 1
    x *= 4
    x /= 2
    assert x.tolist() == [[2, 2], [2, 2]] and x.data is memory


def test_in_place_keeps_the_dtype():
    x = minidl.ones(2)
    x += minidl.ones(2, dtype="float64") * 1e-3
    assert x.dtype == np.float32


@pytest.mark.parametrize(
    "index, value",
    [
        (([0, 2], slice(1, 3)), 7.0),
        (np.array([True, False, True]), [1.0, 2.0, 3.0, 4.0]),
        ((1, slice(None), None), [[5.0]]),
        ((0, [3, 1]), [8.0, 9.0]),
        ((..., -1), [1.0, 2.0, 3.0]),
        ((1, True, 2), 3.0),
    ],
)
def test_setitem(index, value):
    x, expected = minidl.zeros(3, 4), np.zeros((3, 4))
    x[index] = minidl.tensor(value) if isinstance(value, list) else value
    expected[index] = value
    np.testing.assert_array_equal(x.data, expected)


def test_in_place_is_refused_where_a_gradient_would_be_lost():
    p = minidl.ones(2, requires_grad=True)
    y = p * 2
    with pytest.raises(GraphError, match=r"minidl\.no_grad\(\)"):
        p += 1
    with minidl.no_grad(), pytest.raises(GraphError, match="computed tensor"):
        y += 1
    with pytest.raises(GraphError, match="computed tensor"):
        y[0] = 1
    assert p.tolist() == [1, 1] and y.tolist() == [2, 2]


# --- views --------------------------------------------------------------------------------------


def test_views_share_memory():
    x = minidl.arange(12, dtype="float32").reshape(3, 4)
    views = [x[1], x[1, 2], x[:, ::2], x[None], x.T, x.reshape(-1), x.permute(1, 0), x.split(1)[0],
             x.unbind(1)[2], x.squeeze(), x.expand(2, 3, 4), x.detach()]  # fmt: skip
    assert all(np.shares_memory(view.data, x.data) for view in views)
    copies = [x[[0, 1]], x[x > 3], x.clone(), x.T.contiguous(), x + 0, x.flip(0).contiguous()]
    assert not any(np.shares_memory(c.data, x.data) for c in copies)
    assert x.contiguous() is x
    row = x[1]
    row += 100
    assert x[1, 0].item() == 104


def test_clone_keeps_the_memory_layout():
    x = Tensor(np.zeros((2, 5, 4, 3), np.float32).transpose(0, 3, 1, 2))
    assert x.clone().data.strides == x.data.strides


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + 1, lambda x: x * x, lambda x: x.exp(), lambda x: x**2, lambda x: x.double(),
        lambda x: x + minidl.ones(1, 3, 1, 1), lambda x: minidl.where(x > 0, x, 0.0),
        lambda x: x.clamp(0, 1), lambda x: x.maximum(x * 2), lambda x: minidl.cat([x, x], 1),
        lambda x: x[1:],
    ],
)  # fmt: skip
def test_activations_stay_channels_last(operation):
    x = Tensor(np.ones((2, 5, 4, 3), np.float32).transpose(0, 3, 1, 2))
    assert operation(x).data.transpose(0, 2, 3, 1).flags.c_contiguous


def test_no_parts():
    """As many parts as sizes: none of nothing, as in PyTorch."""
    empty = minidl.zeros(0, 3, requires_grad=True)
    assert empty.split([]) == () and minidl.split(empty, ()) == ()
    assert [part.shape for part in empty.split([0, 0])] == [(0, 3)] * 2
    assert [part.shape for part in empty.split(2)] == [(0, 3)]
    with pytest.raises(ArgumentError, match="sizes >= 0 that add up to 3"):
        empty.split([], 1)


def test_iteration_and_membership():
    x = minidl.tensor([[1.0, 2.0], [3.0, 4.0]])
    assert [row.tolist() for row in x] == [[1, 2], [3, 4]] and len(x) == 2
    a, b = x
    assert b.tolist() == [3, 4]
    assert 3.0 in x and 5.0 not in x


# --- in and out ---------------------------------------------------------------------------------


def test_numpy_shares_memory_both_ways():
    x = minidl.zeros(3)
    for array in (x.numpy(), np.asarray(x), np.from_dlpack(x)):
        array[1] += 5
    assert x.tolist() == [0, 15, 0]
    array = np.zeros(3)
    for y in (minidl.from_numpy(array), minidl.from_dlpack(array)):
        y[2] = y[2] + 1
        y += 1
    assert array.tolist() == [2, 2, 4] and minidl.from_numpy(array).dtype == np.float64


@pytest.mark.torch
def test_pytorch_shares_memory_both_ways():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = minidl.zeros(2, 3).T  # not contiguous: strides travel, too
    theirs = torch.from_dlpack(ours)
    theirs[2, 1] = 7
    ours[0, 0] = 5
    assert ours[2, 1].item() == 7 and theirs[0, 0] == 5 and theirs.shape == (3, 2)
    source = torch.zeros(4)
    y = minidl.from_dlpack(source)
    y += 3
    source[1] = 8
    assert source.tolist() == [3, 8, 3, 3] and y.tolist() == [3, 8, 3, 3]
    assert minidl.tensor(source).tolist() == [3, 8, 3, 3]
    with pytest.raises(DtypeError, match="does not share"):
        minidl.from_dlpack(torch.zeros(1, requires_grad=True))
    for refused in (torch.zeros(1, requires_grad=True), torch.zeros(1, dtype=torch.bfloat16)):
        with pytest.raises(DtypeError, match="does not give this"):
            minidl.tensor(refused)


def test_asarray_options():
    x = minidl.tensor([1.0, 2.0])
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    assert not np.shares_memory(np.array(x), x.data)
    np.testing.assert_array_equal(np.exp(x), np.exp(x.data))
    array = np.ones(2, np.float32)
    before = array
    array += x
    assert array is before and array.tolist() == [2, 3]


def test_a_recorded_tensor_is_not_handed_out():
    x = minidl.ones(2, requires_grad=True)
    for give in (x.numpy, x.__dlpack__, lambda: np.asarray(x), lambda: np.from_dlpack(x)):
        with pytest.raises(GraphError, match="detach"):
            give()


def test_pickle_and_deepcopy():
    x = minidl.tensor([[1.0, 2.0]], requires_grad=True)
    for other in (pickle.loads(pickle.dumps(x)), copy.deepcopy(x)):
        assert other.equal(x) and other.requires_grad and other.is_leaf
        assert not np.shares_memory(other.data, x.data)
    p = minidl.nn.Parameter(minidl.ones(2), requires_grad=False)
    for other in (pickle.loads(pickle.dumps(p)), copy.deepcopy(p)):
        assert type(other) is minidl.nn.Parameter and not other.requires_grad and other.equal(p)


def test_integers_compare_with_numbers_they_cannot_hold():
    x = minidl.tensor([0, 3], dtype="uint8")
    assert (x == 300).tolist() == [False, False] and (x != -1).tolist() == [True, True]
    assert (x > -1).tolist() == [True, True] and (2**70 > x).tolist() == [True, True]


def test_python_numbers():
    x = minidl.tensor(2.5)
    assert x.item() == 2.5 and float(x) == 2.5 and int(x) == 2 and bool(x) and f"{x:.2f}" == "2.50"
    assert [10, 20, 30][minidl.tensor(1)] == 20 and list(range(minidl.tensor(2))) == [0, 1]
    assert minidl.arange(5)[: minidl.tensor(2)].tolist() == [0, 1]
    assert f"{minidl.ones(2)}" == "tensor([1., 1.])"


# --- display ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "make, text",
    [
        (lambda: minidl.tensor(3.0), "tensor(3.)"),
        (lambda: minidl.tensor([1, 2]), "tensor([1, 2])"),
        (lambda: minidl.tensor([True]), "tensor([ True])"),
        (lambda: minidl.tensor([1 / 3, 2.0]), "tensor([0.3333, 2.    ])"),
        (lambda: minidl.tensor([[1.0], [2.0]]), "tensor([[1.],\n        [2.]])"),
        (lambda: minidl.ones(1, dtype="float64"), "tensor([1.], dtype=float64)"),
        (lambda: minidl.ones(1, requires_grad=True), "tensor([1.], requires_grad=True)"),
        (lambda: minidl.ones(1, requires_grad=True) * 2, "tensor([2.], grad_fn=<Mul>)"),
        (lambda: minidl.zeros(0, 3), "tensor([], size=(0, 3))"),
        (lambda: minidl.zeros(0), "tensor([])"),
    ],
)
def test_repr(make, text):
    assert repr(make()) == text


def test_repr_of_a_large_tensor_is_short():
    assert len(repr(minidl.zeros(1000, 1000))) < 1000


# --- creation and what it is --------------------------------------------------------------------


def test_a_number_in_where_takes_the_dtype_of_the_tensor():
    x = minidl.tensor(3, dtype="int32")
    assert minidl.where(x > 1, 2, x).dtype == minidl.where(x > 1, x, 2).dtype == np.int32


def test_dtype_of_new_tensors():
    for data, dtype in [
        (1.5, "float32"), (1, "int64"), (True, "bool"), ([1, 2.5], "float32"), ([], "float32"),
        (np.ones(1), "float64"), (np.float64(1), "float64"), ([np.float64(1)], "float64"),
        (np.ones(1, np.int32), "int32"), ([minidl.ones(2), minidl.ones(2)], "float32"),
    ]:  # fmt: skip
        assert minidl.tensor(data).dtype == dtype, data
    assert minidl.full((2,), 3).dtype == np.int64 and minidl.full((2,), 3.0).dtype == np.float32
    assert minidl.arange(3).dtype == np.int64 and minidl.arange(0, 1, 0.5).tolist() == [0, 0.5]


def test_tensor_copies():
    array = np.ones(2)
    x = minidl.tensor(array)
    array[0] = 5
    assert x.tolist() == [1, 1]


def test_like_functions_keep_the_layout():
    x = Tensor(np.zeros((2, 4, 3), np.float64).transpose(0, 2, 1))
    for y in (minidl.zeros_like(x), minidl.ones_like(x), minidl.empty_like(x)):
        assert y.shape == (2, 3, 4) and y.data.strides == x.data.strides and y.dtype == x.dtype
    assert minidl.ones_like(x).sum().item() == 24


def test_random_numbers_follow_the_seed():
    minidl.manual_seed(3)
    a, b = minidl.randn(1000), minidl.rand(1000)
    minidl.manual_seed(3)
    assert a.equal(minidl.randn(1000)) and b.equal(minidl.rand(1000))
    assert abs(a.mean().item()) < 0.1 and abs(a.std().item() - 1) < 0.1
    assert 0 <= b.min().item() and b.max().item() < 1


def test_sizes():
    x = minidl.zeros(2, 3, 4)
    assert x.shape == x.size() == (2, 3, 4) and x.size(-1) == 4 and x.dim() == x.ndim == 3
    assert x.numel() == 24 and x.device == "cpu" and minidl.zeros().shape == ()


def test_requires_grad_is_checked():
    x = minidl.ones(2)
    x.requires_grad = True
    y = x * 2
    with pytest.raises(GraphError, match="detach"):
        y.requires_grad = False
    with pytest.raises(DtypeError, match="floating-point"):
        minidl.arange(3).requires_grad = True
    assert x.requires_grad_(False) is x and not x.requires_grad
