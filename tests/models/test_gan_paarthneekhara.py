"""paarthneekhara's networks: sizes, and twins in PyTorch."""

import numpy as np
import pytest

import minidl
from minidl.errors import ShapeError
from models.gan_paarthneekhara import Discriminator, Generator


def n_parameters(module):
    return sum(parameter.numel() for parameter in module.parameters())


def test_parameters():
    """Summed up by hand: text, start, deconvolutions, norms; convolutions, norms, text, head."""
    text = 2400 * 256 + 256
    windows = 25 * (3 * 64 + 64 * 128 + 128 * 256 + 256 * 512)
    start, head = 356 * 8192 + 8192, 768 * 512 + 512 + 8192 + 1
    assert n_parameters(Generator()) == (
        text + start + windows + (256 + 128 + 64 + 3) + 2 * (512 + 256 + 128 + 64)
    )
    assert n_parameters(Discriminator()) == (
        text + windows + (64 + 128 + 256 + 512) + 2 * (128 + 256 + 512) + head + 2 * 512
    )
    assert n_parameters(Generator()) == 7_847_171
    assert n_parameters(Discriminator()) == 5_325_953


def test_without_a_text():
    pictures = Generator(ngf=2, noise=5, text=0)(minidl.randn(3, 5))
    assert pictures.shape == (3, 3, 64, 64)
    assert Discriminator(ndf=2, text=0)(pictures).shape == (3,)


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: Generator(ngf=1)(minidl.ones(2, 100), minidl.ones(2, 9)), "text is (N, 2400)"),
        (
            lambda: Discriminator(ndf=1)(minidl.ones(2, 3, 32, 32), minidl.ones(2, 2400)),
            "(N, 3, 64, 64)",
        ),
    ],
)
def test_what_does_not_fit(call, says):
    with pytest.raises(ShapeError) as caught:
        call()
    assert says in str(caught.value)


@pytest.mark.torch
def test_both_learn_as_their_twins():
    """Pictures, scores and all gradients, in float64, with the same weights."""
    torch = pytest.importorskip("torch")
    from tests.models import paarthneekhara_twins as twins

    rng = np.random.default_rng(0)
    noise, text = rng.standard_normal((4, 7)), rng.standard_normal((4, 9))
    nets = [Generator(2, 7, 9, 5).to("float64"), Discriminator(2, 9, 5).to("float64")]
    others = [twins.Generator(2, 7, 9, 5).double(), twins.Discriminator(2, 9, 5).double()]
    for net, other in zip(nets, others):
        for parameter in net.parameters():
            parameter.data[...] = rng.normal(0.1, 0.3, parameter.shape)
        state = {name: torch.tensor(value.numpy().copy())
                 for name, value in net.state_dict().items()}  # fmt: skip
        other.load_state_dict(state)
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
