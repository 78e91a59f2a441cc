"""TensorFlow's frozen graphs (.pb): the weights are the Const nodes of a GraphDef message.

What a constant is, the operation says that takes it, directly or through Identity ("conv1/read"):

    Conv2D, Conv3D                 (R, S, C, K)      -> (K, C, R, S)
    Conv2DBackpropInput            (R, S, K, C)      -> (C, K, R, S), as PyTorch's ConvTranspose2d
    DepthwiseConv2dNative          (R, S, C, M)      -> (C M, 1, R, S)
    MatMul without transpose_b     (in, out)         -> (out, in)

The message's definition comes with the tensorboard package.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from minidl.io.weights.file import (
    Budget,
    Refused,
    WeightsFile,
    add,
    count,
    ends_of_chains,
    from_bfloat16,
    from_bytes,
    short,
)

# DataType of types.proto -> the NumPy type, and the field for single values.
TYPES = {
    1: ("<f4", "float_val"), 2: ("<f8", "double_val"), 14: ("<u2", "half_val"),
    19: ("<f2", "half_val"),
}  # fmt: skip
BFLOAT16, HALF = 14, 19
PASSING = ("Identity", "StopGradient", "Snapshot")
WITH_MAPS = {
    "Conv2D", "_FusedConv2D", "DepthwiseConv2dNative", "_FusedDepthwiseConv2dNative", "MaxPool",
    "AvgPool", "FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3",
}  # fmt: skip
TAKERS = {
    "Conv2D": 1, "Conv3D": 1, "Conv2DBackpropInput": 1, "DepthwiseConv2dNative": 1, "MatMul": 1,
    "_FusedConv2D": 1, "_FusedMatMul": 1, "_FusedDepthwiseConv2dNative": 1,
}  # fmt: skip


def parse_graph(data: bytes) -> Any:
    """The GraphDef message, or None if the data is none.

    Raises:
        Refused: it is a SavedModel, whose weights are in other files.
    """
    from google.protobuf.message import DecodeError
    from tensorboard.compat.proto.graph_pb2 import GraphDef

    if data.startswith(b"\x08\x01\x12") and b"serve" in data[:10_000_000]:
        raise Refused("this is a SavedModel, whose weights are in the folder variables beside it",
                      hint="freeze the graph, or save the weights as .h5")  # fmt: skip
    graph = GraphDef()
    try:
        graph.ParseFromString(data)
    except (DecodeError, ValueError):
        return None
    return graph if graph.node and all(node.op and node.name for node in graph.node) else None


def read_graph(graph: Any, path: Path, nbytes: int) -> WeightsFile:
    """The floating-point constants of a graph; others are shapes and axes."""
    budget = Budget(nbytes)
    takers = find_takers(graph)
    tensors: dict[str, np.ndarray] = {}
    for node in graph.node:
        if node.op != "Const":
            continue
        tensor = node.attr["value"].tensor
        if tensor.dtype in TYPES:
            array = to_array(tensor, node.name, budget)
            add(tensors, node.name, to_pytorch(array, takers.get(node.name)))
    channels_first = any(node.attr["data_format"].s == b"NCHW" for node in graph.node
                         if node.op in WITH_MAPS and "data_format" in node.attr)  # fmt: skip
    eps = find_eps(graph, tensors)
    order = "CHW" if channels_first else "HWC"
    return WeightsFile("tensorflow", tensors, "HWIO", order, {"eps": eps} if eps else {})


def find_eps(graph: Any, tensors: dict[str, np.ndarray]) -> dict[str, float]:
    """Name of the variance of each batch norm -> what is added to it."""
    source = sources(graph)
    found = {}
    for node in graph.node:
        if node.op.startswith("FusedBatchNorm") and len(node.input) > 4:
            name = name_of(node.input[4])
            name = source.get(name, name)
            eps = node.attr["epsilon"].f if "epsilon" in node.attr else 1e-4
            if name in tensors and np.isfinite(eps):
                found[name] = float(eps)
    return found


def sources(graph: Any) -> dict[str, str]:
    """Node that passes its input on -> the node that this comes from."""
    return ends_of_chains({node.name: name_of(node.input[0]) for node in graph.node
                           if node.op in PASSING and node.input})  # fmt: skip


def find_takers(graph: Any) -> dict[str, Any]:
    """Constant -> the node that takes it as its kernel or matrix; the first, if there are more."""
    source = sources(graph)
    takers: dict[str, Any] = {}
    for node in graph.node:
        place = TAKERS.get(node.op)
        if place is None or len(node.input) <= place:
            continue
        name = name_of(node.input[place])
        takers.setdefault(source.get(name, name), node)
    return takers


def name_of(value: str) -> str:
    """The node that gives an input, "conv1/read" of "conv1/read:0"."""
    return value.split(":")[0].lstrip("^")


def to_array(tensor: Any, name: str, budget: Budget) -> np.ndarray:
    """The numbers of a TensorProto: raw bytes, one by one, or fewer than the shape needs.

    If there are fewer, the last one is repeated: ones(1000) is one number in the file.
    """
    dtype, field = TYPES[tensor.dtype]
    shape = [dim.size for dim in tensor.tensor_shape.dim]
    size = count(shape, name)
    budget.take(size * np.dtype(dtype).itemsize, name)
    if tensor.tensor_content:
        array = from_bytes(tensor.tensor_content, dtype, shape, name)
    else:
        values = getattr(tensor, field)
        if len(values) > size or (not values and size):
            raise Refused(f"a constant has {len(values)} values, its shape needs {size}",
                          {short(name): short(str(shape))})  # fmt: skip
        given = np.fromiter(values, np.int32 if field == "half_val" else dtype, len(values))
        if field == "half_val":  # the bits of a number each
            if given.size and not 0 <= given.min() <= given.max() < 1 << 16:
                raise Refused("a constant has a half-precision number of more than 16 bits",
                              {"name": short(name)})  # fmt: skip
            given = given.astype(np.uint16)
        given = given.view(np.float16) if tensor.dtype == HALF else given
        array = np.empty(size, given.dtype)
        array[: len(given)] = given
        array[len(given) :] = given[-1:] if size else 0
        array = array.reshape(shape)
    return from_bfloat16(array) if tensor.dtype == BFLOAT16 else array


def to_pytorch(array: np.ndarray, taker: Any) -> np.ndarray:
    """A constant as PyTorch has it for the operation that takes it."""
    if taker is None:
        return array
    op = taker.op.replace("_Fused", "")
    if op == "MatMul" and array.ndim == 2:
        return array if taker.attr["transpose_b"].b else array.T
    if op == "DepthwiseConv2dNative" and array.ndim == 4:
        r, s, c, m = array.shape
        return array.transpose(2, 3, 0, 1).reshape(c * m, 1, r, s)
    if "Conv" in op and array.ndim in (4, 5):
        n = array.ndim
        return array.transpose(n - 1, n - 2, *range(n - 2))
    return array
