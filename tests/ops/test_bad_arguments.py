"""Whatever nonsense an array operation is given, the error is minidl's own."""

import importlib
import inspect
import random
import warnings

import numpy as np
import pytest

import minidl
from minidl import nn, optim
from minidl.errors import ArgumentError, DtypeError, MinidlError
from minidl.nn import functional as F

MODULES = [
    "arithmetic", "casting", "comparison", "elementary", "extremes", "flip", "indexing", "inplace",
    "joining", "matmul", "norm", "reductions", "remainder", "repetition", "selection", "shape",
    "variance", "where",
]  # fmt: skip


def operations():
    for module in MODULES:
        module = importlib.import_module(f"minidl.ops.{module}")
        for name, operation in vars(minidl.ops).items():
            if inspect.isfunction(operation) and operation.__module__ == module.__name__:
                yield name


def nonsense():
    """Values that are right for some argument of some operation, and wrong for most."""
    return [
        None, 1, -1, 0, 2.5, True, "a", (0, 1), (1,), [], [0, 5], (2, 3), slice(0, 1), ...,
        minidl.ones(2, 3), minidl.ones(3), minidl.zeros(0, 3), minidl.tensor(2.0),
        minidl.tensor([1, 0]), minidl.arange(6).reshape(2, 3), minidl.tensor([True, False]),
        minidl.ones(2, 3, requires_grad=True), [minidl.ones(2), minidl.ones(3)],
        (minidl.ones(2, 3), minidl.ones(2, 3)), float("nan"), object(), {"a": 1}, np.ones(3),
        np.array(["x"]), np.ones(2, complex),
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(operations()))
def test_nonsense_gets_an_error_of_minidl(name):
    operation = getattr(minidl.ops, name)
    kinds = [p.kind for p in inspect.signature(operation).parameters.values()]
    most = sum(kind != inspect.Parameter.KEYWORD_ONLY for kind in kinds)
    required = sum(
        p.default is p.empty and p.kind == p.POSITIONAL_OR_KEYWORD
        for p in inspect.signature(operation).parameters.values()
    )
    draw = random.Random(name)
    for attempt in range(150):
        arguments = draw.choices(nonsense(), k=draw.randint(required, max(required, most)))
        if attempt % 3 and arguments and name not in ("cat", "stack"):
            arguments[0] = minidl.ones(2, 3)  # mostly get past the first check
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            try:
                operation(*arguments)
            except MinidlError as error:
                assert str(error).count(": ") >= 1


picture, ones = minidl.ones(2, 3, 4, 4), minidl.ones(3)
leaf = minidl.ones(1, requires_grad=True)
digits = minidl.data.open_dataset("digits", "test")
FLAGS = {
    "max_pool2d: ceil_mode": lambda flag: F.max_pool2d(picture, 2, ceil_mode=flag),
    "max_pool2d: return_indices": lambda flag: F.max_pool2d(picture, 2, return_indices=flag),
    "avg_pool2d: ceil_mode": lambda flag: F.avg_pool2d(picture, 2, ceil_mode=flag),
    "avg_pool2d: count_include_pad": lambda flag: F.avg_pool2d(picture, 2, count_include_pad=flag),
    "dropout: training": lambda flag: F.dropout(picture, training=flag),
    "dropout2d: training": lambda flag: F.dropout2d(picture, training=flag),
    "batch_norm: training": lambda flag: F.batch_norm(picture, ones, ones, training=flag),
    "instance_norm: use_input_stats": lambda flag: F.instance_norm(
        picture, ones, ones, use_input_stats=flag
    ),
    "set_grad_enabled: enabled": lambda flag: minidl.set_grad_enabled(flag).__exit__(),
    "Linear: bias": lambda flag: nn.Linear(1, 1, flag),
    "Conv2d: bias": lambda flag: nn.Conv2d(1, 1, 1, bias=flag),
    "ConvTranspose2d: bias": lambda flag: nn.ConvTranspose2d(1, 1, 1, bias=flag),
    "LSTM: bias": lambda flag: nn.LSTM(1, 1, bias=flag),
    "LSTM: batch_first": lambda flag: nn.LSTM(1, 1, batch_first=flag),
    "LSTM: bidirectional": lambda flag: nn.LSTM(1, 1, bidirectional=flag),
    "LSTMCell: bias": lambda flag: nn.LSTMCell(1, 1, flag),
    "BatchNorm2d: affine": lambda flag: nn.BatchNorm2d(1, affine=flag),
    "InstanceNorm2d: track_running_stats": lambda flag: nn.InstanceNorm2d(
        1, track_running_stats=flag
    ),
    "train: mode": lambda flag: nn.ReLU().train(flag),
    "requires_grad_: requires_grad": lambda flag: nn.ReLU().requires_grad_(flag),
    "load_state_dict: strict": lambda flag: nn.ReLU().load_state_dict({}, flag),
    "SGD: nesterov": lambda flag: optim.SGD([leaf], momentum=0.9, nesterov=flag),
    "SGD: maximize": lambda flag: optim.SGD([leaf], maximize=flag),
    "Adam: amsgrad": lambda flag: optim.Adam([leaf], amsgrad=flag),
    "RMSprop: centered": lambda flag: optim.RMSprop([leaf], centered=flag),
    "clip_grad_norm_: error_if_nonfinite": lambda flag: optim.clip_grad_norm_(
        [leaf], 1.0, error_if_nonfinite=flag
    ),
    "DataLoader: shuffle": lambda flag: minidl.data.DataLoader(digits, 8, shuffle=flag),
    "DataLoader: drop_last": lambda flag: minidl.data.DataLoader(digits, 8, drop_last=flag),
    "requires_grad: requires_grad": lambda flag: minidl.ones(3).requires_grad_(flag),
    "backward: retain_graph": lambda flag: minidl.ones(1, requires_grad=True).backward(
        retain_graph=flag
    ),
}


@pytest.mark.parametrize("name", FLAGS)
def test_a_flag_is_a_bool(name):
    """The text "False" is true for Python, and an int is a slip of position."""
    for flag in ("False", 2, None):
        with pytest.raises(ArgumentError, match=f"^{name} is a bool"):
            FLAGS[name](flag)
    for flag in (True, np.bool_(False)):
        FLAGS[name](flag)


def test_a_module_hook_is_a_function():
    for register in (nn.ReLU().register_forward_hook, nn.ReLU().register_forward_pre_hook):
        with pytest.raises(DtypeError, match="a hook is a function"):
            register(3)


def test_true_is_no_number_of_channels():
    with pytest.raises(ArgumentError, match="Conv2d: in_channels, out_channels"):
        nn.Conv2d(1, True, 1)
