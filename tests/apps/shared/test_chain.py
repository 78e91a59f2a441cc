"""Which end of a network is a plain chain of layers."""

import numpy as np

import minidl as library
from apps.shared.chain import tail
from minidl import nn


def test_the_chain_of_a_network_is_the_network():
    """Also with blocks, with dropout, and with a layer that hands on what it gets."""

    class Shortcut(nn.Module):
        def __init__(self):
            super().__init__()
            self.body, self.other = nn.Linear(4, 4), nn.Dropout(0.5)

        def forward(self, x):
            return self.body(x) + self.other(x)

    library.manual_seed(0)
    net = nn.Sequential(nn.Linear(4, 4), nn.Dropout(0.5), Shortcut(), Shortcut(), nn.ReLU())
    x = library.randn(3, 4)
    chain = tail(net, x)
    assert [call.name for call in chain] == ["0", "1", "2", "3", "4"]
    assert all(module.training for module in net.modules())
    y = x
    for call in chain:
        assert call.x is not None and call.module.training
        y = call.module.eval()(y)
    np.testing.assert_array_equal(y.detach().numpy(), net.eval()(x).detach().numpy())


def test_a_network_that_is_no_chain_has_none():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(2, 2), nn.Linear(2, 2)

        def forward(self, x):
            return self.a(x) + self.b(x)

    assert tail(Sum(), library.ones(1, 2)) == []
