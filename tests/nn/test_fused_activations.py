"""Layers with an activation in their own pass over memory: the numbers are those of two layers."""

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.nn import functional


def outcome(layer, call, x):
    """What comes out, and the gradients of x and of the parameters."""
    x = minidl.Tensor(x.copy(), requires_grad=True)
    y = call(x)
    (y * y).sum().backward()
    return [y.detach().numpy(), x.grad.numpy(), *(p.grad.numpy() for p in layer.parameters())]


@pytest.mark.parametrize("slope", [0.0, 0.2])
@pytest.mark.parametrize("normalized", [False, True])
def test_a_convolution_and_its_activation(slope, normalized):
    layer = nn.Conv2d(16, 32, 4, stride=2, padding=1)
    layer = nn.spectral_norm(layer).eval() if normalized else layer
    x = np.random.default_rng(0).standard_normal((3, 16, 10, 8)).astype(np.float32)
    found = outcome(layer, lambda x: layer(x, negative_slope=slope), x)
    layer.zero_grad()
    expected = outcome(layer, lambda x: functional.leaky_relu(layer(x), slope), x)
    for ours, right in zip(found, expected):
        np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-5 * np.abs(right).max())


@pytest.mark.parametrize("training", [True, False])
def test_a_batch_norm_and_its_relu(training):
    layer = nn.BatchNorm2d(5).train(training)
    x = np.random.default_rng(1).standard_normal((4, 5, 3, 2)).astype(np.float32)
    found = outcome(layer, lambda x: layer(x, relu=True), x)
    layer.zero_grad()
    layer.reset_running_stats()
    expected = outcome(layer, lambda x: layer(x).relu(), x)
    assert (found[0] == 0).any() and (found[0] >= 0).all()
    for ours, right in zip(found, expected):
        np.testing.assert_allclose(ours, right, rtol=1e-5, atol=1e-6)
