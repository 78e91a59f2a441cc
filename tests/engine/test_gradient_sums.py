"""A Tensor with several uses: their gradients add up, and no array that others hold is changed."""

import numpy as np
import pytest

import minidl
from minidl.nn import functional as F
from minidl.ops.relu import ReLU


class Given(minidl.Function):
    """Returns as gradient what `gradient(gy)` makes."""

    def __init__(self, gradient):
        self.gradient = gradient

    def forward(self, x):
        return x + 0

    def backward(self, gy):
        return self.gradient(gy)


@pytest.mark.parametrize(
    "gradient",
    [
        lambda gy: gy,
        lambda gy: 2 * gy,
        lambda gy: gy.T.copy().T,
        lambda gy: np.broadcast_to(np.float32(3), gy.shape),
        lambda gy: read_only(4 * gy),
    ],
    ids=["upstream", "new", "other-layout", "stretched", "read-only"],
)
def test_gradients_of_several_uses_add_up(gradient):
    """In whichever order they come, and no gradient that others share is changed by the sum."""
    for first in (True, False):
        x = minidl.tensor(np.arange(6, dtype=np.float32).reshape(2, 3), requires_grad=True)
        middle = x * 1
        parts = [Given(gradient).apply(middle), middle * 5]
        kept = []
        for part in parts:
            part.register_hook(kept.append)
        (parts[0] + parts[1] if first else parts[1] + parts[0]).sum().backward()
        gy = np.ones((2, 3), np.float32)
        np.testing.assert_array_equal(x.grad.data, gradient(gy) + 5)
        for gradient_seen in kept:
            np.testing.assert_array_equal(gradient_seen.data, gy)


def test_a_gradient_that_a_function_keeps_is_not_changed():
    """As of w . x, whose gradient is w itself; also where backward runs again."""
    kept = np.ones((2, 3), np.float32)
    x = minidl.tensor(np.zeros((2, 3), np.float32), requires_grad=True)
    for middle in (x, x * 2):
        loss = (middle * 5).sum() + Given(lambda gy: kept).apply(middle).sum()
        loss = loss + (middle * 5).sum()
        for _ in range(2):
            x.grad = None
            loss.backward(retain_graph=True)
            np.testing.assert_array_equal(x.grad.data, 11 if middle is x else 22)
            np.testing.assert_array_equal(kept, 1)


class New(Given):
    """Promises that its gradients are new."""

    makes_new = True


def test_a_backward_of_ones_own_has_promised_nothing():
    """A user's subclass of an operation may keep what it returns."""
    kept = np.ones((2, 3), np.float32)

    class Keeps(ReLU):
        def backward(self, gy):
            return kept

    class Renamed(ReLU):
        pass

    assert ReLU.makes_new and Renamed.makes_new and not Keeps.makes_new
    x = minidl.tensor(np.ones((2, 3), np.float32), requires_grad=True)
    middle = x * 2
    for parts in ([Keeps().apply(middle), middle * 5], [middle * 5, Keeps().apply(middle)]):
        x.grad = None
        (parts[0] + parts[1]).sum().backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.data, 12)
        np.testing.assert_array_equal(kept, 1)


class Adds(Given):
    """Keeps what it was asked to add to."""

    makes_new = adds = True
    seen = None

    def backward(self, gy, add_to=None):
        self.seen = add_to
        gx = self.gradient(gy)
        if add_to is None:
            return gx
        add_to += gx
        return add_to


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2), (2, 0, 1)])
@pytest.mark.parametrize("of_leaf", [True, False])
def test_sums_in_place_change_no_array_that_others_hold(order, of_leaf):
    """Of functions that promise new gradients, that add, and that keep theirs; walked twice."""
    kept = np.full((2, 3), 4, np.float32)
    x = minidl.tensor(np.zeros((2, 3), np.float32), requires_grad=True)
    middle = x if of_leaf else x * 2
    seen = []
    if not of_leaf:
        middle.register_hook(seen.append)
        middle.retain_grad()
    functions = New(lambda gy: 2 * gy), Adds(lambda gy: 3 * gy), Given(lambda gy: kept)
    uses = [function.apply(middle) for function in functions]
    loss = uses[order[0]].sum() + uses[order[1]].sum() + uses[order[2]].sum()
    for walk in (1, 2):
        x.grad = None
        loss.backward(retain_graph=True)
        np.testing.assert_array_equal(x.grad.data, 9 if of_leaf else 18)
        np.testing.assert_array_equal(kept, 4)
        if not of_leaf:
            np.testing.assert_array_equal(middle.grad.data, 9 * walk)
            assert len(seen) == walk
            for gradient in seen:
                np.testing.assert_array_equal(gradient.data, 9)


def test_what_passes_a_new_gradient_on_has_a_share_in_it():
    """The gradient of y reaches both a and b, which have another use each."""
    a, b = (minidl.tensor(np.zeros((2, 3), np.float32), requires_grad=True) for _ in range(2))
    doubled = [x * 1 for x in (a, b)]
    y = doubled[0] + doubled[1]
    others = [New(lambda gy, n=n: n * gy).apply(x).sum() for n, x in zip((2, 3), doubled)]
    for loss in (New(lambda gy: gy * 5).apply(y).sum() + others[0] + others[1],
                 others[0] + others[1] + New(lambda gy: gy * 5).apply(y).sum()):  # fmt: skip
        a.grad = b.grad = None
        loss.backward(retain_graph=True)
        np.testing.assert_array_equal(a.grad.data, 7)
        np.testing.assert_array_equal(b.grad.data, 8)


def test_only_a_sum_of_the_walks_own_is_added_to():
    x = minidl.tensor(np.zeros((2, 3), np.float32), requires_grad=True)
    for other, expected in ((New(lambda gy: 2 * gy), True), (Given(lambda gy: 2 * gy), False)):
        adds = Adds(lambda gy: 3 * gy)
        # The walk comes to what was added last, last.
        (adds.apply(x * 1) + 0).sum().backward()
        assert adds.seen is None
        adds, middle = Adds(lambda gy: 3 * gy), x * 1
        (other.apply(middle).sum() + adds.apply(middle).sum()).backward(retain_graph=True)
        assert (adds.seen is not None) == expected


@pytest.mark.parametrize("frozen", [True, False])
def test_a_convolution_with_relu_adds_to_what_another_use_gave(frozen):
    """Its gradient comes second here, and is the one that two operations give."""
    rng, gradients = np.random.default_rng(0), []
    x = minidl.tensor(rng.standard_normal((2, 3, 6, 5)), requires_grad=True)
    w = minidl.tensor(rng.standard_normal((4, 3, 3, 3)), requires_grad=not frozen)
    for convolve in (F.conv2d_relu, lambda x, w: F.conv2d(x, w).relu()):
        x.grad = w.grad = None
        middle = x * 1
        ((middle.relu() * 3).sum() + (convolve(middle, w) ** 2).sum()).backward()
        gradients.append([leaf.grad.numpy() for leaf in ((x,) if frozen else (x, w))])
    for one_pass, two in zip(*gradients):
        np.testing.assert_allclose(one_pass, two, rtol=1e-12, atol=1e-12)


def read_only(array):
    array.flags.writeable = False
    return array
