"""Gradients of the blocks and of whole networks, in float64 and narrow, against differences."""

import numpy as np
import pytest

import minidl
import models
from minidl.debug import gradcheck
from minidl.nn import functional
from models.googlenet_torchvision import Inception as TorchvisionInception
from models.inception import AuxiliaryHead, AuxiliaryLoss, Inception, NaiveInception
from models.lenet_1998 import CodeDistance, MapLoss, Squash, Subsampling, TableConv2d
from models.preact_resnet import PreactBlock, PreactBottleneck
from models.resnet import BasicBlock, Bottleneck
from models.resnet_cifar import PlainBlock, Subsample
from tests.models import narrow

BLOCKS = {
    "Inception": (lambda: Inception(3, 2, 2, 1, 1, 2, 1), (2, 3, 4, 5)),
    "NaiveInception": (lambda: NaiveInception(2, 1, 2, 1), (2, 2, 4, 5)),
    "Inception of torchvision": (lambda: TorchvisionInception(3, 2, 2, 1, 1, 2, 1), (2, 3, 4, 5)),
    "AuxiliaryHead": (lambda: AuxiliaryHead(2, 3, 2, 4, dropout=0.0), (2, 2, 9, 8)),
    "BasicBlock": (lambda: BasicBlock(2, 3, 2, Subsample(2, 1)), (2, 2, 5, 4)),
    "Bottleneck, stride in 3x3": (
        lambda: Bottleneck(2, 1, 2, minidl.nn.Conv2d(2, 4, 1, 2)), (2, 2, 5, 4),
    ),
    "Bottleneck, stride in 1x1": (
        lambda: Bottleneck(2, 1, 2, minidl.nn.Conv2d(2, 4, 1, 2), "1x1"), (2, 2, 5, 4),
    ),
    "PlainBlock": (lambda: PlainBlock(2, 3, 2), (2, 2, 5, 4)),
    "PreactBlock, subsample": (lambda: PreactBlock(2, 5, 2, "subsample", True), (2, 2, 5, 4)),
    "PreactBlock, avg": (lambda: PreactBlock(2, 5, 2, "avg"), (2, 2, 5, 4)),
    "PreactBottleneck": (lambda: PreactBottleneck(3, 1, 2), (2, 3, 5, 4)),
    "Squash": (Squash, (2, 5)),
    "Subsampling": (lambda: Subsampling(3), (2, 3, 4, 6)),
    "TableConv2d": (lambda: TableConv2d("X . X\n X X X\n . X X", 3), (2, 3, 4, 5)),
    "CodeDistance": (lambda: CodeDistance(6, 4), (3, 6)),
}  # fmt: skip


@pytest.mark.parametrize("name", BLOCKS)
def test_every_element_of_a_block(name):
    make, shape = BLOCKS[name]
    minidl.manual_seed(1)
    block, rng = make().to("float64"), np.random.default_rng(1)
    for parameter in block.parameters():  # biases of 0 and weights of 1 would hide what they do
        parameter.data[...] = rng.normal(0.2, 0.5, parameter.shape)
    x = minidl.tensor(rng.standard_normal(shape), requires_grad=True)
    assert gradcheck(lambda *_: block(x), [x, *block.parameters()])


def test_map_loss():
    scores = minidl.tensor(np.random.default_rng(0).normal(-3, 2, (4, 5)), requires_grad=True)
    labels = minidl.tensor([0, 4, 2, 2])
    assert gradcheck(lambda y: MapLoss(j=2.0)(y, labels), [scores])


NETWORKS = [
    "lenet", "lenet5_1998", "lenet_caffe", "alexnet", "alexnet_torchvision", "googlenet", "vgg11",
    "vgg16c", "vgg11_bn", "resnet18", "resnet20_cifar", "plain20_cifar", "preact_resnet20_cifar",
    pytest.param("resnet50", marks=pytest.mark.slow),
    pytest.param("googlenet_torchvision", marks=pytest.mark.slow),
]  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_in_a_random_direction(name):
    """Parameters are moved along random directions, four at a time, such as weight and bias of two
    layers: the loss changes as their gradients say.

    By very little, so that hardly one of the thousands of ReLUs and maxima passes its bend.
    """
    minidl.manual_seed(2)
    known = models.registry.arguments_of(name)
    without = {key: 0.0 for key in ("dropout", "aux_dropout") if key in known}
    net, rng = narrow.build(name, num_classes=4, **without).to("float64"), np.random.default_rng(2)
    side = narrow.side_of(name)
    x = minidl.tensor(rng.standard_normal((3, net.in_channels, side, side)))
    labels = minidl.tensor(rng.integers(0, 4, 3))
    criterion = AuxiliaryLoss(minidl.nn.CrossEntropyLoss())
    criterion(net(x), labels).backward()

    def moved(parameters, directions, by):
        before = [parameter.data.copy() for parameter in parameters]
        for parameter, direction in zip(parameters, directions):
            parameter.data += by * direction
        with minidl.no_grad():
            loss = criterion(net(x), labels).item()
        for parameter, data in zip(parameters, before):
            parameter.data[...] = data
        return loss

    named = list(net.named_parameters())
    for paths, group in (zip(*named[i : i + 4]) for i in range(0, len(named), 4)):
        directions = [rng.standard_normal(parameter.shape) for parameter in group]
        numeric = (moved(group, directions, 1e-8) - moved(group, directions, -1e-8)) / 2e-8
        analytic = sum((p.grad.numpy() * step).sum() for p, step in zip(group, directions))
        assert abs(numeric - analytic) <= 1e-6 + 1e-4 * abs(numeric), (paths, numeric, analytic)


def test_auxiliary_loss_adds_a_part_of_the_heads():
    rng = np.random.default_rng(0)
    scores, first, second = (minidl.tensor(rng.standard_normal((4, 3))) for _ in range(3))
    labels = minidl.tensor([0, 2, 1, 1])
    criterion = AuxiliaryLoss(minidl.nn.CrossEntropyLoss(), weight=0.25)
    losses = [functional.cross_entropy(y, labels).item() for y in (scores, first, second)]
    total = criterion((scores, first, second), labels).item()
    assert total == pytest.approx(losses[0] + 0.25 * (losses[1] + losses[2]), rel=1e-12)
    assert criterion(scores, labels).item() == losses[0]


def test_auxiliary_heads_reach_the_layers_below_and_no_others():
    net = narrow.build("googlenet", num_classes=3, dropout=0.0, aux_dropout=0.0)
    _, aux1, _ = net(minidl.randn(2, 3, 80, 80))
    aux1.sum().backward()
    touched = {name.split(".")[0] for name, p in net.named_parameters() if p.grad is not None}
    below = {"conv1", "conv2_reduce", "conv2", "inception3a", "inception3b", "inception4a"}
    assert touched == below | {"aux1"}
