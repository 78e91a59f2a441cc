"""Caffe's .caffemodel: a NetParameter message whose layers hold blobs (caffe_schema.py).

Names are the layer's with ".weight" and ".bias" for the layers whose blobs mean that, for batch
norm ".running_mean" and ".running_var", and the blob's number otherwise ("mylayer.0"). Caffe splits
batch norm into two layers: BatchNorm has the statistics, Scale the weight and bias; they keep their
own names.

BatchNorm stores sums and, in a third blob, what to divide them by (batch_norm_layer.cpp): done
here.
"""

from __future__ import annotations

from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from minidl.io.weights.caffe_schema import MESSAGES, V0_TYPES, V1_TYPES, message_class
from minidl.io.weights.file import Refused, WeightsFile, add, count, from_bytes, parsing, short

WEIGHT_AND_BIAS = ("Convolution", "Deconvolution", "InnerProduct", "Scale")
FIXED_SIZE = {1: 8, 5: 4}  # wire type of protocol buffers -> bytes
MAX_FIELDS = 200_000  # above the blobs; ResNet-152 has some thousands


def parse_caffe(data: bytes) -> Any:
    """The NetParameter message, or None if the data is none with weights in it.

    Raises:
        Refused: it has too many fields. A layer or blob is 2 bytes in the file at least, and takes
            600 here.
    """
    from google.protobuf.message import DecodeError

    net = message_class("NetParameter")()
    try:
        count_fields(memoryview(data), "NetParameter", 0)
        net.ParseFromString(data)
    except (DecodeError, ValueError, IndexError):
        return None
    layers = chain(net.layers, net.layer)
    return net if any((layer.layer if is_v0(layer) else layer).blobs for layer in layers) else None


def count_fields(data: memoryview, message: str, before: int) -> int:
    """The number of fields of a message and the messages in it, but not of those in blobs.

    Args:
        before: how many there were before it.

    Raises:
        Refused: there are more than MAX_FIELDS.
        ValueError: it is no such message, or IndexError: it ends in a field's head.
    """
    kinds = {number: kind.removesuffix("[]") for number, kind in MESSAGES[message].values()}
    place = 0
    while place < len(data):
        before += 1
        if before > MAX_FIELDS:
            raise Refused(f"it has more than {MAX_FIELDS:,} layers, blobs and other fields")
        tag, place = read_varint(data, place)
        number, wire_type = tag >> 3, tag & 7
        if wire_type == 0:
            _, place = read_varint(data, place)
        elif wire_type in FIXED_SIZE:
            place += FIXED_SIZE[wire_type]
        elif wire_type == 2:
            size, place = read_varint(data, place)
            kind = kinds.get(number, "")
            if kind in MESSAGES and kind != "BlobProto":
                before = count_fields(data[place : place + size], kind, before)
            place += size
        else:
            raise ValueError(f"Caffe's messages have no fields of wire type {wire_type}")
    return before


def read_varint(data: memoryview, place: int) -> tuple[int, int]:
    """An integer of 7 bits a byte, the lowest first, and the place behind it."""
    value = 0
    for shift in range(0, 70, 7):
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, place
    raise ValueError("an integer of more than 64 bits")


def read_caffe(net: Any, path: Path, nbytes: int) -> WeightsFile:
    """The weights of a net."""
    tensors: dict[str, np.ndarray] = {}
    meta = {"net": net.name.decode("utf-8", "replace")} if net.name else {}
    eps: dict[str, float] = {}
    for layer in chain(net.layers, net.layer):
        if layer.HasField("transform_param"):
            meta.update(pixels(layer.transform_param))
        name, kind, blobs = describe_layer(layer)
        arrays = [to_array(blob, f"{name}.{index}") for index, blob in enumerate(blobs)]
        if kind == "InnerProduct" and arrays:
            arrays[0] = as_matrix(arrays[0], name)
            if layer.DESCRIPTOR.name == "LayerParameter" and layer.inner_product_param.transpose:
                arrays[0] = arrays[0].T
        if kind == "BatchNorm" and len(arrays) == 3:
            arrays = statistics(arrays, name)
            if layer.batch_norm_param.HasField("eps"):
                eps[f"{name}.running_var"] = layer.batch_norm_param.eps
        for index, array in enumerate(arrays):
            if index or kind not in ("Convolution", "Deconvolution", "InnerProduct"):
                array = without_ones(array)
            add(tensors, f"{name}.{blob_name(kind, index)}", array)
    if eps:
        meta["eps"] = eps
    return WeightsFile("caffe", tensors, meta=meta)


def pixels(transform: Any) -> dict[str, Any]:
    """What the net's own data layer does with pixels: the mean (blue first) that it subtracts, and
    what it multiplies by; the name of the file that has the mean, where that is a picture."""
    found: dict[str, Any] = {}
    mean = [float(value) for value in transform.mean_value]
    if len(mean) in (1, 3) and np.isfinite(mean).all():
        found["mean_value"] = mean
    scale = float(transform.scale)
    if transform.HasField("scale") and np.isfinite(scale) and scale > 0:
        found["scale"] = scale
    if transform.mean_file:
        found["mean_file"] = short(transform.mean_file.decode("utf-8", "replace"))
    elif "scale" in found:
        found.setdefault("mean_value", [0.0])
    return found


def is_v0(layer: Any) -> bool:
    return layer.DESCRIPTOR.name == "V1LayerParameter" and layer.HasField("layer")


def describe_layer(layer: Any) -> tuple[str, str, Any]:
    """Name, type and blobs of a layer of any of the three generations of the format."""
    if is_v0(layer):  # 2013: the layer is in a field of the layer
        layer = layer.layer
        kind = V0_TYPES.get(text(layer.type), text(layer.type))
    elif layer.DESCRIPTOR.name == "V1LayerParameter":
        kind = V1_TYPES.get(layer.type, str(layer.type))
    else:
        kind = text(layer.type)
    return text(layer.name), kind, layer.blobs


def text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise Refused("damaged: a name is no text", {"name": short(repr(value))}) from None


def blob_name(kind: str, index: int) -> str:
    """What the blob of a number is called."""
    if kind in WEIGHT_AND_BIAS and index < 2:
        return ("weight", "bias")[index]
    if kind == "BatchNorm" and index < 2:
        return ("running_mean", "running_var")[index]
    return "weight" if kind == "PReLU" and index == 0 else str(index)


# --- blobs ------------------------------------------------------------------------------------


def to_array(blob: Any, name: str) -> np.ndarray:
    """A blob's numbers in its shape: `shape`, or the four dimensions of old files."""
    shape = list(blob.shape.dim)
    if not blob.HasField("shape"):
        shape = [blob.num, blob.channels, blob.height, blob.width]
    pieces = len(blob.data) + len(blob.double_data)
    if pieces > MAX_FIELDS:  # an object each; files have one, or each number by itself
        raise Refused(f"a blob is cut into {pieces:,} pieces", {"name": short(name)})
    dtype, data = ("<f8", b"".join(blob.double_data)) if blob.double_data else (
        "<f4", b"".join(blob.data))  # fmt: skip
    if not data and count(shape, name):
        return unpacked(blob, shape, name)
    return from_bytes(data, dtype, shape, name)


def unpacked(blob: Any, shape: list[int], name: str) -> np.ndarray:
    """A blob whose numbers are single fields on the wire."""
    floats = message_class("BlobOfFloats")()
    with parsing(short(name)):
        floats.ParseFromString(blob.SerializeToString())
    numbers = floats.double_data or floats.data
    dtype = np.float64 if floats.double_data else np.float32
    return from_bytes(np.fromiter(numbers, dtype, len(numbers)).tobytes(), dtype, shape, name)


def without_ones(array: np.ndarray) -> np.ndarray:
    """A vector of old files, (1, 1, 1, n), as (n,)."""
    return array.reshape(-1) if array.ndim == 4 and array.size == max(array.shape) else array


def as_matrix(array: np.ndarray, name: str) -> np.ndarray:
    """The weights of an InnerProduct, (1, 1, out, in) in old files."""
    if array.ndim == 4 and array.shape[:2] == (1, 1):
        return array.reshape(array.shape[2:])
    if array.ndim != 2:
        raise Refused("the weights of an InnerProduct are no matrix", {short(name): array.shape})
    return array


def statistics(arrays: list[np.ndarray], name: str) -> list[np.ndarray]:
    """Mean and variance of a BatchNorm, from their sums and the factor."""
    mean, variance, factor = arrays
    if factor.size != 1:
        raise Refused("the factor of a BatchNorm is no number", {short(name): factor.shape})
    scale = float(factor.reshape(-1)[0])
    scale = 0.0 if scale == 0 else 1 / scale  # as Caffe: nothing was seen, nothing divided
    with np.errstate(all="ignore"):  # numbers of a damaged file
        return [(mean * scale).astype(mean.dtype), (variance * scale).astype(variance.dtype)]
