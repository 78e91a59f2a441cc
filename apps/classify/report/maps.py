"""One picture on its way through the network: the feature maps of a handful of layers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from apps.classify.metrics import Evaluation
from apps.classify.report.feature_maps import STRONGEST, Layer, feature_maps
from apps.classify.report.mistakes import image_of, probability
from apps.shared.pictures import Picture
from minidl.data import transforms
from minidl.nn import Module

MAP = 64  # pixels: a larger feature map is shrunk


@dataclass
class Row:
    """A layer: its name, the shape of its output, which of its channels are shown, whether they
    have values below 0, and their maps."""

    name: str
    shape: str
    which: str
    signed: bool
    maps: list[Picture]


@dataclass
class Maps:
    """The section.

    Args:
        seen: the picture as the network gets it.
        shape: of that, in words.
        true, predicted: names of its classes.
        p_predicted: the probability of the latter.
        layers: what they make of it.
    """

    seen: Picture
    shape: str
    true: str
    predicted: str
    p_predicted: str
    layers: list[Row]


def maps_section(
    model: Module, preprocessing: transforms.Compose | None, evaluation: Evaluation, dataset
) -> Maps | None:
    """The first test picture that was recognised, so that the path to a right answer is seen.

    None without preprocessing, and for a network whose layers give no maps.
    """
    if preprocessing is None:
        return None
    recognised = np.flatnonzero(evaluation.predicted == evaluation.labels)
    index = int(recognised[0]) if len(recognised) else 0
    image = image_of(dataset, index)
    layers = feature_maps(model, preprocessing(image))
    if not layers:
        return None
    seen = before_numbers(preprocessing, image)
    predicted = int(evaluation.predicted[index])
    true = evaluation.classes[int(evaluation.labels[index])]
    return Maps(
        seen=Picture(seen, alt=f"the picture as the network gets it, {true}"),
        shape=size_text(seen.transpose(2, 0, 1).shape),
        true=true,
        predicted=evaluation.classes[predicted],
        p_predicted=probability(evaluation.probabilities[index, predicted]),
        layers=[row(layer) for layer in layers],
    )


def before_numbers(preprocessing: transforms.Compose, image: np.ndarray) -> np.ndarray:
    """The picture cropped and resized for the network, still uint8 (H, W, C)."""
    steps = preprocessing.transforms
    end = next(i for i, step in enumerate(steps) if isinstance(step, transforms.ToFloat))
    return transforms.Compose(steps[:end])(image)


def row(layer: Layer) -> Row:
    """A layer for the page."""
    n = layer.shape[0]
    which = f"{len(layer.maps)} strongest of {n}" if n > STRONGEST else f"all {n}"
    maps = [
        Picture(image, alt=f"channel {channel} of {layer.name}", at_most=MAP, exact=True)
        for image, channel in zip(layer.images(), layer.channels)
    ]
    return Row(layer.name, size_text(layer.shape), which, layer.signed, maps)


def size_text(shape: tuple) -> str:
    """(64, 56, 56) as "64 × 56 × 56"."""
    return " × ".join(str(n) for n in shape)
