"""What the map of a library has to say, and what all maps share."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from minidl import nn
from minidl.shapes import is_number
from models.weights.maps.preprocessing import Preprocessing

if TYPE_CHECKING:
    from minidl.io.weights.file import WeightsFile


@dataclass
class Layer:
    """A layer of ours that has parameters.

    Args:
        path: its dotted name in the network.
        module: itself.
        family: see family_of.
        place: its place in the Sequential that holds it; -1 elsewhere.
        flattened_maps: of a linear layer that sees flattened maps, how many maps; else 0.
        eps: of a batch norm, what the file says is added to its variance; None if it does not.
    """

    path: str
    module: nn.Module
    family: str = ""
    place: int = -1
    flattened_maps: int = 0
    eps: float | None = None

    @property
    def is_norm(self) -> bool:
        return isinstance(self.module, nn.BatchNorm2d)

    @property
    def name(self) -> str:
        """The last part of its dotted name."""
        return self.path.rpartition(".")[2]


@dataclass
class Value:
    """An array for a parameter of ours, and the tensors of the file that it is made of."""

    array: np.ndarray
    names: tuple[str, ...] = ()


@dataclass
class Facts:
    """What goes with a library's weights beside the numbers.

    Args:
        preprocessing: of pictures.
        notes: what differs from the network that they were trained in.
    """

    preprocessing: Preprocessing | None = None
    notes: list[str] = field(default_factory=list)


class Source:
    """The map of one library. A subclass says how it calls layers and their parts."""

    name = ""
    channel_order = "RGB"

    def split(self, name: str, meta: dict[str, Any]) -> tuple[str, str] | None:
        """A tensor's name in the file as (layer, part); None for what is no parameter."""
        raise NotImplementedError

    def names(self, layer: Layer) -> Iterable[str]:
        """What the library may call a layer of ours, the likeliest first."""
        raise NotImplementedError

    def parts(self, layer: Layer, found: dict[str, Value]) -> dict[str, Value]:
        """Parameters and buffers (weight, running_mean, ...) of a layer from the file's parts."""
        return found

    def facts(self, model: nn.Module, meta: dict[str, Any]) -> Facts:
        """Preprocessing and differences, for the library's weights of a network."""
        return Facts()

    def match(self, file: WeightsFile, layers: list[Layer]) -> dict[str, Value]:
        """Our dotted name -> value, for all that the file has."""
        index: dict[str, dict[str, Value]] = {}
        for name, array in file.tensors.items():
            where = self.split(name, file.meta)
            if where is not None:
                index.setdefault(where[0], {})[where[1]] = Value(array, (name,))
        matched = {}
        for layer in layers:
            found = self.find(index, layer)
            layer.eps = told_eps(found, file.meta)
            found = self.parts(layer, found)
            if layer.is_norm and layer.eps is not None:
                found = other_eps(found, layer.eps, layer.module.eps)
            if layer.is_norm and "running_mean" in found:
                found = with_identity(layer, found)
            matched.update({f"{layer.path}.{part}": value for part, value in found.items()})
        return matched

    def find(self, index: dict[str, dict[str, Value]], layer: Layer) -> dict[str, Value]:
        """The parts that the file has under the first of a layer's names that it knows."""
        for name in self.names(layer):
            if name in index:
                return index[name]
        return {}


def renamed(found: dict[str, Value], names: dict[str, str]) -> dict[str, Value]:
    """Parts under our names; what is not in `names` is left out."""
    return {names[part]: value for part, value in found.items() if part in names}


def with_identity(layer: Layer, found: dict[str, Value]) -> dict[str, Value]:
    """A batch norm that was stored without scale or shift has the ones that change nothing."""
    like = found["running_mean"].array
    made = {"weight": Value(np.ones_like(like)), "bias": Value(np.zeros_like(like))}
    return {**{part: made[part] for part in made if layer.module.affine}, **found}


def other_eps(found: dict[str, Value], theirs: float, ours: float) -> dict[str, Value]:
    """The running variance that makes var + eps what it was with another eps.

    eps is no part of a checkpoint, so the difference goes into what is.
    """
    if "running_var" not in found or np.float32(theirs) == np.float32(ours):
        return found
    variance = found["running_var"]
    moved = variance.array + np.asarray(theirs - ours, variance.array.dtype)
    return {**found, "running_var": Value(moved, variance.names)}


def told_eps(found: dict[str, Value], meta: dict[str, Any]) -> float | None:
    """What the file itself says is added to the variance of a batch norm with these parts."""
    told = meta.get("eps")
    if not isinstance(told, dict):
        return None
    names = (name for value in found.values() for name in value.names)
    given = (told[name] for name in names if name in told)
    return next((float(eps) for eps in given if is_number(eps) and eps >= 0), None)


# --- our networks -------------------------------------------------------------------------------

# A layer that only networks of the family have.
FAMILIES = {
    "features.conv1_1": "vgg",
    "features.conv5": "alexnet",
    "classifier.ip1": "lenet_caffe",
    "inception3a.conv1x1": "googlenet",
    "inception3a.branch1.conv": "googlenet_torchvision",
    "layer4.0.conv1": "resnet",
    "features.fire9": "squeezenet",
    "blocks.0.depthwise": "efficientnet_lite",
}


def family_of(model: nn.Module) -> str:
    """One of the names in FAMILIES; "" for all other networks."""
    paths = {path for path, _ in model.named_modules()}
    return next((family for path, family in FAMILIES.items() if path in paths), "")


def layers_of(model: nn.Module) -> list[Layer]:
    """The layers that have parameters or buffers, in order of definition."""
    family, layers, maps = family_of(model), [], 0
    for path, module in model.named_modules():
        if not module.parameters_here and not module.buffers_here:
            continue
        layer = Layer(path, module, family)
        parent = model.get_submodule(path.rpartition(".")[0])
        if path and isinstance(parent, nn.Sequential):
            layer.place = [name for name, _ in parent.named_children()].index(layer.name)
        if isinstance(module, nn.Conv2d):
            maps = module.out_channels
        elif isinstance(module, nn.Linear):
            # "fc", the last layer of GoogLeNet and ResNet, sees each map's average.
            if maps and layer.name != "fc" and module.in_features % maps == 0:
                layer.flattened_maps = maps
            maps = 0
        layers.append(layer)
    return layers
