"""What files of the other formats say of their layout: nothing of it is loaded as it is stored."""

import io
import json

import numpy as np
import pytest
from onnx import helper, numpy_helper

from minidl.errors import CheckpointError
from minidl.io import read_weights
from tests.io.weights.make import BIAS, CONV, DENSE, DEPTHWISE, HWIO, field, layer, onnx_model
from tests.io.weights.make import Graph as TensorFlowGraph


@pytest.fixture
def read(tmp_path):
    def read_bytes(data, ending):
        (tmp_path / f"weights{ending}").write_bytes(data)
        return read_weights(tmp_path / f"weights{ending}")

    return read_bytes


# --- safetensors --------------------------------------------------------------------------------


def safetensors(arrays, **metadata):
    from safetensors.numpy import save

    return save({name: np.ascontiguousarray(a) for name, a in arrays.items()}, metadata or None)


@pytest.mark.parametrize("written_by, dot", [("tf", "/"), ("flax", ".")])
def test_kernels_of_tensorflow_and_flax(written_by, dot, read):
    r, s = DEPTHWISE.shape[2:]
    end = ":0" if written_by == "tf" else ""
    arrays = {
        f"conv{dot}kernel{end}": (CONV.transpose(HWIO), CONV),
        f"fc{dot}kernel{end}": (DENSE.T, DENSE),
        f"fc{dot}bias{end}": (BIAS, BIAS),
        f"dw{dot}depthwise_kernel{end}": (
            DEPTHWISE.reshape(3, 2, r, s).transpose(2, 3, 0, 1), DEPTHWISE,
        ),
        f"words{dot}embedding{end}": (DENSE, DENSE),
    }  # fmt: skip
    stored = {name: array for name, (array, _) in arrays.items()}
    file = read(safetensors(stored, format=written_by), ".safetensors")
    for name, (_, expected) in arrays.items():
        np.testing.assert_array_equal(file.tensors[name], expected)
    assert (file.kernel_layout, file.flatten_order) == ("HWIO", "HWC")


def test_kernels_of_mlx(read):
    stored = {"conv.weight": CONV.transpose(0, 2, 3, 1), "fc.weight": DENSE, "fc.bias": BIAS}
    file = read(safetensors(stored, format="mlx"), ".safetensors")
    np.testing.assert_array_equal(file.tensors["conv.weight"], CONV)
    np.testing.assert_array_equal(file.tensors["fc.weight"], DENSE)
    assert (file.kernel_layout, file.flatten_order) == ("OHWI", "HWC")


@pytest.mark.parametrize("metadata", [{}, {"format": "pt"}, {"note": "tf"}])
def test_kernels_of_pytorch(metadata, read):
    file = read(safetensors({"conv.weight": CONV, "fc.kernel": DENSE}, **metadata), ".safetensors")
    np.testing.assert_array_equal(file.tensors["conv.weight"], CONV)
    np.testing.assert_array_equal(file.tensors["fc.kernel"], DENSE)
    assert file.flatten_order == "CHW"


def test_paddle_is_refused(read):
    with pytest.raises(CheckpointError, match="PaddlePaddle"):
        read(safetensors({"fc.weight": DENSE.T}, format="pd"), ".safetensors")


# --- pytorch ------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["quantised", "float8_e4m3fn", "sparse"])
@pytest.mark.filterwarnings("ignore:torch.quantize_per_tensor")
def test_tensors_of_pytorch_that_are_no_plain_numbers(kind, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = torch.randn(3, 4)
    make = {
        "quantised": lambda: torch.quantize_per_tensor(x, 0.1, 0, torch.qint8),
        "float8_e4m3fn": lambda: x.to(torch.float8_e4m3fn), "sparse": x.to_sparse,
    }  # fmt: skip
    torch.save({"fc.weight": make[kind]()}, tmp_path / "x.pth")
    with pytest.raises(CheckpointError, match="is no part of a file of tensors"):
        read_weights(tmp_path / "x.pth")


# --- npz ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f4", ">f8", "<f2", ">i2"])
def test_byte_order_and_fortran_order(kind, order, read):
    stream = io.BytesIO()
    stored = np.asarray(np.round(DENSE * 8), dtype=kind, order=order)
    np.savez(stream, x=stored)
    found = read(stream.getvalue(), ".npz").tensors["x"]
    np.testing.assert_array_equal(found, stored)
    assert found.dtype.isnative and found.flags.c_contiguous


# --- onnx ---------------------------------------------------------------------------------------


def onnx_read(read, nodes, **arrays):
    tensors = [numpy_helper.from_array(np.ascontiguousarray(a), n) for n, a in arrays.items()]
    return read(onnx_model(nodes, tensors), ".onnx")


def test_a_transposed_kernel(read):
    """As tf2onnx writes it where nothing folds constants."""
    nodes = [
        helper.make_node("Identity", ["k"], ["same"]),
        helper.make_node("Transpose", ["same"], ["kt"], perm=[3, 2, 0, 1]),
        helper.make_node("Conv", ["x", "kt"], ["y"]),
        helper.make_node("Transpose", ["w"], ["wt"], perm=[1, 0]),
        helper.make_node("MatMul", ["y", "wt"], ["z"]),
        helper.make_node("Transpose", ["v"], ["vt"]),
        helper.make_node("Gemm", ["z", "vt"], ["z2"], transB=1),
    ]
    file = onnx_read(read, nodes, k=CONV.transpose(HWIO), w=DENSE, v=DENSE.T)
    np.testing.assert_array_equal(file.tensors["k"], CONV)
    np.testing.assert_array_equal(file.tensors["w"], DENSE)
    np.testing.assert_array_equal(file.tensors["v"], DENSE)


def test_factors_of_gemm(read):
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], alpha=0.5, beta=2.0, transB=1)
    file = onnx_read(read, [node], w=DENSE, b=BIAS)
    np.testing.assert_array_equal(file.tensors["w"], DENSE / 2)
    np.testing.assert_array_equal(file.tensors["b"], BIAS * 2)


@pytest.mark.parametrize("kind", ["Flatten", "Reshape"])
@pytest.mark.parametrize("perm, order", [([0, 2, 3, 1], "HWC"), ([0, 3, 1, 2], "CHW")])
def test_flattened_behind_a_transpose(kind, perm, order, read):
    inputs = ["t", "shape"] if kind == "Reshape" else ["t"]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=perm),
        helper.make_node(kind, inputs, ["f"]),
        helper.make_node("MatMul", ["f", "w"], ["y"]),
    ]
    assert onnx_read(read, nodes, w=DENSE.T).flatten_order == order


def test_epsilon_of_onnx(read):
    names = ["scale", "bias", "mean", "var"]
    norm = helper.make_node("BatchNormalization", ["x", *names], ["y"], epsilon=0.002)
    again = ["scale", "bias", "mean", "var2"]
    default = helper.make_node("BatchNormalization", ["y", *again], ["z"])
    file = onnx_read(read, [norm, default], **dict.fromkeys([*names, "var2"], BIAS))
    assert file.meta["eps"] == {"var": pytest.approx(0.002), "var2": 1e-5}


# --- tensorflow ---------------------------------------------------------------------------------


def test_epsilon_of_tensorflow(read):
    graph = TensorFlowGraph()
    for name in ("gamma", "beta", "mean", "var"):
        graph.constant(name, BIAS)
    graph.op("Identity", "var/read", "var")
    graph.op("FusedBatchNormV3", "bn", "x", "gamma", "beta", "mean", "var/read")
    graph.graph.node[-1].attr["epsilon"].f = 0.002
    assert read(graph.bytes(), ".pb").meta["eps"] == {"var": pytest.approx(0.002)}


@pytest.mark.parametrize("op", ["DepthwiseConv2dNative", "_FusedConv2D", "MaxPool"])
def test_channels_first_of_other_operations(op, read):
    graph = TensorFlowGraph()
    graph.constant("a", CONV)
    graph.op(op, "y", "x", "a", data_format=b"NCHW")
    assert read(graph.bytes(), ".pb").flatten_order == "CHW"


# --- caffe --------------------------------------------------------------------------------------


def float_field(number, value):
    return bytes([number << 3 | 5]) + np.float32(value).tobytes()


def test_epsilon_of_caffe(read):
    extra = field(139, float_field(3, 0.002))
    data = layer("bn", "BatchNorm", BIAS, BIAS, np.float32([1]), extra=extra)
    file = read(data + layer("bn2", "BatchNorm", BIAS, BIAS, np.float32([1])), ".caffemodel")
    assert file.meta["eps"] == {"bn.running_var": pytest.approx(0.002)}


@pytest.mark.parametrize(
    "transform, meta",
    [
        (float_field(5, 104) + float_field(5, 117) + float_field(5, 123),
         {"mean_value": [104, 117, 123]}),
        (float_field(1, 0.5) + float_field(5, 128), {"mean_value": [128], "scale": 0.5}),
        (float_field(1, 0.5), {"mean_value": [0], "scale": 0.5}),
        (float_field(1, 0.5) + field(4, b"mean.binaryproto"),
         {"scale": 0.5, "mean_file": "mean.binaryproto"}),
        (field(4, b"\xffmean"), {"mean_file": "\ufffdmean"}),
        (float_field(5, np.nan), {}),
        (float_field(1, -1), {}),
    ],
)  # fmt: skip
@pytest.mark.parametrize("generation", [1, 2])
def test_what_caffes_data_layer_does_with_pixels(transform, meta, generation, read):
    data = (
        field(100, field(1, b"data") + field(2, b"Data") + field(100, transform))
        if generation == 2
        else field(2, field(4, b"data") + field(36, transform))
    )
    file = read(data + layer("c", "Convolution", CONV), ".caffemodel")
    assert file.meta == meta


def test_the_description_is_json_of_any_kind(read):
    """A header that says nothing useful of the format harms nothing."""
    data = safetensors({"x": BIAS}, format=json.dumps({"a": 1}))
    assert list(read(data, ".safetensors").tensors) == ["x"]
