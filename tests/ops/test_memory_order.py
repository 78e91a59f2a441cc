"""Gradients of pictures are channels last in memory, as activations are.

A gradient in another order would be right, but every kernel behind it would bring it into its own
order first.
"""

import numpy as np
import pytest

import minidl
from minidl.kernels.layout import channels_first


def channels_last_memory(array):
    return array.transpose(0, 2, 3, 1).flags.c_contiguous


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x[:, :, ::2, ::2],
        lambda x: x[:, [0, 2]],
        lambda x: minidl.split(x, [1, 2], 1)[0],
        lambda x: minidl.unbind(x, 2)[1],
        lambda x: minidl.nn.functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 1, 1)),
        lambda x: minidl.nn.functional.max_pool2d(x, 2),
        lambda x: minidl.cat([x, x], 1),
        lambda x: x.relu() + x,
    ],
    ids=["slices", "indices", "split", "unbind", "pad", "pool", "cat", "add"],
)
def test_gradient_keeps_the_order_of_pictures(function):
    data = channels_first(np.random.default_rng(0).standard_normal((2, 4, 6, 3)))
    x = minidl.Tensor(data, requires_grad=True) * 1
    found = []
    x.register_hook(lambda gradient: found.append(gradient.data))
    y = function(x)
    ones = np.ones(y.shape)
    y.backward(channels_first(ones.transpose(0, 2, 3, 1).copy()) if y.ndim == 4 else ones)
    assert len(found) == 1 and channels_last_memory(found[0])


def test_a_residual_network_stays_channels_last(monkeypatch):
    """No gradient inside of ResNet-20, whose shortcuts take every other pixel, changes order."""
    from minidl.ops.batch_norm import BatchNorm
    from models import build

    found = []
    backward = BatchNorm.backward

    def watch(self, gy):
        found.append(channels_last_memory(gy))
        return backward(self, gy)

    monkeypatch.setattr(BatchNorm, "backward", watch)
    net = build("resnet20_cifar")
    net(minidl.randn(2, 3, 32, 32)).sum().backward()
    assert len(found) == 19 and all(found)
