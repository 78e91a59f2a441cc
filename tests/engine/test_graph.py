"""The walk of the graph, and the Tensors in what a network returns."""

import minidl
from minidl.graph import tensors_in, topological_order


def test_each_node_comes_after_everything_that_uses_it():
    x = minidl.ones(2, requires_grad=True)
    y = x.exp()
    z = (y * x.sin() + y).sum() + x.sum()
    order = topological_order(z.grad_fn)
    assert order[0] is z.grad_fn and order[-1] is x
    assert len(order) == len(set(order)) == 8  # Exp Sin Mul Add Sum Sum Add x
    place = {node: i for i, node in enumerate(order)}
    for node in order[:-1]:
        for used in node.inputs:
            assert place[node] < place[used.grad_fn or used]


def test_what_needs_no_gradient_is_not_visited():
    x, constant = minidl.ones(2, requires_grad=True), minidl.ones(2)
    y = x * constant.exp()
    assert topological_order(y.grad_fn) == [y.grad_fn, x]


def test_a_graph_of_any_depth():
    y = minidl.ones(1, requires_grad=True)
    for _ in range(5000):
        y = y + 1
    assert len(topological_order(y.grad_fn)) == 5001


def test_a_leaf_alone():
    x = minidl.ones(2, requires_grad=True)
    assert topological_order(x) == [x]


def test_tensors_of_nested_values_in_order():
    a, b, c, d = (minidl.ones(1) for _ in range(4))
    value = {"first": (a, [b, None]), "second": {"third": c, "text": "text"}, "number": 3}
    assert list(tensors_in((value, d))) == [a, b, c, d]
    assert list(tensors_in(a)) == [a] and list(tensors_in(None)) == []
