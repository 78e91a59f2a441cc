"""The coordinator's book of steps: which reports all workers are given, and in which order."""

import pytest

from minidl_dist import messages as m
from minidl_dist.modes import parse
from minidl_dist.plan import Job
from minidl_dist.steps import Steps
from tests.dist.small_plan import small_plan


@pytest.mark.parametrize(
    "mode, counted", [("sync", [0, 1, 2, 3]), ("backup:2", [2, 3]), ("async", [0, 1, 2, 3])]
)
def test_reports_are_in_slot_order_whichever_came_first(mode, counted):
    """All workers add them up in this order, so that their sums have the same bits."""
    job = Job(("server0",), mode)
    steps = Steps(small_plan(slots=4, batches_per_epoch=4), job, parse(mode, 4), 0)
    done = None
    for slot in (3, 2, 1, 0):
        if done is None:
            values = {"count": 8, "values.loss": slot / 3}
            assert steps.take(m.Report(1, 0, slot, f"worker{slot}", slot + 0.5, values))
            done = steps.finish()
    assert done == 0
    assert steps.done[0] == [
        {"weight": slot + 0.5, "values": {"count": 8, "values.loss": slot / 3}} for slot in counted
    ]
