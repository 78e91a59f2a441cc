"""A node of an ONNX graph: an operator, the names of what goes in and out, and its attributes."""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from minidl.errors import CheckpointError
from minidl.tensor import Tensor

DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool",
    10: "float16", 11: "float64", 12: "uint32", 13: "uint64",
}  # fmt: skip
"""ONNX's numbers of the element types that arrays here can have."""


class Node:
    """What an importer gets to know, beside the tensors.

    Args:
        proto: onnx.NodeProto.
        opset: version of the operator set; the meaning of some operators depends on it.

    Attributes:
        operator: "Conv".
        label: how errors call it, "Conv 'conv1'".
        inputs, outputs: names; "" for one that is left out.
        attributes: name -> int, float, str, list of these, or array.
        training: whether the model is in training mode, set by it before each call.
        frozen: whether the model was frozen as a whole, set likewise.
    """

    def __init__(self, proto: Any, opset: int):
        self.operator = proto.op_type
        name = proto.name or next(iter(proto.output), "")
        self.label = f"{proto.op_type} {name!r}"
        self.inputs, self.outputs = list(proto.input), list(proto.output)
        self.opset = opset
        self.training = self.frozen = False
        self.attributes = {a.name: attribute_value(self, a) for a in proto.attribute}

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default; it has the default's type.

        Raises:
            CheckpointError: the file has a value of another type there.
        """
        if name not in self.attributes:
            return default
        value = self.attributes[name]
        kind = (int, float) if isinstance(default, float) else type(default)
        if default is not None and not isinstance(value, kind):
            self.refuse(f"attribute {name} is {type(default).__name__}", {name: value})
        return value

    def ints(self, name: str, default: list | None = None) -> list[int] | None:
        """An attribute that is a list of ints."""
        value = self.attributes.get(name, default)
        if value is not None and not (
            isinstance(value, list) and all(isinstance(n, int) for n in value)
        ):
            self.refuse(f"attribute {name} is a list of ints", {name: value})
        return value

    def required(self, name: str) -> Any:
        """An attribute without which the operator has no meaning."""
        if name not in self.attributes:
            self.refuse(f"the attribute {name} is missing")
        return self.attributes[name]

    def choice(self, name: str, default: str, known: tuple[str, ...]) -> str:
        """An attribute that is one of a few words."""
        value = self.get(name, default)
        if value not in known:
            self.refuse(f"attribute {name} is one of {', '.join(known)}", {name: value})
        return value

    def dtype(self, number: Any) -> np.dtype:
        """The element type with this number in ONNX."""
        if number not in DTYPES:
            self.refuse("an element type that arrays here do not have", {"type": number})
        return np.dtype(DTYPES[number])

    def refuse(self, rule: str, received: dict | None = None) -> NoReturn:
        """Raise the error for a node that cannot be run."""
        raise CheckpointError("onnx", f"{self.label}: {rule}", received)


def attribute_value(node: Node, attribute: Any) -> Any:
    """Plain Python values; tensors become arrays. Graphs are control flow, which is refused."""
    kind = attribute.AttributeType.Name(attribute.type)
    if kind in ("INT", "FLOAT"):
        return attribute.i if kind == "INT" else attribute.f
    if kind in ("INTS", "FLOATS"):
        return list(attribute.ints if kind == "INTS" else attribute.floats)
    if kind == "STRING":
        return attribute.s.decode(errors="backslashreplace")
    if kind == "STRINGS":
        return [s.decode(errors="backslashreplace") for s in attribute.strings]
    if kind == "TENSOR":
        return array_of(node.label, attribute.t)
    node.refuse(
        f"attribute {attribute.name} is a {kind.lower()}: "
        + ("control flow is not supported" if "GRAPH" in kind else "not supported")
    )


def array_of(label: str, proto: Any) -> np.ndarray:
    """A TensorProto as an array of its own memory.

    Raises:
        CheckpointError: its bytes do not fit its shape, its element type is not one of ours, or
            they are in another file, which is not opened.
    """
    from onnx import TensorProto, numpy_helper

    def refuse(rule: str, hint: str = "") -> NoReturn:
        raise CheckpointError("onnx", f"{label}: tensor {proto.name!r} {rule}", hint=hint)

    if proto.data_location == TensorProto.EXTERNAL:
        refuse(
            "is in another file, which is not opened",
            "save the model as one file: onnx.save(onnx.load(path), one_path)",
        )
    if proto.data_type not in DTYPES:
        known = proto.data_type in TensorProto.DataType.values()
        name = TensorProto.DataType.Name(proto.data_type) if known else proto.data_type
        refuse(f"has elements of type {name}, which arrays here do not have")
    try:
        return np.array(numpy_helper.to_array(proto))
    except (ValueError, TypeError, OverflowError, MemoryError) as error:
        refuse(f"is damaged: {error}")


def int_list(node: Node, x: Tensor | None, name: str) -> list[int] | None:
    """The ints in a tensor: a shape, axes, ...; None for an input that is left out."""
    if x is None:
        return None
    if x.dtype.kind not in "iu" or x.ndim > 1:
        node.refuse(f"{name} is a list of ints", {name: x})
    return [int(n) for n in x.data.reshape(-1)]


def one_int(node: Node, x: Tensor, name: str) -> int:
    """The int in a tensor of one element."""
    values = int_list(node, x, name)
    if len(values) != 1:
        node.refuse(f"{name} is one int", {name: x})
    return values[0]
