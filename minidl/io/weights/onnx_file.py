"""ONNX: the initializers of a graph, and the constants among its nodes.

Kernels of convolutions are as PyTorch's, unless a Transpose stands before the convolution. Matrices
are (in, out) where a MatMul takes them or a Gemm without transB, and are transposed.

Weights can be in data files beside the model. Those are read if they are plain files in the
model's folder or below it; a path that leads out of it, or a link that does, is refused.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

import numpy as np

from minidl.io.weights.file import Budget, Refused, WeightsFile, add, count, parsing, short
from minidl.io.weights.onnx_uses import Uses


def parse_onnx(data: bytes) -> Any:
    """The ModelProto message, or None if the data is none with a graph."""
    import onnx
    from google.protobuf.message import DecodeError

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except (DecodeError, ValueError):
        return None
    graph = model.graph
    has_content = graph.node or graph.initializer or graph.sparse_initializer
    return model if model.ir_version > 0 and has_content else None


def read_onnx(model: Any, path: Path, nbytes: int) -> WeightsFile:
    """The tensors of a model.

    Args:
        path: the file, for the data files beside it.
        nbytes: its size.
    """
    graph = model.graph
    if graph.sparse_initializer:
        raise Refused("it has sparse tensors, which are not supported")
    budget = Budget(nbytes)
    tensors: dict[str, np.ndarray] = {}
    uses = Uses(graph)
    for name, tensor in constants(graph):
        array = to_array(tensor, name, path, budget)
        if array is not None:
            add(tensors, name, uses.to_pytorch(array, name))
    producer = model.producer_name
    meta: dict[str, Any] = {}
    if producer and isinstance(producer, str):
        meta["producer"] = producer
    eps = {name: value for name, value in uses.eps.items() if name in tensors}
    return WeightsFile(
        "onnx", tensors, flatten_order=uses.flatten_order, meta=meta | ({"eps": eps} if eps else {})
    )


def constants(graph: Any) -> list[tuple[str, Any]]:
    """Name and TensorProto of the initializers and of the Constant nodes."""
    found = [(tensor.name, tensor) for tensor in graph.initializer]
    for node in graph.node:
        if node.op_type == "Constant" and node.output:
            found += [(node.output[0], a.t) for a in node.attribute if a.name == "value"]
    return found


# --- tensors ----------------------------------------------------------------------------------


def to_array(tensor: Any, name: str, path: Path, budget: Budget) -> np.ndarray | None:
    """The numbers of a TensorProto; None for one of text."""
    import onnx
    from onnx import numpy_helper

    if tensor.data_type == onnx.TensorProto.STRING:
        return None
    size = count(tensor.dims, name)
    with parsing(f"tensor {short(name)}"):
        item = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type).itemsize
        if tensor.data_location == onnx.TensorProto.EXTERNAL:
            tensor = with_data(tensor, external_data(tensor, name, path, size * item, budget))
        else:
            budget.take(size * item, name)
        array = numpy_helper.to_array(tensor)
        if array.dtype.name in ("bfloat16", "float8_e4m3fn", "float8_e5m2"):
            array = array.astype(np.float32)
    return array


def with_data(tensor: Any, data: bytes) -> Any:
    """The same tensor with its data in it."""
    import onnx

    return onnx.TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=data)


def external_data(tensor: Any, name: str, path: Path, nbytes: int, budget: Budget) -> bytes:
    """The data of a tensor that is in a file beside the model, which counts as a part of it.

    Raises:
        Refused: the file is elsewhere, no plain file, or too short.
    """
    entries = {entry.key: entry.value for entry in tensor.external_data}
    location = entries.get("location", "")
    parts = (*PurePosixPath(location).parts, *PureWindowsPath(location).parts)
    folder = path.resolve().parent
    place = (folder / location).resolve() if "\0" not in location else folder
    if not location or ".." in parts or not place.is_relative_to(folder) or place == folder:
        raise Refused("the data of a tensor is in a file outside of the model's folder",
                      {short(name): short(location)})  # fmt: skip
    if not place.is_file():
        raise Refused("the file with the data of a tensor is not there",
                      {short(name): short(location)}, "copy it beside the model")  # fmt: skip
    offset, length = int(entries.get("offset", 0)), int(entries.get("length", nbytes))
    if offset < 0 or length != nbytes or offset + length > place.stat().st_size:
        raise Refused("the file with the data of a tensor is too short",
                      {short(name): short(location), "offset": offset, "bytes": nbytes},
                      )  # fmt: skip
    budget.grow(str(place), place.stat().st_size)
    budget.take(nbytes, name)
    with open(place, "rb") as file:
        file.seek(offset)
        return file.read(length)
