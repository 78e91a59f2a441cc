"""How the learning rate changes."""

import numpy as np
import pytest

import minidl as library
from apps.shared.options import parse_options
from apps.shared.schedule import ScheduleOptions, make_schedule
from minidl import nn


def rates(**given):
    """The learning rate of each of 12 steps: 4 epochs of 3."""
    chosen = ScheduleOptions(**({"schedule": "multistep"} | parse_options(ScheduleOptions, given)))
    optimizer = library.optim.SGD([nn.Parameter(library.ones(1))], lr=1.0)
    schedule = make_schedule(optimizer, chosen, 4, 3)
    found = []
    for step in range(12):
        found.append(optimizer.param_groups[0]["lr"])
        if schedule is not None:
            schedule.on_step_end(None)
            if step % 3 == 2:
                schedule.on_epoch_end(None)
    return found


def test_schedules_in_steps():
    cosine = [(1 + np.cos(np.pi * t / 12)) / 2 for t in range(12)]
    assert rates(schedule="cosine") == pytest.approx(cosine)
    assert rates(milestones="1,3") == pytest.approx([1.0] * 3 + [0.1] * 6 + [0.01] * 3)
    assert rates(schedule="none") == [1.0] * 12


def test_warm_up_multiplies_the_schedule():
    rise = np.minimum((np.arange(12) + 1) / 4, 1)  # 1 1/3 epochs
    for given in ({"schedule": "cosine"}, {"milestones": "1,3"}, {"schedule": "none"},
                  {"schedule": "step"}, {"schedule": "exponential"}):  # fmt: skip
        assert rates(**given, warmup=4 / 3) == pytest.approx(rise * rates(**given)), given
