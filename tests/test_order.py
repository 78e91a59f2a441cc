"""A set where a list is meant is refused: its order is another one in each run.

What was the first parameter's would be another one's after a resume, silently.
"""

import subprocess
import sys
from collections import OrderedDict

import numpy as np
import pytest

import minidl
from minidl import callbacks, data, nn, optim
from minidl.errors import ArgumentError, MinidlError, ModuleError
from tests.optim.test_schedules_chain import weight

net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 2))
optimizer = optim.SGD(net.parameters(), lr=0.1)
schedules = [optim.StepLR(optimizer, 2), optim.StepLR(optimizer, 3)]
vocabulary = data.Vocabulary(["a", "b"])
x, y = minidl.ones(2, 2), minidl.zeros(2, dtype="int64")

# What takes a list -> how it is called with one.
LISTS = {
    "SGD": (lambda make: optim.SGD(make(net.parameters()), 0.1, momentum=0.9)),
    "Adam": (lambda make: optim.Adam(make(net.parameters()))),
    "LBFGS": (lambda make: optim.LBFGS(make(net.parameters()))),
    "a group": (lambda make: optim.SGD([{"params": make(net.parameters())}])),
    "add_param_group": (
        lambda make: optim.SGD(net.parameters()).add_param_group({"params": make([weight()])})
    ),
    "clip_grad_norm_": (lambda make: optim.clip_grad_norm_(make(net.parameters()), 1.0)),
    "clip_grad_value_": (lambda make: optim.clip_grad_value_(make(net.parameters()), 1.0)),
    "schedulers": (lambda make: optim.SequentialLR(optimizer, make(schedules), [3])),
    "milestones": (lambda make: optim.SequentialLR(optimizer, schedules, make([3]))),
    "MultiStepLR": (lambda make: optim.MultiStepLR(optimizer, make([3, 7]))),
    "ModuleList": (lambda make: nn.ModuleList(make(net))),
    "extend": (lambda make: nn.ModuleList().extend(make(net))),
    "ModuleDict": (lambda make: nn.ModuleDict(make([("a", nn.ReLU()), ("b", nn.ReLU())]))),
    "callbacks": (
        lambda make: minidl.fit(
            net, [(x, y)], nn.CrossEntropyLoss(), optimizer, epochs=0,
            callbacks=make([callbacks.EarlyStopping()]),
        )
    ),
    "batches": (
        lambda make: minidl.fit(net, make([(x, y)]), nn.CrossEntropyLoss(), optimizer, epochs=0)
    ),
    "evaluate": (lambda make: minidl.evaluate(net, make([(x, y)]))),
    "Normalize": (lambda make: data.transforms.Normalize(make([0.1, 0.2, 0.3]), [1.0] * 3)),
    "Vocabulary": (lambda make: data.Vocabulary(make(["a", "b"]))),
    "texts": (lambda make: data.Vocabulary.build(make([("a", "b"), ("c",)]))),
    "a text": (lambda make: data.Vocabulary.build([make(["a", "b"])])),
    "encode": (lambda make: vocabulary.encode(make(["a", "b"]))),
    "decode": (lambda make: vocabulary.decode(make([4, 5]))),
    "pad_sequences": (lambda make: data.pad_sequences(make([(1, 2), (3,)]))),
}  # fmt: skip
# Those that said so before, each in words of its own.
OTHERS = {
    "cat": (lambda make: minidl.cat(make([x, minidl.ones(2, 2)]))),
    "stack": (lambda make: minidl.stack(make([x, minidl.ones(2, 2)]))),
    "tensor": (lambda make: minidl.tensor(make([1, 2]))),
    "permute": (lambda make: x.permute(make([1, 0]))),
    "reshape": (lambda make: x.reshape(make([4, 1]))),
    "Compose": (lambda make: data.transforms.Compose(make([data.transforms.ToFloat()]))),
    "Subset": (lambda make: data.Subset([1, 2, 3], make([0, 1]))),
    "classes": (
        lambda make: data.ArrayDataset(np.zeros((2, 4, 4), np.uint8), [0, 1], make(["a", "b"]))
    ),
    "labels": (
        lambda make: data.ArrayDataset(np.zeros((2, 4, 4), np.uint8), make([0, 1]), ["a", "b"])
    ),
}
SETS = {
    "set": set,
    "frozenset": frozenset,
    "either of two": lambda values: dict.fromkeys(values).keys() | set(),
}


@pytest.mark.parametrize("kind", SETS)
@pytest.mark.parametrize("name", LISTS)
def test_a_set_is_refused(name, kind):
    with pytest.raises(ArgumentError, match="have an order, and a set has none") as caught:
        LISTS[name](SETS[kind])
    assert "hint: pass a " in str(caught.value)


@pytest.mark.parametrize("name", OTHERS)
def test_a_set_is_refused_in_other_words(name):
    with pytest.raises(MinidlError):
        OTHERS[name](set)


@pytest.mark.parametrize(
    "make",
    [
        list,
        tuple,
        pytest.param(lambda values: dict.fromkeys(values).keys(), id="keys"),
        pytest.param(lambda values: dict(enumerate(values)).values(), id="values"),
        pytest.param(lambda values: OrderedDict.fromkeys(values).keys(), id="ordered keys"),
    ],
)
@pytest.mark.parametrize("name", LISTS)
def test_what_has_an_order_is_not(name, make):
    LISTS[name](make)


def test_generators_of_parameters():
    optim.SGD((p for p in net.parameters()), 0.1)
    optim.SGD(dict(net.named_parameters()).values(), 0.1)
    optim.clip_grad_norm_((p for p in net.parameters()), 1.0)


def test_names_of_an_onnx_file(tmp_path):
    pytest.importorskip("onnx", reason="onnx is not installed")
    with pytest.raises(ArgumentError, match="input_names have an order"):
        minidl.io.onnx.save(net, tmp_path / "net.onnx", (1, 2), input_names={"x"})


def test_a_set_of_layers_as_an_attribute():
    """It would be learned by nobody, as a list would not."""
    module = nn.Module()
    with pytest.raises(ModuleError, match="a set of modules or parameters as 'layers'"):
        module.layers = {nn.Linear(2, 2)}


def test_sets_of_names_pass_where_order_means_nothing(tmp_path):
    import models

    path = tmp_path / "lenet.safetensors"
    minidl.io.save_checkpoint(path, models.lenet5())
    assert models.load_weights(models.lenet5(), path, fresh={"classifier"}).fresh


def test_the_order_of_a_set_is_another_one_in_each_run():
    """Why: the addresses of objects, and the hashes of texts, are drawn anew."""
    program = "print(list({'conv1', 'conv2', 'fc1', 'fc2', 'fc3'}))"
    orders = {
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True
        ).stdout
        for seed in "123456"
    }
    assert len(orders) > 1
