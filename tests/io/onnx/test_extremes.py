"""Operators at values and sizes that ONNX's own suite leaves out."""

import numpy as np
import onnx
import pytest
from onnx import helper

from minidl import Tensor
from minidl.errors import MinidlError
from minidl.io.onnx.graph import OnnxModule
from minidl.io.onnx.load import read_graph

INF, NAN = np.inf, np.nan


def run(operator, arrays, opset=18, outputs=1, **attributes):
    """The first output of one node for arrays; None leaves an input out."""
    names = ["" if a is None else f"x{i}" for i, a in enumerate(arrays)]
    arrays = [a for a in arrays if a is not None]
    node = helper.make_node(operator, names, [f"y{i}" for i in range(outputs)], **attributes)
    inputs = [
        helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), a.shape)
        for name, a in zip(filter(None, names), arrays)
    ]
    output = onnx.ValueInfoProto(name="y0")
    graph = helper.make_graph([node], "net", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    with np.errstate(all="ignore"):
        return OnnxModule(read_graph(model))(*map(Tensor, arrays)).numpy()


def floats(*values, dtype=np.float32):
    return np.array(values, dtype)


def ints(*values):
    return np.array(values, np.int64)


def test_fmod_is_exact_where_the_quotient_is_not():
    a = floats(1e8, -1e8, 70_000_001, 5.5, -5.5, 1e-10, -1e-10, 5, INF)
    b = floats(3, 3, -7, 2, 2, 3, 3, INF, 2)
    with np.errstate(invalid="ignore"):
        expected = np.fmod(a, b)
    np.testing.assert_array_equal(run("Mod", [a, b], fmod=1), expected)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("operator, function", [("Asinh", np.arcsinh), ("Acosh", np.arccosh)])
def test_inverse_hyperbolic_functions_of_large_numbers(operator, function, dtype):
    big = float(np.finfo(dtype).max)
    x = floats(1, 2, 300, 9e3, min(2e8, big), big, INF, NAN, dtype=dtype)
    x = np.concatenate([x, -x, floats(0, 1e-3, dtype=dtype)])
    y = run(operator, [x])
    assert y.dtype == dtype
    rtol = {np.float16: 2e-3, np.float32: 1e-6, np.float64: 1e-12}[dtype]
    with np.errstate(invalid="ignore"):
        expected = function(x.astype(np.float64))
    np.testing.assert_allclose(y, expected, rtol=rtol)


def test_thresholds_of_infinite_numbers():
    x = floats(-INF, -2, 0, 2, INF, NAN)
    expected = floats(0, 0, 0, 2, INF, 0)
    np.testing.assert_array_equal(run("ThresholdedRelu", [x]), expected)
    np.testing.assert_array_equal(run("Shrink", [x], lambd=1e9), floats(-INF, 0, 0, 0, INF, 0))


def test_mean_of_integers_is_an_integer():
    y = run("ReduceMean", [np.array([[1, 2], [5, 6]], np.int32), ints(1)], keepdims=0)
    assert y.dtype == np.int32
    np.testing.assert_array_equal(y, [1, 5])


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
def test_pytorch_half_pixel_reads_the_first_of_an_axis_that_becomes_one(mode):
    """ONNX: x_original is 0 where length_resized is 1."""
    x = np.random.default_rng(0).standard_normal((1, 1, 4, 3)).astype(np.float32)
    y = run("Resize", [x, None, None, ints(1, 1, 1, 3)], mode=mode,
            coordinate_transformation_mode="pytorch_half_pixel")  # fmt: skip
    np.testing.assert_allclose(y, x[:, :, :1], rtol=1e-6)


def ones(*shape):
    return np.ones(shape, np.float32)


HUGE = 1 << 40
HUGE_RESULTS = {
    "depth": ("OneHot", [ints(1), ints(HUGE), ones(2)], {}),
    "strides-unpooled": (
        "MaxUnpool", [ones(1, 1, 2, 2), np.zeros((1, 1, 2, 2), np.int64)],
        {"kernel_shape": [2, 2], "strides": [HUGE, 1]},
    ),
    "strides-transposed": (
        "ConvTranspose", [ones(1, 1, 2, 2, 2), ones(1, 1, 2, 2, 2)], {"strides": [HUGE, 1, 1]},
    ),
    "picture-of-columns": (
        "Col2Im", [ones(1, 4, 1), ints(HUGE, 2), ints(2, 2)], {"strides": [HUGE, 1]},
    ),
    "scale": (
        "Resize", [ones(1, 1, 2, 2), None, floats(1, 1, 0.5, 1e-12)],
        {"mode": "linear", "antialias": 1},
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", HUGE_RESULTS)
def test_sizes_are_checked_before_memory_is_taken(name):
    """An error of minidl's own, not the MemoryError of an attempt."""
    operator, arrays, attributes = HUGE_RESULTS[name]
    with pytest.raises(MinidlError, match=r"would take [\d,]+ GiB|larger than any memory"):
        run(operator, arrays, **attributes)


@pytest.mark.parametrize("axis, mode", [(-2, "linear"), (1, "circular"), (3, "linear")])
def test_tensor_scatter_writes_from_each_start(axis, mode):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 5, 6)).astype(np.float32)
    shape = list(x.shape)
    shape[axis] = 3
    updates, starts = rng.normal(size=shape).astype(np.float32), ints(1, 0)
    if mode == "circular":
        starts = ints(3, 9)
    expected = x.copy()
    for item in range(2):
        for t in range(3):
            place = (starts[item] + t) % x.shape[axis]
            np.moveaxis(expected[item], axis % 4 - 1, 0)[place] = np.take(
                updates[item], t, axis % 4 - 1
            )
    y = run("TensorScatter", [x, updates, starts], opset=24, axis=axis, mode=mode)
    np.testing.assert_array_equal(y, expected)
    if mode == "linear":
        with pytest.raises(MinidlError, match="start is below 0"):
            run("TensorScatter", [x, updates, ints(-1, 0)], opset=24, axis=axis)
        with pytest.raises(MinidlError, match="outside of the dimension"):
            run("TensorScatter", [x, updates, ints(0, 5)], opset=24, axis=axis)
    with pytest.raises(MinidlError, match="behind the batch"):
        run("TensorScatter", [x, updates, starts], opset=24, axis=0)
