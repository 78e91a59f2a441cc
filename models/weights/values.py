"""What differs between libraries beside names and layout: colours, flattened maps, biases."""

from __future__ import annotations

import math

from minidl import nn
from models.weights.maps import Layer, Value


def converted(
    matched: dict[str, Value], layers: list[Layer], flatten_order: str, channel_order: str
) -> dict[str, Value]:
    """The values as our network needs them: colours, flattened maps, biases before batch norms."""
    values = dict(matched)
    first = next((layer for layer in layers if isinstance(layer.module, nn.Conv2d)), None)
    for i, layer in enumerate(layers):
        name = f"{layer.path}.weight"
        if layer is first and channel_order == "BGR" and name in values:
            values[name] = red_first(values[name])
        if isinstance(layer.module, nn.Linear) and name in values:
            values[name] = as_matrix(values[name], layer, flatten_order)
        if isinstance(layer.module, nn.Conv2d) and layer.module.bias is None:
            fold_bias(values, layer, layers[i + 1 : i + 2])
    return values


def red_first(value: Value) -> Value:
    """A first convolution that takes blue, green, red, for red, green, blue."""
    array = value.array
    if array.ndim != 4 or array.shape[1] != 3:
        return value  # grey, or no kernel: fit will say so
    return Value(array[:, ::-1], value.names)


def as_matrix(value: Value, layer: Layer, flatten_order: str) -> Value:
    """The matrix of a linear layer from a convolution over the whole map, or from rows of pixels.

    A library with channels last flattens maps (H, W, C), ours (C, H, W): the columns are permuted.
    """
    array = value.array
    if array.ndim == 4:  # a convolution has its channels first, whatever the library
        return Value(array.reshape(len(array), math.prod(array.shape[1:])), value.names)
    maps = layer.flattened_maps
    if array.ndim != 2 or flatten_order != "HWC" or not maps or array.shape[1] % maps:
        return value
    side = math.isqrt(array.shape[1] // maps)
    if side * side * maps != array.shape[1]:
        return value  # not_square says so
    pixels = array.reshape(len(array), side, side, maps)
    return Value(pixels.transpose(0, 3, 1, 2).reshape(array.shape), value.names)


def not_square(matched: dict[str, Value], layers: list[Layer], flatten_order: str) -> list[str]:
    """A note on each linear layer whose columns as_matrix cannot put into our order."""
    notes = []
    for layer in layers:
        value = matched.get(f"{layer.path}.weight")
        if not layer.flattened_maps or flatten_order != "HWC" or value is None:
            continue
        pixels = value.array.shape[-1] / layer.flattened_maps
        if value.array.ndim == 2 and pixels != math.isqrt(int(pixels)) ** 2:
            notes.append(
                f"{layer.path} was taken as it is: the library flattens maps in another order, and "
                f"its columns are not those of {layer.flattened_maps} square maps"
            )
    return notes


def fold_bias(values: dict[str, Value], layer: Layer, following: list[Layer]) -> None:
    """A bias before a batch norm moves the mean that is subtracted: mean(x + b) = mean(x) + b."""
    bias = values.pop(f"{layer.path}.bias", None)
    if bias is None or not following or not following[0].is_norm:
        return
    if following[0].path.rpartition(".")[0] != layer.path.rpartition(".")[0]:
        return  # the next block's, behind an addition, whose other readers need the bias, too
    name = f"{following[0].path}.running_mean"
    mean = values.get(name)
    if mean is not None and mean.array.shape == bias.array.shape:
        values[name] = Value(mean.array - bias.array, mean.names + bias.names)
