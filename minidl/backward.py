"""The walk back: from a loss to the gradients of the leaves.

Reverse-mode differentiation visits the nodes of the graph, Functions and leaf Tensors, in the order
of minidl/graph.py: each after everything that used it. By then its gradient is complete, because
the chain rule sums over uses:

        d loss / d x  =  sum over uses u of x:   d loss / d u  *  d u / d x

A Function turns the gradients of its outputs into gradients of its inputs; a leaf keeps what
arrives in `.grad`, added to what is there already (so two backward calls accumulate). It does so
right after its last use, and hooks may take the gradient on from there: that of the last layer is
on its way to another machine while those of the first are not yet computed.

Most sums are made in a new array, as what a Function returns may be an array that something else
holds: its upstream gradient, or what a user's Function keeps. Where a Function promises that its
gradients are new (Function.makes_new), and in sums that the walk itself has made, they are added in
place, which spares the largest arrays a trip through memory.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minidl.device import array_module
from minidl.errors import GraphError, ShapeError
from minidl.function import Function
from minidl.graph import topological_order
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
    order = topological_order(start)
    check_not_freed(order)
    pending = {start: {root.output_index: gradient}}  # node -> output index -> gradient so far
    own: set[tuple] = set()  # (node, output index) of gradients that nothing else holds
    for node in order:
        gradients = pending.pop(node, None)
        if not isinstance(node, Function):
            if gradients is not None:
                accumulate(node, gradients[0])
            continue
        if gradients is not None:  # None: every user of this node returned None for it
            propagate(node, gradients, pending, own)
        if not retain_graph:
            node.free()


def propagate(node: Function, gradients: dict, pending: dict, own: set) -> None:
    """Turn the gradients of a Function's outputs into pending gradients of its inputs."""
    if node.output_hooks or node.retained:
        look_in(node, gradients)
    gys = [*map(gradients.get, range(node.n_outputs))]
    if node.adds and (before := taken(node.inputs[0], gys[0], pending, own)) is not None:
        gxs = input_gradients(node, node.backward(*gys, add_to=before))
    else:
        gxs = input_gradients(node, node.backward(*gys))
    for i, (x, gx) in enumerate(zip(node.inputs, gxs)):
        if gx is None:
            continue
        uses = pending.setdefault(x.grad_fn or x, {})
        if x.output_index in uses:
            add_use(x, uses, gx, node.makes_new, own)
        elif x.grad_fn is None and is_shared(gx, [*gys, *gxs[:i], *gxs[i + 1 :]]):
            uses[x.output_index] = gx.copy()  # .grad must not change when another gradient does
        else:
            uses[x.output_index] = gx
            if node.makes_new:
                own.add((x.grad_fn or x, x.output_index))


def taken(x: Tensor, gy: Any, pending: dict, own: set) -> Any:
    """The gradient of x so far, no longer pending; None if there is none that nothing else holds,
    or it is of another dtype than gy."""
    node, index = x.grad_fn or x, x.output_index
    if (node, index) not in own or pending[node][index].dtype != gy.dtype:
        return None
    return pending[node].pop(index)


def add_use(x: Tensor, uses: dict, gx: Any, is_new: bool, own: set) -> None:
    """The sum over uses of x, in one of the two arrays if nothing else holds it."""
    key, sum_so_far = (x.grad_fn or x, x.output_index), uses[x.output_index]
    place = sum_so_far if key in own else gx if is_new else None
    if place is not None and place.ndim and sum_so_far.dtype == gx.dtype:
        uses[x.output_index] = array_module(gx).add(sum_so_far, gx, out=place)
    else:
        uses[x.output_index] = sum_so_far + gx
    own.add(key)


def input_gradients(node: Function, returned: Any) -> list:
    """What a Function's backward returned: an array for each input, None where none is needed.

    The Function may be a user's own, so this is where its mistakes are noticed.
    """
    gxs = list(returned) if isinstance(returned, tuple | list) else [returned]
    if len(gxs) < len(node.inputs):
        raise too_few_gradients(node, len(gxs))
    for i, (x, needed) in enumerate(zip(node.inputs, node.needs_grad)):
        if not needed or gxs[i] is None:
            gxs[i] = None
        elif type(gxs[i]) is not type(x.data) or gxs[i].shape != x.data.shape:
            gxs[i] = as_gradient(node, i, gxs[i])
    return gxs


def is_shared(gx: Any, others: list) -> bool:
    """Whether writing to an element of gx could change another element, or one of `others`.

    An operation like + passes its gradient through, one like sum() stretches it (stride 0).
    """
    if 0 in gx.strides:
        return True
    may_share_memory = array_module(gx).may_share_memory
    for other in others:
        if other is not None and may_share_memory(gx, other):
            return True
    return False


def accumulate(leaf: Tensor, gradient: Any) -> None:
    """Add a gradient to leaf.grad, after one kind of the leaf's hooks and before the other."""
    if leaf.hooks:
        gradient = run_hooks(leaf.hooks, gradient).copy()  # a hook may have kept what it saw
    if gradient.dtype != leaf.data.dtype:
        gradient = gradient.astype(leaf.data.dtype)
    if leaf.grad is None:
        leaf.grad = Tensor(gradient)
    else:
        leaf.grad = Tensor(leaf.grad.data + gradient)
    if leaf.hooks_after:
        for hook in list(leaf.hooks_after.values()):
            hook(leaf)


def look_in(node: Function, gradients: dict) -> None:
    """Run the hooks of a Function's outputs, then fill the .grad that retain_grad asked for."""
    for index in gradients:
        if node.output_hooks and index in node.output_hooks:
            gradients[index] = run_hooks(node.output_hooks[index], gradients[index])
        tensor = node.retained[index]() if node.retained and index in node.retained else None
        if tensor is not None:  # a weak reference: the graph does not keep its tensors alive
            new = gradients[index]
            tensor.grad = Tensor(new.copy() if tensor.grad is None else tensor.grad.data + new)


def run_hooks(hooks: dict, gradient: Any) -> Any:
    """Call each hook with the gradient as a Tensor; one that returns a Tensor replaces it."""
    gradient = gradient.copy(order="K")  # a hook may change it, and others may have a share in it
    for hook in list(hooks.values()):
        replaced = hook(Tensor(gradient))
        if replaced is None:
            continue
        if not isinstance(replaced, Tensor) or replaced.shape != gradient.shape:
            raise GraphError(
                "register_hook",
                "a hook returns None or a Tensor of the gradient's shape",
                {"gradient": Tensor(gradient), "returned": replaced},
            )
        gradient = replaced.data
    return gradient


# --- what can be wrong --------------------------------------------------------------------------


def check_not_freed(order: list) -> None:
    """No Function was walked through before: it has nothing left to differentiate with."""
    for node in order:
        if isinstance(node, Function) and node.freed:
            raise GraphError(
                "backward",
                f"the graph was already walked and freed (at {type(node).__name__})",
                hint="call backward(retain_graph=True) the first time, or compute the loss again;"
                " in a loop, detach() what is carried over from the step before",
            )


def too_few_gradients(node: Function, count: int) -> GraphError:
    return GraphError(
        type(node).__name__,
        f"backward returned {count} gradients for {len(node.inputs)} inputs",
        hint="return one for each input, None for one that needs none",
    )


def as_gradient(node: Function, i: int, returned: Any) -> Any:
    """An array for input i; NumPy makes scalars of 0-d results."""
    gx = np.asarray(returned) if isinstance(returned, np.generic) else returned
    if not hasattr(gx, "strides"):
        raise GraphError(
            type(node).__name__,
            f"backward returned no array for input {i}",
            {"returned": type(gx).__name__},
            "forward and backward work on arrays, not on Tensors",
        )
    if gx.shape != node.inputs[i].data.shape:
        raise ShapeError(
            type(node).__name__,
            f"backward returned a gradient of another shape than input {i}",
            {"input": node.inputs[i], "gradient": gx},
        )
    return gx
