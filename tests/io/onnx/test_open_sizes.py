"""Sizes that an ONNX file leaves open beside the batch: dynamic_axes."""

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError
from minidl.io.onnx.export import serialized, to_proto
from minidl.io.onnx.opened import open_sizes
from minidl.nn import functional as F
from tests.io.onnx.runtime import Call, assert_equal, run_file

ANY_SIZE = {"input": {0: "batch", 2: "height", 3: "width"}}


def normal(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


CALLS = {
    "cut": lambda x: F.pad(x, (1, 2, 3, 0), mode="reflect")[:, :, : x.shape[2], : x.shape[3]],
    "enlarged": lambda x: F.interpolate(x, scale_factor=(2, 3)),
    "enlarged-bilinear": lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"),
    "mean": lambda x: x - x.mean((2, 3), keepdim=True),
    "instance-norm": lambda x: F.instance_norm(x),
    "flat-pixels": lambda x: x.reshape(x.shape[0], 3, -1),
}


@pytest.mark.parametrize("name", CALLS)
def test_one_file_for_all_sizes(name):
    call = CALLS[name]
    data = serialized(to_proto(Call(call), (1, 3, 8, 9), dynamic_axes=ANY_SIZE))
    for shape in [(1, 3, 8, 9), (3, 3, 5, 14), (2, 3, 12, 6)]:
        x = normal(*shape)
        assert_equal(run_file(data, [x]), [call(minidl.tensor(x)).numpy()])


def test_only_the_named_sizes_are_open():
    proto = to_proto(nn.Conv2d(3, 2, 3), (1, 3, 8, 9), dynamic_axes={"input": {3: "width"}})
    sizes = [d.dim_param or d.dim_value for d in proto.graph.input[0].type.tensor_type.shape.dim]
    assert sizes == [1, 3, 8, "width"]
    sizes = [d.dim_param or d.dim_value for d in proto.graph.output[0].type.tensor_type.shape.dim]
    assert sizes[:3] == [1, 2, 6] and isinstance(sizes[3], str)


def test_two_inputs_may_share_a_size():
    axes = {"input_1": {0: "n", 1: "length"}, "input_2": {0: "n", 1: "length"}}
    examples = minidl.tensor(normal(2, 4)), minidl.tensor(normal(2, 4, seed=1))
    data = serialized(to_proto(Call(lambda a, b: a * b), examples, dynamic_axes=axes))
    a, b = normal(3, 7), normal(3, 7, seed=2)
    assert_equal(run_file(data, [a, b]), [a * b])


@pytest.mark.parametrize(
    "call, axes, says",
    [
        (lambda x: x, {"inputs": {0: "n"}}, "no such input"),
        (lambda x: x, {"input": {4: "n"}}, "no such axis"),
        (lambda x: x, {"input": ["n"]}, "dynamic_axes is"),
        (lambda x: x, {"input": {0: ""}}, "dynamic_axes is"),
        (lambda x: x, 1, "dynamic_axes is"),
        (lambda x: x[:, :, : x.shape[2] // 2], ANY_SIZE, "a way of its own"),
        (lambda x: F.interpolate(x, size=(9, 9)), ANY_SIZE, "a way of its own"),
        (lambda x: x * x.shape[3], ANY_SIZE, "a constant of Mul depends"),
    ],
)
def test_what_would_be_wrong_for_other_sizes_is_refused(call, axes, says):
    with pytest.raises(ArgumentError) as caught:
        to_proto(Call(call), (1, 3, 8, 9), dynamic_axes=axes)
    assert says in str(caught.value)
    if axes is ANY_SIZE:  # the size at fault may be any of these
        assert "height, width out of dynamic_axes" in caught.value.hint


def test_as_many_sizes_as_can_be_told_apart():
    """Each has a pair of its own, also where all inputs are alike."""
    names = [f"input_{i}" for i in range(1, 14)]
    examples = [minidl.tensor(normal(4)) for _ in names]
    axes = {name: {0: f"n{name}"} for name in names}
    pairs = [one.sizes for one in open_sizes(examples[:12], names[:12], True,
                                             dict(list(axes.items())[:12]))]  # fmt: skip
    assert len({large - small for small, large in pairs}) == 12
    with pytest.raises(ArgumentError, match="at most 12 sizes"):
        open_sizes(examples, names, True, axes)


def test_a_batch_is_not_fixed_and_left_open():
    with pytest.raises(ArgumentError, match="dynamic_batch=False keeps the batch"):
        to_proto(nn.Linear(3, 2), (1, 3), dynamic_batch=False, dynamic_axes={"input": {0: "n"}})
    proto = to_proto(
        nn.Conv2d(3, 2, 3), (1, 3, 8, 9), dynamic_batch=False, dynamic_axes={"input": {3: "width"}}
    )
    assert proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value == 1
