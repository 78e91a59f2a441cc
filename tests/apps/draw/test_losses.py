"""The losses of the GAN: their formulas, gradients, and what each is for."""

import numpy as np
import pytest

import minidl
from apps.draw.losses import (
    LOSSES,
    PAPER,
    Weights,
    discriminator_loss,
    generator_loss,
    with_interpolated,
)
from minidl.debug.gradcheck import gradcheck
from minidl.errors import ArgumentError, ShapeError

REAL, WRONG, FAKE = np.random.default_rng(0).normal(0, 2, (3, 5))


def sigmoid(s):
    return 1 / (1 + np.exp(-s))


def tensors(**options):
    return [minidl.tensor(scores, **options) for scores in (REAL, FAKE, WRONG)]


@pytest.mark.parametrize("kind", ["minimax", "non-saturating"])
@pytest.mark.parametrize("weights", [PAPER, Weights(0.5, 1.0), Weights(0.3, 0.9)])
def test_cross_entropy_by_probabilities(kind, weights):
    """As the papers write it: log D(x), log(1 - D(G(z)))."""
    D = {name: sigmoid(s) for name, s in (("r", REAL), ("w", WRONG), ("f", FAKE))}
    right, wrong, fake = np.log(D["r"]), np.log(1 - D["w"]), np.log(1 - D["f"])
    plain = -right.mean() - fake.mean()
    cls = -right.mean() - weights.wrong * wrong.mean() - weights.fake * fake.mean()
    real, drawn, other = tensors()
    assert discriminator_loss(kind, real, drawn).item() == pytest.approx(plain, rel=1e-12)
    assert discriminator_loss(kind, real, drawn, other, weights).item() == pytest.approx(cls)
    expected = fake.mean() if kind == "minimax" else -np.log(D["f"]).mean()
    assert generator_loss(kind, drawn).item() == pytest.approx(expected, rel=1e-12)


def test_hinge():
    real, drawn, other = tensors()
    hinges = [np.maximum(0, 1 - REAL).mean(), *(np.maximum(0, 1 + s).mean() for s in (WRONG, FAKE))]
    expected = hinges[0] + 0.5 * hinges[1] + hinges[2]
    loss = discriminator_loss("hinge", real, drawn, other, Weights(0.5, 1.0))
    assert loss.item() == pytest.approx(expected, rel=1e-12)
    assert generator_loss("hinge", drawn).item() == pytest.approx(-FAKE.mean())


def test_the_papers_weights_are_the_default():
    """Half and half, Reed et al. 2016, algorithm 1."""
    given = discriminator_loss("minimax", *tensors(), Weights(0.5, 0.5))
    assert discriminator_loss("minimax", *tensors()).item() == given.item()


@pytest.mark.parametrize("kind", LOSSES)
def test_gradients(kind):
    """In float64; no score lies within a step of the hinge's kinks."""
    scores = tensors(requires_grad=True)
    weights = Weights(0.3, 0.9)
    assert gradcheck(lambda *s: discriminator_loss(kind, *s, weights), scores)
    assert gradcheck(lambda r, f: discriminator_loss(kind, r, f), scores[:2])
    assert gradcheck(lambda f: generator_loss(kind, f), scores[1:2])


def test_where_the_discriminator_is_sure_only_minimax_has_no_slope():
    slopes = {}
    for kind in LOSSES:
        fake = minidl.tensor([-30.0], requires_grad=True)
        generator_loss(kind, fake).backward()
        slopes[kind] = fake.grad.item()
    assert abs(slopes["minimax"]) < 1e-10
    assert slopes["non-saturating"] == slopes["hinge"] == pytest.approx(-1)


@pytest.mark.parametrize("kind", LOSSES)
def test_the_generator_wants_what_the_discriminator_calls_real(kind):
    fake = minidl.tensor([0.3, -0.2], requires_grad=True)
    generator_loss(kind, fake).backward()
    assert (fake.grad.numpy() < 0).all()


@pytest.mark.parametrize("scores", [1e4, -1e4])
@pytest.mark.parametrize("kind", LOSSES)
def test_scores_far_out_stay_finite(kind, scores):
    far = minidl.tensor([scores, scores], requires_grad=True)
    loss = discriminator_loss(kind, far, far, far) + generator_loss(kind, far)
    loss.backward()
    assert np.isfinite(loss.item()) and np.isfinite(far.grad.numpy()).all()


@pytest.mark.parametrize("n, half", [(2, 1), (5, 2), (6, 3)])
def test_interpolated_texts(n, half):
    """The texts themselves, then points in the middle of two different ones, nobody twice."""
    texts = minidl.tensor(np.eye(n), requires_grad=True)
    order = minidl.tensor(np.random.default_rng(0).permutation(n))
    y = with_interpolated(texts, order)
    rows = y.detach().numpy()
    np.testing.assert_array_equal(rows[:n], np.eye(n))
    assert len(rows) == n + half
    assert (np.sort(rows[n:], 1)[:, -2:] == 0.5).all()
    assert rows[n:].sum(0).max() == 0.5
    assert gradcheck(lambda t: with_interpolated(t, order), [texts])


@pytest.mark.parametrize("kind", ["Hinge", "wgan", None])
def test_no_such_loss(kind):
    for call in (lambda: generator_loss(kind, minidl.ones(1)),
                 lambda: discriminator_loss(kind, *tensors())):  # fmt: skip
        with pytest.raises(ArgumentError, match="no such loss"):
            call()


def test_one_text_has_nothing_to_be_interpolated_with():
    with pytest.raises(ShapeError, match="N >= 2"):
        with_interpolated(minidl.ones(1, 4), minidl.tensor([0]))
