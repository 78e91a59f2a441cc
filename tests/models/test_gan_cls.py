"""The networks of GAN-CLS: the paper's sizes, and errors."""

import pytest

import minidl
from minidl.errors import DtypeError, ShapeError
from models.gan_cls import Discriminator, Generator
from tests.models.shared import n_parameters


def test_parameters():
    """Summed up by hand from the table."""
    assert n_parameters(Generator()) == 18_909_699
    assert n_parameters(Discriminator()) == 4_032_321


@pytest.mark.parametrize(
    "call, says",
    [
        (lambda: Generator(ngf=1)(minidl.ones(2, 99), minidl.ones(2, 1024)), "noise is (N, 100)"),
        (lambda: Generator(ngf=1)(minidl.ones(2, 100)), "text is (N, 1024)"),
        (lambda: Generator(ngf=1)(minidl.ones(2, 100, 1, 1), minidl.ones(2, 1024)), "noise is"),
        (
            lambda: Generator(ngf=1, text=0)(minidl.ones(2, 100), minidl.ones(2, 1024)),
            "this network takes no text",
        ),
        (
            lambda: Discriminator(ndf=1)(minidl.ones(2, 3, 64, 64), minidl.ones(2, 9)),
            "text is (N, 1024)",
        ),
        (
            lambda: Discriminator(ndf=1)(minidl.ones(2, 3, 32, 32), minidl.ones(2, 1024)),
            "(N, 3, 64, 64)",
        ),
        (
            lambda: Discriminator(ndf=1)(minidl.ones(2, 1, 64, 64), minidl.ones(2, 1024)),
            "in_channels=1",
        ),
    ],
)
def test_what_does_not_fit(call, says):
    with pytest.raises(ShapeError) as caught:
        call()
    assert says in str(caught.value)


def test_what_is_no_tensor():
    with pytest.raises(DtypeError, match="noise"):
        Generator(ngf=1)([1.0], minidl.ones(1, 1024))
