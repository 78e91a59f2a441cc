"""Networks, each in a file of its own, written with minidl.nn.

    from models import lenet5, vgg16, resnet50
    net = vgg16(num_classes=17)

`models.build("vgg16", ...)` makes one by name.
"""

from models.airbench_cifar import AirbenchCifar, airbench_cifar
from models.alexnet import AlexNet, alexnet, alexnet_one_tower, alexnet_torchvision
from models.efficientnet_lite import EfficientNetLite, efficientnet_lite0
from models.googlenet import AuxiliaryLoss, GoogLeNet, googlenet, googlenet_naive
from models.googlenet_torchvision import GoogLeNetTorchvision, googlenet_torchvision
from models.lenet import LeNet5, lenet5
from models.lenet_1998 import LeNet5of1998, MapLoss, lenet5_1998
from models.lenet_caffe import LeNetCaffe, lenet_caffe
from models.preact_resnet import (
    PreactBottleneckCifar,
    PreactResNetCifar,
    preact_resnet20_cifar,
    preact_resnet32_cifar,
    preact_resnet44_cifar,
    preact_resnet56_cifar,
    preact_resnet110_cifar,
    preact_resnet164_cifar,
    preact_resnet1001_cifar,
)
from models.registry import Entry, build, entry, names
from models.resnet import ResNet, resnet18, resnet34, resnet50, resnet101, resnet152
from models.resnet_cifar import (
    ResNetCifar,
    plain20_cifar,
    resnet20_cifar,
    resnet32_cifar,
    resnet44_cifar,
    resnet56_cifar,
    resnet110_cifar,
)
from models.squeezenet import SqueezeNet, squeezenet
from models.vgg import (
    VGG,
    vgg11,
    vgg11_bn,
    vgg13,
    vgg13_bn,
    vgg16,
    vgg16_bn,
    vgg16c,
    vgg19,
    vgg19_bn,
)
from models.weights.load import load_weights

__all__ = [
    "AirbenchCifar", "AlexNet", "AuxiliaryLoss", "EfficientNetLite", "Entry", "GoogLeNet",
    "GoogLeNetTorchvision", "LeNet5", "LeNet5of1998", "LeNetCaffe", "MapLoss",
    "PreactBottleneckCifar", "PreactResNetCifar", "ResNet", "ResNetCifar", "SqueezeNet", "VGG",
    "airbench_cifar", "alexnet", "alexnet_one_tower", "alexnet_torchvision", "build",
    "efficientnet_lite0", "entry", "googlenet", "googlenet_naive", "googlenet_torchvision",
    "lenet5", "lenet5_1998", "lenet_caffe", "load_weights", "names", "plain20_cifar",
    "preact_resnet1001_cifar", "preact_resnet110_cifar", "preact_resnet164_cifar",
    "preact_resnet20_cifar", "preact_resnet32_cifar", "preact_resnet44_cifar",
    "preact_resnet56_cifar", "resnet101", "resnet110_cifar", "resnet152", "resnet18",
    "resnet20_cifar", "resnet32_cifar", "resnet34", "resnet44_cifar", "resnet50", "resnet56_cifar",
    "squeezenet", "vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg16c", "vgg19",
    "vgg19_bn",
]  # fmt: skip
