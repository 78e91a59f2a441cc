"""floor_divide in a file: every element type, and what floats round."""

import numpy as np
import pytest

import minidl
from minidl.io.onnx.export import serialized, to_proto
from minidl.io.onnx.graph import OnnxModule
from minidl.io.onnx.load import parse, read_graph
from tests.io.onnx.runtime import Call, evaluate, run_file

DIVIDE = Call(lambda a, b: a // b)


def assert_same_quotients(a, b):
    """In ONNX Runtime, and loaded back."""
    tensors = minidl.tensor(a), minidl.tensor(b)
    data = serialized(to_proto(DIVIDE, tensors, dynamic_batch=False))
    with np.errstate(all="ignore"):
        expected = evaluate(DIVIDE, [a, b])
        loaded = evaluate(OnnxModule(read_graph(parse(data))), [a, b])
    for actual in (run_file(data, [a, b]), loaded):
        assert actual[0].dtype == expected[0].dtype
        np.testing.assert_array_equal(actual[0], expected[0])


@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_integers_of_both_signs(dtype):
    a = np.array([-128, -7, -6, -1, 0, 1, 6, 7, 127], dtype)[:, None]
    assert_same_quotients(a, np.array([[-128, -3, -2, -1, 1, 2, 3, 127]], dtype))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "uint32", "uint64"])
def test_integers_without_sign(dtype):
    a = np.array([0, 1, 6, 7, 200, np.iinfo(dtype).max], dtype)[:, None]
    assert_same_quotients(a, np.array([[1, 2, 7, 200, np.iinfo(dtype).max]], dtype))


def test_bools():
    assert_same_quotients(np.array([[False], [True]]), np.array([[True, True]]))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_floats_whose_quotient_rounds_up(dtype):
    rng = np.random.default_rng(0)
    a = (rng.integers(-500, 500, (300, 1)) / 10).astype(dtype)
    assert_same_quotients(a, np.array([[0.1, -0.1, 0.3, 0.7, -2.5, 3, 1e-3]], dtype))
    assert_same_quotients(np.array([[1]], dtype), np.array([[0.1]], dtype))


def test_floats_of_all_sizes_and_what_is_no_number():
    rng = np.random.default_rng(0)
    a = (10 ** rng.uniform(-8, 8, (200, 1)) * rng.standard_normal((200, 1))).astype(np.float32)
    assert_same_quotients(a, a[:40].reshape(1, 40))
    special = np.array([0, 1, -1, 5.5, np.inf, -np.inf, np.nan], np.float32)
    assert_same_quotients(special[:, None], special[None])
