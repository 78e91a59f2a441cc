"""Several schedules on one optimizer: each changes what the others have left, as in PyTorch."""

import itertools
import json
import math

import numpy as np
import pytest

from minidl import Tensor, optim

STEPS = 50
RATES = (0.1, 2.0)
# Of 50 epochs: better for a while, flat, better, flat.
METRICS = [1 / (1 + t) for t in range(10)] + [1.0] * 15 + [0.05] * 25

CHAINING = {
    "StepLR": lambda o, s: s.StepLR(o, step_size=7, gamma=0.3),
    "MultiStepLR": lambda o, s: s.MultiStepLR(o, milestones=[3, 11, 11, 20], gamma=0.5),
    "ExponentialLR": lambda o, s: s.ExponentialLR(o, gamma=0.9),
    "CosineAnnealingLR": lambda o, s: s.CosineAnnealingLR(o, T_max=11, eta_min=0.01),
    "cosine to 0": lambda o, s: s.CosineAnnealingLR(o, T_max=8),
    "LinearLR": lambda o, s: s.LinearLR(o, start_factor=0.2, end_factor=0.9, total_iters=6),
    "LinearLR to 0": lambda o, s: s.LinearLR(o, 1.0, end_factor=0.0, total_iters=30),
    "ReduceLROnPlateau": lambda o, s: s.ReduceLROnPlateau(o, factor=0.5, patience=2, eps=0),
}
PAIRS = list(itertools.product(CHAINING, CHAINING))


def ours(*makers):
    optimizer = optim.SGD([{"params": [weight()], "lr": lr} for lr in RATES], lr=0.1)
    return optimizer, [make(optimizer, optim) for make in makers]


def weight():
    return Tensor(np.ones(1), requires_grad=True)


def theirs(*makers):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    groups = [{"params": [torch.ones(1, requires_grad=True)], "lr": lr} for lr in RATES]
    optimizer = torch.optim.SGD(groups, lr=0.1)
    return optimizer, [make(optimizer, torch.optim.lr_scheduler) for make in makers]


def rates(optimizer):
    return [group["lr"] for group in optimizer.param_groups]


def step(schedules, t):
    for schedule in schedules:
        if type(schedule).__name__ == "ReduceLROnPlateau":
            schedule.step(METRICS[t])
        else:
            schedule.step()


def run(optimizer, schedules, begin=0, end=STEPS):
    found = [rates(optimizer)]
    for t in range(begin, end):
        step(schedules, t)
        found.append(rates(optimizer))
    return found


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Detected call of")  # PyTorch wants optimizer.step() between
@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_two_schedules_as_in_pytorch(names):
    """Both ways round, as many of the pairs are not the same the other way."""
    makers = [CHAINING[name] for name in names]
    actual, expected = run(*ours(*makers)), run(*theirs(*makers))
    negative = [t for t, lrs in enumerate(expected) if min(lrs) < -1e-15]
    end = negative[0] if negative else STEPS + 1  # a rate that climbs is not taken over
    np.testing.assert_allclose(actual[:end], expected[:end], rtol=1e-9, atol=1e-15)
    assert end > 12 and np.min(actual) >= 0


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Detected call of")
@pytest.mark.parametrize("name", CHAINING)
def test_a_rate_set_by_hand_stays_as_in_pytorch(name):
    pairs = ours(CHAINING[name]), theirs(CHAINING[name])
    found = []
    for optimizer, schedules in pairs:
        run(optimizer, schedules, 0, 13)
        optimizer.param_groups[1]["lr"] = 0.7
        found.append(run(optimizer, schedules, 13))
    np.testing.assert_allclose(*found, rtol=1e-9, atol=1e-15)


def test_exponential_and_step():
    def make(optimizer):
        return optim.ExponentialLR(optimizer, 0.5), optim.StepLR(optimizer, 2, 0.1)

    optimizer = optim.SGD([weight()], lr=0.1)
    found = run(optimizer, make(optimizer), 0, 4)
    np.testing.assert_allclose(np.ravel(found), [0.1, 0.05, 0.0025, 0.00125, 0.0000625])


@pytest.mark.parametrize("name", [name for name in CHAINING if name != "ReduceLROnPlateau"])
def test_a_drop_on_a_plateau_stays(name):
    optimizer, schedules = ours(CHAINING[name], CHAINING["ReduceLROnPlateau"])
    alone = run(*ours(CHAINING[name]))
    both = run(optimizer, schedules)
    assert optimizer.param_groups[1]["lr"] <= alone[-1][1]
    assert both[12:14] != alone[12:14]
    if "osine" not in name:  # those restart by an addition, as PyTorch's
        np.testing.assert_allclose(both[-1], np.array(alone[-1]) / 2 ** drops(), rtol=1e-9)


def drops():
    lone, (schedule,) = ours(CHAINING["ReduceLROnPlateau"])
    return round(math.log2(RATES[0] / run(lone, [schedule])[-1][0]))


@pytest.mark.parametrize("moment", [0, 1, 8, 12, 31])
@pytest.mark.parametrize("names", PAIRS, ids=" and ".join)
def test_resumed_in_the_middle(names, moment):
    """Bit for bit, through JSON, whichever of the states is loaded first."""
    makers = [CHAINING[name] for name in names]
    optimizer, schedules = ours(*makers)
    run(optimizer, schedules, 0, moment)
    state, states = optimizer.state_dict(), [schedule.state_dict() for schedule in schedules]
    whole = run(optimizer, schedules, moment)
    for optimizer_first in (True, False):
        resumed, again = ours(*makers)
        if optimizer_first:
            resumed.load_state_dict(state)
        for schedule, saved in zip(again, states):
            schedule.load_state_dict(json.loads(json.dumps(saved)))
        if not optimizer_first:
            resumed.load_state_dict(state)
        assert run(resumed, again, moment) == whole


def test_a_rate_set_by_hand_is_resumed():
    optimizer, (schedule,) = ours(CHAINING["ExponentialLR"])
    run(optimizer, [schedule], 0, 5)
    optimizer.param_groups[0]["lr"] = 0.7
    saved = schedule.state_dict()
    resumed, (again,) = ours(CHAINING["ExponentialLR"])
    again.load_state_dict(saved)
    assert run(resumed, [again], 5) == run(optimizer, [schedule], 5)


def test_a_schedule_for_more_epochs_goes_on_with_its_own_rates():
    """A cosine that has come to its end, resumed by one that is longer."""
    _, (short,) = ours(lambda o, s: s.CosineAnnealingLR(o, T_max=10))
    for _ in range(10):
        short.step()
    assert short.get_last_lr() == [0.0, 0.0]
    optimizer, (longer,) = ours(lambda o, s: s.CosineAnnealingLR(o, T_max=20))
    longer.load_state_dict(short.state_dict())
    np.testing.assert_allclose(rates(optimizer), [0.05, 1.0])
    longer.step()
    part = (1 + math.cos(math.pi * 0.55)) / 2
    np.testing.assert_allclose(rates(optimizer), np.array(RATES) * part)


def test_alone_a_schedule_has_the_values_of_its_formula():
    optimizer, (schedule,) = ours(CHAINING["CosineAnnealingLR"])
    found = run(optimizer, [schedule])
    assert found == [[schedule.lr(base, t) for base in RATES] for t in range(STEPS + 1)]


def warmed_up(optimizer, s):
    parts = [s.LinearLR(optimizer, 0.1, total_iters=4), s.CosineAnnealingLR(optimizer, T_max=40)]
    return s.SequentialLR(optimizer, parts, milestones=[4])


def test_one_after_the_other_beside_another():
    """What the other one does stays when a turn ends (PyTorch goes back to the base there)."""
    one = run(*ours(warmed_up))
    both = run(*ours(warmed_up, CHAINING["ExponentialLR"]))
    factors = 0.9 ** np.arange(STEPS + 1)
    np.testing.assert_allclose(both[:40], (np.array(one) * factors[:, None])[:40], rtol=1e-9)


def test_a_schedule_that_has_a_formula_only():
    """A subclass of a user's chains without a line about it."""

    class Halved(optim.LRScheduler):
        def lr(self, base, t):
            return base / 2**t

    both = run(*ours(CHAINING["StepLR"], lambda o, s: Halved(o)))
    steps, halves = run(*ours(CHAINING["StepLR"])), 0.5 ** np.arange(STEPS + 1)
    np.testing.assert_allclose(both, np.array(steps) * halves[:, None], rtol=1e-9)
