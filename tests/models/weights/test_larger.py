"""A file of a larger network is refused, one that has further layers beside the network loads."""

import numpy as np
import pytest

import models
from minidl.errors import CheckpointError
from minidl.io.weights.file import WeightsFile
from models.weights.load import place
from tests.models import others

SMALL = {"num_classes": 7, "width": 0.05}
VGG = {**SMALL, "size": 32}
KERNEL = np.ones((4, 4, 3, 3), np.float32)


def file_of(net, change=lambda name: name, **extra):
    tensors = {change(name): array for name, array in others.arrays(net).items()}
    return WeightsFile("pytorch", tensors | extra)


def lite0():
    return models.efficientnet_lite0(num_classes=7)


def efficientnet_b0():
    """Its names are those of Lite0, with squeeze and excitation in each block."""
    file = others.efficientnet_pytorch(lite0())
    for i in range(16):
        for name in ("reduce", "expand"):
            kernel = np.ones((4, 8, 1, 1), np.float32)
            file.tensors[f"_blocks.{i}._se_{name}.weight"] = kernel
            file.tensors[f"_blocks.{i}._se_{name}.bias"] = np.ones(4, np.float32)
    return file


def slim_vgg19():
    """One kernel more in each of the last three blocks, in slim's names."""
    net = models.vgg16(**VGG)
    file = others.slim_vgg16(net, net.features.conv5_3.out_channels, 1)
    kernel = np.ones((4, 4, 3, 3), np.float32)
    file.tensors |= {f"vgg_16/conv{i}/conv{i}_4/weights": kernel for i in (3, 4, 5)}
    return file


LARGER = {
    "resnet34 into resnet18": (
        lambda: models.resnet18(**SMALL), lambda: file_of(models.resnet34(**SMALL)),
        "16 kernels within parts of ResNet have no place", "layer1.2.conv1.weight"),
    "behind a wrapper": (
        lambda: models.resnet18(**SMALL),
        lambda: file_of(models.resnet34(**SMALL), lambda name: f"net.module.{name}"),
        "16 kernels", "net.module.layer1.2.conv1.weight"),
    "resnet56 into resnet20": (
        lambda: models.resnet20_cifar(num_classes=7, width=0.25),
        lambda: file_of(models.resnet56_cifar(num_classes=7, width=0.25)),
        "36 kernels", ".conv1.weight"),
    "vgg19 into vgg16": (
        lambda: models.vgg16(**VGG), lambda: file_of(models.vgg19(**VGG)),
        "3 kernels within parts of VGG", "features.conv3_4.weight"),
    "the convolutions alone": (
        lambda: models.vgg16(**VGG),
        lambda: WeightsFile("pytorch", {n: a for n, a in others.arrays(models.vgg19(**VGG)).items()
                                        if n.startswith("features")}),
        "3 kernels", "features.conv3_4.weight"),
    "slim's names": (lambda: models.vgg16(**VGG), slim_vgg19, "3 kernels", "conv3/conv3_4/weights"),
    "squeeze and excitation": (lite0, efficientnet_b0, "32 kernels", "_blocks.0._se_reduce.weight"),
}  # fmt: skip


# Kernels of the next layer in names without parts, beside a whole network.
FURTHER = {
    "vgg19 in Caffe": (lambda: models.vgg16(**VGG), others.caffe_plain, "conv3_4.weight"),
    "vgg19 in MatConvNet": (lambda: models.vgg16(**VGG), others.matconvnet_plain, "conv3_4f"),
    "vgg19 in Keras": (
        lambda: models.vgg16(**VGG),
        lambda net: others.keras_vgg16(net, net.features.conv5_3.out_channels, 1),
        "block3_conv4/block3_conv4_W_1"),
    "resnet101 in Caffe": (
        lambda: models.resnet50(**SMALL),
        lambda net: others.caffe_resnet(net, (3, 4, 6, 3), letters=False),
        "res4b6_branch2a.weight"),
    "resnet101 in Keras": (
        lambda: models.resnet50(**SMALL),
        lambda net: others.keras_resnet(net, (3, 4, 6, 3), 1e-5), "conv4_block7_1_conv/kernel"),
    "resnet101 in slim": (
        lambda: models.resnet50(**SMALL), lambda net: others.slim_resnet(net, (3, 4, 6, 3)),
        "resnet_v1_50/block3/unit_7/bottleneck_v1/conv1/weights"),
}  # fmt: skip


@pytest.mark.parametrize("front", ["", "net/"])
@pytest.mark.parametrize("name", FURTHER)
def test_the_next_layer_of_a_library_that_has_no_parts(name, front):
    make, export, further = FURTHER[name]
    net = make()
    file = export(net)
    if front:
        file.tensors = {front + name: array for name, array in file.tensors.items()}
    file.tensors |= {f"{front}conv6_1.weight": KERNEL, f"{front}conv4_3_norm.weight": KERNEL}
    assert place(make(), file, "file").fresh == []  # a detector's layers behind the network
    file.tensors[front + further] = KERNEL
    with pytest.raises(CheckpointError, match="another, larger network: 1 kernel within") as caught:
        place(net, file, "file")
    assert front + further in str(caught.value)
    assert place(net, file, "file", partial=True).fresh == []


@pytest.mark.parametrize("name", LARGER)
def test_a_larger_network_is_refused(name):
    make, theirs, *says = LARGER[name]
    net, file = make(), theirs()
    before = others.arrays(net)
    with pytest.raises(CheckpointError, match="the file is of another, larger network") as caught:
        place(net, file, "some/file")
    for text in [*says, "some/file", "partial=True loads what has a place"]:
        assert text in str(caught.value)
    for key, array in others.arrays(net).items():
        np.testing.assert_array_equal(array, before[key])
    assert place(net, file, "file", partial=True).unused


MATRIX = np.ones((4, 4), np.float32)
BESIDE = {
    "a decoder": {"decoder.0.weight": KERNEL, "neck.conv.weight": KERNEL},
    "a head of several layers": {"fc.0.weight": MATRIX, "fc.2.weight": MATRIX},
    "a scale within": {"layer1.0.gate": np.ones(3, np.float32), "layer1.0.n": np.array(3)},
    "a table of numbers within": {"layer1.0.index.table": np.ones((3, 3), np.int64)},
    "a mask of a kernel": {"layer1.0.conv1.weight_mask": KERNEL, "conv1.weight.exp_avg": KERNEL},
}


@pytest.mark.parametrize("front", ["", "backbone.", "module.backbone."])
@pytest.mark.parametrize("name", BESIDE)
def test_what_is_left_over_beside_the_network(name, front):
    net = models.resnet18(**SMALL)
    extra = {f"{front}{name}": array for name, array in BESIDE[name].items()}
    file = file_of(net, lambda name: f"{front}{name}", **extra)
    report = place(models.resnet18(**SMALL), file, "file")
    assert {row.name for row in report.unused} == set(extra)


def test_the_layers_of_another_classifier():
    net = models.vgg16(**VGG)
    file = others.torchvision_vgg16(net)
    for part in ("weight", "bias"):
        file.tensors[f"classifier.6.3.{part}"] = file.tensors.pop(f"classifier.6.{part}")
    report = place(net, file, "file")
    assert {row.name for row in report.fresh} == {"classifier.fc8.weight", "classifier.fc8.bias"}
    assert len(report.unused) == 2
    file.tensors |= {"backbone.neck.0.weight": KERNEL}
    features = {f"backbone.{n}": a for n, a in file.tensors.items() if n.startswith("features")}
    features |= {"backbone.neck.0.weight": KERNEL, "dsn1.weight": KERNEL}
    assert len(place(net, WeightsFile("pytorch", features), "file").loaded) == 26


def test_layers_that_stay_fresh():
    file = file_of(models.resnet34(**SMALL))
    fresh = ["layer1", "layer2", "layer3", "layer4"]
    report = place(models.resnet18(**SMALL), file, "file", fresh=fresh)
    assert all(row.name.split(".")[0] in ("conv1", "bn1", "fc") for row in report.loaded)
