"""Two recorded passes of one network as one graph that holds for both, or an error.

The passes had other values and, with a dynamic batch, other batch sizes (BATCHES). Whatever differs
between the two graphs depends on one or the other:

    a shape that one size differs in      that size is left to the runtime (-1)
    a constant with a row for each sample, all rows alike: one row, expanded to the batch
    anything else                         an error: the file would be wrong for other inputs
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from minidl.errors import ArgumentError
from minidl.io.onnx.recording import Pass
from minidl.io.onnx.writer import Writer

# Of the two passes. Neither is 1, which would be stretched, and what is computed from the batch
# size, such as N // 2 + 1, differs in another way than the batch sizes do.
BATCHES = 2, 5


def merge(a: Writer, b: Writer, recorded: Pass, batch_of: str | None) -> Writer:
    """The graph of pass a, made to hold for b too.

    Args:
        a, b: graphs of the two passes.
        recorded: pass a, for its outputs.
        batch_of: name of an input whose first size is the batch; None where sizes are fixed.

    Raises:
        ArgumentError: they differ in something that cannot be left open.
    """
    if [node.op_type for node in a.nodes] != [node.op_type for node in b.nodes]:
        refuse("the operations that run depend on the input or the batch size", batch_of)
    users: dict[str, list[tuple[str, int]]] = {}
    for node in a.nodes:
        for place, name in enumerate(node.input):
            users.setdefault(name, []).append((node.op_type, place))
    check_outputs(recorded, a, batch_of)
    merged = []
    for node, other in zip(a.nodes, b.nodes):
        if node == other:
            merged.append(node)
        elif node.op_type == "Constant" and list(node.input) == list(other.input):
            merged += constant_for_both(node, other, users.get(node.output[0], []), batch_of)
        else:
            refuse(f"settings of {node.name} depend on the input or the batch size", batch_of)
    a.nodes = merged
    return a


def check_outputs(recorded: Pass, writer: Writer, batch_of: str | None) -> None:
    """Every output was recorded, or is an input or weight itself."""
    for number, y in enumerate(recorded.outputs):
        if writer.is_constant(y):
            refuse(f"output {number} is not computed by recorded operations", batch_of)


def constant_for_both(node: Any, other: Any, users: list, batch_of: str | None) -> list:
    """The nodes that stand for a constant with one value in each graph."""
    from onnx import numpy_helper

    x, y = (numpy_helper.to_array(n.attribute[0].t) for n in (node, other))
    if batch_of is None or x.dtype != y.dtype or x.ndim != y.ndim:
        refuse(depends(users), batch_of)
    if x.shape == y.shape and x.dtype == np.int64 and x.ndim == 1:
        return open_size(node, x, y, users, batch_of)
    rows_alike = x.ndim > 0 and x.shape[1:] == y.shape[1:] and (len(x), len(y)) == BATCHES
    if rows_alike and all(np.array_equal(row, x[0]) for row in (*x, *y)):
        return expanded_row(node, x[:1], batch_of)
    refuse(depends(users), batch_of)


def depends(users: list[tuple[str, int]]) -> str:
    """What is wrong with a constant that differs."""
    what = ", ".join(sorted({operator for operator, _ in users})) or "an output"
    return f"a constant of {what} depends on the input or on random numbers"


def open_size(node: Any, x: np.ndarray, y: np.ndarray, users: list, batch_of: str) -> list:
    """A shape with the size of the batch left open, for those operators that know how."""
    from onnx import helper, numpy_helper

    differs = np.flatnonzero(x != y)
    operators = {operator for operator, _ in users}
    if len(differs) == 1 and operators == {"Reshape"} and len(users) == 1 and -1 not in x:
        x = np.where(x != y, -1, x)
        value = numpy_helper.from_array(x)
        return [helper.make_node("Constant", [], list(node.output), name=node.name, value=value)]
    if not all(pair == BATCHES for pair in zip(x[differs], y[differs])):
        what = ", ".join(sorted(operators))
        refuse(f"a size in {what} depends on the batch size in a way of its own", batch_of)
    parts, nodes = [], [batch_size(node, batch_of)]
    for i, size in enumerate(x):
        if i in differs:
            parts.append(nodes[0].output[0])
            continue
        name = f"{node.name}:size{i}"
        value = numpy_helper.from_array(np.array([size], np.int64))
        nodes.append(helper.make_node("Constant", [], [name], name=name, value=value))
        parts.append(name)
    return [*nodes, helper.make_node("Concat", parts, list(node.output), name=node.name, axis=0)]


def batch_size(node: Any, batch_of: str) -> Any:
    """A node with the first size of an input, as a 1-d tensor."""
    from onnx import helper

    name = f"{node.name}:batch"
    return helper.make_node("Shape", [batch_of], [name], name=name, start=0, end=1)


def expanded_row(node: Any, row: np.ndarray, batch_of: str) -> list:
    """A constant with the same row for each sample."""
    from onnx import helper, numpy_helper

    ones = numpy_helper.from_array(np.ones(row.ndim - 1, np.int64))
    one_row, rest, shape = (f"{node.name}:{part}" for part in ("row", "rest", "shape"))
    count = batch_size(node, batch_of)
    return [
        helper.make_node("Constant", [], [one_row], name=one_row,
                         value=numpy_helper.from_array(np.ascontiguousarray(row))),
        count,
        helper.make_node("Constant", [], [rest], name=rest, value=ones),
        helper.make_node("Concat", [count.output[0], rest], [shape], name=shape, axis=0),
        helper.make_node("Expand", [one_row, shape], list(node.output), name=node.name),
    ]  # fmt: skip


def refuse(rule: str, batch_of: str | None) -> NoReturn:
    hint = (
        "Python's branches, NumPy code and arrays of indices are not recorded: write what depends"
        " on the input with minidl's operations, where(x > 0, ...) say"
    )
    if batch_of is not None:
        hint += "; or fix the batch size: dynamic_batch=False"
    raise ArgumentError("onnx.save", rule, hint=hint)
