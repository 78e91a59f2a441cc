"""What a picture becomes on its way through a network: the outputs of layers spread through it.

A network for pictures works at a few resolutions, each smaller than the one before: 224, 112, 56,
28, 14, 7 pixels in VGG. At each resolution the last of the layers with the most channels is shown
(the end of a stage, where the next stage begins with fewer), of each layer the channels that answer
most strongly.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import minidl
from apps.shared.pictures import signed_image
from minidl.debug import ModuleCall, Recorder
from minidl.nn import Module
from minidl.tensor import Tensor

FEWEST, MOST = 4, 6  # layers shown, as far as the network has so many
STRONGEST = 16  # channels of a layer


@dataclass
class Layer:
    """The output of a layer for one picture.

    Args:
        name: dotted name of the module.
        shape: (C, H, W) of the output.
        channels: numbers of the strongest channels, the strongest first.
        maps: their values, (len(channels), H, W).
        signed: whether the output has values below 0.
    """

    name: str
    shape: tuple[int, int, int]
    channels: list[int]
    maps: np.ndarray
    signed: bool

    def images(self) -> list[np.ndarray]:
        """The maps as uint8 pictures (H, W), each on its own scale.

        Black is 0 and white the largest value; with values below 0, mid-grey is 0.
        """
        if self.signed:
            return [signed_image(values) for values in self.maps]
        return [np.round(255 * m / (m.max() or 1.0)).astype(np.uint8) for m in self.maps]


def feature_maps(model: Module, x: np.ndarray) -> list[Layer]:
    """Send a picture through a network and keep what a handful of its layers give.

    Args:
        model: in evaluation mode; left as it was.
        x: the preprocessed picture, float32 (C, H, W).

    Returns:
        the chosen layers in the order of their calls; none if no layer gives maps.
    """
    with minidl.no_grad(), Maps() as recorder:
        model(Tensor(x[None]))
    layers = recorder.layers
    return [layers[i] for i in choose(layers)]


class Maps(Recorder):
    """Keeps the strongest maps of each module's output, as far as it consists of maps."""

    def __init__(self):
        super().__init__()
        self.layers: list[Layer] = []
        self.latest: Any = None  # a container returns what the last module in it returned

    def module_done(self, call: ModuleCall) -> None:
        y = call.output
        if y is self.latest or not isinstance(y, Tensor):
            return
        self.latest = y
        if y.ndim == 4 and y.shape[2] * y.shape[3] > 1:
            layer = describe(call.path, y.numpy()[0])
            if not self.layers or not same(layer, self.layers[-1]):  # a pool of 1 pixel
                self.layers.append(layer)


def describe(name: str, y: np.ndarray) -> Layer:
    """A Layer from a module's output (C, H, W)."""
    strength = np.nan_to_num(np.abs(y).mean(axis=(1, 2)))
    order = np.argsort(-strength, kind="stable")[:STRONGEST]
    maps = np.nan_to_num(y[order])  # a copy: the whole output is not kept
    return Layer(name, y.shape, order.tolist(), maps, bool(y.min() < 0))


def same(a: Layer, b: Layer) -> bool:
    """Whether two layers give the same."""
    return a.shape == b.shape and a.channels == b.channels and np.array_equal(a.maps, b.maps)


def choose(layers: list[Layer]) -> list[int]:
    """Indices of the layers to show, one at each resolution, from FEWEST to MOST."""
    best: dict[tuple, int] = {}
    for i, layer in enumerate(layers):
        size = layer.shape[1:]
        if size not in best or layer.shape[0] >= layers[best[size]].shape[0]:
            best[size] = i
    chosen = sorted(best.values())
    if len(chosen) > MOST:
        at = np.linspace(0, len(chosen) - 1, MOST).round().astype(int)
        return [chosen[i] for i in at]
    # Between them, outputs after a ReLU rather than before.
    others = [i for i, layer in enumerate(layers) if not layer.signed and i not in chosen]
    while others and 0 < len(chosen) < FEWEST:
        distance = [min(abs(i - c) for c in (-1, *chosen)) for i in others]
        chosen = sorted([*chosen, others.pop(int(np.argmax(distance)))])
    return chosen
