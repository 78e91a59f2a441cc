"""Reading an ONNX file: its bytes, its graph, and what is wrong with them.

Nothing in such a file is a program, but it may be damaged, or made to do harm: no other file is
opened (external data), sizes are checked before memory is taken, and whatever does not fit is an
error that names the node.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from minidl.errors import CheckpointError
from minidl.io.atomic import as_path, reason
from minidl.io.onnx.graph import Graph, OnnxModule, Value
from minidl.io.onnx.importers import IMPORTERS
from minidl.io.onnx.node import DTYPES, Node, array_of
from minidl.io.onnx.scope import REASONS
from minidl.io.onnx.weights import PARAMETER

HERE = ("", "ai.onnx")  # both mean ONNX's own operators
MAX_FILE = 2**31 - 1  # bytes: what a protobuf can have
MAX_NODES = 1 << 17  # that functions are written out as; networks have thousands


def load(path: str | Path) -> OnnxModule:
    """A network from an ONNX file, as a Module that computes, differentiates and can be trained.

    Weights become Parameters under the names in the file ("features.conv1.weight"). Control flow
    (If, Loop, Scan), sequences and other operator domains are not supported; models whose weights
    are in a second file are not, either.

    Args:
        path: the file, by convention *.onnx.

    Returns:
        An OnnxModule, in evaluation mode. Its forward takes the graph's inputs in order.

    Raises:
        CheckpointError: no such file, damaged, or with something that is not supported; the
            message names the node and the operator.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "conv.onnx")
    >>> minidl.io.onnx.save(minidl.nn.Conv2d(1, 2, 3), path, (1, 1, 8, 8))
    >>> minidl.io.onnx.load(path)(minidl.ones(5, 1, 8, 8)).shape
    (5, 2, 6, 6)
    """
    path = as_path("onnx.load", "path", path)
    try:
        if path.exists() and not path.is_file():
            raise OSError(errno.EISDIR, "")
        if (size := path.stat().st_size) > MAX_FILE:
            refuse("too large for an ONNX file", {"path": str(path), "bytes": f"{size:,}"})
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            "onnx.load", f"cannot read the file: {reason(error)}", {"path": str(path)}
        ) from error
    try:
        return OnnxModule(read_graph(parse(data)))
    except CheckpointError as error:
        error.received["path"] = repr(str(path))
        raise


def parse(data: bytes) -> Any:
    """The ModelProto in a file's bytes."""
    import onnx
    from google.protobuf.message import DecodeError

    if not data:
        refuse("the file is empty")
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(data)
    except (DecodeError, ValueError) as error:
        refuse(f"not an ONNX file, or a damaged one: {error}")
    return proto


def read_graph(proto: Any) -> Graph:
    """The graph of a ModelProto, checked: every node is known and reads what was made before it.

    Raises:
        CheckpointError
    """
    opset = opset_of(proto)
    if len(proto.functions):
        proto = inlined(proto)
    graph = proto.graph
    if not graph.output:
        refuse("the file has no graph with an output", hint="is it an ONNX model?")
    if len(graph.sparse_initializer):
        refuse("sparse tensors are not supported")
    initializers = {t.name: array_of("the graph", t) for t in graph.initializer}
    inputs = [value_of(v) for v in graph.input if v.name not in initializers]
    known = {"", *initializers, *(value.name for value in inputs)}
    nodes = []
    for node_proto in graph.node:
        check_operator(node_proto)
        node = Node(node_proto, opset)
        for name in node.inputs:
            if name not in known:
                node.refuse(f"reads {name!r}, which nothing before it makes")
        known.update(node.outputs)
        nodes.append(node)
    outputs = [value_of(v) for v in graph.output]
    for value in outputs:
        if value.name not in known or not value.name:
            refuse(f"nothing makes the output {value.name!r}")
    metadata = {entry.key: entry.value for entry in proto.metadata_props}
    producer = f"{proto.producer_name} {proto.producer_version}".strip()
    parameters = {t.name for t in graph.initializer if t.doc_string == PARAMETER}
    return Graph(nodes, inputs, outputs, initializers, parameters, metadata, opset, producer)


def opset_of(proto: Any) -> int:
    """The version of ONNX's own operator set."""
    from onnx.defs import onnx_opset_version

    versions = [entry.version for entry in proto.opset_import if entry.domain in HERE]
    if not versions:
        refuse("the file does not say which operator set it uses", hint="is it an ONNX model?")
    newest = onnx_opset_version()
    if not 1 <= versions[0] <= newest:
        refuse(
            f"operator set {versions[0]} is not known",
            {"known": f"1 to {newest}"},
            "export with an older operator set, or install a newer onnx",
        )
    return versions[0]


def inlined(proto: Any) -> Any:
    """The model with the functions that it defines itself written out."""
    from onnx.inliner import inline_local_functions

    count = written_out(proto)
    if count > MAX_NODES:
        refuse("the functions that it defines are too many nodes, written out",
               {"allowed": f"{MAX_NODES:,}"})  # fmt: skip
    try:
        return inline_local_functions(proto)
    except Exception as error:  # it is C++: any error of the file arrives as one of several
        refuse(f"the functions that it defines cannot be resolved: {error}")


def written_out(proto: Any) -> int:
    """How many nodes the graph has with its functions written out; no more than MAX_NODES + 1.

    A function that calls another ten times, and so on, is ten times as much at each level.
    """
    calls = {key_of(f, f.name): called(f.node) for f in proto.functions}
    calls[None] = called(proto.graph.node)
    counts: dict[Any, int] = {}
    stack, entered = [None], set()
    while stack:  # a function is counted after those that it calls
        key = stack[-1]
        missing = {call for call in calls[key] if call in calls and call not in counts}
        if missing and key in entered:
            refuse("a function that it defines calls itself", {"function": key[1]})
        entered.add(key)
        stack += missing
        if not missing:
            stack.pop()
            counts[key] = min(MAX_NODES + 1, sum(counts.get(call, 1) for call in calls[key]))
    return counts[None]


def called(nodes: Any) -> list[tuple]:
    """What each node, also of the graphs in attributes, would name a function by."""
    return [key_of(node, node.op_type) for node in all_nodes(nodes)]


def all_nodes(nodes: Any) -> Iterator[Any]:
    """Nodes, and those of the graphs in their attributes."""
    for node in nodes:
        yield node
        for attribute in node.attribute:
            for graph in [attribute.g, *attribute.graphs]:
                yield from all_nodes(graph.node)


def key_of(proto: Any, name: str) -> tuple[str, str, str]:
    """What a call names a function by."""
    return proto.domain, name, proto.overload


def check_operator(proto: Any) -> None:
    """The operator is one of the table."""
    if proto.op_type in IMPORTERS and proto.domain in HERE:
        return
    node = f"{proto.op_type} {(proto.name or next(iter(proto.output), ''))!r}"
    if proto.domain not in HERE:
        refuse(f"{node}: operators of the domain {proto.domain!r} are not supported")
    close = get_close_matches(proto.op_type, IMPORTERS, n=1)
    refuse(
        f"{node}: the operator {proto.op_type} is not supported",
        hint=f"did you mean {close[0]}?" if close and proto.op_type not in REASONS else "",
    )


def value_of(proto: Any) -> Value:
    """Name, element type and shape of an input or output."""
    kind = proto.type.WhichOneof("value")
    tensor = proto.type.tensor_type
    if kind is None:
        return Value(proto.name, "float32", None)
    if kind != "tensor_type":
        refuse(f"{proto.name!r} is a {kind.replace('_type', '')}, only tensors are supported")
    if tensor.elem_type not in DTYPES:
        refuse(f"{proto.name!r} has elements that arrays here do not have", {
            "type": tensor.elem_type})  # fmt: skip
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(
            d.dim_value if d.HasField("dim_value") else d.dim_param or None
            for d in tensor.shape.dim
        )
    return Value(proto.name, DTYPES[tensor.elem_type], shape)


def refuse(rule: str, received: dict | None = None, hint: str = "") -> NoReturn:
    raise CheckpointError("onnx.load", rule, received, hint)
