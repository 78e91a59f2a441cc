"""Feature maps of the report: the layers' own outputs, from layers spread through the network."""

import numpy as np

import minidl
import models
from apps.classify.report.feature_maps import Layer, feature_maps
from minidl import nn


def picture(*shape, seed=0):
    return np.random.default_rng(seed).random(shape, np.float32)


def test_maps_are_the_outputs_of_the_layers():
    minidl.manual_seed(0)
    net, x = models.build("lenet").eval(), picture(1, 32, 32)
    layers = feature_maps(net, x)
    assert [(layer.name, layer.shape) for layer in layers] == [
        ("features.1", (6, 28, 28)), ("features.2", (6, 14, 14)),
        ("features.4", (16, 10, 10)), ("features.5", (16, 5, 5)),
    ]  # fmt: skip
    y = minidl.tensor(x[None])
    outputs = {}
    for name, module in net.features.named_children():
        y = outputs[f"features.{name}"] = module(y)
    for layer in layers:
        expected = outputs[layer.name].detach().numpy()[0]
        np.testing.assert_array_equal(layer.maps, expected[layer.channels])
        strength = np.abs(expected).mean(axis=(1, 2))
        assert sorted(layer.channels) == list(range(len(expected)))
        assert (np.diff(strength[layer.channels]) <= 0).all()
        assert not layer.signed


def test_the_network_is_left_as_it_was():
    net = models.build("lenet").eval()
    feature_maps(net, picture(1, 32, 32))
    assert all(not module.hooks_after for module in net.modules())
    assert not net.training


def test_only_the_strongest_of_many_channels():
    minidl.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 40, 3), nn.ReLU()).eval()
    x = picture(3, 12, 12)
    (layer, *_) = feature_maps(net, x)
    strength = net(minidl.tensor(x[None])).detach().numpy()[0].mean(axis=(1, 2))
    assert layer.channels == np.argsort(-strength, kind="stable")[:16].tolist()


def test_last_layer_of_each_resolution():
    """Of a residual network, whose blocks add functions of the same resolution."""
    names = [layer.name for layer in feature_maps(models.build("resnet20_cifar").eval(),
                                                  picture(3, 32, 32))]  # fmt: skip
    assert len(names) == 4  # three resolutions, and one layer more
    assert [name.split(".")[0] for name in names[-3:]] == ["layer1", "layer2", "layer3"]


def test_the_end_of_a_stage_and_not_the_narrow_start_of_the_next():
    """ResNet-50 makes 256 maps of a resolution into 128, and then halves it; a pool of 1 pixel
    gives what it gets."""
    net = nn.Sequential(
        nn.Conv2d(1, 8, 1), nn.ReLU(), nn.Conv2d(8, 4, 1), nn.ReLU(), nn.Conv2d(4, 8, 3, stride=2),
        nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(),
    ).eval()  # fmt: skip
    found = {layer.name: layer.shape for layer in feature_maps(net, picture(1, 9, 9))}
    assert found.get("1") == (8, 9, 9) and found.get("5") == (8, 4, 4) and "6" not in found


def test_at_most_six_of_many_resolutions():
    blocks = [nn.Sequential(nn.Conv2d(2 if i else 1, 2, 1), nn.ReLU(), nn.MaxPool2d(2))
              for i in range(8)]  # fmt: skip
    layers = feature_maps(nn.Sequential(*blocks).eval(), picture(1, 256, 256))
    sizes = [layer.shape[1] for layer in layers]
    assert len(sizes) == 6 and sizes[0] == 256 and sizes[-1] == 2
    assert sizes == sorted(sizes, reverse=True)


def test_a_network_without_maps():
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3)).eval()
    assert feature_maps(net, picture(1, 4, 4)) == []


def test_scale_of_the_pictures():
    maps = np.array([[[0, 1], [2, 4]], [[0, 0], [0, 0]]], np.float32)
    first, dead = Layer("a", (2, 2, 2), [0, 1], maps, False).images()
    np.testing.assert_array_equal(first, [[0, 64], [128, 255]])
    assert not dead.any()
    (signed,) = Layer("a", (1, 2, 2), [0], np.array([[[-1, 0], [2, 1]]]), True).images()
    np.testing.assert_array_equal(signed, [[64, 128], [255, 191]])
