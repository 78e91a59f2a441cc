"""PyTorch's names: those of torchvision's networks, and those that are ours already.

torchvision numbers the layers of AlexNet, VGG and SqueezeNet by their place, activations, pooling
and batch norms counted; our `features` have the same layers in the same order. Its ResNet and
GoogLeNet (models.googlenet_torchvision) have the names that ours have.
"""

from __future__ import annotations

from typing import Any

from minidl import nn
from models.weights.maps.preprocessing import IMAGENET, MINUS_ONE_TO_ONE
from models.weights.maps.source import Facts, Layer, Source, family_of

# Dropout stands before the linear layers in AlexNet, behind them in VGG.
CLASSIFIERS = {
    "alexnet": {"fc6": 1, "fc7": 4, "fc8": 6},
    "vgg": {"fc6": 0, "fc7": 3, "fc8": 6},
    "squeezenet": {"conv10": 1},
}
# The modules of SqueezeNet: their numbers, between which the pools are.
FIRES = {
    "fire2": 3, "fire3": 4, "fire4": 6, "fire5": 7, "fire6": 9, "fire7": 10, "fire8": 11,
    "fire9": 12,
}  # fmt: skip


class Torchvision(Source):
    name = "torchvision"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        layer, dot, part = name.rpartition(".")
        return (layer, part) if dot else None

    def names(self, layer: Layer) -> list[str]:
        if layer.family in ("resnet", "googlenet_torchvision"):
            return [layer.path]
        if layer.path.startswith("features.fire"):
            _, fire, name = layer.path.split(".")
            return [f"features.{FIRES[fire]}.{'squeeze' if name == 'squeeze1x1' else name}"]
        if layer.family in CLASSIFIERS:
            if layer.path.startswith("features."):
                return [f"features.{layer.place}"]
            return [f"classifier.{CLASSIFIERS[layer.family].get(layer.name)}"]
        return []

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        if family_of(model) == "googlenet_torchvision":
            # The published weights come from TensorFlow; torchvision's transform_input makes
            # -1 to 1 of pictures that were normalized as for its other networks.
            transforms_input = getattr(model, "transform_input", False)
            facts = Facts(IMAGENET if transforms_input else MINUS_ONE_TO_ONE)
            facts.notes.append(
                "torchvision's GoogLeNet has 3x3 kernels where the paper has 5x5; "
                "the auxiliary heads of its published file are not trained"
            )
            return facts
        facts = Facts(IMAGENET)
        add_stride_note(facts, model, "3x3")
        return facts


class Own(Source):
    """Names that are ours already: our own checkpoints, and PyTorch or ONNX files made of them."""

    name = "minidl"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        layer, _, part = name.rpartition(".")
        return layer, part

    def names(self, layer: Layer) -> list[str]:
        return [layer.path]


def add_stride_note(facts: Facts, model: nn.Module, theirs: str) -> None:
    """Say so where a bottleneck of ours has its stride in another convolution than theirs.

    The parameters are the same, so nothing else would show that the scores are not theirs.
    """
    if family_of(model) != "resnet" or not hasattr(model.layer2[0], "conv3"):
        return
    stride = model.layer2[0].conv1.stride
    ours = "3x3" if stride in (1, (1, 1)) else "1x1"
    if ours != theirs:
        facts.notes.append(
            f"these weights are for stride_in={theirs!r}, the model has stride_in={ours!r}"
        )
