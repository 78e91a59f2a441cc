"""A model's tensors in chunks, and back."""

import dataclasses

import numpy as np
import pytest

import minidl
from minidl import nn, optim
from minidl_dist.plan import AVERAGE, COUNT, FIXED, SUM
from minidl_dist.tensors import Averages, Chunks, make_plan


def network():
    minidl.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8, momentum=0.3), nn.ReLU(), nn.Flatten(),
        nn.Linear(8 * 4, 40), nn.Linear(40, 3),
    )  # fmt: skip


def cut(model, optimizer, **sizes):
    """Chunks of a few bytes, so that tensors have several pieces; and what is given away."""
    plan, tensors = make_plan(model, optimizer, 2, 4, 1)
    plan = dataclasses.replace(plan, **sizes)
    given = {}
    chunks = Chunks(plan, tensors, lambda number, values, _: given.__setitem__(number, values))
    return plan, tensors, chunks, given


SIZES = [{}, {"chunk_bytes": 256, "norm_block": 16}, {"chunk_bytes": 300, "norm_block": 48}]


@pytest.mark.parametrize("sizes", SIZES)
def test_gradients_lie_where_the_plan_says(sizes):
    model = network()
    plan, tensors, chunks, given = cut(model, optim.SGD(model.parameters(), 0.1), **sizes)
    averages = Averages(model, plan, tensors)
    x = minidl.randn(2, 3, 4, 4)
    averages.begin()
    chunks.begin()
    model(x).sum().backward()
    averages.end(chunks)
    assert chunks.end() == []
    chunks.close()
    assert all(tensor.grad is None for tensor in tensors)

    for spec, tensor in zip(plan.tensors, tensors):
        if spec.kind == AVERAGE:
            tensor.data[...] = 0
    model(x).sum().backward()
    for n, spec in enumerate(plan.tensors):
        if spec.kind == COUNT:
            continue
        array = tensors[n].grad.data if spec.kind == SUM else tensors[n].data
        flat = np.full(spec.size, np.nan, spec.dtype)
        for chunk in plan.chunks:
            for piece in chunk.pieces:
                if piece.tensor == n:
                    flat[piece.start : piece.stop] = given[chunk.number][piece.place]
        np.testing.assert_array_equal(flat.reshape(spec.shape), array)
    kinds = {spec.name: spec.kind for spec in plan.tensors}
    assert kinds["1.running_var"] == AVERAGE and kinds["1.num_batches_tracked"] == COUNT


@pytest.mark.parametrize("sizes", SIZES)
def test_weights_come_back(sizes):
    model, other = network(), network()
    for p in other.parameters():
        p.data += 1
    other[0].weight.data = np.asfortranarray(other[0].weight.data)
    _, _, chunks, _ = cut(model, optim.SGD(model.parameters(), 0.1), **sizes)
    _, _, others, _ = cut(other, optim.SGD(other.parameters(), 0.1), **sizes)
    arrays = [p.data for p in model.parameters()]
    values = others.initial()
    for array in values.values():
        array.flags.writeable = False  # as they come from a socket
    chunks.load(values)
    for p, q, array in zip(model.parameters(), other.parameters(), arrays):
        assert p.data is array
        np.testing.assert_array_equal(p.data, q.data)


def test_what_a_slot_did_not_touch_is_missing():
    model = network()
    model[4].freeze()
    model.unused = nn.Linear(4, 4)
    plan, tensors, chunks, given = cut(model, optim.SGD(model.parameters(), 0.1), chunk_bytes=256,
                                       norm_block=16)  # fmt: skip
    averages = Averages(model, plan, tensors)
    model[1].freeze()
    averages.begin()
    chunks.begin()
    x = minidl.randn(2, 3, 4, 4)
    y = model[5](model[4](model[3](model[2](model[1](model[0](x))))))
    y.sum().backward()
    averages.end(chunks)
    missing = {plan.tensors[n].name for n in chunks.end()}
    assert missing == {
        "1.weight", "1.bias", "4.weight", "4.bias", "unused.weight", "unused.bias",
        "1.running_mean", "1.running_var", "1.num_batches_tracked",
    }  # fmt: skip
    for chunk in plan.chunks:
        names = {plan.tensors[n].name for n in chunk.tensors}
        assert (chunk.number in given) == (not names <= missing)
    model[4].unfreeze()  # it may learn later: its gradients are heard then
    chunks.begin()
    model[4](minidl.randn(2, 32)).sum().backward()
    assert 4 not in {n for n in chunks.end() if plan.tensors[n].name.startswith("4.")}
    assert not {"4.weight", "4.bias"} & {plan.tensors[n].name for n in chunks.end()}


def test_a_gradient_that_is_not_finite_is_named():
    model = network()
    plan, _, chunks, _ = cut(model, optim.SGD(model.parameters(), 0.1))
    chunks.begin()
    x = np.ones((2, 40), np.float32)
    x[1, 3] = np.inf
    with np.errstate(invalid="ignore"):
        (model[5](minidl.tensor(x)) * 0).sum().backward()
    chunks.end()
    assert chunks.nan == "5.weight"


def test_what_the_optimizer_does_not_hold_is_fixed_and_compared():
    plans = []
    for change in (0, 0, 1):
        model = network()
        model[0].weight.data[0, 0, 0, 0] += change
        parameters = [p for name, p in model.named_parameters() if name != "0.weight"]
        plans.append(make_plan(model, optim.SGD(parameters, 0.1), 2, 4, 1)[0])
    assert plans[0].tensors[0].kind == FIXED and plans[0].hash == plans[1].hash
    assert "tensor 0.weight: crc" in plans[0].difference(plans[2])
