"""A frozen norm is frozen altogether: what it has seen stays, with parameters of its own or not."""

import copy

import numpy as np
import pytest

import minidl
from minidl import nn
from tests.op_cases.case import normal

NORMS = {
    "BatchNorm2d": lambda **options: nn.BatchNorm2d(3, **options),
    "BatchNorm1d": lambda **options: nn.BatchNorm1d(3, **options),
    "InstanceNorm2d": lambda **options: nn.InstanceNorm2d(3, track_running_stats=True, **options),
}
by_norm = pytest.mark.parametrize("name", NORMS)
by_affine = pytest.mark.parametrize("affine", [True, False])


def batch(name, seed=0):
    shape = (4, 3) if name == "BatchNorm1d" else (4, 3, 5, 2)
    return minidl.tensor((2 + 3 * normal(*shape, seed=seed)).astype(np.float32))


def state(module):
    return {name: value.numpy().copy() for name, value in module.state_dict().items()}


def assert_same(module, before):
    for name, value in state(module).items():
        np.testing.assert_array_equal(value, before[name], err_msg=name)


def seen(name, **options):
    """A norm with averages worth keeping."""
    norm = NORMS[name](**options)
    norm(batch(name))
    return norm


@by_affine
@by_norm
@pytest.mark.parametrize("momentum", [0.3, None])
def test_freeze(name, affine, momentum):
    if name == "InstanceNorm2d" and momentum is None:
        momentum = 0.5
    norm = seen(name, affine=affine, momentum=momentum)
    before, x = state(norm), batch(name, seed=1)
    expected = norm.eval()(x).detach().numpy()
    norm.train().freeze()
    np.testing.assert_array_equal(norm(x).numpy(), expected)
    assert_same(norm, before)
    norm.unfreeze()
    norm(x)
    assert (norm.running_mean.numpy() != before["running_mean"]).all()
    assert (norm.running_var.numpy() != before["running_var"]).all()


@by_affine
@by_norm
def test_a_network_around_it(name, affine):
    """However deep it lies, and by requires_grad_ as well; the rest goes on learning."""
    norm, free = seen(name, affine=affine), seen(name, affine=affine)
    model = nn.Sequential(nn.Sequential(nn.Identity(), nn.Sequential(norm)), free)
    model[0].requires_grad_(False)
    before, moving = state(norm), state(free)
    x = minidl.tensor(batch(name, seed=1).numpy(), requires_grad=True)
    model(x).sum().backward()
    assert_same(norm, before)
    assert (free.running_mean.numpy() != moving["running_mean"]).all()
    assert x.grad is not None
    model.unfreeze()
    model(x)
    assert (norm.running_mean.numpy() != before["running_mean"]).all()


@by_affine
@by_norm
def test_modes_and_copies(name, affine):
    """Evaluation and back, train(), a copy, a saved state: none of them thaws it."""
    norm = seen(name, affine=affine)
    norm.freeze()
    before, x = state(norm), batch(name, seed=1)
    with nn.evaluating(norm):
        norm(x)
    norm.eval().train()(x)
    norm.load_state_dict(before)
    norm(x)
    assert_same(norm, before)
    other = copy.deepcopy(norm)
    other(x)
    assert_same(other, before)
    other.unfreeze()
    other(x)
    norm(x)
    assert_same(norm, before)


@by_norm
def test_parameters_frozen_by_hand(name):
    """Where there are some, they tell: none learns, so the norm is frozen."""
    norm = seen(name, affine=True)
    for parameter in norm.parameters():
        parameter.requires_grad = False
    before = state(norm)
    norm(batch(name, seed=1))
    assert_same(norm, before)
    norm.bias.requires_grad = True
    norm(batch(name, seed=1))
    assert (norm.running_mean.numpy() != before["running_mean"]).all()


@by_affine
def test_without_averages_there_is_nothing_to_freeze(affine):
    for norm in (
        nn.InstanceNorm2d(3, affine=affine),
        nn.BatchNorm2d(3, affine=affine, track_running_stats=False),
    ):
        x = batch("BatchNorm2d")
        expected = norm(x).detach().numpy()
        np.testing.assert_array_equal(norm.freeze()(x).numpy(), expected)


def test_dropout_of_a_frozen_network_still_drops():
    assert (nn.Sequential(nn.Dropout(0.5)).freeze()(minidl.ones(1000)).numpy() == 0).any()


def test_a_layer_with_something_else_to_learn():
    """A layer of a user that counts in training stops with the rest, by learn_here."""

    class Counter(nn.Module):
        def __init__(self):
            super().__init__()
            self.register_buffer("seen", minidl.zeros(1))
            self.counts = True

        def learn_here(self, learns):
            super().learn_here(learns)
            self.counts = learns

        def forward(self, x):
            if self.training and self.counts:
                self.seen.data += 1
            return x

    model = nn.Sequential(nn.Linear(2, 2), Counter()).freeze()
    model(minidl.ones(1, 2))
    model.unfreeze()
    model(minidl.ones(1, 2))
    assert model[1].seen.item() == 1


def test_folding_a_frozen_norm():
    model = nn.Sequential(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3, affine=False))
    model(batch("BatchNorm2d"))
    x = batch("BatchNorm2d", seed=1)
    expected = model.freeze()(x).numpy()
    fused = nn.fuse_batch_norms(model, x)
    assert isinstance(fused[1], nn.Identity)
    np.testing.assert_allclose(fused(x).numpy(), expected, rtol=1e-5, atol=1e-5)
