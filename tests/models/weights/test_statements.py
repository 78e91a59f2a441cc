"""What a file says of itself beside its numbers goes into the network: epsilon, pixels."""

import json

import numpy as np
import pytest
from onnx import helper, numpy_helper

import minidl
import models
from minidl import nn
from minidl.errors import CheckpointError
from minidl.io.weights import hdf5, hdf5_child
from minidl.io.weights.file import WeightsFile
from models import load_weights
from models.weights.load import place
from models.weights.maps import layers_of
from models.weights.maps.keras import vgg_names
from tests.io.weights.make import hdf5 as hdf5_bytes
from tests.io.weights.make import onnx_model
from tests.models import others


def net():
    return nn.Sequential(
        nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(48, 4)
    ).eval()  # fmt: skip


def test_the_scores_of_onnx_runtime(tmp_path):
    """Of a file with an epsilon, factors and a transpose of its own."""
    runtime = pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    own = others.arrays(others.randomised(net()))
    own["1.running_var"] = own["1.running_var"] / 100  # so that the epsilon counts
    maps_last = own["3.weight"].reshape(4, 3, 4, 4).transpose(0, 2, 3, 1).reshape(4, 48)
    stored = {
        **own, "0.weight": own["0.weight"].transpose(2, 3, 1, 0), "3.weight": maps_last.T,
        "shape": np.int64([-1, 48]),
    }  # fmt: skip
    norm = ["1.weight", "1.bias", "1.running_mean", "1.running_var"]
    nodes = [
        helper.make_node("Transpose", ["0.weight"], ["kernel"], perm=[3, 2, 0, 1]),
        helper.make_node("Conv", ["x", "kernel", "0.bias"], ["a"]),
        helper.make_node("BatchNormalization", ["a", *norm], ["b"], epsilon=0.01),
        helper.make_node("Transpose", ["b"], ["c"], perm=[0, 2, 3, 1]),
        helper.make_node("Reshape", ["c", "shape"], ["d"]),
        helper.make_node("Gemm", ["d", "3.weight", "3.bias"], ["y"], alpha=0.5, beta=3.0),
    ]
    tensors = [
        numpy_helper.from_array(np.ascontiguousarray(a), n)
        for n, a in stored.items() if "num_batches" not in n
    ]  # fmt: skip
    import onnx

    proto = onnx.ModelProto.FromString(onnx_model(nodes, tensors))
    proto.graph.input.append(helper.make_tensor_value_info("x", 1, [5, 2, 6, 6]))
    proto.graph.output.append(helper.make_tensor_value_info("y", 1, [5, 4]))
    proto.ir_version, proto.opset_import[0].version = 9, 17
    path = tmp_path / "net.onnx"
    path.write_bytes(proto.SerializeToString())
    x = np.random.default_rng(0).standard_normal((5, 2, 6, 6)).astype(np.float32)
    expected = runtime.InferenceSession(str(path)).run(None, {"x": x})[0]
    model = net()
    load_weights(model, path)
    np.testing.assert_allclose(model(minidl.tensor(x)).detach().numpy(), expected, rtol=2e-4,
                               atol=2e-4)  # fmt: skip


@pytest.mark.parametrize("prefix", ["", "module."])
def test_the_files_epsilon(prefix):
    original, model = others.randomised(net()), net()
    own = others.arrays(original)
    original[1].eps = 0.01
    tensors = {prefix + name: array for name, array in own.items()}
    meta = {"eps": {f"{prefix}1.running_var": 0.01}}
    place(model, WeightsFile("npz", tensors, meta=meta), "file")
    x = minidl.tensor(np.random.default_rng(0).standard_normal((5, 2, 6, 6)).astype(np.float32))
    expected, found = original(x).detach().numpy(), model(x).detach().numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    same = {"eps": {"1.running_var": float(np.float32(1e-5))}}
    place(model, WeightsFile("npz", own, meta=same), "file")
    np.testing.assert_array_equal(model[1].running_var.numpy(), own["1.running_var"])


def test_epsilon_of_a_keras_model_is_not_that_of_its_applications():
    counts = (3, 4, 6, 3)
    original = others.randomised(models.resnet50(num_classes=7, width=0.05))
    file = others.keras_resnet(original, counts, 1e-3)
    eps = {name: 1e-3 for name in file.tensors if "variance" in name}
    assert eps
    model = models.resnet50(num_classes=7, width=0.05)
    place(model, WeightsFile("keras", file.tensors, "HWIO", "HWC", {"eps": eps}), "file")
    for name, array in others.arrays(original).items():
        if name.endswith("running_var"):
            np.testing.assert_allclose(others.arrays(model)[name], array, rtol=1e-4, atol=2e-6)


@pytest.mark.parametrize(
    "meta",
    [
        {"eps": "0.1"}, {"eps": {"1.running_var": "x"}}, {"eps": {"1.running_var": [1]}},
        {"roles": "x"}, {"mean_value": "abc"}, {"scale": "x", "mean_value": [1]}, {"eps": None},
    ],
)  # fmt: skip
@pytest.mark.parametrize("names", ["ours", "caffe"])
def test_metadata_that_is_no_statement(names, meta):
    """Anybody can write anything into the metadata of a .safetensors file."""
    model = models.resnet18(num_classes=7, width=0.05)
    tensors = others.arrays(model)
    if names == "caffe":
        model = models.vgg16(num_classes=7, size=32, width=0.05)
        tensors = others.caffe_plain(model).tensors
    assert place(model, WeightsFile("safetensors", tensors, meta=meta), "file").fresh == []


@pytest.mark.parametrize("kind", [np.int8, np.uint8, np.int64, np.bool_])
def test_whole_numbers_are_refused(kind):
    own = others.arrays(net())
    own["0.weight"] = (own["0.weight"] * 10).astype(kind)
    model = net()
    before = others.arrays(model)
    with pytest.raises(CheckpointError, match="1 tensor is made of whole numbers"):
        place(model, WeightsFile("npz", own), "file")
    np.testing.assert_array_equal(others.arrays(model)["0.bias"], before["0.bias"])
    place(model, WeightsFile("npz", own), "file", fresh=["0"])


@pytest.mark.parametrize(
    "meta, says",
    [
        ({"mean_value": [104.0, 117.0, 123.0]}, "pixels 0 to 255 minus 123.00, 117.00, 104.00"),
        ({"mean_value": [128.0], "scale": 0.0078125}, "mean 0.502, 0.502, 0.502"),
        ({"scale": 0.5}, "0 to 255 minus 123.68, 116.78, 103.94"),
        ({}, "0 to 255 minus 123.68, 116.78, 103.94"),
        ({"mean_value": [1.0, 2.0]}, "0 to 255 minus 123.68, 116.78, 103.94"),
        ({"mean_value": [1.0], "scale": 0}, "0 to 255 minus 123.68, 116.78, 103.94"),
        (
            {"mean_file": "m", "scale": 1 / 128},
            "mean 0.485, 0.458, 0.408, standard deviation 0.502, 0.502, 0.502",
        ),
        ({"mean_file": "m"}, "0 to 255 minus 123.68, 116.78, 103.94"),
    ],
)
def test_pixels_of_caffe(meta, says):
    model = models.vgg16(num_classes=7, size=32, width=0.05)
    file = others.caffe_plain(model)
    file.meta.update(meta)
    report = place(model, file, "file")
    assert says in str(report.preprocessing)
    note = "the mean picture is in another file (m)"
    assert any(note in text for text in report.notes) == ("mean_file" in meta)


@pytest.mark.parametrize("described", [True, False], ids=["described", "weights only"])
@pytest.mark.parametrize("backend", ["theano", "tensorflow", ""])
def test_a_network_of_keras_1_on_theano(tmp_path, monkeypatch, described, backend):
    """Kernels turned round and (K, C, R, S), maps flattened with channels first.

    One that names no backend is taken as it is, and the report says so.
    """
    monkeypatch.setattr(hdf5, "run_child", hdf5_child.decode)
    original = others.randomised(models.vgg16(num_classes=7, size=64, width=0.05))
    config = []

    def fill(file):
        file.attrs["keras_version"] = b"1.2.2"
        if backend:
            file.attrs["backend"] = backend.encode()
        names = []
        for layer in layers_of(original):
            name = vgg_names(layer)[0]
            names.append(name.encode())
            w, b = (p.detach().numpy() for p in (layer.module.weight, layer.module.bias))
            is_conv = w.ndim == 4
            w = others.bgr(w) if layer.name == "conv1_1" else w
            group = file.create_group(name)
            group[f"{name}_W"] = (w[:, :, ::-1, ::-1] if turned else w) if is_conv else w.T
            group[f"{name}_b"] = b
            group.attrs["weight_names"] = [f"{name}_W".encode(), f"{name}_b".encode()]
            options = {"name": name, **({"dim_ordering": "th"} if is_conv else {})}
            config.append(
                {"class_name": "Convolution2D" if is_conv else "Dense", "config": options}
            )
        file.attrs["layer_names"] = names
        if described:
            file.attrs["model_config"] = json.dumps({"class_name": "Sequential", "config": config})

    turned = backend == "theano"
    path, model = tmp_path / "vgg.h5", models.vgg16(num_classes=7, size=64, width=0.05)
    path.write_bytes(hdf5_bytes(fill))
    report = load_weights(model, path, strict=True)
    assert report.names == "Keras" and len(report.notes) == (not backend)
    assert backend or "does not say whether Theano wrote it; kernels were" in report.notes[0]
    for name, array in others.arrays(original).items():
        np.testing.assert_array_equal(others.arrays(model)[name], array, err_msg=name)
