"""evaluating: evaluation mode for a while, and each module's own mode afterwards."""

import pytest

from minidl import nn
from minidl.errors import DtypeError


def modes(net):
    return [module.training for module in net.modules()]


def net_with_modes():
    net = nn.Sequential(nn.Dropout(0.5), nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(0.5)))
    net[1][0].eval()  # frozen, in a network that trains
    return net


def test_each_module_gets_its_mode_back():
    net = net_with_modes()
    before = modes(net)
    assert len(set(before)) == 2
    with nn.evaluating(net) as inside:
        assert inside is net and not any(modes(net))
    assert modes(net) == before


def test_after_an_error_too():
    net = net_with_modes()
    before = modes(net)
    with pytest.raises(KeyError), nn.evaluating(net):
        raise KeyError
    assert modes(net) == before


def test_after_an_eval_that_fails():
    class Stubborn(nn.Dropout):
        def eval(self):
            super().eval()
            raise KeyError

    net = Stubborn()
    with pytest.raises(KeyError), nn.evaluating(net):
        pass
    assert net.training


def test_what_is_no_module():
    with pytest.raises(DtypeError, match="model is a Module"), nn.evaluating([nn.Dropout()]):
        pass


def test_inside_of_each_other():
    net = nn.Dropout(0.5)
    with nn.evaluating(net):
        with nn.evaluating(net):
            pass
        assert not net.training
    assert net.training
