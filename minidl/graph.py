"""The graph of recorded operations, and how to walk it.

Its nodes are Functions and leaf Tensors (the picture is in minidl/function.py). Edges point from a
result to what it was computed from, so a walk starts at the results: at a loss, or at whatever a
network returned.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from minidl.function import Function
from minidl.tensor import Tensor


def topological_order(start: Any) -> list:
    """Functions and leaves that need a gradient, each after everything that uses it.

    A leaf follows at once upon the last Function that uses it: by then its gradient is complete,
    and backward can hand it on while it computes those of the layers before.

    A depth-first search that appends a node once all its inputs are appended gives inputs first,
    so the reverse is the order to walk in. A node is `seen` when the search enters it, not when
    it is put on the stack: in x + f(x), x waits on the stack while f(x), which also needs x, goes
    first. A stack rather than recursion, because a recurrent net is thousands of nodes deep.
    """
    if not isinstance(start, Function):
        return [start]
    order, seen, stack = [], set(), [(start, False)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done:
            for x, needed in zip(node.inputs, node.needs_grad):
                if needed and x.grad_fn is None and x not in seen:
                    seen.add(x)
                    order.append(x)
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            for x, needed in zip(node.inputs, node.needs_grad):
                if needed and x.grad_fn is not None:
                    stack.append((x.grad_fn, False))
    order.reverse()
    return order


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The Tensors in nested tuples, lists and dicts, in order: what a module took or returned."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        yield from tensors_in(list(value.values()))
    elif isinstance(value, list | tuple):
        for part in value:
            yield from tensors_in(part)
