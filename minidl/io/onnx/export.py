"""Writing a network as an ONNX file.

One forward pass in evaluation mode is recorded, and each recorded operation becomes ONNX nodes.
What is not recorded - numbers computed with NumPy, shapes, arrays of indices - enters the file as
constants, which would be wrong if they depended on the input. So the pass is recorded again with
other values, other random numbers and, where sizes are left open, other sizes, and the graphs are
compared (see merge.py): a constant that differs is either an open size, which is written as such,
or an error. Which values those are is in examples.py, which sizes in opened.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from minidl.checks import check_ordered
from minidl.errors import ArgumentError, DtypeError
from minidl.io.atomic import as_path, write_atomically
from minidl.io.onnx.examples import (
    large_positive,
    make_examples,
    of_all_sizes,
    record_others,
    small_positive,
    with_sizes,
)
from minidl.io.onnx.exporters import export_call
from minidl.io.onnx.merge import merge, size_of
from minidl.io.onnx.opened import Opened, open_sizes
from minidl.io.onnx.recording import Pass, record_pass
from minidl.io.onnx.weights import PARAMETER
from minidl.io.onnx.writer import Writer
from minidl.nn.module import Module
from minidl.shapes import is_int
from minidl.tensor import Tensor
from minidl.version import __version__

OPSETS = range(17, 24)


def save(
    model: Module,
    path: str | Path,
    inputs: Any,
    opset: int = 18,
    dynamic_batch: bool = True,
    metadata: dict[str, Any] | None = None,
    input_names: list[str] | None = None,
    output_names: list[str] | None = None,
    dynamic_axes: dict[str, dict[int, str]] | None = None,
) -> None:
    """Write a network as an ONNX file, for other runtimes to run.

    The file computes what the model does in evaluation mode: no dropout, batch normalization with
    its running averages. Parameters keep their dotted names. The file is checked with
    onnx.checker before it is written, all of it or nothing.

    What minidl's operations compute is recorded, comparisons and integers among it. Python's
    branches, NumPy code, arrays of indices, changes in place, and what is detached or computed
    under no_grad are not. The model runs with several inputs, of a thousandth to a thousand times
    the example's size, positive and of both signs, and whatever comes out differently is refused.
    What makes no difference to any of them cannot be seen: a branch for NaN, or for an integer that
    is not in the example.

    Args:
        model: any Module whose forward takes and returns tensors.
        path: the file, by convention *.onnx; its folder must exist.
        inputs: shape of the input, the batch included, say (1, 3, 224, 224); or, for integers or
            several inputs, an example: a Tensor or a tuple of Tensors.
        opset: version of ONNX's operator set, from 17 to 23.
        dynamic_batch: the first dimension of every input is the batch, and may have any size when
            the file is run. False: all sizes are those of `inputs`.
        metadata: what else to keep in the file (classes, preprocessing, ...): text is stored as it
            is, everything else as JSON.
        input_names: of the file's inputs; "input", or "input_1", "input_2", ...
        output_names: of its outputs, likewise.
        dynamic_axes: which sizes may be others when the file is run, in place of dynamic_batch: for
            pictures of any size {"input": {0: "batch", 2: "height", 3: "width"}}.

    Raises:
        ArgumentError: an argument is not as above; an operation has no ONNX equivalent; or
            something that is computed outside of the recorded operations depends on the input.
        CheckpointError: the file cannot be written.

    >>> import os, tempfile
    >>> path = os.path.join(tempfile.mkdtemp(), "layer.onnx")
    >>> minidl.io.onnx.save(minidl.nn.Linear(3, 2), path, (1, 3), metadata={"classes": ["a", "b"]})
    >>> minidl.io.onnx.load(path).graph.metadata
    {'classes': '["a", "b"]'}
    """
    path = as_path("onnx.save", "path", path)
    proto = to_proto(
        model, inputs, opset, dynamic_batch, metadata, input_names, output_names, dynamic_axes
    )
    write_atomically(path, serialized(proto), "onnx.save")


def to_proto(
    model: Module,
    inputs: Any,
    opset: int = 18,
    dynamic_batch: bool = True,
    metadata: dict[str, Any] | None = None,
    input_names: list[str] | None = None,
    output_names: list[str] | None = None,
    dynamic_axes: dict[str, dict[int, str]] | None = None,
) -> Any:
    """The onnx.ModelProto that save writes; the arguments are those of save."""
    if not isinstance(model, Module):
        raise DtypeError("onnx.save", "model is a Module", {"model": type(model).__name__})
    if not is_int(opset) or opset not in OPSETS:
        raise ArgumentError(
            "onnx.save", f"opset is from {OPSETS[0]} to {OPSETS[-1]}", {"opset": opset}
        )
    examples = make_examples(model, inputs)
    names = names_for("input_names", "input", input_names, len(examples))
    opened = open_sizes(examples, names, dynamic_batch, dynamic_axes)
    small, large = (with_sizes(examples, names, opened, which) for which in (0, 1))
    first = record_pass(model, small)
    check_state(first)
    writer = graph_of(model, first, opset, names)
    for draw in (large_positive, small_positive):  # not kept: a pass holds all activations
        merge(writer, graph_of(model, record_others(model, small, draw), opset, names), first, [])
    second = record_others(model, large, of_all_sizes)
    writer = merge(writer, graph_of(model, second, opset, names), first, opened)
    return assemble(writer, first, second, names, opened, output_names, metadata)


def check_state(recorded: Pass) -> None:
    """The operations read no buffer that the pass itself changed."""
    read = [x for call in recorded.calls for x in call.inputs] + recorded.outputs
    names = {recorded.written[x] for x in read if x in recorded.written}
    if names:
        raise ArgumentError(
            "onnx.save", "a buffer that forward changes is part of what it computes",
            {"buffers": sorted(names)}, "a file keeps no state: change it where self.training only",
        )  # fmt: skip


def names_for(argument: str, word: str, given: list[str] | None, count: int) -> list[str]:
    """The given names, or a word with numbers behind it."""
    if given is None:
        return [word] if count == 1 else [f"{word}_{i + 1}" for i in range(count)]
    check_ordered("onnx.save", argument, given)
    names = list(given)
    if len(names) != count or len(set(names)) != count or not all(map(is_name, names)):
        raise ArgumentError(
            "onnx.save", f"{argument} are {count} different names", {argument: given}
        )
    return names


def is_name(name: Any) -> bool:
    return isinstance(name, str) and name != ""


def graph_of(model: Module, recorded: Pass, opset: int, names: list[str]) -> Writer:
    """The nodes of a recorded pass."""
    stored = {tensor: name for name, tensor in [*model.named_parameters(), *model.named_buffers()]}
    writer = Writer(opset, dict(zip(recorded.inputs, names)), stored)
    writer.parameters = {name for name, _ in model.named_parameters()}
    for call in recorded.calls:
        writer.scope = call.path
        export_call(writer, call)
    return writer


def assemble(
    writer: Writer, first: Pass, second: Pass, names: list[str], opened: list[Opened],
    output_names: list[str] | None, metadata: dict[str, Any] | None,
) -> Any:  # fmt: skip
    """Inputs, nodes, weights and outputs as one checked ModelProto."""
    from onnx import helper

    writer.scope = ""
    outputs = names_for("output_names", "output", output_names, len(first.outputs))
    clash = set(outputs) & {*names, *writer.stored.values()}
    if clash:
        raise ArgumentError("onnx.save", "a name stands for two tensors", {"names": sorted(clash)})
    rename = {}
    for name, x in zip(outputs, first.outputs):
        made = writer.name_of(x)
        if made in rename or x not in writer.made:  # twice an output, or an input or weight itself
            made = writer.add("Identity", rename.get(made, made))
        rename[made] = name
    for node in writer.nodes:
        node.input[:] = [rename.get(name, name) for name in node.input]
        node.output[:] = [rename.get(name, name) for name in node.output]
    check_inputs(names, writer)
    graph = helper.make_graph(
        writer.nodes, "minidl",
        [value_info(name, *pair, opened)
         for name, *pair in zip(names, first.inputs, second.inputs)],
        [value_info(name, *pair, opened)
         for name, *pair in zip(outputs, first.outputs, second.outputs)],
        [stored_tensor(name, array, writer) for name, array in writer.initializers.items()],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", writer.opset)]
    proto = helper.make_model(
        graph, opset_imports=opsets, producer_name="minidl", producer_version=__version__,
        ir_version=helper.find_min_ir_version_for(opsets),
    )  # fmt: skip
    helper.set_model_props(proto, {key: as_text(key, v) for key, v in (metadata or {}).items()})
    check(proto)
    return proto


def check_inputs(names: list[str], writer: Writer) -> None:
    """Every input of the file is read, also by the Identity of an output."""
    read = {name for node in writer.nodes for name in node.input}
    unread = [name for name in names if name not in read]
    if unread:
        raise ArgumentError(
            "onnx.save", "the output does not depend on an input by recorded operations",
            {"inputs": unread}, "leave it out of forward, or compute with it as a Tensor",
        )  # fmt: skip


def check(proto: Any) -> None:
    """What onnx.checker says of the file. Not every operator takes every element type."""
    import onnx

    try:
        onnx.checker.check_model(proto, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ArgumentError("onnx.save", f"ONNX does not know such a network: {error}") from None


def stored_tensor(name: str, array: np.ndarray, writer: Writer) -> Any:
    """A weight or buffer as a TensorProto, which says which of the two it is."""
    from onnx import numpy_helper

    tensor = numpy_helper.from_array(np.asarray(array, order="C"), name)
    tensor.doc_string = PARAMETER if name in writer.parameters else ""
    return tensor


def value_info(name: str, a: Tensor, b: Tensor, opened: list[Opened]) -> Any:
    """An input or output of the file; sizes that differ between the passes are left open."""
    from onnx import helper

    shape: list[int | str] = []
    for axis, (m, n) in enumerate(zip(a.shape, b.shape)):
        size = size_of(m, n, opened)
        shape.append(m if m == n else size.name if size is not None else f"{name}_{axis}")
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(a.dtype), shape)


def as_text(key: Any, value: Any) -> str:
    """A value of the metadata: text as it is, everything else as JSON."""
    try:
        return value if isinstance(value, str) else json.dumps(value, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ArgumentError("onnx.save", f"metadata holds what JSON cannot: {error}",
                            {"key": key}) from None  # fmt: skip


def serialized(proto: Any) -> bytes:
    """The bytes of the file; one of 2 GB and more is not a protobuf any more."""
    if proto.ByteSize() >= 2**31 - 1:
        raise ArgumentError("onnx.save", "the network is too large for one file", {"limit": "2 GB"})
    return proto.SerializeToString()
