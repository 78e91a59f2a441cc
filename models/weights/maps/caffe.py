"""Caffe's model zoo: bvlc_alexnet, bvlc_googlenet, the VGG group's, He et al.'s ResNets, LeNet,
SqueezeNet.

    conv1_1.weight, inception_3a/3x3.bias, bn2a_branch2a.running_mean, scale2a_branch2a.weight,
    fire2/squeeze1x1.weight, which a pickle of [kernel, bias] for each layer calls .0

Pictures are blue, green, red from 0 to 255 minus a mean. A batch norm is two layers: BatchNorm
has the statistics, Scale the weight and bias.
"""

from __future__ import annotations

import math
import re
from typing import Any

from minidl import nn
from minidl.shapes import is_number
from models.weights.maps.preprocessing import (
    BY_256,
    CAFFE_MEAN,
    RESNET_MEAN,
    VGG_MEAN,
    Preprocessing,
)
from models.weights.maps.source import Facts, Layer, Source, Value, family_of
from models.weights.maps.torchvision import add_stride_note

GOOGLENET = {
    "conv1": "conv1/7x7_s2", "conv2_reduce": "conv2/3x3_reduce", "conv2": "conv2/3x3",
    "aux1.conv": "loss1/conv", "aux1.fc1": "loss1/fc", "aux1.fc2": "loss1/classifier",
    "aux2.conv": "loss2/conv", "aux2.fc1": "loss2/fc", "aux2.fc2": "loss2/classifier",
    "fc": "loss3/classifier",
}  # fmt: skip
INCEPTION = {
    "conv1x1": "1x1", "reduce3x3": "3x3_reduce", "conv3x3": "3x3", "reduce5x5": "5x5_reduce",
    "conv5x5": "5x5", "pool_proj": "pool_proj",
}  # fmt: skip
MEANS = {"vgg": VGG_MEAN, "resnet": RESNET_MEAN, "lenet_caffe": BY_256}
NUMBERED = {"0": "weight", "1": "bias"}  # the blobs of a layer
POOLING = (
    "their first pooling has no padding in front, ours has (as torchvision's): the maps are a "
    "pixel off from there on, and scores differ a little"
)


class Caffe(Source):
    name = "Caffe"
    channel_order = "BGR"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        layer, dot, part = name.rpartition(".")
        return (layer, NUMBERED.get(part, part)) if dot else None

    def names(self, layer: Layer) -> list[str]:
        if layer.family == "googlenet":
            inception = re.fullmatch(r"inception(\d\w)\.(\w+)", layer.path)
            if inception:
                return [f"inception_{inception[1]}/{INCEPTION.get(inception[2])}"]
            return [GOOGLENET.get(layer.path, "")]
        if layer.family == "resnet":
            return resnet_names(layer)
        if layer.family == "squeezenet":
            return ["/".join(layer.path.split(".")[1:])]
        return [layer.name] if layer.family in ("alexnet", "vgg", "lenet_caffe") else []

    def find(self, index: dict[str, dict[str, Value]], layer: Layer) -> dict[str, Value]:
        if not layer.is_norm:
            return super().find(index, layer)
        for name in self.names(layer):
            if f"bn{name}" in index:
                return {**index.get(f"scale{name}", {}), **index[f"bn{name}"]}
        return {}

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        family = family_of(model)
        usual = MEANS.get(family, CAFFE_MEAN)
        facts = Facts(told(model, meta, usual))
        if "mean_file" in meta and "mean_value" not in meta:
            facts.notes.append(
                f"the mean picture is in another file ({meta['mean_file']}); the usual mean of "
                "such networks is taken in its place"
            )
        add_stride_note(facts, model, "1x1")
        if family == "resnet":
            facts.notes.append(POOLING)
        if family == "alexnet":
            add_lrn_note(facts, model)
        if family == "alexnet" and meta.get("net") == "CaffeNet":
            facts.notes.append(
                "CaffeNet pools before it normalizes, the model after: the scores are not the same"
            )
        return facts


def told(model: nn.Module, meta: dict[str, Any], usual: Preprocessing) -> Preprocessing:
    """What the net's own data layer says; the usual mean where it says none, or the mean is a
    picture that is in another file. Caffe subtracts the mean first, and then scales."""
    mean, scale = meta.get("mean_value"), meta.get("scale", 1.0)
    if not is_number(scale) or not 0 < scale < math.inf:
        return usual
    first = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    channels = 3 if first is None else first.in_channels
    std = (1 / (255 * scale),) * channels
    if not isinstance(mean, list):
        in_a_file = "mean_file" in meta and "scale" in meta and len(usual.mean) == channels
        return Preprocessing(usual.mean, std) if in_a_file else usual
    mean = mean * channels if len(mean) == 1 else mean[::-1]  # blue first
    if len(mean) != channels:
        return usual
    return Preprocessing(tuple(m / 255 for m in mean), std)


def resnet_names(layer: Layer) -> list[str]:
    """res4b_branch2a or, in the deeper nets, res4b1_branch2a; without "res" for a batch norm.

    A batch norm is called bn4b_branch2a, its other half scale4b_branch2a.
    """
    if layer.path in ("conv1", "fc"):
        return [{"conv1": "conv1", "fc": "fc1000"}[layer.path]]
    if layer.path == "bn1":
        return ["_conv1"]
    place = re.fullmatch(r"layer(\d)\.(\d+)\.(?:(?:conv|bn)(\d)|downsample\.[01])", layer.path)
    if not place:
        return []
    stage, block = int(place[1]) + 1, int(place[2])
    branch = f"branch2{'abc'[int(place[3]) - 1]}" if place[3] else "branch1"
    blocks = [chr(ord("a") + block)] if block < 26 else []
    blocks += [f"b{block}"] if block else []
    prefix = "" if layer.is_norm else "res"
    return [f"{prefix}{stage}{name}_{branch}" for name in blocks]


def add_lrn_note(facts: Facts, model: nn.Module) -> None:
    """The constants of local response normalization differ between the paper and Caffe."""
    norm = getattr(model.features, "norm1", None) if "norm1" in dir(model.features) else None
    if norm is not None and (norm.k, norm.alpha) != (1.0, 1e-4):
        facts.notes.append(
            f"Caffe's AlexNet was trained with k=1, alpha=0.0001 in local response "
            f"normalization, the model has k={norm.k:g}, alpha={norm.alpha:g}: lrn='caffe'"
        )
