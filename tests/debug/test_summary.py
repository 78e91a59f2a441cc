"""summary: figures against hand counts and published ones, and a model left as it was."""

import math
import warnings

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.debug import summary
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.nn import functional


def vgg16_convolutions():
    layers, channels = [], 3
    for width, depth in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(depth):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return nn.Sequential(*layers)


def row(found, path):
    return next(layer for layer in found.layers if layer.path == path)


def test_layers_of_a_chain():
    net = nn.Sequential(
        nn.Conv2d(3, 8, (5, 3), stride=2, padding=1, bias=False),
        nn.ReLU(),
        nn.MaxPool2d(3, stride=2),
        nn.Flatten(),
        nn.Linear(8 * 4 * 5, 10),
    )
    found = summary(net, (2, 3, 20, 22))
    assert [layer.path for layer in found.layers] == ["0", "1", "2", "3", "4"]
    assert [layer.type for layer in found.layers] == [
        "Conv2d", "ReLU", "MaxPool2d", "Flatten", "Linear",
    ]  # fmt: skip
    assert [layer.output_shape for layer in found.layers] == [
        (2, 8, 9, 11), (2, 8, 9, 11), (2, 8, 4, 5), (2, 160), (2, 10),
    ]  # fmt: skip
    assert [layer.parameters for layer in found.layers] == [360, 0, 0, 0, 1610]
    assert [layer.macs for layer in found.layers] == [2 * 8 * 9 * 11 * 3 * 15, 0, 0, 0, 3200]
    fields = [layer.receptive_field for layer in found.layers]
    assert fields == ["5x3", "5x3", "9x7", "-", "all"]
    assert (found.parameters, found.macs) == (1970, 71280 + 3200)


def test_vgg16_convolutions():
    """Published figures: 14,714,688 parameters, 15.347 G multiply-accumulates, a field of 212."""
    found = summary(vgg16_convolutions(), (1, 3, 32, 32))
    assert found.parameters == 14_714_688
    assert found.macs * 49 == 15_346_630_656  # 224 = 7 x 32 pixels a side
    assert found.layers[-1].receptive_field == "212"
    assert [layer.receptive_field for layer in found.layers if layer.type == "Conv2d"] == [
        "3", "5", "10", "14", "24", "32", "40", "60", "76", "92", "132", "164", "196",
    ]  # fmt: skip


@pytest.mark.parametrize(
    "layer, macs",
    [
        (nn.Conv2d(4, 6, 3, groups=2, dilation=2), 6 * 5 * 5 * 2 * 9),
        (nn.ConvTranspose2d(4, 6, 3, stride=2, groups=2), 4 * 9 * 9 * 3 * 9),
        (nn.BatchNorm2d(4), 0),
        (nn.Sigmoid(), 0),
    ],
)
def test_multiply_accumulates_of_one_layer(layer, macs):
    assert summary(layer, (1, 4, 9, 9)).macs == macs


def test_multiply_accumulates_of_lstm():
    layer = nn.LSTM(5, 7, num_layers=2, bidirectional=True)
    found = summary(layer, (3, 2, 5))
    first, second = 4 * 7 * (5 + 7), 4 * 7 * (14 + 7)
    assert found.macs == 3 * 2 * 2 * (first + second)
    assert found.layers[0].output_shape == [(3, 2, 14), (4, 2, 7), (4, 2, 7)]


def test_the_field_of_a_convolution_is_where_its_gradient_arrives():
    """The number in the table against the gradient of one output pixel in the middle."""
    net = nn.Sequential(
        nn.Conv2d(1, 2, 3, stride=2),
        nn.Conv2d(2, 2, (2, 3), dilation=2),
        nn.ConvTranspose2d(2, 1, 4, stride=2),
        nn.AvgPool2d(3, stride=1),
    )
    for parameter in net.parameters():
        parameter.data[...] = 1  # so that nothing cancels
    x = minidl.ones(1, 1, 41, 41, requires_grad=True)
    y = net(x)
    extents = []
    for at in range(8, 12):  # neighbours see fields of different sizes behind a stride
        x.grad = None
        y[0, 0, at, at].backward(retain_graph=True)
        rows, columns = np.nonzero(x.grad.numpy()[0, 0])
        extents.append((int(np.ptp(rows)) + 1, int(np.ptp(columns)) + 1))
    height, width = max(extents)
    assert summary(net, (1, 1, 41, 41)).layers[-1].receptive_field == f"{height}x{width}"


class Branches(nn.Module):
    """A 3x3 and a 5x5 branch joined, a shortcut added, a linear layer as a function."""

    def __init__(self):
        super().__init__()
        self.a, self.b = nn.Conv2d(2, 3, 3, padding=1), nn.Conv2d(2, 1, 5, padding=2)
        self.mix = nn.Conv2d(4, 4, 1)
        self.weight = nn.Parameter(minidl.ones(5, 4))
        self.unused = nn.Linear(7, 7)

    def forward(self, x):
        joined = functional.relu(minidl.ops.cat([self.a(x), self.b(x)], 1))
        y = self.mix(joined) + joined
        return functional.linear(y[:, :, ::2, ::2].mean((2, 3)), self.weight)


def test_branches_functions_and_unused_layers():
    found = summary(Branches(), (1, 2, 6, 6))
    assert row(found, "mix").receptive_field == "5"
    assert row(found, "").type == "Branches"
    assert row(found, "").parameters == 20
    assert row(found, "").macs == 20
    assert row(found, "").receptive_field == "all"
    assert row(found, "unused").output_shape is None
    assert row(found, "unused").parameters == 56
    assert "not called" in str(found)
    assert found.macs == 36 * (3 * 18 + 50 + 16) + 20


def test_a_slice_with_a_step_counts_as_stride():
    class Every(nn.Module):
        def forward(self, x):
            return x[:, :, ::2, ::3]

    net = nn.Sequential(Every(), nn.Conv2d(1, 1, 3))
    assert summary(net, (1, 1, 12, 12)).layers[-1].receptive_field == "5x7"


@pytest.mark.parametrize(
    "layer, expected",
    [
        (nn.Upsample(scale_factor=2), "2"),  # then a 3x3: three fine pixels meet two coarse ones
        (nn.Upsample(scale_factor=2, mode="bilinear"), "3"),
        (nn.AdaptiveAvgPool2d(4), "6"),
        (nn.ZeroPad2d(1), "3"),
        (nn.Softmax(dim=1), "3"),
        (nn.Softmax(dim=2), "-"),
        (nn.InstanceNorm2d(1), "all"),
    ],
)
def test_fields_behind_other_layers(layer, expected):
    net = nn.Sequential(layer, nn.Conv2d(1, 1, 3))
    assert summary(net, (1, 1, 8, 8)).layers[-1].receptive_field == expected


def test_a_layer_called_twice_counts_twice_but_its_parameters_once():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, x):
            return self.layer(self.layer(x))

    found = summary(Twice(), (1, 4))
    assert (found.parameters, found.macs) == (20, 32)
    assert found.layers[0].receptive_field == "-"  # no picture


def test_a_shared_layer_is_listed_as_its_first_call_finds_it():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.squash, self.unused = nn.Tanh(), nn.ReLU()
            self.a, self.b = nn.Conv2d(1, 4, 3), nn.Conv2d(4, 2, 3)

        def forward(self, x):
            return self.squash(self.b(self.squash(self.a(x))).mean((2, 3)))

    found = summary(Shared(), (1, 1, 8, 8))
    assert [layer.path for layer in found.layers] == ["a", "squash", "b", "unused"]
    squash = row(found, "squash")
    assert (squash.output_shape, squash.receptive_field) == ((1, 4, 6, 6), "3")
    assert [layer.calls for layer in found.layers] == [1, 2, 1, 0]
    lines = str(found).split("\n")
    assert lines[3].split() == ["squash", "Tanh,", "2", "calls", *"(1, 4, 6, 6) 0 0 3".split()]
    assert "calls" not in lines[2] + lines[4] + lines[5]
    assert "of the first call" in lines[-1]


def test_integers_and_several_inputs_are_given_as_tensors():
    class Lookup(nn.Module):
        def __init__(self):
            super().__init__()
            self.words = nn.Embedding(9, 4)
            self.out = nn.Linear(4, 2)

        def forward(self, words, bias):
            return self.out(self.words(words)) + bias

    found = summary(Lookup().freeze(), (minidl.tensor([[1, 2, 3]]), minidl.ones(2)))
    assert found.macs == 24
    assert (found.parameters, found.trainable) == (46, 0)


def test_the_model_is_left_as_it_was():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Dropout(0.5), nn.Linear(6, 2))
    net[0].freeze()
    net[1].eval()
    net.train()
    net[1].eval()
    before = {name: t.data.copy() for name, t in net.state_dict().items()}
    random = minidl.random.get_state()
    found = summary(net, (1, 1, 8, 8))
    assert found.trainable == found.parameters - 20
    assert minidl.random.get_state() == random
    assert [m.training for m in net.modules()] == [True, True, False, True, True]
    assert [p.requires_grad for p in net.parameters()] == [False, False, True, True, True, True]
    assert all(p.grad is None for p in net.parameters())
    assert not any(m.hooks_before or m.hooks_after for m in net.modules())
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor, before[name])


def test_the_model_is_left_as_it_was_after_an_error():
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(4, 4))
    net[0].freeze()
    with pytest.raises(ShapeError, match="Sequential.1"):
        summary(net, (1, 3))
    assert net[1].training
    assert not net[0].weight.requires_grad
    assert not any(m.hooks_before or m.hooks_after for m in net.modules())


def test_works_inside_no_grad_and_in_float64():
    with minidl.no_grad():
        found = summary(nn.Linear(3, 4).to("float64"), (1, 3))
    assert found.macs == 12


def test_table():
    net = nn.Sequential(nn.Conv2d(1, 6, 5), nn.ReLU())
    lines = str(summary(net, (1, 1, 32, 32))).split("\n")
    assert lines[0].split() == [
        "layer", "type", "output", "shape", "parameters", "MACs", "receptive", "field",
    ]  # fmt: skip
    assert lines[2].split() == ["0", "Conv2d", "(1,", "6,", "28,", "28)", "156", "117,600", "5"]
    assert lines[5].split() == ["total", "156", "117,600"]
    assert lines[6].split() == ["trainable", "156"]
    assert "count 0" in "\n".join(lines[7:])
    assert all(len(line) <= 100 for line in lines)


@pytest.mark.parametrize("shape", [(), 5, "1x28", (0, 3), (1, -1), [minidl.ones(1), 3], None])
def test_wrong_input_shapes(shape):
    with pytest.raises(ArgumentError, match="input_shape is a shape"):
        summary(nn.ReLU(), shape)


def test_wrong_model():
    with pytest.raises(DtypeError, match="model is a Module"):
        summary(lambda x: x, (1, 2))


@pytest.mark.torch
@pytest.mark.parametrize("stride, kernel", [(1, 3), (2, 4), (3, 2)])
def test_output_shapes_equal_pytorch(stride, kernel):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = summary(nn.ConvTranspose2d(2, 3, kernel, stride), (1, 2, 5, 6)).layers[0].output_shape
    theirs = torch.nn.ConvTranspose2d(2, 3, kernel, stride)(torch.ones(1, 2, 5, 6)).shape
    assert ours == tuple(theirs)
    assert math.prod(ours) > 0


def test_no_warning_where_values_overflow():
    """As in a deep residual net that has not been trained, whose sums grow from block to block."""
    net = nn.Sequential(*(nn.Linear(8, 8) for _ in range(4)))
    for layer in net:
        layer.weight.data[:] = 1e30
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert summary(net, (2, 8)).macs == 4 * 2 * 64
