"""What of ONNX is outside of minidl's scope, and why: the table behind the report of the backend.

In scope is every operator that a layer or operation of minidl exists for, and whatever only
rearranges, picks, compares or reduces arrays, on floating-point, integer and bool tensors.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidl.io.onnx.node import DTYPES

OPERATORS = {
    "control flow: a recorded graph is a straight line": "If Loop Scan SequenceMap",
    "sequences and optional values: only tensors are values": (
        "ConcatFromSequence Optional OptionalGetElement OptionalHasElement SequenceAt"
        " SequenceConstruct SequenceEmpty SequenceErase SequenceInsert SequenceLength"
        " SplitToSequence"
    ),
    "text and files: values are numbers": (
        "ImageDecoder LabelEncoder RegexFullMatch StringConcat StringNormalizer StringSplit"
        " TfIdfVectorizer"
    ),
    "quantized arithmetic: networks here compute in floating point": (
        "ConvInteger DequantizeLinear DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul"
        " QuantizeLinear"
    ),
    "attention as one operator: no such layer": (
        "Attention CausalConvWithState FlexAttention LinearAttention RotaryEmbedding SwiGLU"
    ),
    "recurrent layers other than LSTM: no such layer": "GRU RNN",
    "sampling at computed places, detection: no such layer": (
        "AffineGrid DeformConv GridSample MaxRoiPool NonMaxSuppression RoiAlign"
    ),
    "functions that no operation computes (erf, inverse trigonometry, determinant)": (
        "Acos Asin Atan Det Erf Gelu"
    ),
    "signal processing (Fourier transform, windows): no such operation": (
        "BlackmanWindow DFT HammingWindow HannWindow MelWeightMatrix STFT"
    ),
    "random numbers: another generator draws others": (
        "Bernoulli Multinomial RandomNormal RandomNormalLike RandomUniform RandomUniformLike"
    ),
}
"""Reason -> operators, in words separated by spaces."""

ELEMENT_TYPES = (
    "element types that arrays here do not have: bfloat16, floats of 8 and 4 bits, integers of 4"
    " and 2 bits, text"
)

REASONS = {name: reason for reason, names in OPERATORS.items() for name in names.split()}


def out_of_scope(model: Any) -> str | None:
    """Why a ModelProto is out of scope; None where it is in.

    Args:
        model: onnx.ModelProto.

    >>> import onnx
    >>> node = onnx.helper.make_node("Erf", ["x"], ["y"])
    >>> graph = onnx.helper.make_graph([node], "g", [], [])
    >>> from minidl.io.onnx.scope import out_of_scope
    >>> out_of_scope(onnx.helper.make_model(graph))
    'functions that no operation computes (erf, inverse trigonometry, determinant)'
    """
    for node in model.graph.node:
        if node.domain not in ("", "ai.onnx"):
            return f"operators of the domain {node.domain}"
    for node in model.graph.node:
        if node.op_type in REASONS:
            return REASONS[node.op_type]
    for kind in value_kinds(model.graph):
        if kind != "tensor_type":
            return REASONS["SequenceAt"]
    for number in element_types(model.graph):
        if number not in DTYPES:
            return ELEMENT_TYPES
    return next(filter(None, map(feature_out_of_scope, model.graph.node)), None)


def feature_out_of_scope(node: Any) -> str | None:
    """Why a node is out of scope though its operator is in."""
    if node.op_type == "LSTM" and len(node.input) > 7 and node.input[7]:
        return "LSTM with peepholes: the layer has none"
    if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
        return REASONS["Bernoulli"]
    return None


def value_kinds(graph: Any) -> Iterator[str]:
    for value in [*graph.input, *graph.output]:
        yield value.type.WhichOneof("value") or "tensor_type"


def element_types(graph: Any) -> Iterator[int]:
    """Numbers of all element types that a graph names."""
    for value in [*graph.input, *graph.output, *graph.value_info]:
        if value.type.HasField("tensor_type"):
            yield value.type.tensor_type.elem_type
    yield from (tensor.data_type for tensor in graph.initializer)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.name == "to" and node.op_type in ("Cast", "BitCast"):
                yield attribute.i
            if attribute.HasField("t"):
                yield attribute.t.data_type
