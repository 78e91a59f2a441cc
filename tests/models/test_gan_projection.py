"""The small GAN: sizes, errors, and steps of training beside a twin in PyTorch."""

import numpy as np
import pytest

import minidl
from apps.draw.gradients import passing_gradients
from apps.draw.losses import Weights, discriminator_loss, generator_loss
from minidl import nn, optim
from minidl.debug.gradcheck import gradcheck
from minidl.errors import ArgumentError, ShapeError
from models.gan_projection import ConditionalBatchNorm2d, Discriminator, Generator, widths
from tests.models.shared import n_parameters, with_weights_of

HINGE = "hinge", Weights(0.5, 1.0)
RATES = 4e-4, 8e-4  # of generator and discriminator


def test_parameters():
    """Summed up by hand from the table."""
    assert n_parameters(Generator()) == 413_699
    assert n_parameters(Discriminator()) == 446_433
    # 4w more channels at 4 x 4 pixels: a layer 128 x 128 x 4 x 4, and in the generator its norm.
    assert n_parameters(Generator(size=64)) == 413_699 + 128 * 128 * 16 + 97 * 256
    assert n_parameters(Discriminator(size=64)) == 446_433 + 128 * 128 * 16 + 128


@pytest.mark.parametrize("size", [32, 64])
@pytest.mark.parametrize("text", [0, 7])
def test_sizes(size, text):
    words = minidl.randn(3, text) if text else None
    pictures = Generator(width=2, noise=5, text=text, size=size)(minidl.randn(3, 5), words)
    assert pictures.shape == (3, 3, size, size)
    assert float(np.abs(pictures.detach().numpy()).max()) <= 1
    assert Discriminator(width=2, text=text, size=size)(pictures, words).shape == (3,)


def test_one_look_many_texts():
    net = Discriminator(width=2).eval()
    pictures, texts = minidl.randn(4, 3, 32, 32), [minidl.randn(4, 128) for _ in range(2)]
    seen = net.look(pictures)
    for text in texts:
        np.testing.assert_array_equal(net.judge(seen, text).data, net(pictures, text).data)


def test_a_single_picture_has_a_finite_score():
    """It has no spread, and no gradient of one."""
    picture = minidl.randn(1, 3, 32, 32, requires_grad=True)
    score = Discriminator(width=2)(picture, minidl.randn(1, 128))
    score.sum().backward()
    assert np.isfinite(score.item()) and np.isfinite(picture.grad.numpy()).all()


def test_the_same_picture_again_and_again_is_noticed():
    """The spread is 0 then: the score of a picture depends on the others of its batch."""
    net, text = Discriminator(width=2).eval(), minidl.randn(1, 128).broadcast_to((4, 128))
    pictures = minidl.randn(4, 3, 32, 32)
    same = minidl.cat([pictures[:1]] * 4)
    assert abs(net(pictures, text)[0].item() - net(same, text)[0].item()) > 1e-4


def test_gradient_of_the_conditional_norm():
    norm = ConditionalBatchNorm2d(3, 4).to("float64")
    nn.init.normal_(norm.affine.weight)
    x, condition = (minidl.randn(*s, dtype="float64", requires_grad=True)
                    for s in ((2, 3, 2, 3), (2, 4)))  # fmt: skip
    assert gradcheck(lambda x, c: norm(x, c), [x, condition])
    assert gradcheck(lambda x, c: norm(x, c, relu=True), [x, condition])


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: Generator(size=48), ArgumentError, "32 or 64"),
        (lambda: Discriminator(size=16), ArgumentError, "32 or 64"),
        (lambda: Generator(width=1)(minidl.ones(2, 9), minidl.ones(2, 128)), ShapeError, "noise"),
        (lambda: Generator(width=1)(minidl.ones(2, 32)), ShapeError, "text is (N, 128)"),
        (
            lambda: Discriminator(width=1)(minidl.ones(2, 3, 64, 64), minidl.ones(2, 128)),
            ShapeError, "(N, 3, 32, 32)",
        ),
        (
            lambda: Discriminator(width=1).judge(minidl.ones(2, 128), minidl.ones(2, 9)),
            ShapeError, "text is (N, 128)",
        ),
    ],
)  # fmt: skip
def test_what_does_not_fit(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value)


# --- beside PyTorch -----------------------------------------------------------------------------


def pairs(size):
    """Generators and discriminators of both, with the same weights in float64, and a batch."""
    from tests.models import projection_twins as twins

    minidl.manual_seed(3)
    channels = widths("test", 4, size)
    nets = Generator(4, 5, 6, 7, size), Discriminator(4, 6, 8, size)
    others = (
        twins.Generator(channels[::-1], 5, 6, 7).double(),
        twins.Discriminator(channels, 6, 8).double(),
    )
    for net, other in zip(nets, others):
        net.to("float64")
        assert list(net.state_dict()) == list(other.state_dict())
        with_weights_of(other, net)
    rng = np.random.default_rng(0)
    shapes = {"noise": (9, 5), "text": (9, 6), "wrong": (9, 6), "real": (9, 3, size, size)}
    return nets, others, {name: rng.normal(0, 0.7, shape) for name, shape in shapes.items()}


def minidl_steps(nets, batch, steps):
    generator, discriminator = nets
    x = {name: minidl.tensor(array) for name, array in batch.items()}
    adams = [optim.Adam(net.parameters(), lr, (0.0, 0.99)) for net, lr in zip(nets, RATES)]
    for _ in range(steps):
        with minidl.no_grad():
            fake = generator(x["noise"], x["text"])
        seen = discriminator.look(x["real"])
        scores = [discriminator.judge(seen, x["text"]), discriminator(fake, x["text"])]
        wrong = discriminator.judge(seen, x["wrong"])
        loss = discriminator_loss(HINGE[0], *scores, wrong, HINGE[1])
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        with passing_gradients(discriminator):
            fake = generator(x["noise"], x["text"])
            loss = generator_loss(HINGE[0], discriminator(fake, x["text"]))
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()


def torch_steps(torch, nets, batch, steps):
    generator, discriminator = nets
    x = {name: torch.tensor(array) for name, array in batch.items()}
    adams = [torch.optim.Adam(net.parameters(), lr, (0.0, 0.99)) for net, lr in zip(nets, RATES)]
    relu = torch.relu
    for _ in range(steps):
        with torch.no_grad():
            fake = generator(x["noise"], x["text"])
        seen = discriminator.look(x["real"])
        real, drawn = discriminator.judge(seen, x["text"]), discriminator(fake, x["text"])
        wrong = discriminator.judge(seen, x["wrong"])
        loss = relu(1 - real).mean() + 0.5 * relu(1 + wrong).mean() + relu(1 + drawn).mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        discriminator.requires_grad_(False)
        loss = -discriminator(generator(x["noise"], x["text"]), x["text"]).mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        discriminator.requires_grad_(True)


@pytest.mark.torch
@pytest.mark.parametrize("size, steps", [(32, 1), (32, 4), (64, 1)])
def test_a_step_of_each_is_pytorchs(size, steps):
    """All weights, buffers and power iterations after Adam's updates."""
    torch = pytest.importorskip("torch")
    nets, others, batch = pairs(size)
    before = [value.numpy().copy() for net in nets for value in net.state_dict().values()]
    minidl_steps(nets, batch, steps)
    torch_steps(torch, others, batch, steps)
    moved = 0
    for net, other in zip(nets, others):
        expected = other.state_dict()
        for name, value in net.state_dict().items():
            np.testing.assert_allclose(
                value.numpy(), expected[name].numpy(), rtol=1e-6, atol=1e-8, err_msg=name
            )
            moved += not np.array_equal(value.numpy(), before.pop(0))
    assert moved >= 30
