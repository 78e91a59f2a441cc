from functools import partial

import numpy as np

import minidl
from minidl.creation import ones
from minidl.errors import ArgumentError, ShapeError
from minidl.nn.functional import conv2d_relu
from tests.op_cases.case import BadCase, Case, normal
from tests.oracles import onnx


def case(name, x, w, bias=True, frozen=False, stride=(1, 1), padding=(0, 0), groups=1, slope=0.0):
    """Frozen weights are no inputs, so that x alone gets a gradient."""
    inputs = [normal(*x), normal(*w, seed=1)] + ([normal(w[0], seed=2)] if bias else [])
    constants = inputs[1:] if frozen else []
    inputs = inputs[:1] if frozen else inputs
    geometry = {"stride": stride, "padding": padding, "groups": groups}
    options = geometry | ({"negative_slope": slope} if slope else {})
    conv = onnx("Conv", strides=stride, pads=[*padding] * 2, group=groups, kernel_shape=w[2:])

    def call(x, *others):
        others = others or [minidl.tensor(array.astype(x.dtype)) for array in constants]
        return conv2d_relu(x, *others, **options)

    def oracle(x, *others):
        others = others or [array.astype(x.dtype) for array in constants]
        return [np.where(y > 0, y, slope * y) for y in conv(x, *others)]

    def in_torch(torch, x, *others):
        others = others or [torch.from_numpy(array).to(x.dtype) for array in constants]
        y = torch.nn.functional.conv2d(x, *others, **geometry)
        return torch.nn.functional.leaky_relu(y, slope)

    return Case("conv2d_relu", name, call, inputs, oracle=oracle, torch=in_torch)


def both(name, *shapes, **options):
    return [case(f"{name}{'-frozen' * f}", *shapes, frozen=f, **options) for f in (False, True)]


CASES = [
    *both("plain", (2, 3, 6, 7), (4, 3, 3, 2)),
    *both("no-bias", (1, 2, 5, 5), (3, 2, 3, 3), bias=False, padding=(1, 1)),
    *both("stride", (1, 3, 9, 8), (64, 3, 3, 2), stride=(2, 1)),
    *both("wide-row", (2, 3, 5, 40), (32, 3, 3, 3), stride=(2, 2), padding=(0, 1)),
    *both("groups", (2, 4, 6, 5), (6, 2, 3, 2), stride=(2, 1), padding=(1, 2), groups=2),
    *both("depthwise", (1, 16, 5, 6), (16, 1, 3, 3), padding=(1, 1), groups=16),
    *both("pointwise", (2, 5, 4, 3), (7, 5, 1, 1)),
    *both("winograd", (1, 16, 9, 6), (32, 16, 3, 3), padding=(1, 1)),
    *both("winograd-groups", (2, 32, 5, 6), (32, 16, 3, 3), padding=(1, 0), groups=2),
    *both("leaky", (2, 3, 6, 7), (4, 3, 3, 2), slope=0.2),
    case("leaky-no-bias", (1, 2, 5, 5), (3, 2, 3, 3), bias=False, slope=0.2),
    case("leaky-wide-row", (2, 3, 5, 40), (32, 3, 3, 3), stride=(2, 2), slope=0.2),
    case("leaky-groups", (2, 4, 6, 5), (6, 2, 3, 2), groups=2, slope=0.2),
    case("leaky-winograd", (1, 16, 9, 6), (32, 16, 3, 3), padding=(1, 1), slope=0.2),
    *both("leaky-halving", (1, 16, 9, 8), (16, 16, 4, 4), stride=(2, 2), padding=(1, 1), slope=0.2),
    *both("draws-a-picture", (1, 8, 6, 80), (3, 8, 5, 5), padding=(2, 2)),
]

x, w = ones(1, 3, 8, 8), ones(6, 3, 5, 5)
bad = partial(BadCase, "conv2d_relu")
BAD_CASES = [
    bad("channels", lambda: conv2d_relu(x, ones(6, 1, 5, 5)), ShapeError, ["expects 1 input"]),
    bad("stride-zero", lambda: conv2d_relu(x, w, stride=0), ArgumentError, ["stride", ">= 1"]),
    bad("slope", lambda: conv2d_relu(x, w, negative_slope=-0.1), ArgumentError, ["from 0 to 1"]),
    bad("window", lambda: conv2d_relu(ones(1, 3, 4, 9), w), ShapeError, ["5 pixels in height"]),
]
