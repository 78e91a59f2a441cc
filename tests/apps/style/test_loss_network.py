"""The loss network: layers by name, pooling, normalisation, sizes, weights that do not fit."""

import numpy as np
import pytest

import minidl
import models
from apps.style.loss_network import LossNetwork
from minidl.debug import summary
from minidl.errors import ArgumentError, CheckpointError, ShapeError

RNG = np.random.default_rng(0)


def picture(H=70, W=90):
    return minidl.tensor((255 * RNG.random((1, 3, H, W))).astype(np.float32))


def test_layers_in_order(weights):
    net = LossNetwork("squeezenet", weights("squeezenet"))
    assert net.layers[:7] == ["relu1", "pool1", "fire2", "fire3", "pool3", "fire4", "fire5"]
    net = LossNetwork("vgg19", weights("vgg19"))
    assert net.layers[:5] == ["relu1_1", "relu1_2", "pool1", "relu2_1", "relu2_2"]
    assert net.layers[-3:] == ["relu5_3", "relu5_4", "pool5"]


def test_features_are_those_of_the_network(weights):
    net, x = LossNetwork("squeezenet", weights("squeezenet")), picture()
    found = net.features(x, ["fire5", "relu1"])
    assert list(found) == ["relu1", "fire5"]
    whole = models.build("squeezenet")
    models.load_weights(whole, weights("squeezenet"))
    normal = (x / 255 - minidl.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)) / minidl.tensor(
        [0.229, 0.224, 0.225]
    ).reshape(1, 3, 1, 1)
    y = normal
    for name, layer in whole.features.named_children():
        y = layer(y)
        if name in found:
            np.testing.assert_allclose(found[name].data, y.data, rtol=1e-3, atol=1e-4)
        if name == "fire5":
            break


def test_no_layer_behind_the_last_runs(weights):
    net = LossNetwork("squeezenet", weights("squeezenet"))
    net.chain["fire6"] = None  # calling it would fail
    net.features(picture(), ["fire5"])


def test_weights_stay_and_the_picture_gets_a_gradient(weights):
    net, x = LossNetwork("squeezenet", weights("squeezenet")), picture().requires_grad_()
    net.features(x, ["fire3"])["fire3"].sum().backward()
    assert abs(x.grad.data).max() > 0
    for layer in net.chain.values():
        assert all(p.grad is None and not p.requires_grad for p in layer.parameters())


@pytest.mark.parametrize("pool", ["max", "avg", "l2"])
def test_pooling(weights, pool):
    net, x = LossNetwork("vgg16", weights("vgg16"), pool), picture(8, 8)
    found = net.features(x, ["relu1_2", "pool1"])
    windows = found["relu1_2"].data.reshape(1, 64, 4, 2, 4, 2)
    expected = {
        "max": windows.max((3, 5)), "avg": 2 * windows.mean((3, 5)),
        "l2": 0.78 * np.sqrt((windows**2).sum((3, 5))),
    }[pool]  # fmt: skip
    np.testing.assert_allclose(found["pool1"].data, expected, rtol=1e-2, atol=0.02)


def test_sizes(weights):
    net = LossNetwork("squeezenet", weights("squeezenet"))
    for layer in ("relu1", "fire3", "fire5", "fire9"):
        least = net.smallest([layer])
        assert min(net.features(picture(least, least + 3), [layer])[layer].shape[2:]) >= 1
        if layer == "relu1":
            with pytest.raises(ShapeError, match="at least 3x3"):
                net.features(picture(least - 1, least + 3), [layer])
    assert (net.stride(["fire3"]), net.stride(["fire5"])) == (4, 8)
    layers = summary(models.build("squeezenet"), (1, 3, 224, 224)).layers
    fields = {layer.path: layer.receptive_field for layer in layers}
    for layer in ("relu1", "pool1", "fire2", "fire5"):
        last = ".expand3x3" if layer.startswith("fire") else ""
        assert fields[f"features.{layer}{last}"] == str(net.receptive_field([layer]))


@pytest.mark.parametrize("name", ["squeezenet", "vgg16"])
def test_output_sizes(weights, name):
    net = LossNetwork(name, weights(name))
    layers = net.layers[:8]
    for H, W in ((33, 47), (34, 50), (35, 52), (36, 48)):
        for layer, x in net.features(picture(H, W), layers).items():
            assert x.shape[2:] == net.output_size(layer, (H, W)), layer


def test_unknown_layers_are_told_those_there_are(weights):
    net = LossNetwork("squeezenet", weights("squeezenet"))
    for name in ("relu4_1", "fier3", "conv1"):
        with pytest.raises(ArgumentError, match="no such layer") as caught:
            net.features(picture(), [name])
        assert "relu1, pool1, fire2" in caught.value.hint
    assert "did you mean fire3?" in str(caught.value.hint) or name == "conv1"


def test_weights_of_another_network(weights):
    with pytest.raises(CheckpointError):
        LossNetwork("squeezenet", weights("vgg16"))
    with pytest.raises(CheckpointError):
        LossNetwork("vgg16", weights("vgg19"))
    with pytest.raises(CheckpointError, match="no such file"):
        LossNetwork("vgg16", "no/such/file.pth")
    for name, pool in (("vgg17", "max"), ("vgg16", "median")):
        with pytest.raises(ArgumentError, match="no such"):
            LossNetwork(name, weights("vgg16"), pool)


def test_weights_with_a_whole_classifier(tmp_path):
    """A file of the usual kind, with fc6 to fc8, of which nothing is used."""
    net = models.build("squeezenet", num_classes=3)
    minidl.io.save_checkpoint(tmp_path / "three.safetensors", net)
    LossNetwork("squeezenet", str(tmp_path / "three.safetensors"))
