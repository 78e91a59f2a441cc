"""Every network of models/, exported, judged by ONNX Runtime, and loaded back."""

import numpy as np
import pytest

import minidl
import models
from minidl.io.onnx.export import serialized, to_proto
from minidl.io.onnx.graph import OnnxModule
from minidl.io.onnx.load import parse, read_graph
from tests.io.onnx.runtime import assert_equal, evaluate, run_file

SMALL = {
    "lenet": {}, "lenet5_1998": {}, "alexnet": {"size": 67, "width": 0.25},
    "alexnet_torchvision": {"size": 64, "width": 0.25}, "googlenet": {"pixels": 40},
    "vgg16c": {"size": 32, "width": 0.25}, "vgg16_bn": {"size": 32, "width": 0.25},
    "resnet18": {"pixels": 40}, "resnet20_cifar": {}, "plain20_cifar": {},
    "preact_resnet20_cifar": {}, "squeezenet": {"pixels": 40},
    "efficientnet_lite0": {"pixels": 40, "width": 0.25}, "airbench_cifar": {},
}  # fmt: skip
LARGE = {
    "alexnet": {"size": 227}, "alexnet_one_tower": {"size": 67, "width": 0.25},
    "googlenet_naive": {"pixels": 32, "width": 0.25}, "googlenet_torchvision": {"pixels": 40},
    "vgg19": {"size": 96, "width": 0.5}, "resnet50": {"pixels": 64}, "resnet56_cifar": {},
    "preact_resnet164_cifar": {}, "efficientnet_lite0": {"pixels": 64},
}  # fmt: skip


def build(name, size=None, pixels=None, **options):
    """A network with seven classes and statistics other than 0 and 1, and its pictures."""
    minidl.manual_seed(0)
    options |= {} if size is None else {"size": size}
    model = models.build(name, num_classes=7, **options)
    rng = np.random.default_rng(0)
    for key, buffer in model.named_buffers():
        if buffer.dtype.kind == "f" and "running" in key:
            low, high = (0.5, 1.5) if "var" in key else (-0.1, 0.1)
            buffer.data[...] = rng.uniform(low, high, buffer.shape)
    side = size or pixels or models.entry(name).size
    return model, rng.standard_normal((3, model.in_channels, side, side)).astype(np.float32)


def check(name, sizes):
    model, x = build(name, **sizes)
    data = serialized(to_proto(model, (1, *x.shape[1:])))
    expected = evaluate(model, [x])
    assert expected[0].shape == (3, 7)
    assert_equal(run_file(data, [x]), expected, 1e-4)
    loaded = OnnxModule(read_graph(parse(data)))
    assert_equal(evaluate(loaded, [x]), expected, 1e-4)
    ours = dict(model.named_parameters())
    for key, parameter in loaded.named_parameters():
        np.testing.assert_array_equal(parameter.data, ours[key].data)
    missing = set(ours) - dict(loaded.named_parameters()).keys()
    assert all(key.startswith(("aux1.", "aux2.")) for key in missing)  # not called in evaluation


@pytest.mark.parametrize("name", SMALL)
def test_network(name):
    check(name, SMALL[name])


@pytest.mark.slow
@pytest.mark.parametrize("name", LARGE)
def test_large_network(name):
    check(name, LARGE[name])


def test_gradients_of_an_imported_network():
    """Fine-tuning starts from the same gradients, in training mode with batch norm's statistics."""
    model, x = build("resnet20_cifar")
    loaded = OnnxModule(read_graph(parse(serialized(to_proto(model, (1, 3, 32, 32))))))
    labels = minidl.tensor([0, 6, 3])
    # 20 batch norms over 3 pictures amplify rounding, and plain sums round less.
    with minidl.use_exact_conv(True):
        for net in (model, loaded):
            loss = minidl.nn.functional.cross_entropy(net.train()(minidl.tensor(x)), labels)
            loss.backward()
    ours = dict(model.named_parameters())
    for key, parameter in loaded.named_parameters():
        assert_equal([parameter.grad.numpy()], [ours[key].grad.numpy()], 1e-4)
    for key, buffer in loaded.named_buffers():
        assert_equal([buffer.numpy()], [dict(model.named_buffers())[key].numpy()], 1e-5)
