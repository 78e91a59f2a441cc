"""TensorFlow: slim's VGG and ResNet v1 from a frozen graph, and Frossard's vgg16_weights.npz.

Pictures are red, green, blue from 0 to 255 minus a mean. slim writes the linear layers of VGG as
convolutions that cover the whole map.

    slim       vgg_16/conv1/conv1_1/weights, vgg_16/fc6/biases, resnet_v1_50/block1/unit_1/
               bottleneck_v1/conv1/BatchNorm/moving_variance
    Frossard   conv1_1_W, conv1_1_b, fc6_W
"""

from __future__ import annotations

import re
from typing import Any

from minidl import nn
from models.weights.maps.caffe import POOLING
from models.weights.maps.preprocessing import VGG_MEAN
from models.weights.maps.source import Facts, Layer, Source, Value, family_of, renamed

CONV = {"weights": "weight", "biases": "bias"}
NORM = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var",
}  # fmt: skip
STRIDES = (
    "slim's ResNets have the stride in the last unit of a block, ours in the first: the "
    "parameters are the same, the scores are not before fine-tuning"
)


class Slim(Source):
    name = "TensorFlow slim"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        name = name.removesuffix(":0").removesuffix("/read")
        layer, slash, part = name.rpartition("/")
        scope, slash, layer = layer.partition("/")  # vgg_16 or resnet_v1_50
        return (layer, part) if slash else None

    def names(self, layer: Layer) -> list[str]:
        if layer.family == "vgg":
            block = re.fullmatch(r"(conv\d)_\d", layer.name)
            return [f"{block[1]}/{layer.name}" if block else layer.name]
        if layer.family == "resnet":
            return [slim_resnet_name(layer)]
        return []

    def parts(self, layer: Layer, found: dict[str, Value]) -> dict[str, Value]:
        return renamed(found, NORM if layer.is_norm else CONV)

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        facts = Facts(VGG_MEAN)
        if family_of(model) == "resnet":
            facts.notes += [STRIDES, POOLING]
        return facts


def slim_resnet_name(layer: Layer) -> str:
    """block1/unit_1/bottleneck_v1/conv1, and /BatchNorm below it."""
    name = {"conv1": "conv1", "bn1": "conv1", "fc": "logits"}.get(layer.path, "")
    place = re.fullmatch(r"layer(\d)\.(\d+)\.(?:(?:conv|bn)(\d)|downsample\.[01])", layer.path)
    if place:
        conv = f"conv{place[3]}" if place[3] else "shortcut"
        name = f"block{place[1]}/unit_{int(place[2]) + 1}/bottleneck_v1/{conv}"
    return f"{name}/BatchNorm" if layer.is_norm else name


class Frossard(Source):
    name = "Frossard's VGG-16"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        layer, _, part = name.rpartition("_")
        return (layer, part) if part in ("W", "b") else None

    def names(self, layer: Layer) -> list[str]:
        return [layer.name] if layer.family == "vgg" else []

    def parts(self, layer: Layer, found: dict[str, Value]) -> dict[str, Value]:
        return renamed(found, {"W": "weight", "b": "bias"})

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        return Facts(VGG_MEAN)
