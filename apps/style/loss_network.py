"""The network whose features say how alike two pictures are in content and in style.

SqueezeNet 1.1, VGG-16 or VGG-19 (Gatys et al. 2016 use VGG-19), up to the last layer that is asked
for, with weights that never change. It is given red, green and blue from 0 to 255, and normalises
them as its weights need it.

Pooling may be replaced (Gatys et al. 2016, section 2, found average pooling to give slightly more
appealing pictures). A network that learned with maxima sees smaller numbers then, so they are
scaled: averages by 2, and L2 norms of windows, in the mean over the window, by 1.56 (of a window
of 2x2 this is 0.78 times the norm). The factors are those of crowsonkb/style-transfer-pytorch.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

import minidl
import models
from apps.style.frozen_layers import FrozenFire, Rectified, frozen
from minidl import nn
from minidl.errors import ArgumentError, ShapeError, nearest
from minidl.tensor import Tensor
from models.weights.load import Report, load_weights
from models.weights.maps.preprocessing import IMAGENET, Preprocessing

# Network -> weights by name, where none are given.
NETWORKS = {"squeezenet": "squeezenet", "vgg16": "vgg16-hed", "vgg19": "vgg19-torchvision"}
POOLINGS = ("max", "avg", "l2")
AVERAGE_SCALE, NORM_SCALE = 2.0, 1.56
TINY = 1e-4  # below the root of an L2 pooling: its slope at 0 is infinite


class Window(NamedTuple):
    """A convolution or pooling, along either side."""

    kernel: int
    stride: int
    padding: int
    rounds_up: bool = False  # ceil_mode: a last window may reach over the edge

    def outputs(self, size: int) -> int:
        """How many outputs there are for a side of `size`."""
        room = size + 2 * self.padding - self.kernel
        if self.rounds_up and room % self.stride and (room // self.stride + 1) * self.stride < size:
            return room // self.stride + 2
        return room // self.stride + 1


class LossNetwork:
    """A network with weights that stay, and the outputs of its layers by name.

    Args:
        name: "squeezenet", "vgg16" or "vgg19".
        weights: a weight file, or the name of published weights; by default those of NETWORKS.
        pool: "max" (as it is), "avg" or "l2".

    Attributes:
        chain: the layers, name -> module (frozen_layers.py).
        layers: the names that features takes, in order: relu1, pool1, fire2, ... of SqueezeNet,
            relu1_1, relu1_2, pool1, ... of VGG. What stands in front of a ReLU is not among them.
        report: what was loaded.

    Raises:
        ArgumentError: no such network or pooling.
        CheckpointError: the weights cannot be read or fetched, or are of another network.
    """

    def __init__(self, name: str = "squeezenet", weights: str | None = None, pool: str = "max"):
        check_choice("net", name, NETWORKS)
        check_choice("pool", pool, POOLINGS)
        self.name, self.pool = name, pool
        self.weights = weights or NETWORKS[name]
        arguments = {} if name == "squeezenet" else {"head": "average"}
        net = models.build(name, **arguments).eval()
        self.report = load(net, self.weights)
        self.chain = frozen(net.features)
        self.layers = list(self.chain)
        needed = self.report.preprocessing or IMAGENET
        self.mean, scale = as_constants(needed)
        scale_inputs(next(iter(self.chain.values())).conv, scale)

    def features(self, x: Tensor, names: Iterable[str]) -> dict[str, Tensor]:
        """The outputs of some layers; nothing behind the last of them is computed.

        Args:
            x: (1, 3, H, W), red, green and blue from 0 to 255.
            names: of layers.

        Returns:
            name -> (1, C, H', W'), in the order of the network.

        Raises:
            ArgumentError: no such layer; the error lists those there are.
            ShapeError: the picture is too small for the last layer.
        """
        wanted = self.check_layers(names)
        if min(x.shape[2:]) < (least := self.smallest(wanted)):
            raise ShapeError(
                self.name, f"{wanted[-1]} needs pictures of at least {least}x{least} pixels",
                {"x": x}, "use a larger picture, or layers nearer to it",
            )  # fmt: skip
        x, found = x - self.mean, {}
        for name, layer in self.chain.items():
            x = self.pooled(layer, x) if isinstance(layer, nn.MaxPool2d) else layer(x)
            if name in wanted:
                found[name] = x
            if name == wanted[-1]:
                break
        return found

    def pooled(self, layer: nn.MaxPool2d, x: Tensor) -> Tensor:
        """A pooling layer, or what takes its place."""
        if self.pool == "max":
            return layer(x)
        window = layer.kernel_size, layer.stride, 0, layer.ceil_mode
        if self.pool == "avg":
            return nn.functional.avg_pool2d(x, *window) * AVERAGE_SCALE
        return (nn.functional.avg_pool2d(x * x, *window) + TINY).sqrt() * NORM_SCALE

    def check_layers(self, names: Iterable[str]) -> list[str]:
        """The names in the order of the network, each once.

        Raises:
            ArgumentError: a layer is not there.
        """
        names = set(names)
        for name in sorted(names):
            if name not in self.layers:
                close = nearest(name, self.layers)
                has = f"{self.name} has {', '.join(self.layers)}"
                hint = f"{close} {has}" if close.startswith("did you mean") else has
                raise ArgumentError(
                    "style", f"{self.name} has no such layer", {"layer": name}, hint
                )
        return [layer for layer in self.layers if layer in names]

    # --- sizes ----------------------------------------------------------------------------------

    def smallest(self, names: Iterable[str]) -> int:
        """Pixels of the smaller side from which on the last of some layers has a row of output."""
        side = 1
        for window in reversed(self.windows(names)):
            side = max((side - 1) * window.stride + window.kernel - 2 * window.padding, 1)
        return side

    def output_size(self, name: str, size: tuple[int, int]) -> tuple[int, int]:
        """Height and width of a layer's output for a picture of some height and width."""
        for window in self.windows([name]):
            size = window.outputs(size[0]), window.outputs(size[1])
        return size

    def receptive_field(self, names: Iterable[str]) -> int:
        """Pixels of the square that an output of the last of some layers sees."""
        side, jump = 1, 1
        for window in self.windows(names):
            side, jump = side + (window.kernel - 1) * jump, jump * window.stride
        return side

    def stride(self, names: Iterable[str]) -> int:
        """Pixels between neighbours in the output of the last of some layers."""
        return math.prod(window.stride for window in self.windows(names))

    def windows(self, names: Iterable[str]) -> list[Window]:
        """What is on the way to the last of some layers."""
        last, found = self.check_layers(names)[-1], []
        for name, layer in self.chain.items():
            if isinstance(layer, FrozenFire):
                layer = layer.expand  # the squeezing layer sees one pixel
            layer = layer.conv if isinstance(layer, Rectified) else layer
            kernel, stride, padding = map(first, (layer.kernel_size, layer.stride, layer.padding))
            up = isinstance(layer, nn.MaxPool2d) and layer.ceil_mode
            found.append(Window(kernel, stride, padding, up))
            if name == last:
                break
        return found


def load(net: nn.Module, weights: str) -> Report:
    """Weights of the layers before the classifier, of which a file may have any or none."""
    return load_weights(net, weights, fresh=["classifier"])


def as_constants(needed: Preprocessing) -> tuple[Tensor, Tensor]:
    """Mean of pixels from 0 to 255, and the factor on their distance from it: (1, 3, 1, 1)."""
    mean = minidl.tensor([255 * value for value in needed.mean])
    scale = minidl.tensor([1 / (255 * value) for value in needed.std])
    return mean.reshape(1, 3, 1, 1), scale.reshape(1, 3, 1, 1)


@minidl.no_grad()
def scale_inputs(conv: nn.Conv2d, scale: Tensor) -> None:
    """Multiply the weights by what the inputs would be multiplied by, (1, C, 1, 1): the outputs are
    the same, and pictures and their gradients go through memory once less."""
    conv.weight.data *= scale.data


def first(value: int | tuple[int, int]) -> int:
    return value[0] if isinstance(value, tuple) else value


def check_choice(what: str, value: str, choices: Iterable[str]) -> None:
    if value not in choices:
        raise ArgumentError("style", f"no such {what}", {what: value}, nearest(value, choices))
