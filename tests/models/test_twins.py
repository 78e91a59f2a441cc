"""Every family against its twin in PyTorch: the same names, scores, gradients and averages.

float64 and narrow, in training mode, so that batch norm uses the batch.
"""

import numpy as np
import pytest

import minidl
import models
from models.alexnet import NORMS
from models.efficientnet_lite import ROWS
from models.googlenet import MODULES
from models.lenet_1998 import DIGITS, TABLE_I
from models.squeezenet import FIRES
from models.vgg import CONFIGURATIONS

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from tests.models import twins  # noqa: E402
from tests.models.shared import with_weights_of  # noqa: E402

pytestmark = pytest.mark.torch

NARROW = {name: [max(1, round(n / 16)) for n in numbers] for name, numbers in MODULES.items()}
STEM, HEAD = (4, 12), (8, 64)  # GoogLeNet's first kernels and its heads' at that width


def compare(net, twin, shape, seed=0):
    """Train both one step, and compare all there is to see."""
    rng = np.random.default_rng(seed)
    net.to("float64")
    for parameter in net.parameters():  # none of them 0 or 1, so that each matters
        parameter.data += rng.normal(0, 0.05, parameter.shape)
    with_weights_of(twin.double(), net)
    x, labels = rng.standard_normal(shape), rng.integers(0, 5, shape[0])
    theirs = torch.from_numpy(x).requires_grad_()
    ours = minidl.tensor(x, requires_grad=True)
    outputs, expected = as_tuple(net(ours)), as_tuple(twin(theirs))
    assert len(outputs) == len(expected)
    loss = sum(minidl.nn.functional.cross_entropy(y, minidl.tensor(labels)) for y in outputs)
    loss.backward()
    sum(torch.nn.functional.cross_entropy(y, torch.from_numpy(labels)) for y in expected).backward()
    for y, y_twin in zip(outputs, expected):
        close(y.detach().numpy(), y_twin.detach().numpy())
    close(ours.grad.numpy(), theirs.grad.numpy())
    parameters, buffers = dict(net.named_parameters()), dict(net.named_buffers())
    for name, parameter in twin.named_parameters():
        close(parameters[name].grad.numpy(), parameter.grad.numpy())
    for name, buffer in twin.named_buffers():
        close(buffers[name].numpy(), buffer.numpy())


def as_tuple(outputs):
    return outputs if isinstance(outputs, tuple) else (outputs,)


def close(ours, theirs):
    scale = max(1.0, np.abs(theirs).max())
    np.testing.assert_allclose(ours / scale, theirs / scale, rtol=0, atol=1e-10)


@pytest.mark.parametrize("lrn", ["paper", "caffe"])
def test_alexnet(lrn):
    net = models.alexnet(num_classes=5, size=99, lrn=lrn, width=1 / 16, dropout=0.0, init="he")
    twin = twins.alexnet((6, 16, 24, 24, 16), 256, 5, groups=2, lrn=NORMS[lrn], padding=0, side=2)
    compare(net, twin, (3, 3, 99, 110))


def test_alexnet_of_torchvision():
    net = models.alexnet_torchvision(num_classes=5, size=95, width=1 / 16, dropout=0.0)
    twin = twins.alexnet((4, 12, 24, 16, 16), 256, 5, groups=1, lrn=None, padding=2, side=2)
    compare(net, twin, (3, 3, 95, 95))


@pytest.mark.parametrize("configuration", CONFIGURATIONS)
@pytest.mark.parametrize("batch_norm", [False, True])
def test_vgg(configuration, batch_norm):
    net = models.VGG(configuration, num_classes=5, size=64, batch_norm=batch_norm, width=1 / 16,
                     dropout=0.0)  # fmt: skip
    blocks = CONFIGURATIONS[configuration]
    twin = twins.vgg(blocks, (4, 8, 16, 32, 32), 256, 5, batch_norm, side=2)
    compare(net, twin, (3, 3, 64, 64))


def test_vgg_with_averages():
    """One linear layer behind the averages of the last maps."""
    from torch import nn

    net = models.vgg11(num_classes=5, head="average", width=1 / 16)
    twin = twins.vgg(CONFIGURATIONS["A"], (4, 8, 16, 32, 32), 256, 5, batch_norm=False, side=1)
    twin.classifier = nn.Sequential()
    twin.classifier.add_module("flatten", nn.Flatten())
    twin.classifier.add_module("fc8", nn.Linear(32, 5))
    compare(net, twin, (3, 3, 96, 70))


def test_googlenet():
    net = models.googlenet(num_classes=5, width=1 / 16, dropout=0.0, aux_dropout=0.0)
    compare(net, twins.GoogLeNet(STEM, NARROW, HEAD, 5), (2, 3, 97, 120))


def test_googlenet_naive():
    net = models.googlenet_naive(num_classes=5, width=1 / 16, dropout=0.0, aux_dropout=0.0)
    compare(net, twins.GoogLeNet(STEM, NARROW, HEAD, 5, naive=True), (2, 3, 80, 80))


def test_googlenet_of_torchvision():
    net = models.googlenet_torchvision(
        num_classes=5, width=1 / 16, dropout=0.0, aux_dropout=0.0, transform_input=True
    )
    compare(net, twins.GoogLeNetTorchvision(STEM, NARROW, HEAD, 5), (3, 3, 97, 80))


def test_squeezenet():
    net = models.squeezenet(num_classes=5, width=1 / 8, dropout=0.0)
    fires = [[max(1, round(n / 8)) for n in kernels] for kernels in FIRES.values()]
    compare(net, twins.squeezenet(8, fires, 5), (3, 3, 73, 90))


def test_efficientnet_lite0():
    net = models.efficientnet_lite0(num_classes=5, width=1 / 8, dropout=0.0)
    rows = [(e, max(1, round(n / 8)), *rest) for e, n, *rest in ROWS]
    compare(net, twins.EfficientNetLite(4, rows, 160, 5), (3, 3, 71, 90))


def test_resnet_of_basic_blocks():
    net = models.resnet18(num_classes=5, width=1 / 16)
    compare(net, twins.resnet(False, (2, 2, 2, 2), (4, 8, 16, 32), 5), (4, 3, 65, 80))


@pytest.mark.parametrize("stride_in", ["3x3", "1x1"])
def test_resnet_of_bottlenecks(stride_in):
    net = models.resnet50(num_classes=5, width=1 / 16, stride_in=stride_in)
    twin = twins.resnet(True, (3, 4, 6, 3), (4, 8, 16, 32), 5, stride_in)
    compare(net, twin, (4, 3, 33, 48))


def test_airbench_cifar():
    net = models.airbench_cifar(num_classes=5, width=1 / 8)
    twin = twins.AirbenchCifar((8, 32, 32), 5)
    compare(net, twin, (3, 3, 27, 32))


@pytest.mark.parametrize("shortcut", ["A", "B", None])
def test_resnet_cifar(shortcut):
    net = models.resnet20_cifar(num_classes=5, width=0.25, shortcut=shortcut)
    compare(net, twins.resnet_cifar(3, (4, 8, 16), 5, shortcut), (4, 3, 32, 31))


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shortcut", ["subsample", "avg"])
def test_preact_resnet(shortcut, bias):
    net = models.preact_resnet20_cifar(num_classes=5, width=0.25, shortcut=shortcut, bias=bias)
    compare(net, twins.preact_resnet_cifar(3, (4, 8, 16), 5, shortcut, bias), (4, 3, 32, 32))
    odd = models.preact_resnet20_cifar(num_classes=5, width=0.3, shortcut=shortcut, bias=bias)
    twin = twins.preact_resnet_cifar(3, (5, 10, 19), 5, shortcut, bias)
    compare(odd, twin, (4, 3, 30, 19))  # odd sizes, and an odd number of maps to add


def test_preact_bottleneck():
    net = models.PreactBottleneckCifar(20, num_classes=5, width=0.25)
    compare(net, twins.preact_bottleneck_cifar(2, (4, 8, 16), 5), (4, 3, 32, 32))


def test_lenet_caffe():
    net = models.lenet_caffe(num_classes=5)
    twin = torch.nn.Sequential()
    twin.add_module("features", torch.nn.Sequential())
    for name, layer in (
        ("conv1", torch.nn.Conv2d(1, 20, 5)), ("pool1", torch.nn.MaxPool2d(2)),
        ("conv2", torch.nn.Conv2d(20, 50, 5)), ("pool2", torch.nn.MaxPool2d(2)),
    ):  # fmt: skip
        twin.features.add_module(name, layer)
    twin.add_module("classifier", torch.nn.Sequential())
    for name, layer in (
        ("flatten", torch.nn.Flatten()), ("ip1", torch.nn.Linear(800, 500)),
        ("relu1", torch.nn.ReLU()), ("ip2", torch.nn.Linear(500, 5)),
    ):  # fmt: skip
        twin.classifier.add_module(name, layer)
    compare(net, twin, (3, 1, 28, 28))


class LeNet1998(torch.nn.Module):
    """LeNet-5 of 1998 with C3 as a full convolution whose weights are 0 outside of table I."""

    def __init__(self, net):
        super().__init__()
        state = {n: torch.from_numpy(t.numpy().copy()) for n, t in net.state_dict().items()}
        marks = [line.split() for line in TABLE_I.strip().splitlines()]
        self.c3 = torch.zeros(16, 6, 5, 5, dtype=torch.float64)
        packed = [state[f"c3.sees.{i}.weight"] for i in range(3)]
        rows = [kernels for weight in packed for kernels in weight]
        for column in range(16):
            seen = [i for i in range(6) if marks[i][column] == "X"]
            assert len(seen) == len(rows[column])
            self.c3[column, seen] = rows[column]
        self.c3.requires_grad_()
        self.c3_bias = torch.cat([state[f"c3.sees.{i}.bias"] for i in range(3)]).requires_grad_()
        self.state = {n: t.requires_grad_() for n, t in state.items() if n[:2] != "c3"}

    def forward(self, x):
        s, f = self.state, torch.nn.functional

        def squash(a):
            return 1.7159 * torch.tanh(2 / 3 * a)

        def subsample(a, name):
            return s[f"{name}.weight"] * 4 * f.avg_pool2d(a, 2) + s[f"{name}.bias"]

        x = squash(subsample(squash(f.conv2d(x, s["c1.weight"], s["c1.bias"])), "s2"))
        x = squash(subsample(squash(f.conv2d(x, self.c3, self.c3_bias)), "s4")).flatten(1)
        x = squash(f.linear(x, s["c5.weight"], s["c5.bias"]))
        x = squash(f.linear(x, s["f6.weight"], s["f6.bias"]))
        return -(torch.cdist(x, s["output.codes"]) ** 2)


def test_lenet_1998():
    net = models.lenet5_1998().to("float64")
    twin = LeNet1998(net)
    x, labels = np.random.default_rng(0).standard_normal((3, 1, 32, 32)), np.array([1, 0, 7])
    y, expected = net(minidl.tensor(x)), twin(torch.from_numpy(x))
    close(y.detach().numpy(), expected.detach().numpy())
    models.MapLoss(j=30.0)(y, minidl.tensor(labels)).backward()
    # Equation 9 as it stands in the paper, y being the distances.
    right = -expected[range(3), labels]
    (right + torch.log(np.exp(-30.0) + torch.exp(expected).sum(1))).mean().backward()
    for name, parameter in net.named_parameters():
        if not name.startswith("c3."):
            close(parameter.grad.numpy(), twin.state[name].grad.numpy())
    marks = np.array([line.split() for line in TABLE_I.strip().splitlines()]) == "X"
    gradients = twin.c3.grad.numpy()
    packed = [rows for conv in net.c3.sees for rows in conv.weight.grad.numpy()]
    for column, kernels in enumerate(packed):
        close(kernels, gradients[column, marks[:, column]])
    assert DIGITS.count("#") == (net.output.codes.numpy() > 0).sum()
