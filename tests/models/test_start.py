"""How weights start, and that the net of 1998 learns from there."""

import math

import numpy as np
import pytest

import minidl
import models
from minidl import nn
from models.lenet_1998 import Subsampling, digit_codes, random_codes
from models.resnet import Bottleneck


def deviation(layer):
    return layer.weight.detach().numpy().std()


@pytest.mark.parametrize("init, hidden, bias", [("paper", 0.01, 1.0), ("caffe", 0.005, 0.1)])
def test_alexnet(init, hidden, bias):
    minidl.manual_seed(0)
    net = models.alexnet(init=init, width=0.25, size=67)
    layers = {path.split(".")[-1]: layer for path, layer in net.named_modules()}
    for name in ("conv1", "conv2", "conv3", "conv4", "conv5", "fc6", "fc7", "fc8"):
        expected = hidden if name in ("fc6", "fc7") else 0.01
        assert deviation(layers[name]) == pytest.approx(expected, rel=0.05), name
        high = bias if name in ("conv2", "conv4", "conv5", "fc6", "fc7") else 0.0
        assert (layers[name].bias.detach().numpy() == np.float32(high)).all(), name


def test_vgg_hands_on_as_much_as_it_gets():
    """He et al. 2015: what 0.01 would make vanish stays from layer to layer."""
    minidl.manual_seed(0)
    net = models.vgg19(width=0.5, size=32, dropout=0.0).eval()
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            fan_in = layer.weight.detach().numpy()[0].size
            assert deviation(layer) == pytest.approx(math.sqrt(2 / fan_in), rel=0.1)
            assert not layer.bias.detach().numpy().any()
    x = minidl.randn(4, 3, 32, 32)
    scores = net(x).detach().numpy()
    assert 0.01 < scores.std() < 100


def test_googlenet():
    net = models.googlenet(width=0.25)
    for path, layer in net.named_modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            weight = layer.weight.detach().numpy()
            bound = math.sqrt(3 / weight[0].size)
            assert bound * 0.9 < np.abs(weight).max() <= bound * (1 + 1e-6), path
            expected = 0.0 if path in ("fc", "aux1.fc2", "aux2.fc2") else 0.2
            assert (layer.bias.detach().numpy() == np.float32(expected)).all(), path


def test_blocks_that_start_as_identities():
    """zero_init: a block adds nothing at first, so only the shortcuts show."""
    net = models.resnet50(width=1 / 16, zero_init=True)
    blocks = [block for block in net.modules() if isinstance(block, Bottleneck)]
    assert len(blocks) == 16
    for block in blocks:
        assert not block.bn3.weight.detach().numpy().any()
        assert (block.bn2.weight.detach().numpy() == 1).all()
    inner = net.layer1[1]
    x = minidl.rand(2, 16, 5, 5)  # positive: the ReLU behind the sum changes nothing
    np.testing.assert_array_equal(inner(x).detach().numpy(), x.numpy())


def test_resnet():
    minidl.manual_seed(0)
    net = models.resnet18(width=0.5)
    for layer in net.modules():
        if isinstance(layer, nn.Conv2d):
            kernels, _, height, width = layer.weight.shape
            expected = math.sqrt(2 / (kernels * height * width))
            assert deviation(layer) == pytest.approx(expected, rel=0.1)


def test_squeezenet():
    minidl.manual_seed(0)
    for path, layer in models.squeezenet(width=0.5).named_modules():
        if isinstance(layer, nn.Conv2d):
            fan_in = layer.weight[0].numel()
            expected = 0.01 if path == "classifier.conv10" else math.sqrt(2 / fan_in)
            assert deviation(layer) == pytest.approx(expected, rel=0.1), path
            bias = 1 if path == "classifier.conv10" else 0
            assert (layer.bias.detach().numpy() == bias).all(), path


def test_efficientnet_lite0():
    minidl.manual_seed(0)
    for path, layer in models.efficientnet_lite0(width=0.5).named_modules():
        if isinstance(layer, nn.Conv2d):
            kernels, _, height, width = layer.weight.shape
            fan = height * width * (1 if layer.groups > 1 else kernels)
            assert deviation(layer) == pytest.approx(math.sqrt(2 / fan), rel=0.15), path


def test_airbench_hands_on_what_enters():
    """Jordan 2024, section 3.3: the first kernels of a convolution are the identity."""
    minidl.manual_seed(0)
    net = models.airbench_cifar(width=0.5)
    x = minidl.rand(2, 16, 5, 5)
    np.testing.assert_allclose(net.block1.conv1(x)[:, :16].detach(), x, atol=1e-5)
    x = minidl.rand(2, 32, 5, 5)
    np.testing.assert_allclose(net.block1.conv2(x).detach(), x, atol=1e-5)
    others = net.block1.conv1.weight.detach().numpy()[16:]  # drawn, as PyTorch draws them
    assert 0.9 / math.sqrt(144) < np.abs(others).max() <= 1 / math.sqrt(144)


def test_lenet_1998():
    net = models.lenet5_1998()
    fans = {"c1": 25, "c5": 400, "f6": 120, "c3.sees.0": 75, "c3.sees.1": 100, "c3.sees.2": 150}
    for path, fan_in in fans.items():
        weight = net.get_submodule(path).weight.detach().numpy()
        assert 0.9 * 2.4 / fan_in < np.abs(weight).max() <= 2.4 / fan_in, path
    for layer in net.modules():
        if isinstance(layer, Subsampling):
            assert np.abs(layer.weight.detach().numpy()).max() <= 0.6


def test_connection_table():
    """Table I of the paper: 3 neighbours, 4 neighbours, 4 in two pairs, and all, as rings of 6."""
    seen = [{0, 1, 2}, {1, 2, 3}, {2, 3, 4}, {3, 4, 5}, {4, 5, 0}, {5, 0, 1}]
    seen += [{0, 1, 2, 3}, {1, 2, 3, 4}, {2, 3, 4, 5}, {3, 4, 5, 0}, {4, 5, 0, 1}, {5, 0, 1, 2}]
    seen += [{0, 1, 3, 4}, {1, 2, 4, 5}, {0, 2, 3, 5}, {0, 1, 2, 3, 4, 5}]
    net = models.lenet5_1998()
    for i in range(6):
        x = minidl.zeros(1, 6, 14, 14)
        x.data[0, i] = np.random.default_rng(i).standard_normal((14, 14))
        change = (net.c3(x) - net.c3(minidl.zeros(1, 6, 14, 14))).detach().numpy()[0]
        assert [j for j in range(16) if change[j].any()] == [j for j in range(16) if i in seen[j]]


def test_codes():
    """840 fixed numbers of +1 and -1; digits are far apart, and so are codes drawn for others."""
    codes = models.lenet5_1998().output.codes
    assert codes.shape == (10, 84) and not codes.requires_grad
    for table in (digit_codes(), random_codes(17, 84)):
        assert set(np.unique(table)) == {-1.0, 1.0}
        distances = ((table[:, None] - table[None]) ** 2).sum(2)
        assert (distances + 1000 * np.eye(len(table))).min() >= 60  # 15 of 84 pixels differ
    assert not any(name.startswith("output") for name, _ in models.lenet5_1998().named_parameters())
    np.testing.assert_array_equal(random_codes(17, 84), random_codes(17, 84))


@pytest.mark.parametrize(
    "loss, lr, steps",
    [
        (nn.CrossEntropyLoss(), 3e-3, 50),
        pytest.param(models.MapLoss(), 1e-3, 150, marks=pytest.mark.slow),
    ],
)
def test_lenet_1998_learns(loss, lr, steps):
    from sklearn.datasets import load_digits

    pictures, labels = load_digits(return_X_y=True)
    pictures = np.kron(pictures.reshape(-1, 1, 8, 8), np.ones((3, 3))) / 16 * 1.275 - 0.1
    pictures = np.pad(pictures, [(0, 0), (0, 0), (4, 4), (4, 4)], constant_values=-0.1)
    pictures = pictures.astype(np.float32)
    minidl.manual_seed(0)
    net, rng = models.lenet5_1998(), np.random.default_rng(0)
    optimizer = minidl.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
    for _ in range(steps):
        rows = rng.integers(0, 1400, 32)
        y = loss(net(minidl.tensor(pictures[rows])), minidl.tensor(labels[rows]))
        optimizer.zero_grad()
        y.backward()
        optimizer.step()
    with minidl.no_grad():
        found = net(minidl.tensor(pictures[1400:])).argmax(dim=1).numpy()
    assert (found == labels[1400:]).mean() > 0.6
