"""The training steps that are compared: each network in minidl, and once more in PyTorch.

The PyTorch networks are those of the tests (tests/models/twins.py), with the same names, so that
one state_dict serves both. There is no dropout, as its masks differ.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import models
from minidl import nn
from models import gan_cls, gan_projection

BLOCKS = ((3, 3), (3, 3), (3, 3, 3), (3, 3, 3), (3, 3, 3))  # kernels of VGG-16
WIDTHS = (64, 128, 256, 512, 512)


@dataclass(frozen=True)
class Case:
    """One network and its batch.

    Args:
        build: makes the minidl network.
        twin: makes the PyTorch network.
        shape: of the input.
        classes: scores per picture; 0 where the loss is the mean of the squares of all outputs.
        of_input: the gradient is that of the input, and no weight learns (style transfer).
        gan: build and twin make two networks, a generator and a discriminator, that learn by this
            recipe of gan_steps.py; shape is that of the pictures.
    """

    build: Callable[[], nn.Module]
    twin: Callable[[], Any]
    shape: tuple[int, ...]
    classes: int = 1000
    of_input: bool = False
    gan: str = ""


def torch_twins() -> Any:
    """Imported late: PyTorch takes seconds to load, and memory."""
    from tests.models import twins

    return twins


def lenet_twin() -> Any:
    from torch import nn

    net = nn.Sequential()
    net.add_module("features", nn.Sequential(
        nn.Conv2d(1, 6, 5), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2),
    ))  # fmt: skip
    net.add_module("classifier", nn.Sequential(
        nn.Flatten(), nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(),
        nn.Linear(84, 10),
    ))  # fmt: skip
    return net


def alexnet_twin() -> Any:
    norm = {"size": 5, "alpha": 1e-4 * 5, "beta": 0.75, "k": 2.0}  # PyTorch divides alpha by 5
    return torch_twins().alexnet(
        (96, 256, 384, 384, 256), 4096, 1000, groups=2, lrn=norm, padding=0, side=6
    )


def googlenet_twin() -> Any:
    from models.googlenet import MODULES

    return torch_twins().GoogLeNet((64, 192), MODULES, (128, 1024), 1000)


def squeezenet_twin() -> Any:
    from models.squeezenet import FIRES

    return torch_twins().squeezenet(64, FIRES.values(), 1000)


def efficientnet_twin() -> Any:
    from models.efficientnet_lite import HEAD, ROWS, STEM

    return torch_twins().EfficientNetLite(STEM, ROWS, HEAD, 1000)


def gan_twins() -> Any:
    from tests.models import gan_twins

    return gan_twins.Generator(128, 100, 1024, 128), gan_twins.Discriminator(64, 1024, 128)


def small_gan_twins() -> Any:
    from tests.models import projection_twins as twins

    channels = gan_projection.widths("step", 32, 32)
    return twins.Generator(channels[::-1], 32, 128, 64), twins.Discriminator(channels, 128, 128)


def vgg_to_conv4_3(features: Any) -> Any:
    """The layers of VGG-16 up to the activation of conv4_3, of either library."""
    names = [name for name, _ in features.named_children()]
    return features[: names.index("relu4_3") + 1]


def lstm_twin() -> Any:
    from torch import nn

    return nn.LSTM(512, 512)


CASES = {
    "lenet5": Case(lambda: models.lenet5(), lenet_twin, (64, 1, 32, 32), 10),
    "alexnet": Case(lambda: models.alexnet(dropout=0.0), alexnet_twin, (32, 3, 227, 227)),
    "googlenet": Case(
        lambda: models.googlenet(dropout=0.0, aux_dropout=0.0), googlenet_twin, (8, 3, 224, 224)
    ),
    "vgg16": Case(
        lambda: models.vgg16(dropout=0.0),
        lambda: torch_twins().vgg(BLOCKS, WIDTHS, 4096, 1000, batch_norm=False, side=7),
        (4, 3, 224, 224),
    ),
    "vgg16-style": Case(
        lambda: vgg_to_conv4_3(models.vgg16().features),
        lambda: vgg_to_conv4_3(
            torch_twins().vgg(BLOCKS, WIDTHS, 4096, 1000, batch_norm=False, side=7).features
        ),
        (1, 3, 256, 256), 0, of_input=True,
    ),
    "resnet18": Case(
        lambda: models.resnet18(),
        lambda: torch_twins().resnet(False, (2, 2, 2, 2), (64, 128, 256, 512), 1000),
        (8, 3, 224, 224),
    ),
    "resnet50": Case(
        lambda: models.resnet50(),
        lambda: torch_twins().resnet(True, (3, 4, 6, 3), (64, 128, 256, 512), 1000),
        (4, 3, 224, 224),
    ),
    "resnet20-cifar": Case(
        lambda: models.resnet20_cifar(),
        lambda: torch_twins().resnet_cifar(3, (16, 32, 64), 10, "A"),
        (128, 3, 32, 32), 10,
    ),
    "squeezenet": Case(
        lambda: models.squeezenet(dropout=0.0), squeezenet_twin, (8, 3, 227, 227)
    ),
    "efficientnet-lite0": Case(
        lambda: models.efficientnet_lite0(dropout=0.0), efficientnet_twin, (8, 3, 224, 224)
    ),
    "lstm": Case(lambda: nn.LSTM(512, 512), lstm_twin, (20, 32, 512), 0),
    "dcgan64": Case(
        lambda: (gan_cls.Generator(), gan_cls.Discriminator()), gan_twins, (32, 3, 64, 64),
        gan="cls",
    ),
    "gan-small": Case(
        lambda: (gan_projection.Generator(), gan_projection.Discriminator()), small_gan_twins,
        (32, 3, 32, 32), gan="small",
    ),
}  # fmt: skip
