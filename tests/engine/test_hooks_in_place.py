"""Hooks on gradients that work in place."""

import minidl


def enlarge(gradient):
    gradient *= 10


def test_a_hook_that_changes_what_it_sees_changes_no_other_gradient():
    a, b = minidl.ones(2, requires_grad=True), minidl.ones(2, requires_grad=True)
    x, y = a * 1, b * 1
    x.register_hook(enlarge)
    upstream = minidl.ones(2)
    (x + y).backward(upstream)
    assert a.grad.tolist() == [10, 10]  # as in PyTorch
    assert b.grad.tolist() == [1, 1] and upstream.tolist() == [1, 1]


def test_a_hook_may_change_a_stretched_gradient():
    x = minidl.ones(3, requires_grad=True) * 2
    x.retain_grad()
    x.register_hook(lambda g: g.zero_())
    x.sum().backward()
    assert x.grad.tolist() == [0, 0, 0]
