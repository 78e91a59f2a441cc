"""The walk back: from a loss to the gradients of the leaves.

Nodes of the graph are Functions and leaf Tensors. Reverse-mode differentiation visits them so
that a node comes after everything that used it. By then its gradient is complete, because the
chain rule sums over uses:

        d loss / d x  =  sum over uses u of x:   d loss / d u  *  d u / d x

A Function turns the gradients of its outputs into gradients of its inputs; a leaf keeps what
arrives in `.grad`, added to what is there already (so two backward calls accumulate).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.device import array_module
from minidl.errors import GraphError
from minidl.function import Function
from minidl.tensor import Tensor


def backward(root: Tensor, gradient: Any, retain_graph: bool = False) -> None:
    """Add d root / d leaf, weighted with `gradient`, to the `.grad` of every leaf of the graph.

    Args:
        root: the Tensor to differentiate, usually a scalar loss.
        gradient: array of root's shape and dtype, the upstream gradient.
        retain_graph: keep the graph for a second walk. Otherwise each Function frees what it kept
            as soon as its gradient is computed, so memory falls as the walk goes on.

    Raises:
        GraphError: part of the graph was freed by an earlier backward.
    """
    start = root.grad_fn or root
    pending = {start: {root.output_index: gradient}}  # node -> output index -> gradient so far
    for node in topological_order(start):
        gradients = pending.pop(node, None)
        if gradients is None:
            continue  # no gradient reaches this node: its users returned None for it
        if isinstance(node, Function):
            propagate(node, gradients, pending)
            if not retain_graph:
                node.free()
        else:
            accumulate(node, gradients[0])


def topological_order(start: Any) -> list:
    """Functions and leaves that need a gradient, each after everything that uses it.

    A depth-first search that appends a node when all its inputs are done gives inputs first, so
    the reverse is the order to walk in. Written with a stack: a recurrent net is thousands deep.
    """
    order, seen, stack = [], {start}, [(start, False)]
    while stack:
        node, inputs_done = stack.pop()
        if inputs_done or not isinstance(node, Function):
            order.append(node)
            continue
        if node.freed:
            raise GraphError(
                "backward",
                f"the graph was already walked and freed (at {type(node).__name__})",
                hint="call backward(retain_graph=True) the first time, or compute the loss again;"
                " in a loop, detach() what is carried over from the step before",
            )
        stack.append((node, True))
        for x, needed in zip(node.inputs, node.needs_grad):
            child = x.grad_fn or x
            if needed and child not in seen:
                seen.add(child)
                stack.append((child, False))
    order.reverse()
    return order


def propagate(node: Function, gradients: dict, pending: dict) -> None:
    """Turn the gradients of a Function's outputs into pending gradients of its inputs."""
    if node.output_hooks:
        for index in gradients:
            gradients[index] = run_hooks(node.output_hooks.get(index, {}), gradients[index])
    gys = [gradients.get(index) for index in range(node.n_outputs)]
    gxs = node.backward(*gys)
    if not isinstance(gxs, tuple):
        gxs = (gxs,)
    for x, gx, needed in zip(node.inputs, gxs, node.needs_grad):
        if not needed or gx is None:
            continue
        gx = keep_array(gx)
        if gx.shape != x.data.shape:
            raise AssertionError(
                f"{type(node).__name__}.backward returned shape {gx.shape} for an input of "
                f"shape {x.data.shape}"
            )
        slot = pending.setdefault(x.grad_fn or x, {})
        if x.output_index in slot:
            slot[x.output_index] = keep_array(slot[x.output_index] + gx)
        elif x.grad_fn is None and is_shared(gx, gys):
            slot[x.output_index] = gx.copy()  # .grad must not change when another gradient does
        else:
            slot[x.output_index] = gx


def keep_array(value: Any) -> Any:
    """NumPy makes scalars of 0-d results; everything here holds arrays."""
    return np.asarray(value) if isinstance(value, np.generic) else value


def is_shared(gx: Any, gys: list) -> bool:
    """Whether gx uses the memory of one of gys (an op like add passes its gradient through)."""
    for gy in gys:
        if gy is not None and array_module(gx).may_share_memory(gx, gy):
            return True
    return False


def accumulate(leaf: Tensor, gradient: Any) -> None:
    """Add a gradient to leaf.grad, after the leaf's hooks have seen it."""
    if leaf.hooks:
        gradient = run_hooks(leaf.hooks, gradient)
    if gradient.dtype != leaf.data.dtype:
        gradient = gradient.astype(leaf.data.dtype)
    if leaf.grad is None:
        leaf.grad = Tensor(gradient)
    else:
        leaf.grad = Tensor(leaf.grad.data + gradient)


def run_hooks(hooks: dict, gradient: Any) -> Any:
    """Call each hook with the gradient as a Tensor; one that returns a Tensor replaces it."""
    for hook in list(hooks.values()):
        replaced = hook(Tensor(gradient))
        if replaced is not None:
            gradient = replaced.data
    return gradient
