"""Every operation of the table: gradients, backends, layouts, oracles, PyTorch, error messages."""

import numpy as np
import pytest

import minidl
from minidl import Tensor
from minidl.debug import gradcheck
from tests.op_cases import BAD_CASES, CASES

by_id = pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
with_gradient = pytest.mark.parametrize(
    "case", [case for case in CASES if case.gradient and case.smooth], ids=lambda case: case.id
)


def make_inputs(case, dtype, requires_grad=False):
    """The case's arrays as Tensors: floats in dtype, integers as they are."""
    return [
        Tensor(array.astype(dtype), requires_grad) if array.dtype.kind == "f" else Tensor(array)
        for array in case.inputs
    ]


def as_tuple(y):
    return tuple(y) if isinstance(y, tuple | list) else (y,)


def run(case, dtype, kernels, upstream_seed=1, inputs=None):
    """Output arrays, and input gradients for a random upstream gradient."""
    minidl.manual_seed(0)
    with minidl.use_cpu_kernels(kernels):
        inputs = make_inputs(case, dtype, case.gradient) if inputs is None else inputs
        outputs = as_tuple(case.call(*inputs))
        for i, y in enumerate(outputs):
            if y.requires_grad:
                y.backward(upstream(y.shape, dtype, upstream_seed + i), retain_graph=True)
    return [y.data for y in outputs], [x.grad.data for x in inputs if x.grad is not None]


def upstream(shape, dtype, seed):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def assert_close(actual, expected, rtol):
    """Every element, within rtol of the expected array's largest magnitude."""
    assert len(actual) == len(expected)
    for a, e in zip(actual, expected):
        e = np.asarray(e)
        assert a.shape == e.shape
        assert a.dtype.kind == e.dtype.kind
        scale = max(1.0, np.abs(e[np.isfinite(e)]).max()) if np.isfinite(e).any() else 1.0
        np.testing.assert_allclose(a, e, rtol=0, atol=rtol * scale)


@pytest.mark.parametrize("kernels", ["reference", "numba"])
@with_gradient
def test_gradient(case, kernels):
    minidl.manual_seed(0)
    with minidl.use_cpu_kernels(kernels):
        assert gradcheck(case.call, make_inputs(case, np.float64, True))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@by_id
def test_numba_equals_reference(case, dtype):
    rtol = case.rtol if dtype == np.float32 else 1e-11
    outputs, gradients = run(case, dtype, "numba")
    expected_outputs, expected_gradients = run(case, dtype, "reference")
    assert all(y.dtype == dtype for y in outputs if y.dtype.kind == "f")
    assert_close(outputs, expected_outputs, rtol)
    assert_close(gradients, expected_gradients, rtol)


def reorder(array, layout):
    """The same values in other memory: reversed axis order, or every second element of a larger."""
    if array.ndim == 0:
        return array
    if layout == "reversed axes":
        return np.asfortranarray(array)
    larger = np.full([2 * size for size in array.shape], np.nan, array.dtype)
    view = larger[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


@pytest.mark.parametrize("kernels", ["reference", "numba"])
@pytest.mark.parametrize("layout", ["reversed axes", "strided"])
@by_id
def test_memory_layout_does_not_matter(case, layout, kernels):
    expected_outputs, expected_gradients = run(case, np.float64, kernels)
    inputs = make_inputs(case, np.float64, case.gradient)
    for x in inputs:
        if x.dtype.kind == "f":
            x.data = reorder(x.data, layout)
    before = [x.data.copy() for x in inputs]
    outputs, gradients = run(case, np.float64, kernels, inputs=inputs)
    assert_close(outputs, expected_outputs, 1e-11)
    assert_close(gradients, expected_gradients, 1e-11)
    for x, original in zip(inputs, before):
        np.testing.assert_array_equal(x.data, original)  # an operation never changes its input


@pytest.mark.parametrize("case", [case for case in CASES if case.oracle], ids=lambda case: case.id)
def test_oracle(case):
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed (pip: '.[test]')")
    arrays = [a.astype(np.float32) if a.dtype.kind == "f" else a for a in case.inputs]
    outputs, _ = run(case, np.float32, "numba")
    assert_close(outputs, case.oracle(*arrays), case.rtol)


@pytest.mark.torch
@pytest.mark.parametrize("case", [case for case in CASES if case.torch], ids=lambda case: case.id)
def test_pytorch(case):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    inputs = [torch.from_numpy(array.copy()) for array in case.inputs]
    for x in inputs:
        x.requires_grad_(case.gradient and x.dtype.is_floating_point)
    expected = as_tuple(case.torch(torch, *inputs))
    for i, y in enumerate(expected):
        if y.requires_grad:
            y.backward(torch.from_numpy(upstream(tuple(y.shape), np.float64, 1 + i)),
                       retain_graph=True)  # fmt: skip
    outputs, gradients = run(case, np.float64, "numba")
    assert_close(outputs, [y.detach().numpy() for y in expected], 1e-10)
    assert_close(gradients, [x.grad.numpy() for x in inputs if x.grad is not None], 1e-10)


@pytest.mark.parametrize("case", BAD_CASES, ids=lambda case: case.id)
def test_error_message(case):
    with pytest.raises(case.error) as caught:
        case.call()
    message = str(caught.value)
    assert message.startswith(f"{caught.value.op}: ")
    for text in case.says:
        assert text in message
