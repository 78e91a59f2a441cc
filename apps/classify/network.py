"""The network of a run: with fresh weights, or with those of a file.

What was loaded, initialised afresh and left unused is printed, and kept in run.json and in the
checkpoint, so a resumed run no longer needs the weight file.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import models
from apps.classify.data import Parts
from apps.classify.settings import NetworkOptions
from apps.shared.pixel_range import to_unit_variance
from apps.shared.trained import weight_file
from minidl.data import transforms
from minidl.errors import CheckpointError
from minidl.nn import Module


@dataclass
class Network:
    """A network at the beginning of its run.

    Args:
        model: the network itself.
        arguments: with which it was built, for the checkpoint.
        weights: what became of the tensors of the weight file, in JSON's types; None without one.
    """

    model: Module
    arguments: dict[str, Any]
    weights: dict[str, Any] | None = None

    @property
    def channels(self) -> int:
        """Of the pictures that the network takes."""
        return self.arguments["in_channels"]

    @property
    def fresh(self) -> set[str]:
        """Names of the tensors that the weight file did not have; none without a file."""
        return {row["name"] for row in self.weights["initialised"]} if self.weights else set()

    @property
    def normalize(self) -> transforms.Normalize | None:
        """The step that the weights need pictures to go through, None where it is not known."""
        chosen = (self.weights or {}).get("preprocessing")
        if chosen is None or len(chosen["mean"]) not in (1, self.channels):
            return None
        return transforms.Normalize(chosen["mean"], chosen["std"])


def new_network(
    settings: NetworkOptions, size: int, parts: Parts, log: Callable[[str], None]
) -> Network:
    """The network of a new run.

    Weights decide how many colours the network sees: grey pictures are repeated in three channels
    where they were learned from colour pictures, and the other way round.

    Args:
        settings: which network, which weights.
        size: pixels per side of its pictures.
        parts: the data, for the number of classes and of colours.
        log: called with what became of the weights.

    Raises:
        ArgumentError, CheckpointError: the weights cannot be used.
    """
    if settings.weights is None:
        return fresh_network(settings, size, len(parts.classes), parts.channels)
    try:
        network, report = with_weights(settings, size, len(parts.classes), parts.channels)
    except CheckpointError as error:
        other = 4 - parts.channels  # 3 for 1, 1 for 3
        try:
            network, report = with_weights(settings, size, len(parts.classes), other)
        except CheckpointError as second:
            # Where the first complained of the colours alone, the second knows the real fault.
            raise (second if "in_channels" in error.suggests else error) from None
        kind = "colour" if other == 3 else "grey"
        log(f"the weights were learned from {kind} pictures, to which these are converted")
    log(str(report))
    if network.normalize is not None:
        log("pictures are normalized as the weights need it, not by their own mean and deviation")
    else:
        log(
            "how pictures were normalized for these weights is not known; they are normalized by "
            "their own mean and deviation"
        )
    return network


def network_of_checkpoint(
    settings: NetworkOptions, size: int, parts: Parts, meta: dict[str, Any]
) -> Network:
    """The network of a run to go on with, as its checkpoint says; its weights come from there."""
    arguments = meta.get("model_arguments") or {}
    channels = arguments.get("in_channels", parts.channels)
    network = fresh_network(settings, size, len(parts.classes), channels)
    network.weights = meta.get("weights")
    return network


def fresh_network(settings: NetworkOptions, size: int, num_classes: int, channels: int) -> Network:
    """The network with fresh weights."""
    arguments = {"num_classes": num_classes, "in_channels": channels, **settings.model_args}
    if "size" in models.registry.arguments_of(settings.model):
        arguments["size"] = size
    return Network(models.build(settings.model, **arguments), arguments)


def with_weights(
    settings: NetworkOptions, size: int, num_classes: int, channels: int
) -> tuple[Network, Any]:
    """The network with the weights of a file, of a run folder, or published under a name.

    Returns:
        also the Report of models.weights.load.
    """
    from models.weights.load import load_weights

    network = fresh_network(settings, size, num_classes, channels)
    report = load_weights(
        network.model, weight_file(settings.weights), fresh=settings.fresh,
        prefix=settings.prefix, partial=settings.partial,
    )  # fmt: skip
    to_unit_variance(network.model, report)
    found = report.as_json()
    network.weights = {"source": settings.weights, "initialised": found.pop("fresh"), **found}
    return network, report
