"""Gradients that pass through a discriminator and leave it alone."""

import numpy as np
import pytest

import minidl
from apps.draw.gradients import passing_gradients
from minidl.nn.norm import Normalization
from models.gan_cls import Discriminator


def with_norms():
    minidl.manual_seed(0)
    return Discriminator(ndf=2, text=3), minidl.randn(4, 3, 64, 64), minidl.randn(4, 3)


def score_and_gradient(net, pictures, text):
    pictures = minidl.tensor(pictures.numpy().copy(), requires_grad=True)
    scores = net(pictures, text)
    scores.square().sum().backward()
    return scores.detach().numpy(), pictures.grad.numpy()


def test_batch_norm_goes_on_with_the_batch():
    """freeze() would judge the generator by the running averages, which are another network."""
    net, *batch = with_norms()
    expected = score_and_gradient(net, *batch)
    net, *batch = with_norms()
    with passing_gradients(net):
        found = score_and_gradient(net, *batch)
    for ours, theirs in zip(found, expected):
        np.testing.assert_array_equal(ours, theirs)
    for layer in net.modules():
        learned = [p.grad is not None for p in layer.parameters(recurse=False)]
        assert all(learned) if isinstance(layer, Normalization) else not any(learned), layer


def test_everything_is_as_it_was_afterwards():
    net, *batch = with_norms()
    net.residual.freeze()
    before = {name: p.requires_grad for name, p in net.named_parameters()}
    with pytest.raises(RuntimeError), passing_gradients(net):
        raise RuntimeError
    assert {name: p.requires_grad for name, p in net.named_parameters()} == before
    with passing_gradients(net) as same:
        assert same is net
        loss = net(*batch).sum()
    loss.backward()  # outside of the block, too, nothing arrives
    assert net.features[0].weight.grad is None
    net(*batch).sum().backward()
    assert net.features[0].weight.grad is not None
