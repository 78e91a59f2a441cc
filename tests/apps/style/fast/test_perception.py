"""Perceptual losses of batches: means over pictures, bugs of a known port, gradients, twins."""

import numpy as np
import pytest

import minidl
from apps.style.fast.perception import Perception, grams
from apps.style.fast.settings import STYLE_LAYERS, Weights
from apps.style.loss_network import LossNetwork
from apps.style.losses import NORMS, gram, style_loss
from minidl.debug import gradcheck
from minidl.errors import ArgumentError

LAYERS = STYLE_LAYERS["squeezenet"]


def pictures(*shape, seed=0):
    values = np.random.default_rng(seed).uniform(0, 255, shape).astype(np.float32)
    return minidl.tensor(values)


@pytest.fixture(scope="module")
def network(loss_weights):
    return LossNetwork("squeezenet", str(loss_weights))


def perception(network, style, content=0.0, of_style=1.0, tv=0.0, norm="target"):
    return Perception(network, Weights(content, of_style, tv, ["fire3"], LAYERS, norm), style)


def test_gram_matrices_of_a_batch():
    x = pictures(3, 5, 4, 7)
    together = grams(x).numpy()
    for i in range(3):
        np.testing.assert_allclose(together[i], gram(x[i : i + 1]).numpy(), rtol=1e-5)
    assert np.array_equal(together, together.transpose(0, 2, 1))
    assert (np.linalg.eigvalsh(together) > -1e-2).all()


def test_the_gradient_of_gram_matrices():
    x = np.random.default_rng(0).standard_normal((2, 3, 4, 2))
    gradcheck(grams, minidl.tensor(x, requires_grad=True))


@pytest.mark.parametrize("norm", NORMS)
def test_the_style_loss_is_the_mean_over_pictures(network, norm):
    """Not that of the summed differences, nor over a Gram matrix of the whole batch."""
    style, drawn = pictures(1, 3, 70, 64), pictures(3, 3, 64, 64, seed=1)
    lens = perception(network, style, norm=norm)
    together = lens.losses(drawn, drawn)["style"].item()
    alone = [lens.losses(drawn[i : i + 1], drawn[:1])["style"].item() for i in range(3)]
    assert together == pytest.approx(np.mean(alone), rel=1e-4)


def test_pictures_that_differ_in_opposite_ways_do_not_cancel(network):
    """A known port adds up the differences of the Gram matrices before it squares them."""
    style = pictures(1, 3, 64, 64)
    lens = perception(network, style)
    features = network.features(style, LAYERS)
    off = {
        name: minidl.cat([x * 2**0.5, x * 0.0], 0)  # Gram matrices twice as large, and 0
        for name, x in features.items()
    }
    assert lens.style(off).item() == pytest.approx(len(LAYERS), rel=1e-4)


def test_the_divisor_is_the_size_of_the_gram_matrix(network):
    """Not that of the features: with norm port the loss is the mean over C x C entries."""
    style, drawn = pictures(1, 3, 64, 64), pictures(1, 3, 96, 96, seed=1)
    lens = perception(network, style, norm="port")
    expected = 0.0
    with minidl.no_grad():
        for name, x in network.features(drawn, LAYERS).items():
            C = x.shape[1]
            F = x.numpy().reshape(C, -1)
            difference = F @ F.T / F.size - lens.targets[name].numpy() / C
            expected += np.mean(difference**2)
    assert lens.losses(drawn, drawn)["style"].item() == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize("norm", NORMS)
def test_losses_are_zero_at_the_target(network, norm):
    style = pictures(1, 3, 64, 64)
    parts = perception(network, style, content=1.0, norm=norm).losses(style, style)
    assert parts["content"].item() == 0
    assert parts["style"].item() == pytest.approx(0, abs=1e-9)


def test_content_is_the_mean_over_pictures(network):
    photographs, drawn = pictures(2, 3, 64, 64), pictures(2, 3, 64, 64, seed=1)
    for norm in ("paper", "port"):
        lens = perception(network, None, content=1.0, norm=norm)
        alone = [
            lens.losses(drawn[i : i + 1], photographs[i : i + 1])["content"].item() for i in (0, 1)
        ]
        together = lens.losses(drawn, photographs)["content"].item()
        assert together == pytest.approx(np.mean(alone), rel=1e-4)


@pytest.mark.parametrize("norm", NORMS)
def test_total_variation_is_the_mean_over_pictures(network, norm):
    drawn = pictures(3, 3, 40, 50)
    lens = perception(network, None, tv=1.0, norm=norm)
    alone = [lens.losses(drawn[i : i + 1], drawn[i : i + 1])["tv"].item() for i in range(3)]
    assert lens.losses(drawn, drawn)["tv"].item() == pytest.approx(np.mean(alone), rel=1e-4)


def test_the_content_of_norm_target_is_over_the_whole_batch(network):
    photographs, drawn = pictures(2, 3, 64, 64), pictures(2, 3, 64, 64, seed=1)
    photographs = photographs * minidl.tensor([[[[1.0]]], [[[0.1]]]])
    found, wanted = (network.features(x, ["fire3"])["fire3"].numpy() for x in (drawn, photographs))
    expected = ((found - wanted) ** 2).sum() / (wanted**2).sum()
    lens = perception(network, None, content=1.0)
    assert lens.losses(drawn, photographs)["content"].item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "content, of_style, expected",
    [(1.0, 0.0, [["fire3"], ["fire3"]]), (0.0, 1.0, [LAYERS]), (0.0, 0.0, [])],
)
def test_features_of_parts_without_weight_are_not_computed(
    network, monkeypatch, content, of_style, expected
):
    drawn = pictures(1, 3, 64, 64)
    lens = perception(network, drawn, content, of_style, 1.0)
    asked, features = [], network.features
    monkeypatch.setattr(network, "features", lambda x, n: asked.append([*n]) or features(x, n))
    lens.losses(drawn, drawn)
    assert asked == expected


def test_the_pixels_may_be_a_layer(network):
    photographs, drawn = pictures(2, 3, 64, 64), pictures(2, 3, 64, 64, seed=1)
    lens = Perception(network, Weights(1.0, 0.0, 0.0, ["pixels"], LAYERS))
    expected = ((drawn - photographs) ** 2).sum().item() / (photographs**2).sum().item()
    assert lens.losses(drawn, photographs)["content"].item() == pytest.approx(expected, rel=1e-5)
    with pytest.raises(ArgumentError, match="no such layer"):
        Perception(network, Weights(1.0, 0.0, 0.0, ["pixel"], LAYERS))


def test_weights(network):
    style, drawn, photographs = (pictures(1, 3, 64, 64, seed=i) for i in range(3))
    plain = perception(network, style, 1.0, 1.0, 1.0).losses(drawn, photographs)
    weighted = perception(network, style, 2.0, 3.0, 4.0).losses(drawn, photographs)
    for name, factor in (("content", 2), ("style", 3), ("tv", 4)):
        assert weighted[name].item() == pytest.approx(factor * plain[name].item(), rel=1e-6)
    assert set(perception(network, style).losses(drawn, photographs)) == {"style"}


def test_the_photographs_have_no_gradient(network):
    drawn = pictures(1, 3, 64, 64)
    drawn.requires_grad = True
    photographs = pictures(1, 3, 64, 64, seed=1)
    photographs.requires_grad = True
    parts = perception(network, pictures(1, 3, 64, 64, seed=2), 1.0).losses(drawn, photographs)
    sum(parts.values()).backward()
    assert photographs.grad is None and np.abs(drawn.grad.numpy()).max() > 0


def test_style_loss_of_one_picture_is_that_of_gatys(network):
    """What optimises pixels and what trains networks minimise the same."""
    style, drawn = pictures(1, 3, 64, 64), pictures(1, 3, 64, 64, seed=1)
    lens = perception(network, style)
    with minidl.no_grad():
        found = network.features(drawn, LAYERS)
        expected = sum(style_loss(gram(found[n]), lens.targets[n]).item() for n in LAYERS)
    assert lens.losses(drawn, drawn)["style"].item() == pytest.approx(expected, rel=1e-5)
