"""MatConvNet: Caffe's names and an ending for each part; pictures are red, green, blue.

    imagenet-vgg-verydeep-16, imagenet-caffe-alex   conv1_1f, conv1_1b
    imagenet-resnet-50-dag                          conv1_filter, conv1_bias, bn_conv1_mult,
                                                    bn_conv1_bias, bn_conv1_moments

The moments are two columns: the mean, and the square root of variance + epsilon.
"""

from __future__ import annotations

import re
from typing import Any

import numpy as np

from minidl import nn
from models.weights.maps.caffe import MEANS, POOLING, add_lrn_note, resnet_names
from models.weights.maps.preprocessing import CAFFE_MEAN, Preprocessing
from models.weights.maps.source import Facts, Layer, Source, Value, family_of
from models.weights.maps.torchvision import add_stride_note

PARTS = {
    "f": "weight", "_filter": "weight", "_mult": "weight", "m": "weight",
    "b": "bias", "_bias": "bias", "_moments": "moments", "x": "moments",
}  # fmt: skip


class MatConvNet(Source):
    name = "MatConvNet"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        found = re.fullmatch(r"(.*?)(_filter|_mult|_bias|_moments|f|b|m|x)", name)
        return (found[1], PARTS[found[2]]) if found else None

    def names(self, layer: Layer) -> list[str]:
        if layer.family == "resnet":
            names = resnet_names(layer)
            return [f"bn{name}" for name in names] if layer.is_norm else names
        if layer.family not in ("alexnet", "vgg"):
            return []
        return [f"bn{layer.name[2:]}", layer.name] if layer.is_norm else [layer.name]

    def parts(self, layer: Layer, found: dict[str, Value]) -> dict[str, Value]:
        moments = found.get("moments")
        rest = {part: value for part, value in found.items() if part != "moments"}
        if moments is None or not layer.is_norm:
            return rest
        both = moments.array.astype(np.float64)
        if both.ndim != 2 or both.shape[1] != 2:
            return rest
        variance = both[:, 1] ** 2 - layer.module.eps
        rest["running_mean"] = Value(both[:, 0].astype(np.float32), moments.names)
        rest["running_var"] = Value(variance.astype(np.float32), moments.names)
        return rest

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        family = family_of(model)
        usual = MEANS.get(family, CAFFE_MEAN)
        mean = meta.get("mean", ())  # most files have their mean picture with them
        facts = Facts(Preprocessing.of_bytes(*mean) if len(mean) == 3 else usual)
        add_stride_note(facts, model, "1x1")
        if family == "resnet":
            facts.notes.append(POOLING)
        if family == "alexnet":
            add_lrn_note(facts, model)
        return facts
