"""What each operation says about the pixels that an output pixel depends on, and that it is so."""

import inspect
import pkgutil
from importlib import import_module

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.debug import record, summary
from minidl.function import Function
from minidl.ops.receptive_field import SAME_PIXEL, Window
from tests.op_cases import CASES

PICTURES = [case for case in CASES if case.gradient and any(x.ndim == 4 for x in case.inputs)]


def operations():
    """Every Function of minidl/ops."""
    found = set()
    for module in pkgutil.iter_modules(minidl.ops.__path__, "minidl.ops."):
        for _, kind in inspect.getmembers(import_module(module.name), inspect.isclass):
            if issubclass(kind, Function) and kind.__module__.startswith("minidl.ops"):
                found.add(kind)
    return sorted(found, key=lambda kind: kind.__name__)


@pytest.mark.parametrize("kind", operations(), ids=lambda kind: kind.__name__)
def test_every_operation_says_it(kind):
    """Or inherits it. Without, summary would show "-" behind it, and nobody would notice."""
    bases = kind.__mro__[: kind.__mro__.index(Function)]
    assert any("receptive_field" in vars(base) for base in bases), (
        f"{kind.__name__} states no receptive_field: minidl/ops/receptive_field.py has the choices"
    )


@pytest.mark.parametrize("case", PICTURES, ids=lambda case: case.id)
def test_no_other_pixel_has_a_gradient(case):
    """The gradient of one output pixel lies within the window, for every operation of the case."""
    inputs = [minidl.tensor(x) for x in case.inputs]
    for x in inputs:
        x.requires_grad = x.dtype.kind == "f"
    with record() as recording:
        case.call(*inputs)
    for call in recording.calls:
        window, y = call.function.receptive_field, call.outputs[0]
        if not isinstance(window, Window) or y.ndim != 4 or not y.requires_grad:
            continue
        seen = call.inputs if window == SAME_PIXEL else call.inputs[:1]  # the others are weights
        for x in {x for x in seen if x.ndim == 4 and x.requires_grad}:
            assert extent(x, y) <= tuple(
                (taps - 1) * step + 1 for taps, step in zip(window.size, window.dilation)
            )


class Extent(tuple):
    """(height, width); smaller if both are."""

    def __le__(self, other):
        return all(a <= b for a, b in zip(self, other))


def extent(x, y):
    """How many rows and columns of x the pixels of y have a gradient in, at most."""
    if x.grad_fn is not None:
        x.retain_grad()
    rng, sizes = np.random.default_rng(0), [(0, 0)]
    pixels = list(np.ndindex(*y.shape[2:]))
    for h, w in rng.permutation(pixels)[:4] if pixels else []:
        x.grad = None
        y[:, :, int(h), int(w)].sum().backward(retain_graph=True)
        if x.grad is not None:
            axes = np.nonzero(x.grad.data)[2:]
            sizes.append(tuple(int(np.ptp(axis)) + 1 if axis.size else 0 for axis in axes))
    return Extent(map(max, zip(*sizes)))


class Maps(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function, self.conv = function, nn.Conv2d(2, 2, 3)

    def forward(self, x):
        return self.conv(self.function(x))


@pytest.mark.parametrize(
    "function, field",
    [
        (lambda x: x.contiguous() * 2 + (x > 0).to("float32"), "3"),
        (lambda x: x * x.sum(dim=1, keepdim=True), "3"),
        (lambda x: x * x.amax(dim=1, keepdim=True), "3"),
        (lambda x: x * x.mean((2, 3), keepdim=True), "all"),
        (lambda x: x + x.argmax(1, keepdim=True), "3"),
        (lambda x: x.cumsum(1), "3"),
        (lambda x: x.cumsum(2), "-"),
        (lambda x: x.flip(2), "-"),
        (lambda x: x.transpose(2, 3), "-"),
        (lambda x: x * x.sum((0, 2), keepdim=True), "-"),
    ],
)  # fmt: skip
def test_fields_behind_operations(function, field):
    found = summary(Maps(function), (1, 2, 8, 8))
    assert found.layers[-1].receptive_field == field


def test_an_operation_of_the_users_own_is_not_followed():
    class Blur(Function):
        def forward(self, x):
            return (x + np.roll(x, 1, 2)) / 2

    assert summary(Maps(lambda x: Blur().apply(x)), (1, 2, 8, 8)).layers[-1].receptive_field == "-"
