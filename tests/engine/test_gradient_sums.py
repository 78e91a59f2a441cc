"""A Tensor with several uses: their gradients add up, and no array that others hold is changed."""

import numpy as np
import pytest

import minidl


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


def read_only(array):
    array.flags.writeable = False
    return array
