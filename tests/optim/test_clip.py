"""Gradient clipping against its formula, PyTorch, and mistakes."""

import math

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl.errors import ArgumentError, NonFiniteError
from minidl.optim import clip_grad_norm_, clip_grad_value_
from minidl.optim.clip import NORM_BLOCK, block_squares, norm_of_squares, scale_down


def parameters(dtype=np.float64):
    """Three with gradients, one of them transposed in memory, and one without."""
    rng = np.random.default_rng(0)
    found = []
    for shape in ((3,), (2, 4), ()):
        p = Tensor(np.zeros(shape, dtype), requires_grad=True)
        p.grad = Tensor(np.asarray(rng.standard_normal(shape[::-1]) * 3, dtype).T)
        found.append(p)
    return [*found, Tensor(np.zeros(2, dtype), requires_grad=True)]


def flat(ps):
    return np.concatenate([p.grad.data.ravel() for p in ps if p.grad is not None])


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.5, math.inf])
@pytest.mark.parametrize("max_norm", [0.5, 1e6])
def test_norm(max_norm, norm_type):
    ps = parameters()
    before, arrays = flat(ps), [p.grad.data for p in ps[:3]]
    norm = clip_grad_norm_(ps, max_norm, norm_type)
    assert norm == pytest.approx(np.linalg.norm(before, norm_type), rel=1e-12)
    expected = before * min(1.0, max_norm / (norm + 1e-6))
    np.testing.assert_allclose(flat(ps), expected, rtol=1e-12)
    assert all(p.grad.data is array for p, array in zip(ps, arrays))  # in place


@pytest.mark.torch
@pytest.mark.parametrize("norm_type", [1.0, 2.0, math.inf])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_norm_pytorch(norm_type, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ps = parameters(dtype)
    theirs = [torch.zeros(p.shape, requires_grad=True) for p in ps]
    for p, q in zip(ps, theirs):
        if p.grad is not None:
            q.data = q.data.to(torch.from_numpy(p.grad.data.copy()).dtype)
            q.grad = torch.from_numpy(p.grad.data.copy())
    expected = torch.nn.utils.clip_grad_norm_(theirs, 1.5, norm_type)
    assert clip_grad_norm_(ps, 1.5, norm_type) == pytest.approx(expected.item(), rel=1e-6)
    for p, q in zip(ps, theirs):
        if p.grad is not None:
            np.testing.assert_allclose(p.grad.data, q.grad.numpy(), rtol=1e-6)


@pytest.mark.parametrize("norm_type", [0.5, 1.0, 1.5, 2.0, 3.0, math.inf])
def test_norm_beyond_float16(norm_type):
    n = 100_000
    p = Tensor(np.zeros(n, np.float16), requires_grad=True)
    p.grad = Tensor(np.full(n, 1000.0, np.float16))
    norm = clip_grad_norm_(p, n, norm_type)
    assert norm == pytest.approx(1000 * n ** (1 / norm_type), rel=1e-5)
    np.testing.assert_allclose(p.grad.data, 1000 * min(1.0, n / norm), rtol=1e-3, atol=1e-7)
    assert (p.grad.data > 0).all()


def test_the_norm_is_the_same_however_the_gradients_are_cut():
    """On borders of NORM_BLOCK, in any order, by whoever holds the pieces; and so is the step."""
    rng = np.random.default_rng(0)
    sizes = (3 * NORM_BLOCK + 17, 64, 1, NORM_BLOCK)
    gradients = [(rng.standard_normal(n) * 100).astype(np.float32) for n in sizes]
    gradients[1] = gradients[1].reshape(4, 2, 8).transpose(2, 0, 1)  # as a kernel may leave it
    pieces = [
        flat[start : start + k * NORM_BLOCK].copy()
        for k, flat in zip((2, 1, 1, 3), (g.reshape(-1) for g in gradients))
        for start in range(0, flat.size, k * NORM_BLOCK)
    ]
    squares = [s for piece in pieces for s in block_squares(piece)]
    rng.shuffle(squares)
    ps = [Tensor(np.zeros(g.shape, np.float32), requires_grad=True) for g in gradients]
    for p, g in zip(ps, gradients):
        p.grad = Tensor(g.copy(order="K"))
    norm = clip_grad_norm_(ps, 1.0)
    assert norm == norm_of_squares(squares)
    assert norm == pytest.approx(math.sqrt(sum((g.astype("f8") ** 2).sum() for g in gradients)))
    for piece in pieces:
        scale_down(piece, 1.0, norm)
    clipped = np.concatenate([p.grad.data.reshape(-1) for p in ps])
    np.testing.assert_array_equal(np.concatenate(pieces), clipped)


def test_value():
    ps = parameters()
    expected = np.clip(flat(ps), -1.5, 1.5)
    clip_grad_value_(ps, 1.5)
    np.testing.assert_array_equal(flat(ps), expected)
    assert (np.abs(expected) == 1.5).any() and (np.abs(expected) < 1.5).any()


def test_one_tensor_and_none():
    p = parameters()[0]
    clip_grad_norm_(p, 0.1)
    assert np.linalg.norm(p.grad.data) == pytest.approx(0.1, rel=1e-4)
    assert clip_grad_norm_([], 1.0) == 0.0


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # NumPy's about inf * 0
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_non_finite(value):
    p = parameters()[0]
    p.grad.data[1] = value
    with pytest.raises(NonFiniteError, match="norm of the gradients"):
        clip_grad_norm_(p, 1.0, error_if_nonfinite=True)
    assert not math.isfinite(clip_grad_norm_(p, 1.0))
    assert not np.isfinite(p.grad.data).all()  # not hidden


@pytest.mark.parametrize(
    "call, text",
    [
        (lambda: clip_grad_norm_([], -1.0), "max_norm is a number >= 0"),
        (lambda: clip_grad_norm_([], math.nan), "max_norm is a number >= 0"),
        (lambda: clip_grad_norm_([], 1.0, norm_type=0), "norm_type is > 0"),
        (lambda: clip_grad_norm_(["w"], 1.0), "parameters are Tensors"),
        (lambda: clip_grad_norm_(nn.Linear(1, 1), 1.0), "pass model.parameters"),
        (lambda: clip_grad_value_(None, 1.0), "parameters are Tensors"),
        (lambda: clip_grad_value_([], "1"), "clip_value is a number >= 0"),
    ],
)
def test_error_message(call, text):
    with pytest.raises(ArgumentError, match=text):
        call()


@pytest.mark.parametrize(
    "scale, dtype", [(1e25, "float32"), (1e-25, "float32"), (1e200, "float64")]
)
@pytest.mark.parametrize("p", [1.5, 2, 3])
def test_gradients_whose_squares_are_out_of_range(scale, dtype, p):
    parameters = [minidl.zeros(2, dtype=dtype, requires_grad=True) for _ in range(2)]
    for parameter, numbers in zip(parameters, ([3.0, -4.0], [0.0, 12.0])):
        parameter.grad = minidl.tensor((scale * np.array(numbers)).tolist(), dtype=dtype)
    expected = scale * np.linalg.norm([3.0, 4.0, 12.0], p)
    assert clip_grad_norm_(parameters, 1.0, p) == pytest.approx(expected, rel=1e-5)
    if scale > 1:
        clipped = np.concatenate([parameter.grad.data for parameter in parameters])
        assert np.linalg.norm(clipped.astype("float64"), p) == pytest.approx(1, rel=1e-5)
