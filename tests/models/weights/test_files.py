"""From real files to scores: every format on the disk, in its library's layout, then loaded."""

import numpy as np
import pytest

import models
from models import load_weights
from tests.io.weights import make
from tests.models import others

HWIO = (2, 3, 1, 0)


def vgg():
    return models.vgg16(num_classes=7, size=64, width=0.05).eval()


def transposed(array):
    """A kernel or matrix as TensorFlow and Keras have it."""
    turn = {4: HWIO, 2: (1, 0)}.get(array.ndim)
    return np.ascontiguousarray(array.transpose(turn)) if turn else array


def same_scores(path, original, net, size=64, **options):
    report = load_weights(net, path, **options)
    assert report.fresh == [], report
    x = others.picture(size)
    expected = original(x).detach().numpy()
    y = net.eval()(x).detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=2e-5 * np.abs(expected).max())
    return report


def test_keras_1_and_2(tmp_path):
    original = others.randomised(vgg())
    weights = others.keras_vgg16(original, original.features.conv5_3.out_channels, 2).tensors

    def fill(file):
        layers = list(dict.fromkeys(name.split("/")[0] for name in weights))
        file.attrs["layer_names"] = [name.encode() for name in layers]
        for layer in layers:
            group = file.create_group(layer)
            mine = {n.split("/")[1]: a for n, a in weights.items() if n.startswith(f"{layer}/")}
            group.attrs["weight_names"] = [f"{name}:0".encode() for name in mine]
            for name, array in mine.items():
                group[f"{name}:0"] = transposed(array)

    (tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels.h5").write_bytes(make.hdf5(fill))
    report = same_scores(tmp_path / "vgg16_weights_tf_dim_ordering_tf_kernels.h5", original, vgg())
    assert (report.format, report.names) == ("keras", "Keras")
    assert report.loaded[0].why == "block1_conv1/block1_conv1_W_1"


def test_keras_3(tmp_path):
    original = others.randomised(vgg())
    file = others.keras_vgg16(original, original.features.conv5_3.out_channels, 2,
                              "{layer}/{part}", ("0", "1"))  # fmt: skip

    def fill(out):
        counts = {}
        for name, array in file.tensors.items():
            layer, part = name.split("/")
            if part == "0":
                kind = "conv2d" if array.ndim == 4 else "dense"
                number = counts[kind] = counts.get(kind, -1) + 1
                group = out.create_group(f"layers/{kind}_{number}/vars" if number
                                         else f"layers/{kind}/vars")  # fmt: skip
                group.attrs["name"] = layer
            group[part] = transposed(array)

    (tmp_path / "vgg16.weights.h5").write_bytes(make.hdf5(fill))
    report = same_scores(tmp_path / "vgg16.weights.h5", original, vgg())
    assert report.loaded[2].why == "layers/conv2d_1/vars/0"


@pytest.mark.parametrize("generation", ["of 2014", "now"])
def test_caffe_vgg(tmp_path, generation):
    original = others.randomised(vgg())
    tensors = others.caffe_plain(original).tensors
    content = make.field(1, b"VGG_ILSVRC_16_layers")
    for name in dict.fromkeys(name.split(".")[0] for name in tensors):
        kind = ("InnerProduct", 14) if name.startswith("fc") else ("Convolution", 4)
        blobs = (tensors[f"{name}.weight"], tensors[f"{name}.bias"])
        if generation == "now":
            content += make.layer(name, kind[0], *blobs)
        else:
            content += make.v1_layer(name, kind[1], *blobs)
    (tmp_path / "VGG_ILSVRC_16_layers.caffemodel").write_bytes(content)
    report = same_scores(tmp_path / "VGG_ILSVRC_16_layers.caffemodel", original, vgg())
    assert (report.format, report.names) == ("caffe", "Caffe")


def test_caffe_resnet(tmp_path):
    def resnet():
        return models.resnet50(num_classes=7, width=0.05, stride_in="1x1").eval()

    original = others.randomised(resnet())
    tensors = others.caffe_resnet(original, (3, 4, 6, 3)).tensors
    content, factor = b"", np.float32([999.98])
    for name in dict.fromkeys(name.rpartition(".")[0] for name in tensors):
        parts = {n.rpartition(".")[2]: a for n, a in tensors.items()
                 if n.rpartition(".")[0] == name}  # fmt: skip
        if name.startswith("bn"):
            sums = (parts["running_mean"] * factor, parts["running_var"] * factor, factor)
            content += make.layer(name, "BatchNorm", *sums)
        else:
            kind = {"sc": "Scale", "fc": "InnerProduct"}.get(name[:2], "Convolution")
            content += make.layer(name, kind, *parts.values())
    (tmp_path / "ResNet-50-model.caffemodel").write_bytes(content)
    same_scores(tmp_path / "ResNet-50-model.caffemodel", original, resnet())


def test_matconvnet(tmp_path):
    original = others.randomised(vgg())
    tensors = others.matconvnet_plain(original).tensors
    layers = [
        {
            "name": name, "type": "conv",
            "weights": make.cell(tensors[f"{name}f"].transpose(HWIO), tensors[f"{name}b"][None]),
        }
        for name in dict.fromkeys(name[:-1] for name in tensors)
    ]  # fmt: skip
    meta = {"normalization": {"averageImage": np.array([100.0, 110.0, 120.0]).reshape(1, 1, 3)}}
    content = make.mat({"layers": make.cell(*layers), "meta": meta})
    (tmp_path / "imagenet-vgg-verydeep-16.mat").write_bytes(content)
    report = same_scores(tmp_path / "imagenet-vgg-verydeep-16.mat", original, vgg())
    assert str(report.preprocessing).startswith("pixels 0 to 255 minus 100.00, 110.00, 120.00")


def test_tensorflow(tmp_path):
    original = others.randomised(vgg())
    graph = make.Graph()
    graph.op("Placeholder", "x")
    tensors = others.slim_vgg16(original, original.features.conv5_3.out_channels, 2).tensors
    for name, array in tensors.items():
        if array.ndim == 4:
            graph.constant(name, transposed(array))
            graph.op("Identity", f"{name}/read", name)
            graph.op("Conv2D", f"{name}/Conv2D", "x", f"{name}/read", data_format=b"NHWC")
        elif array.ndim == 1:
            graph.constant(name, array)
    (tmp_path / "vgg_16.pb").write_bytes(graph.bytes())
    report = same_scores(tmp_path / "vgg_16.pb", original, vgg())
    assert (report.format, report.names) == ("tensorflow", "TensorFlow slim")


def test_onnx(tmp_path):
    from onnx import numpy_helper

    original = others.randomised(vgg())
    tensors = [numpy_helper.from_array(array, name)
               for name, array in others.torchvision_vgg16(original).tensors.items()]  # fmt: skip
    from onnx import helper

    node = helper.make_node("Relu", ["x"], ["y"])
    (tmp_path / "vgg16.onnx").write_bytes(make.onnx_model([node], tensors))
    report = same_scores(tmp_path / "vgg16.onnx", original, vgg())
    assert (report.format, report.names) == ("onnx", "torchvision")


# --- PyTorch itself: its networks' scores, not ours -----------------------------------------------


def torch_vgg11_bn(torch):
    """torchvision's vgg11_bn, narrow, for 64 pixels, written down again."""
    nn, layers, channels = torch.nn, [], 3
    for width in (3, "M", 6, "M", 13, 13, "M", 26, 26, "M", 26, 26, "M"):
        if width == "M":
            layers.append(nn.MaxPool2d(2, 2))
        else:
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
    net = nn.Module()
    net.features = nn.Sequential(*layers)
    net.classifier = nn.Sequential(
        nn.Linear(26 * 2 * 2, 205), nn.ReLU(), nn.Dropout(), nn.Linear(205, 205), nn.ReLU(),
        nn.Dropout(), nn.Linear(205, 7),
    )  # fmt: skip
    return net


def torch_alexnet(torch):
    """torchvision's alexnet, narrow, for 131 pixels, written down again."""
    nn = torch.nn
    net = nn.Module()
    net.features = nn.Sequential(
        nn.Conv2d(3, 4, 11, 4, 2), nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(4, 12, 5, padding=2),
        nn.ReLU(), nn.MaxPool2d(3, 2), nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(),
        nn.Conv2d(24, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 16, 3, padding=1), nn.ReLU(),
        nn.MaxPool2d(3, 2),
    )  # fmt: skip
    net.classifier = nn.Sequential(
        nn.Dropout(), nn.Linear(16 * 3 * 3, 256), nn.ReLU(), nn.Dropout(), nn.Linear(256, 256),
        nn.ReLU(), nn.Linear(256, 7),
    )  # fmt: skip
    return net


TWINS = {
    "vgg11_bn": (
        torch_vgg11_bn, lambda: models.vgg11_bn(num_classes=7, size=64, width=0.05), 64,
    ),
    "alexnet": (
        torch_alexnet,
        lambda: models.alexnet_torchvision(num_classes=7, size=131, width=0.0625), 131,
    ),
}  # fmt: skip


@pytest.mark.torch
@pytest.mark.parametrize("twin", TWINS)
@pytest.mark.parametrize("kind", ["zip", "legacy", "checkpoint"])
def test_pytorch(twin, kind, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    make_twin, make_net, size = TWINS[twin]
    torch.manual_seed(1)
    theirs, net = make_twin(torch).eval(), make_net().eval()
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_()
            layer.running_var.uniform_(0.2, 0.4)
            torch.nn.init.uniform_(layer.weight, 1, 2)
    state = theirs.state_dict()
    saved = {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}
    torch.save(saved if kind == "checkpoint" else state, tmp_path / "net.pth",
               _use_new_zipfile_serialization=kind != "legacy")  # fmt: skip
    report = load_weights(net, tmp_path / "net.pth", strict=True)
    assert report.names == "torchvision" and report.fresh == []
    x = others.picture(size)
    with torch.no_grad():
        expected = theirs.classifier(theirs.features(torch.from_numpy(x.numpy())).flatten(1))
    expected = expected.numpy()
    np.testing.assert_allclose(
        net(x).detach().numpy(), expected, rtol=0, atol=1e-5 * np.abs(expected).max()
    )
