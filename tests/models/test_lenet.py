"""LeNet-5: the numbers everyone can recompute, its errors, and its twin in PyTorch."""

import numpy as np
import pytest

import minidl
from minidl.errors import ArgumentError, ShapeError
from models import lenet5
from tests.models.shared import n_parameters, with_weights_of


def test_parameters_of_each_layer():
    counts = [n_parameters(m) for m in lenet5().modules() if list(m.parameters_here)]
    assert counts == [156, 2_416, 48_120, 10_164, 850]
    assert n_parameters(lenet5()) == 61_706


def test_multiply_accumulates():
    assert minidl.debug.summary(lenet5(), (1, 1, 32, 32)).macs == 416_520
    assert minidl.debug.summary(lenet5(padding=2), (1, 1, 28, 28)).macs == 416_520


def test_classes_and_channels():
    net = lenet5(num_classes=17, in_channels=3)
    assert net(minidl.ones(2, 3, 32, 32)).shape == (2, 17)
    assert n_parameters(net) == 61_706 + 2 * 5 * 5 * 6 + 7 * (84 + 1)


@pytest.mark.parametrize(
    "shape, says",
    [
        ((1, 1, 28, 28), "padding=2"),
        ((1, 3, 32, 32), "in_channels=3"),
        ((1, 1, 64, 64), "resize"),
        ((1, 32, 32), "batch of one"),
        ((1, 1, 32, 31), "(N, 1, 32, 32)"),
    ],
)
def test_wrong_pictures(shape, says):
    with pytest.raises(ShapeError) as caught:
        lenet5()(minidl.ones(*shape))
    assert says in str(caught.value) and str(shape) in str(caught.value)


@pytest.mark.parametrize(
    "arguments, says",
    [
        ({"activation": "rleu"}, "did you mean relu?"),
        ({"pool": "averge"}, "did you mean average?"),
        ({"in_channels": 0}, "in_channels"),
        ({"num_classes": 0}, "0"),
        ({"padding": "a"}, "padding is an int from 0 to 15"),
        ({"padding": (2, 2)}, "padding"),
        ({"padding": -1}, "padding"),
        ({"padding": 16}, "padding"),
        ({"padding": True}, "padding"),
    ],
)
def test_wrong_arguments(arguments, says):
    with pytest.raises(ArgumentError) as caught:
        lenet5(**arguments)
    assert says in str(caught.value)


@pytest.mark.torch
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("pool", ["max", "average"])
def test_same_as_pytorch(activation, pool):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    act = {"relu": torch.nn.ReLU, "tanh": torch.nn.Tanh}[activation]
    window = {"max": torch.nn.MaxPool2d, "average": torch.nn.AvgPool2d}[pool]
    twin = torch.nn.Module()
    twin.features = torch.nn.Sequential(
        torch.nn.Conv2d(1, 6, 5), act(), window(2), torch.nn.Conv2d(6, 16, 5), act(), window(2)
    )
    twin.classifier = torch.nn.Sequential(
        torch.nn.Flatten(), torch.nn.Linear(400, 120), act(), torch.nn.Linear(120, 84), act(),
        torch.nn.Linear(84, 10),
    )  # fmt: skip
    twin.double()
    minidl.manual_seed(3)
    net = lenet5(activation=activation, pool=pool).to("float64")
    with_weights_of(twin, net)
    x = np.random.default_rng(0).standard_normal((3, 1, 32, 32))
    labels = np.array([1, 0, 7])
    y = net(minidl.tensor(x))
    minidl.nn.functional.cross_entropy(y, minidl.tensor(labels)).backward()
    y_twin = twin.classifier(twin.features(torch.from_numpy(x)))
    torch.nn.functional.cross_entropy(y_twin, torch.from_numpy(labels)).backward()
    np.testing.assert_allclose(y.detach().numpy(), y_twin.detach().numpy(), rtol=0, atol=1e-12)
    gradients = dict(twin.named_parameters())
    for name, parameter in net.named_parameters():
        expected = gradients[name].grad.numpy()
        np.testing.assert_allclose(parameter.grad.numpy(), expected, rtol=0, atol=1e-12)
