"""The network of a run: a CNN without its last layer, and the LSTM that speaks.

small           models.picture_encoder: all its layers, their numbers are the features
squeezenet      fire9's maps; of maps each one's mean counts
efficientnet_lite0, googlenet, resnet18, vgg16, ...      what their last layer takes
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import minidl
import models
from apps.caption.settings import SMALL, NetworkOptions
from apps.shared.chain import tail
from apps.shared.options import OptionError
from apps.shared.pixel_range import to_unit_variance
from apps.shared.trained import weight_file
from apps.shared.warm_up import black_pictures
from minidl import nn
from minidl.data import transforms
from minidl.errors import CheckpointError
from minidl.nn import Module
from minidl.nn.functional import normalize
from minidl.tensor import Tensor
from models.picture_encoder import PictureEncoder
from models.show_and_tell import Decoder, ShowAndTell

WIDTH, FEATURES = 32, 96  # of the small CNN: maps of its first layer, and its features
EPS = 1e-8  # of the norm of features: those of some networks differ by a thousandth
DETECTOR = "detector."  # begins the names of tensors that are for learning alone
SMALLEST = 1e-2  # deviation of a feature, as a share of the largest


class PictureFeatures(Module):
    """A CNN without its last layer: pictures (N, 3, S, S) -> features (N, F).

    Args:
        layers: from the picture on, one after the other.
        size: pixels of the pictures, S.

    Attributes:
        out_features: F. Where the last layer gives maps, a feature is the mean of one.
        takes_features: whether it is given what its layers would make of pictures, by a file.
        one_length: whether the features of each picture are brought to the same length, sqrt(F).
            With weights of others that length says how well the picture fits into ImageNet, not
            what is on it; the directions of two pictures that look alike are alike.
        norm: brings each feature to mean 0 and standard deviation 1, whatever the CNN: the LSTM,
            which is fed the picture only once, would lose small features beside the words.
    """

    def __init__(self, layers: list[Module], size: int):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.takes_features = self.one_length = False
        x = black_pictures((3, size, size))
        with nn.evaluating(self.layers), minidl.no_grad():
            y = self.layers(x)
        if y.ndim == 4:
            self.layers = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
        self.out_features = y.shape[1]
        self.norm = nn.BatchNorm1d(self.out_features, eps=EPS, affine=False)

    def forward(self, x: Tensor) -> Tensor:
        y = self.norm(x if self.takes_features else self.layers(x))
        return normalize(y) * math.sqrt(self.out_features) if self.one_length else y

    def standardize(self, batches: Iterable[np.ndarray]) -> None:
        """Take mean and deviation from these features, for a CNN that does not learn yet.

        A feature that hardly changes counts as if it had SMALLEST of the largest deviation: one
        that is 0 in all training pictures would become huge in the first that excites it.

        Args:
            batches: float32 (N, F) each, what the layers make of all training pictures.
        """
        count, total, squares = 0, 0.0, 0.0
        for features in batches:
            x = features.astype(np.float64)
            count, total, squares = count + len(x), total + x.sum(0), squares + (x**2).sum(0)
        mean = total / count
        variance = np.maximum(squares / count - mean**2, 0)
        self.norm.running_mean.data[:] = mean
        self.norm.running_var.data[:] = np.maximum(variance, SMALLEST**2 * variance.max())


@dataclass
class Cnn:
    """The CNN of a run.

    Args:
        features: the network.
        arguments: with which it was built, for the checkpoint.
        preprocessing: what a picture goes through first.
        weights: what became of the tensors of the weight file, in JSON's types; None without one.
    """

    features: PictureFeatures
    arguments: dict[str, Any]
    preprocessing: transforms.Compose
    weights: dict[str, Any] | None = None


def new_cnn(settings: Any, log: Callable[[str], None]) -> Cnn:
    """The CNN of a new run, with the weights of a file if the settings name one.

    Args:
        settings: cnn, weights, size.
        log: called with what became of the weights.

    Raises:
        OptionError, ArgumentError, CheckpointError: the weights or the CNN cannot be used.
    """
    arguments = cnn_arguments(settings.cnn, settings.size)
    if settings.weights is None:
        features = make_cnn(settings.cnn, arguments, settings.size)
        return Cnn(features, arguments, preprocessing_of(settings.size))
    from models.weights.load import load_weights

    model = models.build(settings.cnn, **arguments)
    report = load_weights(model, weight_file(settings.weights))
    to_unit_variance(model, report)
    log(str(report))
    if report.preprocessing is None:
        log("how pictures were normalized for these weights is not known; 0 to 255 become -1 to 1")
    features = without_last(model, settings.cnn, settings.size)
    check_loaded(model, features, {row.name for row in report.fresh}, settings)
    found = report.as_json()
    weights = {"source": settings.weights, "initialised": found.pop("fresh"), **found}
    return Cnn(features, arguments, preprocessing_of(settings.size, report.preprocessing), weights)


def stored_cnn(settings: Any, meta: dict[str, Any]) -> Cnn:
    """The CNN of a run to go on with, as its checkpoint describes it; weights come from there."""
    arguments = meta["cnn_arguments"]
    features = make_cnn(settings.cnn, arguments, settings.size)
    preprocessing = transforms.from_config(meta["preprocessing"])
    return Cnn(features, arguments, preprocessing, meta.get("weights"))


def preprocessing_of(size: int, values: Any = None) -> transforms.Compose:
    """What brings any picture to the CNN.

    Args:
        size: pixels of its pictures.
        values: mean and std of the pixels, as its weights need them; None: -1 to 1.
    """
    mean, std = ([0.5] * 3, [0.5] * 3) if values is None else (values.mean, values.std)
    T = transforms
    steps = [T.ToRGB(), T.Resize(size), T.CenterCrop(size), T.ToFloat(), T.Normalize(mean, std)]
    return T.Compose(steps)


def check_loaded(
    model: Module, features: PictureFeatures, fresh: set[str], settings: NetworkOptions
) -> None:
    """The layers that make features have all their weights from the file."""
    kept = {id(p) for p in features.parameters()}
    names = [name for name, p in model.named_parameters() if id(p) in kept and name in fresh]
    if names:
        raise OptionError(
            "the weights lack layers that features come from, and what is drawn afresh and "
            "frozen makes none", {"--weights": settings.weights, "lack": names[0]},
            "other weights, or none: the CNN learns from the start then",
        )  # fmt: skip


def cnn_arguments(name: str, size: int) -> dict[str, Any]:
    """With which a CNN is built, for the checkpoint."""
    if name == SMALL:
        return {"width": WIDTH, "out": FEATURES, "size": size}
    known = models.registry.arguments_of(name)
    return {key: value for key, value in (("in_channels", 3), ("size", size)) if key in known}


def make_cnn(name: str, arguments: dict[str, Any], size: int) -> PictureFeatures:
    """A CNN with fresh weights.

    Args:
        name: "small", or one of models.names().
        arguments: from cnn_arguments.
        size: pixels of its pictures.
    """
    if name == SMALL:
        return PictureFeatures([PictureEncoder(**arguments)], size)
    return without_last(models.build(name, **arguments), name, size)


def without_last(model: Module, name: str, size: int) -> PictureFeatures:
    """The layers of a network before its last one.

    Raises:
        OptionError: they are no chain that begins with the picture.
    """
    x = black_pictures((3, size, size))
    chain, head = tail(model, x), models.entry(name).head
    places = [i for i, call in enumerate(chain) if call.name == head]
    if not places or chain[0].x is not x:
        raise OptionError("this network cannot be cut before its last layer", {"--cnn": name})
    before = chain[: places[0]]
    layers = [call.module for call in before if not isinstance(call.module, nn.Dropout)]
    return PictureFeatures(layers, size)


# --- CNN and LSTM -------------------------------------------------------------------------------


def make_network(cnn: PictureFeatures, settings: Any, words: int) -> ShowAndTell:
    """The whole network, its LSTM with fresh weights.

    Args:
        cnn: of the run.
        settings: embedding, hidden, dropout, is_frozen.
        words: of the vocabulary.
    """
    decoder = Decoder(
        cnn.out_features, words, settings.embedding, settings.hidden, settings.dropout
    )
    cnn.one_length = settings.is_frozen
    return ShowAndTell(cnn, decoder)


def network_of(meta: dict[str, Any], settings: Any, words: int) -> ShowAndTell:
    """The network that a checkpoint describes, with fresh weights.

    Raises:
        CheckpointError: its vocabulary is another one than that of its LSTM.
    """
    if meta.get("words") != words:
        raise CheckpointError(
            "caption", "the vocabulary is not the one that the network learned with",
            {"words of the vocabulary": words, "words of the network": meta.get("words")},
            "take the vocabulary and the weights of one run",
        )  # fmt: skip
    cnn = make_cnn(settings.cnn, meta["cnn_arguments"], settings.size)
    return make_network(cnn, settings, words)


def of_network(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors of a run's checkpoint without those that are for learning alone."""
    return {name: x for name, x in state.items() if not name.startswith(DETECTOR)}


def count(module: Module) -> int:
    """How many parameters it has."""
    return sum(parameter.numel() for parameter in module.parameters())
