"""A leaf has its gradient right after its last use, and hooks take it on from there."""

import numpy as np
import pytest

import minidl
from minidl import Tensor, nn
from minidl.errors import DtypeError, GraphError
from minidl.graph import topological_order


def network():
    minidl.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.ReLU(), nn.Flatten(), nn.Linear(8, 4),
        nn.ReLU(), nn.Linear(4, 3),
    )  # fmt: skip


def order_of_gradients(model, loss):
    """Names of the parameters in the order in which their gradients are complete."""
    found = []
    handles = [
        p.register_post_accumulate_grad_hook(lambda p, name=name: found.append(name))
        for name, p in model.named_parameters()
    ]
    loss.backward()
    for handle in handles:
        handle.remove()
    return found


def test_front_layers_come_last():
    model = network()
    found = order_of_gradients(model, model(minidl.randn(2, 1, 4, 4)).sum())
    assert [name.split(".")[0] for name in found] == ["6", "6", "4", "4", "1", "1", "0", "0"]


def test_a_gradient_is_there_before_those_of_the_layers_before():
    model = network()
    first, last = model[0].weight, model[6].weight
    seen = []
    last.register_post_accumulate_grad_hook(lambda p: seen.append((p.grad, first.grad)))
    model(minidl.randn(2, 1, 4, 4)).sum().backward()
    ((gradient, before),) = seen
    assert gradient is last.grad and before is None and first.grad is not None


def test_a_leaf_follows_its_last_use_in_the_order_of_the_walk():
    model = network()
    order = topological_order(model(minidl.randn(2, 1, 4, 4)).sum().grad_fn)
    for place, node in enumerate(order):
        if isinstance(node, Tensor):
            before = next(n for n in reversed(order[:place]) if not isinstance(n, Tensor))
            assert any(x is node for x in before.inputs)


def test_a_shared_leaf_is_complete_at_its_last_use():
    w, x = minidl.full((3,), 2.0, requires_grad=True), minidl.ones(3, requires_grad=True)
    calls = []
    w.register_post_accumulate_grad_hook(lambda w: calls.append(w.grad.tolist()))
    y = x * w
    z = (y * w + w).sum()  # w is used by the first and the last operation
    z.backward()
    assert calls == [[5.0, 5.0, 5.0]]  # 2 w x + 1, once


def test_it_is_called_once_for_each_backward_and_sees_the_sum():
    w = minidl.ones(2, requires_grad=True)
    calls = []
    handle = w.register_post_accumulate_grad_hook(lambda w: calls.append(w.grad.tolist()))
    loss = (w * 3).sum()
    loss.backward(retain_graph=True)
    loss.backward()
    handle.remove()
    (w * 3).sum().backward()
    assert calls == [[3, 3], [6, 6]] and w.grad.tolist() == [9, 9]


def test_a_leaf_that_is_the_root():
    w = minidl.ones((), requires_grad=True)
    calls = []
    w.register_post_accumulate_grad_hook(calls.append)
    w.backward()
    assert calls == [w] and w.grad.item() == 1


def test_hooks_run_in_the_order_in_which_they_were_registered():
    w = minidl.ones(1, requires_grad=True)
    calls = []
    w.register_hook(lambda g: calls.append("gradient") or g * 2)
    w.register_post_accumulate_grad_hook(lambda w: calls.append(w.grad.item()))
    w.register_post_accumulate_grad_hook(lambda w: calls.append("last"))
    w.sum().backward()
    assert calls == ["gradient", 2.0, "last"]


def test_a_step_may_be_taken_in_the_hook():
    """The optimizer in backward: no parameter is needed again after its last use."""
    plain, hooked = network(), network()
    x = minidl.randn(2, 1, 4, 4)

    def step(p):
        p.data -= np.float32(0.1) * p.grad.data
        p.grad = None

    for p in hooked.parameters():
        p.register_post_accumulate_grad_hook(step)
    hooked(x).sum().backward()
    plain(x).sum().backward()
    for p, q in zip(plain.parameters(), hooked.parameters()):
        np.testing.assert_array_equal(p.data - np.float32(0.1) * p.grad.data, q.data)
        assert q.grad is None


class Twice(minidl.Function):
    """2 (x + y), whose backward returns one array for both."""

    def forward(self, x, y):
        return 2 * (x + y)

    def backward(self, gy):
        gx = 2 * gy
        return gx, gx


@pytest.mark.parametrize("leaf_first", [True, False])
def test_a_hook_that_changes_a_gradient_changes_no_other(leaf_first):
    w, x = minidl.ones(2, requires_grad=True), minidl.ones(2, requires_grad=True)
    w.register_post_accumulate_grad_hook(lambda w: w.grad.zero_())
    y = x * 1
    Twice().apply(*((w, y) if leaf_first else (y, w))).sum().backward()
    assert w.grad.tolist() == [0, 0] and x.grad.tolist() == [2, 2]


def test_mistakes():
    w = minidl.ones(2, requires_grad=True)
    with pytest.raises(GraphError, match="only a leaf keeps its gradient"):
        (w * 1).register_post_accumulate_grad_hook(print)
    with pytest.raises(GraphError, match="does not require a gradient"):
        minidl.ones(2).register_post_accumulate_grad_hook(print)
    with pytest.raises(DtypeError, match="a hook is a function of the tensor"):
        w.register_post_accumulate_grad_hook(3)


@pytest.mark.torch
def test_pytorch_has_the_same_hook():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    calls = []
    for make in (minidl.ones, torch.ones):
        w = make(2, requires_grad=True)
        w.register_post_accumulate_grad_hook(lambda w: calls.append(w.grad.tolist()))
        (w * w).sum().backward()
    assert calls == [[2, 2], [2, 2]]
