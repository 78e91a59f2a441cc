"""GAN-CLS and paarthneekhara's GAN: without a text, and beside their twins in PyTorch."""

import numpy as np
import pytest

import minidl
from models import gan_cls, gan_paarthneekhara
from tests.models.shared import with_weights_of

GANS = pytest.mark.parametrize("gan", [gan_cls, gan_paarthneekhara], ids=["cls", "paarthneekhara"])


@GANS
def test_without_a_text(gan):
    pictures = gan.Generator(ngf=2, noise=5, text=0)(minidl.randn(3, 5))
    assert pictures.shape == (3, 3, 64, 64)
    assert gan.Discriminator(ndf=2, text=0)(pictures).shape == (3,)


@pytest.mark.torch
@GANS
def test_both_learn_as_their_twins(gan):
    """Pictures, scores and all gradients, in float64, with the same weights."""
    torch = pytest.importorskip("torch")
    from tests.models import gan_twins, paarthneekhara_twins

    twins = {gan_cls: gan_twins, gan_paarthneekhara: paarthneekhara_twins}[gan]
    rng = np.random.default_rng(0)
    noise, text = rng.standard_normal((4, 7)), rng.standard_normal((4, 9))
    nets = [gan.Generator(2, 7, 9, 5).to("float64"), gan.Discriminator(2, 9, 5).to("float64")]
    others = [twins.Generator(2, 7, 9, 5).double(), twins.Discriminator(2, 9, 5).double()]
    for net, other in zip(nets, others):
        for parameter in net.parameters():
            parameter.data[...] = rng.normal(0.1, 0.3, parameter.shape)
        with_weights_of(other, net)
    pictures = nets[0](minidl.tensor(noise), minidl.tensor(text))
    scores = nets[1](pictures, minidl.tensor(text))
    (scores * scores).sum().backward()
    expected = others[0](torch.from_numpy(noise), torch.from_numpy(text))
    expected_scores = others[1](expected, torch.from_numpy(text))
    (expected_scores * expected_scores).sum().backward()
    np.testing.assert_allclose(pictures.data, expected.detach().numpy(), rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(scores.data, expected_scores.detach().numpy(), rtol=1e-9)
    for net, other in zip(nets, others):
        gradients = dict(other.named_parameters())
        for name, parameter in net.named_parameters():
            right = gradients[name].grad.numpy()
            largest = np.abs(right).max()
            np.testing.assert_allclose(
                parameter.grad.numpy(), right, rtol=1e-7, atol=1e-10 * max(1, largest), err_msg=name
            )
