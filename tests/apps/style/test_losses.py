"""Losses of content and style: what they must satisfy whatever the picture is."""

import numpy as np
import pytest

import minidl
from apps.style.losses import NORMS, content_loss, gram, style_loss, total_variation
from minidl.debug import gradcheck
from minidl.errors import ArgumentError

RNG = np.random.default_rng(0)


def features(*shape, grad=False):
    return minidl.tensor(RNG.standard_normal((1, *shape)), dtype="float64", requires_grad=grad)


def mask_of(H, W):
    mask = RNG.random((H, W))
    mask[0] = 0
    return mask


# --- Gram matrices ------------------------------------------------------------------------------


def test_gram_is_the_mean_of_outer_products():
    x = features(3, 4, 5)
    rows = x.data[0].reshape(3, 20)
    np.testing.assert_allclose(gram(x).data, rows @ rows.T / 20, rtol=1e-12)
    mask = mask_of(4, 5)
    weighted = (rows * mask.ravel()) @ rows.T / mask.sum()
    np.testing.assert_allclose(gram(x, mask).data, weighted, rtol=1e-12)


def test_gram_is_symmetric_and_positive_semidefinite():
    G = gram(features(6, 3, 4)).data
    np.testing.assert_array_equal(G, G.T)
    assert np.linalg.eigvalsh(G).min() > -1e-12


def test_trace_is_the_mean_square():
    x = features(6, 3, 4)
    assert np.trace(gram(x).data) == pytest.approx((x.data**2).sum() / (3 * 4))


def test_gram_forgets_where_things_are():
    x = features(6, 3, 4)
    shuffled = x.data.reshape(1, 6, 12)[:, :, RNG.permutation(12)].reshape(1, 6, 4, 3)
    np.testing.assert_allclose(gram(minidl.tensor(shuffled)).data, gram(x).data, rtol=1e-10)


def test_a_mask_of_zero_and_one_is_a_part_of_the_picture():
    x, mask = features(5, 4, 6), np.zeros((4, 6))
    mask[:, 2:] = 1
    part = minidl.tensor(np.ascontiguousarray(x.data[..., 2:]))
    np.testing.assert_allclose(gram(x, mask).data, gram(part).data, rtol=1e-12)


# --- gradients ----------------------------------------------------------------------------------


@pytest.mark.parametrize("masked", [False, True])
def test_gradient_of_gram(masked):
    x = features(4, 3, 5, grad=True)
    mask = mask_of(3, 5) if masked else None
    assert gradcheck(lambda x: gram(x, mask), [x])


@pytest.mark.parametrize("norm", NORMS)
def test_gradients_of_the_losses(norm):
    x, other = features(3, 4, 5, grad=True), features(3, 4, 5)
    assert gradcheck(lambda x: content_loss(x, other, norm), [x])
    target = gram(other)
    assert gradcheck(lambda x: style_loss(gram(x), target, norm), [x])
    assert gradcheck(lambda x: total_variation(x, norm), [x])


# --- values -------------------------------------------------------------------------------------


@pytest.mark.parametrize("norm", NORMS)
def test_losses_are_zero_at_the_target(norm):
    x = features(3, 4, 5)
    assert content_loss(x, x, norm).item() == style_loss(gram(x), gram(x), norm).item() == 0
    flat = minidl.full((1, 3, 4, 5), 7.0)
    assert total_variation(flat, norm).item() == 0


@pytest.mark.parametrize("C, H, W", [(3, 4, 5), (16, 9, 7)])
def test_paper_and_port_differ_by_known_factors(C, H, W):
    x, other = features(C, H, W), features(C, H, W)
    paper, port = (content_loss(x, other, norm).item() for norm in ("paper", "port"))
    assert paper == pytest.approx(port * C * H * W / 2)
    G, A = gram(x), gram(other)
    paper, port = (style_loss(G, A, norm).item() for norm in ("paper", "port"))
    assert paper == pytest.approx(port * C**2 / 4)


def test_the_published_formulas():
    """Gatys et al. 2016, equations 1, 3 and 4, and the mean squared errors of the ports."""
    F, P = RNG.standard_normal((2, 4, 30))
    x, other = (minidl.tensor(a.reshape(1, 4, 5, 6)) for a in (F, P))
    E = ((F @ F.T - P @ P.T) ** 2).sum() / (4 * 4**2 * 30**2)
    assert style_loss(gram(x), gram(other), "paper").item() == pytest.approx(E)
    assert content_loss(x, other, "paper").item() == pytest.approx(((F - P) ** 2).sum() / 2)
    port = (((F @ F.T - P @ P.T) / (4 * 30)) ** 2).mean()
    assert style_loss(gram(x), gram(other), "port").item() == pytest.approx(port)
    assert content_loss(x, other, "port").item() == pytest.approx(((F - P) ** 2).mean())


@pytest.mark.parametrize("factor", [1e-2, 1e3])
def test_the_target_norm_does_not_care_for_scale(factor):
    x, other = features(3, 4, 5), features(3, 4, 5)
    scaled, other_scaled = x * factor, other * factor
    assert content_loss(scaled, other_scaled).item() == pytest.approx(content_loss(x, other).item())
    expected = style_loss(gram(x), gram(other)).item()
    assert style_loss(gram(scaled), gram(other_scaled)).item() == pytest.approx(expected)


def test_five_layers_of_100_are_500_normalised():
    """jcjohnson/neural-style weighs each of five layers with 100, anishathalye/neural-style their
    mean with 500."""
    pairs = [(gram(features(4, 3, 3)), gram(features(4, 3, 3))) for _ in range(5)]
    losses = [style_loss(G, A, "port").item() for G, A in pairs]
    assert sum(100 * loss for loss in losses) == pytest.approx(500 * np.mean(losses))


@pytest.mark.parametrize("norm", ["paper", "port"])
def test_blended_grams_and_blended_losses_have_one_gradient(norm):
    """With weights a + b = 1 the losses themselves differ by a constant, ab |A - B|^2."""
    A, B, a, b = gram(features(4, 3, 5)), gram(features(4, 3, 5)), 0.3, 0.7
    gradients, differences = [], []
    for _ in range(2):
        x = features(4, 3, 5, grad=True)
        grams = style_loss(gram(x), a * A + b * B, norm)
        grams.backward()
        first, x.grad = x.grad, None
        losses = a * style_loss(gram(x), A, norm) + b * style_loss(gram(x), B, norm)
        losses.backward()
        gradients.append((first.data, x.grad.data))
        differences.append(losses.item() - grams.item())
    for first, second in gradients:
        np.testing.assert_allclose(first, second, rtol=1e-9, atol=1e-15)
    assert differences[0] == pytest.approx(differences[1], rel=1e-6)
    assert differences[0] == pytest.approx(a * b * style_loss(A, B, norm).item(), rel=1e-6)


def test_an_unknown_norm():
    with pytest.raises(ArgumentError, match="no such norm"):
        content_loss(features(2, 2, 2), features(2, 2, 2), "papr")
