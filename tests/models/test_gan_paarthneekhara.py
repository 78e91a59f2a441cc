"""paarthneekhara's networks: sizes, and errors."""

import pytest

import minidl
from minidl.errors import ShapeError
from models.gan_paarthneekhara import Discriminator, Generator
from tests.models.shared import n_parameters


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
