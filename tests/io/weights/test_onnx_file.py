"""ONNX initializers, and data files beside a model."""

import os
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from minidl.errors import CheckpointError
from minidl.io import read_weights
from tests.io.weights.make import BIAS, CONV, assert_same, onnx_model


@pytest.fixture
def read(tmp_path):
    def read_bytes(data):
        (tmp_path / "x.onnx").write_bytes(data)
        return read_weights(tmp_path / "x.onnx")

    return read_bytes


KINDS = {
    TensorProto.FLOAT: np.float32, TensorProto.DOUBLE: np.float64, TensorProto.INT64: np.int64,
    TensorProto.INT32: np.int32, TensorProto.UINT8: np.uint8, TensorProto.INT8: np.int8,
    TensorProto.BOOL: np.bool_, TensorProto.UINT64: np.uint64, TensorProto.FLOAT16: np.float32,
    TensorProto.BFLOAT16: np.float32, TensorProto.INT16: np.int16, TensorProto.UINT16: np.uint16,
}  # fmt: skip


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_every_type_in_fields_and_as_bytes(kind, raw, read):
    values = np.array([[1, 0, 2], [3, 1, 5]])
    as_type = helper.tensor_dtype_to_np_dtype(kind)
    data = values.astype(as_type)
    tensor = helper.make_tensor("x", kind, (2, 3), data.tobytes() if raw else data.ravel(), raw)
    assert_same(read(onnx_model(tensors=[tensor])).tensors, {"x": values.astype(KINDS[kind])})


def test_texts_are_left_out(read):
    texts = helper.make_tensor("t", TensorProto.STRING, (1,), [b"abc"])
    tensors = [texts, numpy_helper.from_array(BIAS, "b")]
    weights = read(onnx_model(tensors=tensors))
    assert_same(weights.tensors, {"b": BIAS})
    assert weights.meta == {"producer": "test"}


@pytest.mark.parametrize(
    "dims, text",
    [
        ([5], "cut short or damaged"), ([-1], "impossible shape"), ([1 << 50], "impossible shape"),
        ([1 << 35], "unpacks to more than"), ([2] * 60, "impossible shape"),
        ([0, 1 << 60], "impossible shape"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("raw", [False, True])
def test_dims_that_do_not_fit(dims, text, raw, read):
    tensor = numpy_helper.from_array(BIAS, "x")
    if not raw:
        tensor = helper.make_tensor("x", TensorProto.FLOAT, (4,), BIAS)
    del tensor.dims[:]
    tensor.dims.extend(dims)
    with pytest.raises(CheckpointError, match=text):
        read(onnx_model(tensors=[tensor]))


def test_a_long_chain_of_identities_with_many_takers(read):
    """In time that grows with the nodes, not with the chain times the takers."""
    nodes = [helper.make_node("Identity", [f"a{i}"], [f"a{i + 1}"]) for i in range(6000)]
    nodes += [helper.make_node("MatMul", ["x", "a6000"], [f"m{i}"]) for i in range(6000)]
    data = onnx_model(nodes, [numpy_helper.from_array(CONV[0, 0], "a0")])
    before = time.process_time()
    assert_same(read(data).tensors, {"a0": CONV[0, 0].T.copy()})
    assert time.process_time() - before < 1


def test_circles_of_identities(read):
    nodes = [helper.make_node("Identity", ["a"], ["b"]), helper.make_node("Identity", ["b"], ["a"]),
             helper.make_node("MatMul", ["x", "a"], ["y"])]  # fmt: skip
    assert_same(read(onnx_model(nodes, [numpy_helper.from_array(BIAS, "w")])).tensors, {"w": BIAS})


def test_sparse_tensors_are_refused(read):
    sparse = helper.make_sparse_tensor(
        helper.make_tensor("v", TensorProto.FLOAT, (1,), [1.0]),
        helper.make_tensor("i", TensorProto.INT64, (1,), [3]), [1 << 60],
    )  # fmt: skip
    with pytest.raises(CheckpointError, match="sparse"):
        read(onnx_model(sparse=[sparse], tensors=[numpy_helper.from_array(BIAS, "w")]))


@pytest.mark.parametrize("name, count", [("bvlc_alexnet", 17), ("squeezenet", 52)])
def test_models_of_the_onnx_package(name, count):
    """Real graphs of 2017; Gemm with transB, so that nothing is turned round."""
    path = Path(onnx.__file__).parent / f"backend/test/data/light/light_{name}.onnx"
    tensors = read_weights(path).tensors
    graph = onnx.load(path).graph
    assert len(tensors) >= count
    for tensor in graph.initializer:
        np.testing.assert_array_equal(tensors[tensor.name], numpy_helper.to_array(tensor))


# --- data beside the model --------------------------------------------------------------------


def external(location, offset=0, length=None, array=CONV):
    tensor = TensorProto(name="x", data_type=TensorProto.FLOAT, dims=array.shape)
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", offset), ("length", length)):
        if value is not None:
            tensor.external_data.add(key=key, value=str(value))
    return onnx_model(tensors=[tensor])


def test_data_beside_the_model(read, tmp_path):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x.bin").write_bytes(b"12345678" + CONV.tobytes() + b"rest")
    for length in (None, CONV.nbytes):
        assert_same(read(external("data/x.bin", 8, length)).tensors, {"x": CONV})


def test_data_files_of_onnx(tmp_path):
    model = onnx.load_from_string(onnx_model(tensors=[numpy_helper.from_array(CONV, "x")]))
    onnx.save(model, tmp_path / "x.onnx", save_as_external_data=True, size_threshold=0)
    assert len(list(tmp_path.iterdir())) == 2
    assert_same(read_weights(tmp_path / "x.onnx").tensors, {"x": CONV})


def test_data_files_larger_than_what_any_file_may_unpack_to(tmp_path):
    """As PyTorch's exporter writes large networks: a small graph, and all weights beside it."""
    w = np.arange(18_000_000, dtype=np.float32).reshape(4500, 4000)
    model = onnx.load_from_string(onnx_model(tensors=[numpy_helper.from_array(w, "x")]))
    onnx.save(model, tmp_path / "x.onnx", save_as_external_data=True, location="x.data")
    assert (tmp_path / "x.onnx").stat().st_size < 1000
    assert_same(read_weights(tmp_path / "x.onnx").tensors, {"x": w})


def test_two_hundred_tensors_that_share_one_data_file(tmp_path):
    size = 1 << 20
    (tmp_path / "data").write_bytes(bytes(size))
    tensors = []
    for i in range(200):
        tensor = TensorProto(name=f"x{i}", data_type=TensorProto.UINT8, dims=[size])
        tensor.data_location = TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="data")
        tensors.append(tensor)
    (tmp_path / "x.onnx").write_bytes(onnx_model(tensors=tensors))
    with pytest.raises(CheckpointError, match="unpacks to more than"):
        read_weights(tmp_path / "x.onnx")


@pytest.fixture
def secret(tmp_path):
    """A folder with a file that a model in a folder below it wants."""
    (tmp_path / "secret").write_bytes(CONV.tobytes())
    folder = tmp_path / "model"
    folder.mkdir()
    os.symlink("../secret", folder / "link")
    os.symlink("..", folder / "up")
    (folder / "fine").write_bytes(CONV.tobytes())
    (folder / "x.onnx").write_bytes(b"")
    return folder


@pytest.mark.parametrize(
    "location, text",
    [
        ("../secret", "outside"), ("link", "outside"), ("up/secret", "outside"),
        ("fine/../../secret", "outside"), ("{}/secret", "outside"), ("..\\secret", "outside"),
        ("", "outside"), (".", "outside"), ("/dev/zero", "outside"), ("a\0b", "outside"),
        ("missing", "is not there"), ("/proc/self/environ", "outside"),
    ],
)  # fmt: skip
def test_no_path_leads_out_of_the_folder(location, text, secret):
    (secret / "x.onnx").write_bytes(external(location.format(secret.parent)))
    with pytest.raises(CheckpointError, match=text):
        read_weights(secret / "x.onnx")
    (secret / "x.onnx").write_bytes(external("fine"))
    assert_same(read_weights(secret / "x.onnx").tensors, {"x": CONV})


@pytest.mark.parametrize(
    "offset, length",
    [(1, None), (-8, None), (1 << 62, None), (0, 4), (0, CONV.nbytes + 1), ("x", None)],
)
def test_data_files_that_are_too_short(offset, length, secret):
    (secret / "x.onnx").write_bytes(external("fine", offset, length))
    with pytest.raises(CheckpointError, match="too short|cut short or damaged"):
        read_weights(secret / "x.onnx")
