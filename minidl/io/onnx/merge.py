"""Two recorded passes of one network as one graph that holds for both, or an error.

The passes had other values and, where sizes are left open, other sizes (opened.py). Whatever
differs between the two graphs depends on one or the other:

    a shape that one size differs in      that size is left to the runtime (-1)
    a constant with a row for each sample, all rows alike: one row, expanded to the batch
    anything else                         an error: the file would be wrong for other inputs
"""

from __future__ import annotations

from typing import Any, NoReturn

import numpy as np

from minidl.errors import ArgumentError
from minidl.io.onnx.opened import Opened
from minidl.io.onnx.recording import Pass
from minidl.io.onnx.writer import Writer


def merge(a: Writer, b: Writer, recorded: Pass, opened: list[Opened]) -> Writer:
    """The graph of pass a, made to hold for b too.

    Args:
        a, b: graphs of the two passes.
        recorded: pass a, for its outputs.
        opened: the sizes that are left open; none where the passes had the same.

    Raises:
        ArgumentError: they differ in something that cannot be left open.
    """
    if [node.op_type for node in a.nodes] != [node.op_type for node in b.nodes]:
        refuse("the operations that run depend on the input or the batch size", opened)
    users: dict[str, list[tuple[str, int]]] = {}
    for node in a.nodes:
        for place, name in enumerate(node.input):
            users.setdefault(name, []).append((node.op_type, place))
    check_outputs(recorded, a, opened)
    merged = []
    for node, other in zip(a.nodes, b.nodes):
        if node == other:
            merged.append(node)
        elif node.op_type == "Constant" and list(node.input) == list(other.input):
            merged += constant_for_both(node, other, users.get(node.output[0], []), opened)
        else:
            refuse(f"settings of {node.name} depend on the input or the batch size", opened)
    a.nodes = merged
    return a


def check_outputs(recorded: Pass, writer: Writer, opened: list[Opened]) -> None:
    """Every output was recorded, or is an input or weight itself."""
    for number, y in enumerate(recorded.outputs):
        if writer.is_constant(y):
            refuse(f"output {number} is not computed by recorded operations", opened)


def constant_for_both(node: Any, other: Any, users: list, opened: list[Opened]) -> list:
    """The nodes that stand for a constant with one value in each graph."""
    from onnx import numpy_helper

    x, y = (numpy_helper.to_array(n.attribute[0].t).copy() for n in (node, other))
    if not opened or x.dtype != y.dtype or x.ndim != y.ndim:
        refuse(depends(users), opened)
    if x.shape == y.shape and x.dtype == np.int64 and x.ndim == 1:
        return open_size(node, x, y, users, opened)
    rows = size_of(len(x), len(y), opened) if x.ndim > 0 and x.shape[1:] == y.shape[1:] else None
    if rows is not None and all(np.array_equal(row, x[0]) for row in (*x, *y)):
        return expanded_row(node, x[:1], rows)
    refuse(depends(users), opened)


def depends(users: list[tuple[str, int]]) -> str:
    """What is wrong with a constant that differs."""
    what = ", ".join(sorted({operator for operator, _ in users})) or "an output"
    return f"a constant of {what} depends on the input or on random numbers"


def open_size(node: Any, x: np.ndarray, y: np.ndarray, users: list, opened: list[Opened]) -> list:
    """A shape with the size of the batch left open, for those operators that know how."""
    from onnx import helper, numpy_helper

    differs = np.flatnonzero(x != y)
    operators = {operator for operator, _ in users}
    reshapes = operators == {"Reshape"} and len(users) == 1 and -1 not in x
    if len(differs) == 1 and reshapes:
        x = np.where(x != y, -1, x)
        value = numpy_helper.from_array(x)
        return [helper.make_node("Constant", [], list(node.output), name=node.name, value=value)]
    sizes = {i: size_of(int(x[i]), int(y[i]), opened) for i in differs}
    unknown = [i for i, size in sizes.items() if size is None]
    if len(unknown) == 1 and reshapes:  # the one that the others leave
        x[unknown], differs = -1, differs[differs != unknown]
    elif unknown:
        what = ", ".join(sorted(operators))
        refuse(f"a size in {what} depends on an open size in a way of its own", opened)
    parts, nodes = [], []
    for i, fixed in enumerate(x):
        part = f"{node.name}:size{i}"
        parts.append(part)
        if i in differs:
            nodes.append(shape_node(part, sizes[i]))
        else:
            value = numpy_helper.from_array(np.array([fixed], np.int64))
            nodes.append(helper.make_node("Constant", [], [part], name=part, value=value))
    return [*nodes, helper.make_node("Concat", parts, list(node.output), name=node.name, axis=0)]


def size_of(a: int, b: int, opened: list[Opened]) -> Opened | None:
    """The open size that was a in one pass and b in the other."""
    return next((one for one in opened if one.sizes == (a, b)), None)


def shape_node(name: str, size: Opened) -> Any:
    """A node with an open size, read from an input, as a 1-d tensor."""
    from onnx import helper

    source, axis = size.place
    return helper.make_node("Shape", [source], [name], name=name, start=axis, end=axis + 1)


def expanded_row(node: Any, row: np.ndarray, rows: Opened) -> list:
    """A constant with the same row for each sample."""
    from onnx import helper, numpy_helper

    ones = numpy_helper.from_array(np.ones(row.ndim - 1, np.int64))
    one_row, rest, shape = (f"{node.name}:{part}" for part in ("row", "rest", "shape"))
    count = shape_node(f"{node.name}:batch", rows)
    return [
        helper.make_node("Constant", [], [one_row], name=one_row,
                         value=numpy_helper.from_array(np.ascontiguousarray(row))),
        count,
        helper.make_node("Constant", [], [rest], name=rest, value=ones),
        helper.make_node("Concat", [count.output[0], rest], [shape], name=shape, axis=0),
        helper.make_node("Expand", [one_row, shape], list(node.output), name=node.name),
    ]  # fmt: skip


def refuse(rule: str, opened: list[Opened]) -> NoReturn:
    hint = (
        "Python's branches, NumPy code and arrays of indices are not recorded: write what depends"
        " on the input with minidl's operations, where(x > 0, ...) say"
    )
    if opened:
        others = [one.name for one in opened if one.place[1] != 0]
        if others:
            hint += f"; or fix a size: leave one of {', '.join(others)} out of dynamic_axes"
        else:
            hint += "; or fix the batch size: dynamic_batch=False"
    raise ArgumentError("onnx.save", rule, hint=hint)
