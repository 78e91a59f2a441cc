"""Frozen graphs: how constants are stored, and what they are."""

import time

import numpy as np
import pytest

from minidl.errors import CheckpointError
from minidl.io import read_weights
from tests.io.weights.make import BIAS, CONV, DENSE, HWIO, Graph, assert_same, numbers


@pytest.fixture
def graph():
    return Graph()


@pytest.fixture
def read(tmp_path, graph):
    def read_graph(data=None):
        (tmp_path / "x.pb").write_bytes(graph.bytes() if data is None else data)
        return read_weights(tmp_path / "x.pb")

    return read_graph


def test_ways_to_store_numbers(graph, read):
    half = BIAS.astype(np.float16)
    upper = (BIAS.view(np.uint32) >> 16).astype(np.uint16)
    graph.constant("bytes", DENSE)
    graph.constant("list", BIAS, float_val=BIAS.tolist())
    graph.constant("double", BIAS.astype(np.float64), double_val=BIAS.tolist())
    graph.constant("half", half)
    graph.constant("half list", half, half_val=half.view(np.uint16).tolist())
    graph.constant("bfloat16", upper, dtype=14)
    graph.constant("bfloat16 list", upper, dtype=14, half_val=upper.tolist())
    graph.constant("last repeats", np.zeros((2, 2), np.float32), float_val=[1.0, 2.0])
    graph.constant("scalar", np.float32(3), float_val=[3.0])
    graph.constant("nothing", np.zeros((0, 3), np.float32))
    graph.constant("integers", np.int32([1, 2]))
    from_upper = (upper.astype(np.uint32) << 16).view(np.float32)
    assert_same(read().tensors, {
        "bytes": DENSE, "list": BIAS, "double": BIAS.astype(np.float64),
        "half": half.astype(np.float32), "half list": half.astype(np.float32),
        "bfloat16": from_upper, "bfloat16 list": from_upper, "scalar": np.array(3, np.float32),
        "last repeats": np.float32([[1, 2], [2, 2]]), "nothing": np.zeros((0, 3), np.float32),
    })  # fmt: skip


def test_what_takes_a_constant_says_what_it_is(graph, read):
    kernel = np.ascontiguousarray(CONV.transpose(HWIO))
    volume = numbers(2, 3, 4, 5, 6)
    graph.constant("a", kernel)
    graph.op("Identity", "a/read", "a")
    graph.op("Identity", "a/again", "a/read:0")
    graph.op("_FusedConv2D", "conv", "x", "a/again")
    graph.constant("up", kernel)
    graph.op("Conv2DBackpropInput", "convt", "shape", "up", "conv")
    graph.constant("volume", volume)
    graph.op("Conv3D", "conv3", "x", "volume")
    graph.constant("left", DENSE)
    graph.op("MatMul", "mm", "left", "x")  # as the first factor: no linear layer's matrix
    graph.constant("alone", kernel)
    assert_same(read().tensors, {
        "a": CONV, "up": CONV, "volume": volume.transpose(4, 3, 0, 1, 2), "left": DENSE,
        "alone": kernel,
    })  # fmt: skip


@pytest.mark.parametrize("layout, order", [(b"NCHW", "CHW"), (b"NHWC", "HWC")])
def test_the_flatten_order_is_the_graphs(layout, order, graph, read):
    graph.constant("a", BIAS)
    graph.op("Conv2D", "conv", "x", "a", data_format=layout)
    assert read().flatten_order == order


def test_a_long_chain_with_many_takers(graph, read):
    """In time that grows with the nodes, not with the chain times the takers."""
    graph.constant("end", DENSE.T)
    for index in range(3000):
        graph.op("Identity", f"a{index}", f"a{index - 1}" if index else "end")
    for index in range(3000):
        graph.op("MatMul", f"m{index}", "x", "a2999")
    before = time.process_time()
    assert_same(read().tensors, {"end": DENSE})
    assert time.process_time() - before < 1


def test_circles(graph, read):
    graph.op("Identity", "a", "b")
    graph.op("Identity", "b", "a")
    graph.op("Conv2D", "conv", "x", "a")
    graph.constant("w", BIAS)
    assert_same(read().tensors, {"w": BIAS})


@pytest.mark.parametrize(
    "fields, text",
    [
        ({"float_val": [1.0], "shape": (1 << 18, 1 << 18)}, "unpacks to more than"),
        ({"float_val": [1.0], "shape": (1 << 62,)}, "impossible shape"),
        ({"float_val": [1.0], "shape": (-1,)}, "impossible shape"),
        ({"float_val": [], "shape": (3,)}, "has 0 values, its shape needs 3"),
        ({"float_val": [1.0, 2.0], "shape": (1,)}, "has 2 values, its shape needs 1"),
        ({"shape": (5,)}, "has 16 bytes, its shape needs 20"),
        ({"float_val": [1.0], "shape": (1,) * 40}, "impossible shape"),
        ({"half_val": [1, 70000], "dtype": 19}, "more than 16 bits"),
        ({"half_val": [-1], "dtype": 19}, "more than 16 bits"),
        ({"half_val": [70000, 1], "dtype": 14}, "more than 16 bits"),
    ],
)  # fmt: skip
def test_shapes_that_do_not_fit(fields, text, graph, read):
    graph.constant("w", BIAS, **fields)
    with pytest.raises(CheckpointError, match=text):
        read()


def test_many_repeated_constants_do_not_fill_the_memory(graph, read):
    for index in range(100):
        graph.constant(f"c{index}", BIAS, float_val=[1.0], shape=(1 << 18,))
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read()


def test_a_saved_model_has_its_weights_elsewhere(read, graph):
    graph.constant("w", BIAS)
    meta_graph = b"\x0a\x07\x22\x05serve"
    with pytest.raises(CheckpointError, match="SavedModel"):
        read(b"\x08\x01\x12" + bytes([len(meta_graph)]) + meta_graph)
