"""EfficientNet in PyTorch as L. Melas-Kyriazi's efficientnet_pytorch calls its layers.

    _conv_stem.weight, _bn0.running_mean, _blocks.1._expand_conv.weight, _blocks.1._bn0.bias,
    _blocks.1._depthwise_conv.weight, _blocks.1._project_conv.weight, _conv_head.weight, _fc.bias

The numbers come from TensorFlow, which is why pictures are (x - 127) / 128.
"""

from __future__ import annotations

from typing import Any

from minidl import nn
from models.weights.maps.preprocessing import BY_128
from models.weights.maps.source import Facts, Layer, Source

NAMES = {
    "stem": "_conv_stem", "head": "_conv_head", "expand": "_expand_conv",
    "depthwise": "_depthwise_conv", "project": "_project_conv", "blocks": "_blocks", "fc": "_fc",
    "bn0": "_bn0", "bn1": "_bn1", "bn2": "_bn2",
}  # fmt: skip


class EfficientNetPytorch(Source):
    name = "efficientnet_pytorch"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        layer, dot, part = name.rpartition(".")
        return (layer, part) if dot else None

    def names(self, layer: Layer) -> list[str]:
        if layer.family != "efficientnet_lite":
            return []
        return [".".join(NAMES.get(name, name) for name in layer.path.split("."))]

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        return Facts(BY_128)
