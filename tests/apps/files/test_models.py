"""minidl models and minidl summary: what they print, and how they refuse."""

import pytest

import models
from tests.apps.conftest import last_json, minidl


def test_models_lists_every_network():
    result = minidl("models")
    assert result.exit_code == 0, result.output
    lines = {line.split()[0]: line for line in result.output.splitlines()[1:]}
    assert list(lines) == models.names()
    assert "60,965,224" in lines["alexnet"] and "724,406,816" in lines["alexnet"]
    assert lines["alexnet"].endswith(models.entry("alexnet").summary)


def test_models_as_json():
    result = minidl("models", "--json")
    assert result.exit_code == 0, result.output
    rows = {row["name"]: row for row in last_json(result.output)["models"]}
    assert list(rows) == models.names()
    assert rows["googlenet"]["aux_heads"] == ["aux1.fc2", "aux2.fc2"]
    assert rows["vgg16"]["head"] == "classifier.fc8" and rows["vgg16"]["size"] == 224
    assert "stride_in" in rows["resnet50"]["arguments"]


def test_summary_prints_the_layers():
    result = minidl("summary", "resnet20_cifar")
    assert result.exit_code == 0, result.output
    assert "layer1.0.conv1" in result.output and "(1, 16, 32, 32)" in result.output
    assert "269,722" in result.output and "40,551,040" in result.output


def test_summary_as_json():
    options = ["--size", 16, "--in-channels", 1, "--num-classes", 5]
    more = ["--model-arg", "shortcut=B", "--model-arg", "width=0.5", "--json"]
    result = minidl("summary", "resnet20_cifar", *options, *more)
    assert result.exit_code == 0, result.output
    found = last_json(result.output)
    net = models.resnet20_cifar(in_channels=1, num_classes=5, shortcut="B", width=0.5)
    assert found["parameters"] == sum(parameter.numel() for parameter in net.parameters())
    assert found["input_shape"] == [1, 1, 16, 16]
    first, last = found["layers"][0], found["layers"][-1]
    assert first == {
        "path": "conv1", "type": "Conv2d", "output_shape": [1, 8, 16, 16], "parameters": 72,
        "macs": 18_432, "receptive_field": "3", "calls": 1,
    }  # fmt: skip
    assert last["path"] == "fc" and last["output_shape"] == [1, 5]
    assert found["macs"] == sum(layer["macs"] for layer in found["layers"])


def test_size_makes_the_classifier_too():
    """As in training, where pictures of 64 pixels make fc6 see 512x2x2."""
    result = minidl("summary", "vgg11", "--size", 64, "--model-arg", "width=0.125", "--json")
    assert result.exit_code == 0, result.output
    layers = {layer["path"]: layer for layer in last_json(result.output)["layers"]}
    assert layers["avgpool"]["output_shape"] == [1, 64, 2, 2]
    assert layers["classifier.fc6"]["parameters"] == (64 * 2 * 2 + 1) * 512


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["resnet51"], ["no such model", "did you mean resnet50?"]),
        (["vgg16", "--size", 20], ["size is at least 32"]),
        (["resnet20_cifar", "--size", 0], ["size is an int >= 1"]),
        (["lenet", "--size", 64], ["(N, 1, 32, 32)", "resize"]),
        (["googlenet", "--size", 20], ["at least 31"]),
        (["lenet", "--num-classes", 0], ["out_features"]),
        (["lenet", "--in-channels", -1], ["in_channels"]),
        (["lenet", "--model-arg", "paddin=2"], ["no such argument", "did you mean padding?"]),
        (["lenet", "--model-arg", "padding"], ["NAME=VALUE"]),
    ],
)
def test_mistakes(arguments, says):
    result = minidl("summary", *arguments)
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    for text in says:
        assert text in result.output


def test_an_argument_is_named_once():
    result = minidl("summary", "resnet20_cifar", "--model-arg", "shortcut=A", "--model-arg",
                    "shortcut=B")  # fmt: skip
    assert result.exit_code == 2 and "--model-arg names shortcut twice" in result.output
    result = minidl("summary", "resnet20_cifar", "--model-arg", "shortcut")
    assert result.exit_code == 2 and "--model-arg is NAME=VALUE" in result.output
