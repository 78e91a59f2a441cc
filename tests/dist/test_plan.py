"""Plans and modes."""

import pytest

from minidl.errors import ArgumentError
from minidl_dist.modes import parse
from minidl_dist.plan import Job, Plan, TensorSpec
from tests.dist.small_plan import small_plan


def test_chunks_are_cut_at_blocks_and_placed_evenly():
    plan = Plan(
        (TensorSpec("a", (700_000,), "float32"), TensorSpec("m", (9,), "float32", "average"),
         TensorSpec("b", (5,), "float32"), TensorSpec("n", (), "int64", "count"),
         TensorSpec("f", (3,), "float32", "fixed", crc=1)),
        "Adam", 1, 1, 1,
    )  # fmt: skip
    assert [c.kind for c in plan.chunks] == ["sum", "sum", "sum", "average", "count"]
    assert all(p.start % 65_536 == 0 for c in plan.chunks for p in c.pieces)
    assert sum(c.size for c in plan.chunks) == 700_000 + 9 + 5 + 1
    assert all(c.nbytes <= 1 << 20 for c in plan.chunks)
    assert sorted(set(plan.place(3))) == [0, 1, 2]
    with pytest.raises(ArgumentError, match="at most 5 servers"):
        plan.place(6)


def test_little_is_left_to_send_when_backward_ends():
    """The front layers' gradients come last; what lies behind them is sent before."""
    sizes = [432, 2_304, 2_304, 9_216, 9_216, 36_864, 36_864, 36_864, 200_000]
    tensors = [TensorSpec(f"w{n}", (size,), "float32") for n, size in enumerate(sizes)]
    averages = [TensorSpec(f"m{n}", (16,), "float32", "average", momentum=0.1) for n in range(3)]
    for order in ([*tensors, *averages], [averages[0], *tensors, *averages[1:]]):
        plan = Plan(tuple(order), "SGD", 1, 1, 1)
        sums = [chunk for chunk in plan.chunks if chunk.kind == "sum"]
        assert [chunk.size for chunk in sums] == [sum(sizes[:5]), sum(sizes[5:8]), 200_000]
        assert [chunk.size for chunk in plan.chunks if chunk.kind == "average"] == [48]
    large = Plan((TensorSpec("w", (300_000,), "float32"),), "SGD", 1, 1, 1)
    assert [chunk.size for chunk in large.chunks] == [262_144, 37_856]  # no tensor is cut for it


def test_plans_travel_and_their_difference_has_a_name():
    plan = small_plan()
    again = Plan.from_dict(plan.to_dict())
    assert again == plan and again.hash == plan.hash and plan.difference(again) == ""
    other = Plan((plan.tensors[0], TensorSpec("b", (3,), "float32")), "SGD", 2, 3, 2)
    assert plan.difference(other) == "tensor b: shape is (2,) here, (3,) there"
    assert "epochs" in small_plan(epochs=1).difference(plan)
    with pytest.raises(ArgumentError, match="these optimizers"):
        Plan.from_dict({**plan.to_dict(), "optimizer": "LBFGS"})
    huge = [{**plan.to_dict()["tensors"][0], "shape": [2**60]}]
    with pytest.raises(ArgumentError, match="at most"):
        Plan.from_dict({**plan.to_dict(), "tensors": huge})
    with pytest.raises(ArgumentError, match="not a plan"):
        Plan.from_dict({"tensors": 3})


def test_modes():
    plan, job = small_plan(epochs=9), Job(("s",), save_every=5)
    assert parse("sync").weights_of(plan, job, 7) == 7
    ssp = parse("ssp:1")
    assert [ssp.weights_of(plan, job, t) for t in range(7)] == [0, 0, 2, 2, 4, 5, 6]
    assert parse("async").weights_of(plan, job, 3) == 2  # an epoch has two steps
    assert parse("backup:1", 2).counted(plan, 0) == 1
    for wrong in ("ssp", "sync:1", "backup:2", "ssp:x", ""):
        with pytest.raises(ArgumentError):
            parse(wrong, 2)
