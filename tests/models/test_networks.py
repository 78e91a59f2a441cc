"""What all networks promise: classes, colours, sizes, names, errors."""

import doctest
import importlib
import inspect
import json
import pkgutil

import numpy as np
import pytest

import minidl
import models
from minidl.errors import ArgumentError, DtypeError, ShapeError
from models.registry import MODELS, arguments_of
from tests.models import narrow

ALL = [name for name in models.names() if name != narrow.DEEP]


@pytest.mark.parametrize("name", ALL)
def test_classes_and_colours(name):
    """The head and the auxiliary heads are where the registry says, with num_classes outputs."""
    channels = 2
    net = narrow.build(name, num_classes=7, in_channels=channels)
    known = models.entry(name)
    side = narrow.side_of(name)
    x = minidl.randn(2, channels, side, side)
    outputs = net(x)
    outputs = outputs if isinstance(outputs, tuple) else (outputs,)
    assert [y.shape for y in outputs] == [(2, 7)] * (1 + len(known.aux_heads))
    assert net.eval()(x).shape == (2, 7)
    for path in (known.head, *known.aux_heads):
        head = net.get_submodule(path)
        if name == "lenet5_1998":
            assert head.codes.shape == (7, 84)
        else:
            assert head.weight.shape[0] == 7 and head.bias.shape == (7,)


@pytest.mark.parametrize("name", ALL)
def test_a_checkpoint_makes_it_again(name, tmp_path):
    """Its arguments are JSON, its state has the same names, and its scores are the same."""
    arguments = {"num_classes": 3, "in_channels": 1}
    if "width" in arguments_of(name):
        arguments["width"] = 0.25 if "cifar" in name else 1 / 16
    if "size" in arguments_of(name):
        arguments["size"] = narrow.side_of(name)
    net = models.build(name, **arguments).eval()
    minidl.io.save_checkpoint(tmp_path / "a.safetensors", net, meta={"arguments": arguments})
    saved = minidl.io.load_checkpoint(tmp_path / "a.safetensors")
    again = models.build(name, **json.loads(json.dumps(saved.meta["arguments"]))).eval()
    again.load_state_dict(saved.model)
    x = minidl.randn(1, 1, narrow.side_of(name), narrow.side_of(name))
    np.testing.assert_array_equal(again(x).detach().numpy(), net(x).detach().numpy())


@pytest.mark.parametrize("name", ALL)
def test_wrong_pictures(name):
    net = narrow.build(name, in_channels=3).eval()
    side = narrow.side_of(name)
    for shape, says in (
        ((1, 1, side, side), "did you mean in_channels=1?"),
        ((1, side, side, 3), "x.permute(0, 3, 1, 2)"),
        ((3, side, side), "batch of one"),
        ((1, 3, side, side, 1), "four dimensions"),
    ):
        with pytest.raises(ShapeError) as caught:
            net(minidl.ones(*shape))
        assert says in str(caught.value) and str(shape) in str(caught.value)
    for no_tensor in (np.ones((1, 3, side, side), np.float32), [1, 2], None):
        with pytest.raises(DtypeError, match="input must be a Tensor"):
            net(no_tensor)


SMALLEST = {
    "alexnet": 67, "alexnet_torchvision": 63, "vgg11": 32, "vgg19": 32, "googlenet": 31,
    "googlenet_naive": 31, "googlenet_torchvision": 15, "resnet18": 1, "resnet50": 1,
    "resnet20_cifar": 1, "preact_resnet20_cifar": 1, "preact_resnet164_cifar": 1,
    "squeezenet": 17, "efficientnet_lite0": 1,
    "airbench_cifar": 9,
}  # fmt: skip


@pytest.mark.parametrize("name", SMALLEST)
def test_smallest_pictures(name):
    """As small as the error says, and as large as one likes; not square, too."""
    net, side = narrow.build(name, num_classes=3).eval(), SMALLEST[name]
    for shape in ((1, 3, side, side), (1, 3, side + 10, side + 33)):
        assert net(minidl.ones(*shape)).shape == (1, 3)
    with pytest.raises(ShapeError, match=f"at least {side}"):
        net(minidl.ones(1, 3, side - 1, side))
    with pytest.raises(ShapeError, match=f"at least {side}"):
        net(minidl.ones(1, 3, side, side - 1))


def test_smallest_pictures_of_auxiliary_heads():
    net = narrow.build("googlenet", num_classes=3)
    assert [y.shape for y in net(minidl.ones(1, 3, 79, 79))] == [(1, 3)] * 3
    with pytest.raises(ShapeError, match="at least 79") as caught:
        net(minidl.ones(1, 3, 78, 79))
    assert "aux_logits=False" in str(caught.value)
    assert narrow.build("googlenet", aux_logits=False)(minidl.ones(1, 3, 31, 31)).shape == (1, 1000)


def test_no_pictures():
    """A batch of none gives no scores, and no error."""
    net = narrow.build("vgg11", num_classes=3).eval()
    assert net(minidl.zeros(0, 3, 32, 32)).shape == (0, 3)


@pytest.mark.parametrize(
    "name, arguments, says",
    [
        ("alexnet", {"lrn": "papre"}, "did you mean paper?"),
        ("alexnet", {"init": None}, "no such init"),
        ("alexnet", {"widths": (1, 2, 3)}, "five"),
        ("alexnet", {"size": 66}, "at least 67"),
        ("alexnet", {"widths": (6, 6, 6, 6, "a")}, "five"),
        ("alexnet", {"padding": -1}, "padding is an int from 0 to 5"),
        ("alexnet", {"dropout": 1.5}, "probability"),
        ("alexnet", {"groups": 7}, "groups divides"),
        ("vgg16", {"size": 31}, "at least 32"),
        ("vgg16", {"size": "224"}, "size is an int"),
        ("vgg16", {"batch_norm": "False"}, "batch_norm is a bool"),
        ("vgg16", {"width": 0}, "width is a number above 0"),
        ("vgg16", {"head": "averages"}, "did you mean average?"),
        ("resnet50", {"stride_in": "3"}, "did you mean 3x3?"),
        ("resnet50", {"zero_init": 1}, "zero_init is a bool"),
        ("resnet50", {"depth": 18}, "no such argument"),
        ("resnet20_cifar", {"shortcut": "C"}, "no such shortcut"),
        ("resnet20_cifar", {"num_classes": 0}, "out_features"),
        ("airbench_cifar", {"width": -1}, "width is a number above 0"),
        ("preact_resnet20_cifar", {"shortcut": "subsampel"}, "did you mean subsample?"),
        ("preact_resnet20_cifar", {"bias": None}, "bias is a bool"),
        ("googlenet", {"naive": "yes"}, "naive is a bool"),
        ("googlenet_torchvision", {"transform_input": True, "in_channels": 1}, "three colours"),
        ("lenet5_1998", {"padding": 16}, "from 0 to 15"),
        ("lenet5_1998", {"num_classes": 2.5}, "num_classes are ints >= 1"),
        ("lenet5_1998", {"num_classes": 10.0}, "num_classes are ints >= 1"),
        ("lenet5_1998", {"num_classes": -1}, "num_classes are ints >= 1"),
        ("lenet5_1998", {"num_classes": 0}, "num_classes are ints >= 1"),
        ("lenet5_1998", {"num_classes": "abc"}, "num_classes are ints >= 1"),
    ],
)
def test_wrong_arguments(name, arguments, says):
    with pytest.raises(ArgumentError) as caught:
        models.build(name, **{"width": 1 / 64, **arguments} if "vgg" in name else arguments)
    assert says in str(caught.value)


@pytest.mark.parametrize("depth", [21, 2, 0, -4, "20", None, 20.0])
def test_depths_that_there_are_not(depth):
    with pytest.raises(ArgumentError, match="depth is 6n"):
        models.ResNetCifar(depth)
    with pytest.raises(ArgumentError, match="depth is 9n"):
        models.PreactBottleneckCifar(depth)
    with pytest.raises(ArgumentError, match="no such depth"):
        models.ResNet(depth)


def test_the_hint_names_depths_that_there_are():
    for depth, says in ((21, "20 or 26"), (3, "8 or 14"), (19, "14 or 20")):
        with pytest.raises(ArgumentError, match=says):
            models.ResNetCifar(depth)


NAMES = {
    "alexnet": ["features.conv1.weight", "features.conv5.bias", "classifier.fc6.weight",
                "classifier.fc8.bias"],
    "vgg16": ["features.conv1_1.weight", "features.conv5_3.weight", "classifier.fc7.bias"],
    "vgg16c": ["features.conv3_3.weight"],
    "vgg11_bn": ["features.bn1_1.running_mean", "features.bn5_2.weight"],
    "googlenet": ["conv1.weight", "conv2_reduce.bias", "conv2.weight",
                  "inception3a.conv1x1.weight", "inception3a.reduce3x3.weight",
                  "inception4c.conv3x3.weight", "inception4c.reduce5x5.weight",
                  "inception5b.conv5x5.weight", "inception5b.pool_proj.bias", "aux1.conv.weight",
                  "aux2.fc1.weight", "aux2.fc2.bias", "fc.weight"],
    "googlenet_torchvision": ["conv1.conv.weight", "conv1.bn.running_var",
                              "inception3a.branch1.conv.weight",
                              "inception3a.branch2.0.conv.weight",
                              "inception5b.branch3.1.bn.weight", "inception4e.branch4.1.bn.bias",
                              "aux1.fc1.weight", "aux2.conv.bn.weight", "fc.bias"],
    "resnet18": ["conv1.weight", "bn1.num_batches_tracked", "layer1.0.conv1.weight",
                 "layer1.1.bn2.weight", "layer2.0.downsample.0.weight",
                 "layer4.0.downsample.1.running_mean", "fc.bias"],
    "resnet50": ["layer1.0.downsample.0.weight", "layer3.5.conv3.weight", "layer4.2.bn3.bias"],
    "resnet20_cifar": ["conv1.weight", "bn1.weight", "layer1.0.conv1.weight",
                       "layer3.2.bn2.running_var", "fc.weight"],
    "airbench_cifar": ["conv1.weight", "conv1.bias", "block1.conv1.weight",
                       "block3.norm2.running_mean", "fc.bias"],
    "preact_resnet20_cifar": ["conv1.weight", "layer2.0.bn1.weight", "layer3.2.conv2.weight",
                              "bn.weight", "fc.weight"],
    "squeezenet": ["features.conv1.weight", "features.fire2.squeeze1x1.weight",
                   "features.fire9.expand3x3.bias", "classifier.conv10.weight"],
    "efficientnet_lite0": ["stem.weight", "bn0.running_var", "blocks.0.depthwise.weight",
                           "blocks.1.expand.weight", "blocks.15.project.weight",
                           "blocks.15.bn2.bias", "head.weight", "bn1.weight", "fc.bias"],
    "lenet": ["features.0.weight", "features.3.weight", "classifier.1.weight",
              "classifier.5.bias"],
    "lenet5_1998": ["c1.weight", "s2.weight", "s2.bias", "c3.sees.0.weight", "s4.bias",
                    "c5.weight", "f6.weight", "output.codes"],
}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_of_weights(name):
    """Those of the papers' layers, of Caffe or of torchvision, by which others' weights come."""
    state = narrow.build(name).state_dict()
    assert not set(NAMES[name]) - set(state)


def test_functions_make_what_the_registry_makes(undrawn):
    functions = {name: getattr(models, name) for name in models.names() if name != "lenet"}
    functions["lenet"] = models.lenet5
    for name, function in functions.items():
        if name == narrow.DEEP:
            continue
        known = arguments_of(name)
        arguments = {"width": 1 / 16} if "width" in known else {}
        made, built = function(**arguments), models.build(name, **arguments)
        assert type(made) is type(built)
        shapes = [{n: t.shape for n, t in net.state_dict().items()} for net in (made, built)]
        assert shapes[0] == shapes[1], name
        assert repr(made) == repr(built), name


def test_names_and_arguments_have_their_nearest():
    with pytest.raises(ArgumentError, match="did you mean lenet?"):
        models.build("lenett")
    with pytest.raises(ArgumentError, match="did you mean num_classes?"):
        models.build("lenet", num_clases=3)
    with pytest.raises(ArgumentError, match="did you mean resnet50?"):
        models.entry("resnet-50")
    for name in (["lenet"], {"lenet": 1}, None, 5):
        with pytest.raises(ArgumentError, match="no such model"):
            models.build(name)
    assert models.names()[0] == "lenet" and set(models.names()) == set(MODELS)


FILES = [found.name for found in pkgutil.iter_modules(models.__path__) if not found.ispkg]


@pytest.mark.parametrize("name", FILES)
def test_examples_run(name):
    module = importlib.import_module(f"models.{name}")
    result = doctest.testmod(module, extraglobs={"minidl": minidl})
    assert not result.failed


@pytest.mark.parametrize("name", sorted({entry.make for entry in MODELS.values()}, key=str))
def test_arguments_are_described(name):
    described = inspect.getdoc(name).split("Args:")[1].split("\n\n")[0]
    for argument in inspect.signature(name).parameters:
        assert f" {argument}:" in described, f"{name.__name__}: {argument}"


@pytest.mark.parametrize("name", ["googlenet", "googlenet_torchvision"])
def test_auxiliary_heads_can_be_left_out(name):
    """By a switch of their own: the network trains all the same, with smaller pictures, too."""
    minidl.manual_seed(0)
    net = models.build(name, num_classes=3, width=0.05)
    x = minidl.randn(2, 3, 80, 80)
    assert net.use_aux_heads and len(net(x)) == 3
    net.use_aux_heads = False
    assert net.training and net(x).shape == (2, 3)
    assert net(minidl.randn(2, 3, 64, 64)).shape == (2, 3)
    assert not models.build(name, width=0.05, aux_logits=False).use_aux_heads
