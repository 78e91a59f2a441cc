"""The networks by name: how the command line and a checkpoint say which network they mean."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from minidl.errors import ArgumentError, nearest
from minidl.nn import Module
from models.airbench_cifar import AirbenchCifar
from models.alexnet import ONE_TOWER, TORCHVISION, AlexNet
from models.efficientnet_lite import EfficientNetLite
from models.googlenet import GoogLeNet
from models.googlenet_torchvision import GoogLeNetTorchvision
from models.lenet import LeNet5
from models.lenet_1998 import LeNet5of1998
from models.lenet_caffe import LeNetCaffe
from models.preact_resnet import PreactBottleneckCifar, PreactResNetCifar
from models.resnet import ResNet
from models.resnet_cifar import ResNetCifar
from models.squeezenet import SqueezeNet
from models.vgg import VGG


@dataclass(frozen=True)
class Entry:
    """What one has to know of a network to train it.

    Args:
        make: the class that makes it; its arguments are what a checkpoint stores.
        size: height and width in pixels of the pictures that it is usually given.
        summary: one line for lists of networks.
        head: dotted name of the last layer, the one that has num_classes outputs.
        aux_heads: dotted names of further layers that have num_classes outputs.
        parameters: how many it has, made with no arguments.
        macs: multiply-accumulates for one picture of `size` pixels.
        fixed: arguments of the class that the name stands for.
        defaults: arguments of the class that are others for this name, unless they are given.
    """

    make: Callable[..., Module]
    size: int
    summary: str
    head: str
    parameters: int
    macs: int
    aux_heads: tuple[str, ...] = ()
    fixed: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)


def googlenet(make: type, summary: str, parameters: int, macs: int, **defaults) -> Entry:
    aux_heads = ("aux1.fc2", "aux2.fc2")
    return Entry(make, 224, summary, "fc", parameters, macs, aux_heads, defaults=defaults)


def vgg(configuration: str, summary: str, parameters: int, macs: int, **defaults) -> Entry:
    fixed = {"configuration": configuration}
    head = "classifier.fc8"
    return Entry(VGG, 224, summary, head, parameters, macs, fixed=fixed, defaults=defaults)


def resnet(depth: int, parameters: int, macs: int) -> Entry:
    summary = f"ResNet-{depth}, He et al. 2016"
    return Entry(ResNet, 224, summary, "fc", parameters, macs, fixed={"depth": depth})


def resnet_cifar(depth: int, parameters: int, macs: int) -> Entry:
    summary = f"ResNet-{depth} for 32x32 pixels, He et al. 2016, section 4.2"
    return Entry(ResNetCifar, 32, summary, "fc", parameters, macs, fixed={"depth": depth})


def preact(make: type, depth: int, parameters: int, macs: int) -> Entry:
    blocks = "of bottlenecks, " if make is PreactBottleneckCifar else ""
    summary = f"pre-activation ResNet-{depth} {blocks}for 32x32 pixels"
    if depth == 20:
        summary += ", He et al. 2016b"
    return Entry(make, 32, summary, "fc", parameters, macs, fixed={"depth": depth})


# In the order of the papers, of which the first is what `minidl train` proposes.
MODELS = {
    "lenet": Entry(
        LeNet5, 32, "LeNet-5, LeCun et al. 1998, as it is taught",
        "classifier.5", 61_706, 416_520,
    ),
    "lenet5_1998": Entry(
        LeNet5of1998, 32, "LeNet-5 as it was published, with RBF output",
        "output", 60_000, 325_680,
    ),
    "lenet_caffe": Entry(
        LeNetCaffe, 28, "LeNet of Caffe's MNIST example",
        "classifier.ip2", 431_080, 2_293_000,
    ),
    "alexnet": Entry(
        AlexNet, 227, "AlexNet, Krizhevsky et al. 2012, in two groups",
        "classifier.fc8", 60_965_224, 724_406_816,
    ),
    "alexnet_one_tower": Entry(
        AlexNet, 227, "AlexNet without groups",
        "classifier.fc8", 62_378_344, 1_135_256_096, defaults=ONE_TOWER,
    ),
    "alexnet_torchvision": Entry(
        AlexNet, 224, "AlexNet with torchvision's widths, without LRN",
        "classifier.fc8", 61_100_840, 714_188_480, defaults={**TORCHVISION, "size": 224},
    ),
    "googlenet": googlenet(
        GoogLeNet, "GoogLeNet, Szegedy et al. 2015, with auxiliary heads",
        13_378_280, 1_582_671_872,
    ),
    "googlenet_naive": googlenet(
        GoogLeNet, "GoogLeNet of modules without reductions",
        104_274_376, 12_568_061_056, naive=True,
    ),
    "googlenet_torchvision": googlenet(
        GoogLeNetTorchvision, "GoogLeNet with batch norm, for torchvision's weights",
        13_004_888, 1_498_376_192,
    ),
    "vgg11": vgg(
        "A", "VGG-11, Simonyan and Zisserman 2015, configuration A", 132_863_336, 7_609_090_048
    ),
    "vgg13": vgg("B", "VGG-13, configuration B", 133_047_848, 11_308_466_176),
    "vgg16": vgg("D", "VGG-16, configuration D", 138_357_544, 15_470_264_320),
    "vgg16c": vgg("C", "VGG-16, configuration C: with 1x1 kernels", 133_638_952, 11_770_888_192),
    "vgg19": vgg("E", "VGG-19, configuration E", 143_667_240, 19_632_062_464),
    "vgg11_bn": vgg(
        "A", "VGG-11 with batch norm", 132_868_840, 7_609_090_048, batch_norm=True
    ),
    "vgg13_bn": vgg(
        "B", "VGG-13 with batch norm", 133_053_736, 11_308_466_176, batch_norm=True
    ),
    "vgg16_bn": vgg(
        "D", "VGG-16 with batch norm", 138_365_992, 15_470_264_320, batch_norm=True
    ),
    "vgg19_bn": vgg(
        "E", "VGG-19 with batch norm", 143_678_248, 19_632_062_464, batch_norm=True
    ),
    "resnet18": resnet(18, 11_689_512, 1_814_073_344),
    "resnet34": resnet(34, 21_797_672, 3_663_761_408),
    "resnet50": resnet(50, 25_557_032, 4_089_184_256),
    "resnet101": resnet(101, 44_549_160, 7_801_405_440),
    "resnet152": resnet(152, 60_192_808, 11_513_626_624),
    "resnet20_cifar": resnet_cifar(20, 269_722, 40_551_040),
    "resnet32_cifar": resnet_cifar(32, 464_154, 68_862_592),
    "resnet44_cifar": resnet_cifar(44, 658_586, 97_174_144),
    "resnet56_cifar": resnet_cifar(56, 853_018, 125_485_696),
    "resnet110_cifar": resnet_cifar(110, 1_727_962, 252_887_680),
    "plain20_cifar": Entry(
        ResNetCifar, 32, "ResNet-20 without its shortcuts, a plain net",
        "fc", 269_722, 40_551_040, fixed={"depth": 20}, defaults={"shortcut": None},
    ),
    "preact_resnet20_cifar": preact(PreactResNetCifar, 20, 269_722, 40_551_040),
    "preact_resnet32_cifar": preact(PreactResNetCifar, 32, 464_154, 68_862_592),
    "preact_resnet44_cifar": preact(PreactResNetCifar, 44, 658_586, 97_174_144),
    "preact_resnet56_cifar": preact(PreactResNetCifar, 56, 853_018, 125_485_696),
    "preact_resnet110_cifar": preact(PreactResNetCifar, 110, 1_727_962, 252_887_680),
    "preact_resnet164_cifar": preact(PreactBottleneckCifar, 164, 1_703_258, 247_646_720),
    "preact_resnet1001_cifar": preact(PreactBottleneckCifar, 1001, 10_327_706, 1_490_995_712),
    "squeezenet": Entry(
        SqueezeNet, 227, "SqueezeNet 1.1, Iandola et al. 2016",
        "classifier.conv10", 1_235_496, 387_747_520,
    ),
    "efficientnet_lite0": Entry(
        EfficientNetLite, 224, "EfficientNet-Lite0, Tan and Le 2019", "fc", 4_652_008, 385_187_552
    ),
    "airbench_cifar": Entry(
        AirbenchCifar, 32, "Eight layers that learn CIFAR-10 fast, Jordan 2024",
        "fc", 1_968_090, 113_626_816,
    ),
}  # fmt: skip


def names() -> list[str]:
    """The names that build and the command line know, in the order of the papers.

    >>> import models
    >>> models.names()[0]
    'lenet'
    """
    return list(MODELS)


def entry(name: str) -> Entry:
    """What is known of a network.

    Args:
        name: one of names().

    Raises:
        ArgumentError: there is no such network; the hint names the nearest.

    >>> import models
    >>> models.entry("lenet").size
    32
    """
    if not isinstance(name, str) or name not in MODELS:
        raise ArgumentError("models", "no such model", {"name": name}, nearest(name, MODELS))
    return MODELS[name]


def build(name: str, **arguments) -> Module:
    """A network with fresh weights, drawn from minidl's generator.

    Args:
        name: one of names().
        arguments: those of the network's class, such as num_classes and in_channels.

    Raises:
        ArgumentError: no such network, or it has no such argument.

    >>> import models
    >>> models.build("lenet", num_classes=3)(minidl.ones(1, 1, 32, 32)).shape
    (1, 3)
    """
    known = entry(name)
    for argument in arguments:
        if argument not in arguments_of(name):
            raise ArgumentError(
                "models.build", f"{name} has no such argument", {"argument": argument},
                nearest(argument, arguments_of(name)),
            )  # fmt: skip
    network = known.make(**{**known.fixed, **known.defaults, **arguments})
    network.built_as = name, arguments  # for those who compare it with a checkpoint's network
    return network


def all_arguments(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments that build passes on for some given ones, those by default included.

    Args:
        name: one of names().
        arguments: as build takes them.

    >>> from models.registry import all_arguments
    >>> all_arguments("vgg16", {"width": 0.5})["size"]
    224
    """
    known = entry(name)
    parameters = inspect.signature(known.make).parameters
    usual = {key: parameter.default for key, parameter in parameters.items()}
    return {**usual, **known.fixed, **known.defaults, **arguments}


def arguments_of(name: str) -> list[str]:
    """The names of the arguments that build takes for a network.

    Args:
        name: one of names().

    >>> from models.registry import arguments_of
    >>> "depth" in arguments_of("resnet50"), "stride_in" in arguments_of("resnet50")
    (False, True)
    """
    known = entry(name)
    return [name for name in inspect.signature(known.make).parameters if name not in known.fixed]
