"""Each library's weights of each family, back in our networks: equal parameters, equal scores."""

import numpy as np
import pytest

import models
from models.weights.load import place
from tests.models import others

COUNTS = (3, 4, 6, 3)  # of ResNet-50


def vgg(configuration="D", **arguments):
    # 96 pixels leave 3x3 maps: the order in which they are flattened matters.
    return models.VGG(configuration, num_classes=7, size=96, width=0.05, **arguments)


def resnet(depth=50, stride_in="1x1"):
    return models.ResNet(depth, num_classes=7, stride_in=stride_in, width=0.05)


def alexnet(**arguments):
    return models.AlexNet(num_classes=7, size=131, width=0.0625, **arguments)


def torch_alexnet():
    return models.alexnet_torchvision(num_classes=7, size=131, width=0.05)


def googlenet():
    return models.googlenet(num_classes=7, width=0.1)


def googlenet_torchvision():
    return models.googlenet_torchvision(num_classes=7, width=0.1)


def squeezenet():
    return models.squeezenet(num_classes=7, width=0.1)


def maps(model):
    return model.features.conv5_3.out_channels


CASES = {
    # name: (network, its file, whose names, pixels)
    "torchvision vgg16": (vgg, others.torchvision_vgg16, "torchvision", 96),
    "torchvision vgg11_bn": (
        lambda: vgg("A", batch_norm=True), others.torchvision_vgg11_bn, "torchvision", 96,
    ),
    "torchvision alexnet": (torch_alexnet, others.torchvision_alexnet, "torchvision", 131),
    "torchvision resnet18": (
        lambda: resnet(18, "3x3"), others.same_names, "torchvision", 64,
    ),
    "torchvision resnet50": (lambda: resnet(50, "3x3"), others.same_names, "torchvision", 64),
    "torchvision googlenet": (googlenet_torchvision, others.same_names, "torchvision", 64),
    "torchvision squeezenet": (squeezenet, others.torchvision_squeezenet, "torchvision", 64),
    "Caffe squeezenet": (squeezenet, others.caffe_squeezenet, "Caffe", 64),
    "Caffe squeezenet, pickled": (
        squeezenet, lambda m: others.caffe_squeezenet(m, "01", "pickle"), "Caffe", 64,
    ),
    "Caffe vgg16": (vgg, others.caffe_plain, "Caffe", 96),
    "Caffe alexnet": (lambda: alexnet(lrn="caffe"), others.caffe_plain, "Caffe", 131),
    "Caffe lenet": (
        lambda: models.lenet_caffe(num_classes=7, in_channels=3), others.caffe_plain, "Caffe", 28,
    ),
    "Caffe googlenet": (googlenet, others.caffe_googlenet, "Caffe", 80),
    "Caffe resnet50": (resnet, lambda m: others.caffe_resnet(m, COUNTS), "Caffe", 64),
    "Caffe resnet101": (
        lambda: resnet(101), lambda m: others.caffe_resnet(m, (3, 4, 23, 3), letters=False),
        "Caffe", 64,
    ),
    "MatConvNet vgg16": (vgg, others.matconvnet_plain, "MatConvNet", 96),
    "MatConvNet alexnet": (
        lambda: alexnet(lrn="caffe"), others.matconvnet_plain, "MatConvNet", 131,
    ),
    "MatConvNet resnet50": (
        resnet, lambda m: others.matconvnet_resnet(m, COUNTS, 1e-5), "MatConvNet", 64,
    ),
    "Keras vgg16": (vgg, lambda m: others.keras_vgg16(m, maps(m), 3), "Keras", 96),
    "Keras vgg16, Keras 2.3": (
        vgg, lambda m: others.keras_vgg16(m, maps(m), 3, "{layer}/{part}", ("kernel", "bias")),
        "Keras", 96,
    ),
    "Keras resnet50": (resnet, lambda m: others.keras_resnet(m, COUNTS, 1.001e-5), "Keras", 64),
    "Keras resnet50 before 2.3": (
        resnet, lambda m: others.older_keras_resnet(m, COUNTS), "Keras", 64,
    ),
    "slim vgg16": (vgg, lambda m: others.slim_vgg16(m, maps(m), 3), "TensorFlow slim", 96),
    "slim resnet50": (resnet, lambda m: others.slim_resnet(m, COUNTS), "TensorFlow slim", 64),
    "Frossard vgg16": (
        vgg, lambda m: others.frossard_vgg16(m, maps(m), 3), "Frossard's VGG-16", 96,
    ),
    "efficientnet_pytorch": (
        lambda: models.efficientnet_lite0(num_classes=7, width=0.1), others.efficientnet_pytorch,
        "efficientnet_pytorch", 64,
    ),
    "our names": (lambda: models.resnet20_cifar(num_classes=7), others.same_names, "minidl", 32),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_there_and_back(case):
    make, export, names, size = CASES[case]
    original, copy = others.randomised(make()), make().eval()
    file = export(original)
    report = place(copy, file, "file")
    assert report.names == names
    assert report.fresh == []
    assert {row.name for row in report.unused} <= {"global_step"}
    expected, found = others.arrays(original), others.arrays(copy)
    for name, array in expected.items():
        if "num_batches" not in name:
            np.testing.assert_allclose(found[name], array, rtol=2e-6, atol=1e-6, err_msg=name)
    x = others.picture(size)
    y, scores = copy(x).detach().numpy(), original(x).detach().numpy()
    np.testing.assert_allclose(y, scores, rtol=0, atol=2e-5 * np.abs(scores).max())
    # The scores say something: they differ between the pictures.
    assert np.ptp(scores, axis=0).max() > 1e-2 * np.abs(scores).max()
