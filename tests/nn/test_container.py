"""Sequential, ModuleList and ModuleDict: order, names, indexing, and what they refuse."""

from collections import OrderedDict

import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, DtypeError


def keys(module):
    return [name for name, _ in module.named_children()]


def test_sequential_runs_in_order():
    first, second = nn.Linear(3, 4), nn.LeakyReLU(0.5)
    net = nn.Sequential(first, second)
    x = minidl.randn(2, 3)
    assert (net(x) == second(first(x))).all()
    assert keys(net) == ["0", "1"]
    assert list(net) == [first, second]
    assert nn.Sequential()(x) is x


def test_sequential_of_names():
    net = nn.Sequential(OrderedDict(conv=nn.Conv2d(1, 2, 3), act=nn.ReLU()))
    assert keys(net) == ["conv", "act"]
    assert net.conv is net[0] is net["conv"]
    assert list(net.state_dict()) == ["conv.weight", "conv.bias"]


def test_sequential_indexing_slicing_append():
    layers = [nn.Linear(1, 2), nn.ReLU(), nn.Linear(2, 3), nn.Tanh()]
    net = nn.Sequential(*layers)
    assert len(net) == 4
    assert net[-1] is layers[3]
    tail = net[2:]
    assert list(tail) == layers[2:]
    assert keys(tail) == ["2", "3"]  # names stay, so a slice of a checkpoint fits
    net[1] = nn.Sigmoid()
    assert [type(m).__name__ for m in net] == ["Linear", "Sigmoid", "Linear", "Tanh"]
    assert net.append(nn.ReLU()) is net
    assert keys(net)[-1] == "4"
    with pytest.raises(IndexError, match="index 5 of 5 modules"):
        net[5]
    with pytest.raises(DtypeError, match="an int, a slice or a name"):
        net[1.5]
    with pytest.raises(ArgumentError, match="no such module"):
        net["conv"]


def test_append_to_a_slice_takes_a_free_name():
    tail = nn.Sequential(nn.ReLU(), nn.Tanh())[1:]  # named "1"
    tail.append(nn.Sigmoid())
    assert [type(m).__name__ for m in tail] == ["Tanh", "Sigmoid"]


def test_sequential_refuses_what_is_no_module():
    with pytest.raises(DtypeError, match="an instance: ReLU"):
        nn.Sequential(nn.Linear(2, 2), nn.ReLU)
    with pytest.raises(DtypeError, match="expects modules"):
        nn.Sequential([nn.ReLU()])


def test_module_list():
    layers = [nn.Linear(2, 2), nn.ReLU()]
    found = nn.ModuleList(layers)
    assert list(found) == layers
    assert list(found[1:]) == layers[1:]
    found.append(nn.Tanh()).extend([nn.Sigmoid()])
    found[0] = nn.Identity()
    assert [type(m).__name__ for m in found] == ["Identity", "ReLU", "Tanh", "Sigmoid"]
    assert keys(found) == ["0", "1", "2", "3"]
    with pytest.raises(IndexError):
        found[4]
    with pytest.raises(ArgumentError, match="use nn.Sequential"):
        found(minidl.ones(2))


def test_module_dict():
    found = nn.ModuleDict({"digit": nn.Linear(2, 10), "sign": nn.Linear(2, 1)})
    assert list(found) == list(found.keys()) == ["digit", "sign"]
    assert "sign" in found and "other" not in found
    assert found["sign"].out_features == 1
    found["sign"] = nn.Linear(2, 3)
    assert [m.out_features for m in found.values()] == [10, 3]
    assert len(found) == 2
    assert [name for name, _ in found.items()] == ["digit", "sign"]
    assert list(found.state_dict())[0] == "digit.weight"
    with pytest.raises(ArgumentError, match=r"did you mean digit\?"):
        found["digits"]
    with pytest.raises(ArgumentError, match="without dots"):
        found["a.b"] = nn.ReLU()
    with pytest.raises(ArgumentError, match="cannot be called"):
        found(minidl.ones(2))


def test_module_list_and_dict_of_nothing_and_of_pairs():
    layer = nn.ReLU()
    assert len(nn.ModuleList(None)) == len(nn.ModuleDict(None)) == 0
    assert nn.ModuleDict([("act", layer)])["act"] is layer
