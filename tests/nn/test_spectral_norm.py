"""Spectral norm against PyTorch's, and what it does to a layer."""

import copy
import pickle

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, CheckpointError, ShapeError

# What makes a layer -> (its class afterwards, PyTorch's arguments, the shape of an input)
LAYERS = {
    "Conv2d": (nn.SpectralConv2d, (3, 5, (2, 4), 2, 1), (2, 3, 7, 6)),
    "ConvTranspose2d": (nn.SpectralConvTranspose2d, (3, 5, 4, 2, 1), (2, 3, 4, 3)),
    "Linear": (nn.SpectralLinear, (6, 4), (3, 6)),
}


def make(kind, **options):
    minidl.manual_seed(1)
    return nn.spectral_norm(getattr(nn, kind)(*LAYERS[kind][1]), **options)


def input_of(kind):
    return np.random.default_rng(0).standard_normal(LAYERS[kind][2])


def largest_singular_value(weight, dim):
    rows = np.moveaxis(weight, dim, 0)
    return np.linalg.svd(rows.reshape(len(rows), -1), compute_uv=False)[0]


@pytest.mark.parametrize("kind", LAYERS)
def test_the_largest_singular_value_becomes_1(kind):
    layer = make(kind, n_power_iterations=60)
    assert type(layer) is LAYERS[kind][0]
    dim = 1 if kind == "ConvTranspose2d" else 0
    assert largest_singular_value(layer.weight.detach().numpy(), dim) == pytest.approx(1, rel=1e-5)


@pytest.mark.torch
@pytest.mark.parametrize("kind", LAYERS)
@pytest.mark.parametrize("steps", [1, 3])
def test_it_is_the_parametrization_of_pytorch(kind, steps):
    """Names, outputs and gradients, in float64; forward twice before backward, then evaluation."""
    torch = pytest.importorskip("torch")
    from torch.nn.utils.parametrizations import spectral_norm

    layer = make(kind, n_power_iterations=steps).to("float64")
    twin = getattr(torch.nn, kind)(*LAYERS[kind][1]).double()
    twin = spectral_norm(twin, n_power_iterations=steps)
    assert list(layer.state_dict()) == list(twin.state_dict())
    layer.load_state_dict(twin.state_dict())
    x, other = input_of(kind), input_of(kind)[::-1].copy()

    def loss(layer, make_tensor):
        y, z = layer(make_tensor(x)), layer(make_tensor(other))
        return (y * y).sum() + (y * z).sum()

    ours, theirs = loss(layer, minidl.tensor), loss(twin, torch.tensor)
    ours.backward()
    theirs.backward()
    assert ours.item() == pytest.approx(theirs.item(), rel=1e-12)
    for (name, p), (same, q) in zip(layer.named_parameters(), twin.named_parameters()):
        assert name == same
        np.testing.assert_allclose(p.grad.numpy(), q.grad.numpy(), rtol=1e-9, atol=1e-12)
    for name, value in twin.state_dict().items():
        np.testing.assert_allclose(layer.state_dict()[name].numpy(), value.numpy(), rtol=1e-12)
    layer.eval(), twin.eval()
    with torch.no_grad():
        expected = twin(torch.tensor(x)).numpy()
    np.testing.assert_allclose(layer(minidl.tensor(x)).detach().numpy(), expected, rtol=1e-10)


def test_the_parts_by_themselves():
    weight = nn.Parameter(minidl.tensor([[3.0, 0.0], [0.0, 1.0]]))
    normalized = nn.NormalizedWeight(weight, nn.SpectralNorm(weight, n_power_iterations=2))
    np.testing.assert_allclose(normalized().detach().numpy(), [[1, 0], [0, 1 / 3]], atol=1e-6)
    assert list(normalized.state_dict()) == ["original", "0._u", "0._v"]


def test_no_power_iteration_in_evaluation():
    layer, x = make("Conv2d").eval(), minidl.tensor(input_of("Conv2d").astype("float32"))
    norm = layer.get_submodule("parametrizations.weight.0")
    before = norm._u.numpy().copy(), norm._v.numpy().copy()
    first = layer(x).detach().numpy()
    np.testing.assert_array_equal(layer(x).detach().numpy(), first)
    np.testing.assert_array_equal(norm._u.numpy(), before[0])
    layer.train()(x)
    assert not np.array_equal(norm._u.numpy(), before[0])
    assert not np.array_equal(norm._v.numpy(), before[1])


def test_a_frozen_layer_passes_gradients_on_and_iterates():
    layer, x = make("Linear").freeze(), minidl.ones(2, 6, requires_grad=True)
    norm = layer.get_submodule("parametrizations.weight.0")
    before = norm._u.numpy().copy()
    layer(x).sum().backward()
    assert x.grad is not None
    assert all(parameter.grad is None for parameter in layer.parameters())
    assert not np.array_equal(norm._u.numpy(), before)


def test_a_forward_pass_leaves_the_gradient_of_an_earlier_one_alone():
    layer, x = make("Linear"), minidl.tensor(input_of("Linear").astype("float32"))
    state = {name: value.numpy().copy() for name, value in layer.state_dict().items()}
    gradients = []
    for calls in (1, 5):
        layer.load_state_dict(state)
        layer.zero_grad()
        losses = [layer(x).square().sum() for _ in range(calls)]
        losses[0].backward()
        gradients.append(layer.parametrizations["weight"].original.grad.numpy().copy())
    np.testing.assert_array_equal(*gradients)


def test_copies_learn_apart():
    for duplicate in (copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer))):
        layer = make("Linear")
        twin = duplicate(layer)
        twin.parametrizations["weight"].original.data[...] = 0.5
        twin(minidl.ones(1, 6))
        norms = [one.get_submodule("parametrizations.weight.0") for one in (layer, twin)]
        assert not np.array_equal(norms[0]._u.numpy(), norms[1]._u.numpy())


def test_a_state_without_the_norm_is_refused():
    with pytest.raises(CheckpointError, match=r"parametrizations\.weight\.original"):
        make("Linear").load_state_dict(nn.Linear(6, 4).state_dict())


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: nn.spectral_norm(nn.ReLU()), "Conv2d, ConvTranspose2d or Linear"),
        (lambda: nn.spectral_norm(make("Linear")), "SpectralLinear"),
        (lambda: nn.spectral_norm(nn.Linear(2, 2), "bias"), "only"),
        (lambda: nn.spectral_norm(nn.Linear(2, 2), n_power_iterations=0), ">= 1"),
        (lambda: nn.spectral_norm(nn.Linear(2, 2), eps=-1), "eps"),
        (lambda: nn.spectral_norm(nn.Linear(2, 2), dim=2), "dim"),
        (lambda: nn.SpectralNorm(minidl.ones(3)), "two dimensions"),
        (lambda: nn.SpectralNorm(minidl.ones(0, 2)), "empty"),
        (lambda: nn.SpectralNorm(minidl.ones(2, 2))(minidl.ones(3, 3)), r"u is \(3,\)"),
    ],
)
def test_what_does_not_fit(call, says):
    with pytest.raises((ArgumentError, ShapeError), match=says):
        call()
    # A layer that was refused is as it was.
    layer = nn.Linear(2, 2)
    with pytest.raises(ArgumentError):
        nn.spectral_norm(layer, dim=2)
    assert list(layer.state_dict()) == ["weight", "bias"]
