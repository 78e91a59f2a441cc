"""The options of `minidl style reconstruct`."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from apps.shared import parse
from apps.shared.options import Option, at_least, below, check_values, option
from apps.style.optimize.plan import OPTIMIZATION, OptimizeOptions, unused_by
from apps.style.settings import LOSSES, NetworkOptions, check_used

SIZE = 224  # pixels of the longer side
# Network -> one layer at each depth, as Gatys et al. have conv1_1 to conv5_1.
LAYERS = {
    "squeezenet": ["relu1", "fire2", "fire3", "fire4", "fire5"],
    "vgg16": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
    "vgg19": ["relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"],
}


def layer_names(option: Option, text: str | Iterable[str]) -> list[str]:
    """ "a,b" as ["a", "b"].

    Raises:
        OptionError: one comes twice.
    """
    found = parse.names(option, text)
    if len(set(found)) < len(found):
        raise option.refuse(f"{option.flag} names each layer once", ",".join(found))
    return found


@dataclass(kw_only=True)
class Settings(NetworkOptions, OptimizeOptions):
    """Everything that decides what comes out."""

    image: str = option(
        "", "The picture that is reconstructed.", is_argument=True, metavar="IMAGE",
        parse=parse.path_or_name,
    )  # fmt: skip
    layers: list[str] = option(
        LOSSES, "Layers, the first ones first: a panel for each. Default: one of each depth.",
        default_factory=list, typed=str, metavar="NAMES", parse=layer_names,
    )  # fmt: skip
    style: bool = option(
        LOSSES, "Reconstruct the style as well, from the first layer, the first two, and so on.",
        default=False,
    )  # fmt: skip
    size: int = option(
        LOSSES, f"Longer side in pixels; {SIZE}.", default=SIZE, metavar="PIXELS", check=at_least(1)
    )
    iterations: int = option(
        OPTIMIZATION, "For each panel; 150.", default=150, metavar="N", check=at_least(1)
    )
    scales: int = option(
        OPTIMIZATION, "How many sizes, each twice the one before, the last of them --size; 1.",
        default=1, metavar="N", check=at_least(1),
    )  # fmt: skip
    lr: float = option(
        OPTIMIZATION, "Of adam: change of a pixel per iteration at first, of 255; it falls.",
        default=12.0, metavar="RATE", check=at_least(0),
    )  # fmt: skip
    average: float = option(
        OPTIMIZATION, "Of adam: the picture is an average in which the last 1 / (1 - A) iterates "
        "count; 0: the last one.",
        default=0.9, metavar="A", check=(at_least(0), below(1)),
    )  # fmt: skip

    def of_layers(self) -> list[str]:
        return self.layers or LAYERS[self.net]


def check_settings(settings: Settings, given: dict[str, Any]) -> None:
    """Values are in their ranges, and no option was typed that would do nothing.

    Raises:
        OptionError: the first one that is not so.
    """
    check_values(settings)
    check_used(settings, given, unused_by(settings))
