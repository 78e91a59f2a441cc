"""Schedules: their formulas, PyTorch's values over 30 epochs, state, mistakes."""

import itertools
import math

import numpy as np
import pytest

from minidl import Tensor, optim
from minidl.errors import ArgumentError, CheckpointError

EPOCHS = 30


def make_optimizer(*rates):
    groups = [{"params": [Tensor(np.ones(1), requires_grad=True)], "lr": lr} for lr in rates]
    return optim.SGD(groups, lr=0.1)


def rates(schedule, epochs=EPOCHS):
    found = []
    for _ in range(epochs):
        found.append(schedule.get_last_lr())
        schedule.step()
    return found


SCHEDULES = {
    "StepLR": (lambda o, s: s.StepLR(o, step_size=7, gamma=0.3)),
    "MultiStepLR": (lambda o, s: s.MultiStepLR(o, milestones=[3, 11, 11, 20], gamma=0.5)),
    "ExponentialLR": (lambda o, s: s.ExponentialLR(o, gamma=0.9)),
    "CosineAnnealingLR": (lambda o, s: s.CosineAnnealingLR(o, T_max=11, eta_min=0.01)),
    "LinearLR": (lambda o, s: s.LinearLR(o, start_factor=0.2, end_factor=0.9, total_iters=6)),
    "SequentialLR": (
        lambda o, s: s.SequentialLR(
            o,
            [s.LinearLR(o, 0.1, total_iters=4), s.StepLR(o, 3), s.ExponentialLR(o, 0.5)],
            milestones=[4, 19],
        )
    ),
    "warm-up-cosine": (
        lambda o, s: s.SequentialLR(
            o,
            [s.LinearLR(o, 0.01, total_iters=5), s.CosineAnnealingLR(o, T_max=25)],
            milestones=[5],
        )
    ),
}
by_schedule = pytest.mark.parametrize("name", SCHEDULES)


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore:Detected call of")  # PyTorch wants optimizer.step() between
@by_schedule
def test_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    actual = rates(SCHEDULES[name](make_optimizer(0.1, 2.0), optim))
    groups = [{"params": [torch.ones(1, requires_grad=True)], "lr": lr} for lr in (0.1, 2.0)]
    theirs = SCHEDULES[name](torch.optim.SGD(groups, lr=0.1), torch.optim.lr_scheduler)
    np.testing.assert_allclose(actual, rates(theirs), rtol=1e-9, atol=1e-15)


def test_formulas():
    def of(name, epochs):
        return [r[0] for r in rates(SCHEDULES[name](make_optimizer(1.0), optim), epochs)]

    assert of("StepLR", 9) == [1.0] * 7 + [0.3] * 2
    assert of("MultiStepLR", 12) == [1.0] * 3 + [0.5] * 8 + [0.125]
    np.testing.assert_allclose(of("ExponentialLR", 3), [1, 0.9, 0.81])
    cosine = [0.01 + 0.99 * (1 + math.cos(math.pi * t / 11)) / 2 for t in range(12)]
    np.testing.assert_allclose(of("CosineAnnealingLR", 12), cosine)
    assert cosine[11] == pytest.approx(0.01)
    np.testing.assert_allclose(of("LinearLR", 8)[::6], [0.2, 0.9])
    warm = of("warm-up-cosine", 6)
    assert warm[0] == pytest.approx(0.01) and warm[5] == 1.0
    assert warm == sorted(warm)


# Metrics of 30 epochs: falls, flat stretches, a rise, NaN, tiny improvements.
METRICS = [3, 2, 2, 2, 2, 2, 1.99999, 1.9, 1.9, 1.9, 1.9, 2.5, 2.4, 2.3, 0.5, math.nan, 0.5, 0.5,
           0.49, 0.49, 0.49, 0.49, 0.49, 0.49, 0.2, 0.2, 0.2, 0.2, 0.1, 0.1]  # fmt: skip
PLATEAUS = {
    "min": {"factor": 0.5, "patience": 2},
    "max": {"mode": "max", "factor": 0.5, "patience": 3, "threshold": 0.1},
    "abs": {"factor": 0.3, "patience": 1, "threshold": 0.2, "threshold_mode": "abs"},
    "cooldown": {"factor": 0.5, "patience": 0, "cooldown": 3, "min_lr": [0.01, 0.5]},
    "eps": {"factor": 0.5, "patience": 0, "eps": 0.02},
}


@pytest.mark.torch
@pytest.mark.parametrize("name", PLATEAUS)
def test_plateau_pytorch(name):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = optim.ReduceLROnPlateau(make_optimizer(0.1, 2.0), **PLATEAUS[name])
    groups = [{"params": [torch.ones(1, requires_grad=True)], "lr": lr} for lr in (0.1, 2.0)]
    theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
        torch.optim.SGD(groups, lr=0.1), **PLATEAUS[name]
    )
    seen = set()
    for epoch, metric in enumerate(METRICS):
        ours.step(metric)
        theirs.step(metric)
        np.testing.assert_allclose(ours.get_last_lr(), theirs.get_last_lr(), err_msg=str(epoch))
        seen.add(ours.get_last_lr()[0])
    assert len(seen) > 1  # it did something


@pytest.mark.torch
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
@pytest.mark.parametrize("mode", ["min", "max"])
def test_plateau_with_infinite_metrics(mode, threshold_mode):
    """All sequences of such metrics, the first ones above all, as in PyTorch."""
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    options = {"mode": mode, "threshold_mode": threshold_mode, "factor": 0.5, "patience": 0}
    for metrics in itertools.product([math.inf, -math.inf, math.nan, 0.0, 1.0, -1.0], repeat=3):
        ours = optim.ReduceLROnPlateau(make_optimizer(1.0), **options)
        weights = [torch.ones(1, requires_grad=True)]
        theirs = torch.optim.lr_scheduler.ReduceLROnPlateau(
            torch.optim.SGD(weights, lr=1.0), **options
        )
        for metric in metrics:
            ours.step(metric)
            theirs.step(metric)
            assert ours.get_last_lr() == theirs.get_last_lr(), metrics
        resumed = optim.ReduceLROnPlateau(make_optimizer(1.0), **options)
        resumed.load_state_dict(ours.state_dict())
        assert resumed.is_better(2.0) == theirs._is_better(2.0, theirs.best), metrics


def test_plateau():
    schedule = optim.ReduceLROnPlateau(make_optimizer(1.0), factor=0.5, patience=1)
    found = []
    for metric in (3.0, 2.0, 2.0, 2.0, 1.0, 1.0):
        schedule.step(metric)
        found.append(schedule.get_last_lr()[0])
    assert found == [1.0, 1.0, 1.0, 0.5, 0.5, 0.5]


@by_schedule
def test_state_dict(name):
    schedule = SCHEDULES[name](make_optimizer(0.1, 2.0), optim)
    rates(schedule, 8)
    optimizer = make_optimizer(0.1, 2.0)
    resumed = SCHEDULES[name](optimizer, optim)
    resumed.load_state_dict(schedule.state_dict())
    assert rates(resumed) == rates(schedule)


def test_plateau_state_dict():
    schedule = optim.ReduceLROnPlateau(make_optimizer(1.0), **PLATEAUS["cooldown"] | {"min_lr": 0})
    for metric in METRICS[:12]:
        schedule.step(metric)
    optimizer = make_optimizer(1.0)
    resumed = optim.ReduceLROnPlateau(optimizer, **PLATEAUS["cooldown"] | {"min_lr": 0})
    resumed.load_state_dict(schedule.state_dict())
    optimizer.param_groups[0]["lr"] = schedule.get_last_lr()[0]  # part of the optimizer's state
    for metric in METRICS[12:]:
        schedule.step(metric)
        resumed.step(metric)
        assert resumed.get_last_lr() == schedule.get_last_lr()


def test_a_schedule_sets_lr_for_steps_with_lr_mult():
    """lr_mult scales the steps of its group; the schedule changes lr alone."""
    p = Tensor(np.zeros(1), requires_grad=True)
    optimizer = optim.SGD([{"params": [p], "lr_mult": 10.0}], lr=1.0)
    schedule = optim.StepLR(optimizer, step_size=1, gamma=0.5)
    schedule.step()
    p.grad = Tensor(np.ones(1))
    optimizer.step()
    assert schedule.get_last_lr() == [0.5]
    np.testing.assert_allclose(p.data, -5.0)


o, other = make_optimizer(0.1), make_optimizer(0.1)
plateau = optim.ReduceLROnPlateau(o)
MISTAKES = {
    "optimizer": (lambda: optim.StepLR(0.1, 3), "optimizer is a minidl.optim.Optimizer"),
    "step_size": (lambda: optim.StepLR(o, 0), "step_size is an int >= 1"),
    "gamma": (lambda: optim.ExponentialLR(o, -0.5), "gamma is a number > 0"),
    "milestones": (lambda: optim.MultiStepLR(o, [1, -2]), "a milestone is an int >= 0"),
    "milestones int": (lambda: optim.MultiStepLR(o, 3), "milestones is a list"),
    "schedulers": (lambda: optim.SequentialLR(o, None, []), "schedulers is a list"),
    "no scheduler": (lambda: optim.SequentialLR(o, [o], []), "schedulers are schedules"),
    "metric": (lambda: plateau.step(None), "metric is a number"),
    "T_max": (lambda: optim.CosineAnnealingLR(o, 2.5), "T_max is an int >= 1"),
    "eta_min": (lambda: optim.CosineAnnealingLR(o, 2, eta_min=-1), "eta_min is a number >= 0"),
    "start_factor": (lambda: optim.LinearLR(o, 0), "start_factor is a number > 0 and <= 1"),
    "end_factor": (lambda: optim.LinearLR(o, end_factor=2), "end_factor is a number >= 0"),
    "count": (lambda: optim.SequentialLR(o, [], []), "one milestone fewer"),
    "order": (
        lambda: optim.SequentialLR(o, [optim.StepLR(o, 1) for _ in range(3)], [5, 5]),
        "milestones ascend",
    ),
    "plateau": (
        lambda: optim.SequentialLR(o, [optim.StepLR(o, 1), plateau], [5]), "depends on a metric",
    ),
    "other optimizer": (
        lambda: optim.SequentialLR(o, [optim.StepLR(other, 1)], []), "the same optimizer",
    ),
    "mode": (lambda: optim.ReduceLROnPlateau(o, mode="lowest"), 'mode is "min" or "max"'),
    "factor": (lambda: optim.ReduceLROnPlateau(o, factor=1.0), "factor is < 1"),
    "patience": (lambda: optim.ReduceLROnPlateau(o, patience=-1), "patience is an int >= 0"),
    "threshold_mode": (lambda: optim.ReduceLROnPlateau(o, threshold_mode="x"), "threshold_mode"),
    "min_lr": (lambda: optim.ReduceLROnPlateau(o, min_lr=[0, 0]), "one value per group"),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_error_message(mistake):
    call, text = MISTAKES[mistake]
    with pytest.raises(ArgumentError) as caught:
        call()
    assert text in str(caught.value)


@pytest.mark.parametrize(
    "state, text",
    [
        (plateau.state_dict(), "another schedule"),
        (None, "another schedule"),
        ({"last_epoch": "3", "base_lrs": [0.1], "changed_lrs": [None]}, "no count of steps"),
        ({"last_epoch": -1, "base_lrs": [0.1], "changed_lrs": [None]}, "no count of steps"),
        ({"last_epoch": 3, "base_lrs": [0.1, 0.2], "changed_lrs": [0.1]}, "a rate for each group"),
        ({"last_epoch": 3, "base_lrs": ["0.1"], "changed_lrs": [0.1]}, "a rate for each group"),
        ({"last_epoch": 3, "base_lrs": [0.1], "changed_lrs": []}, "a rate for each group"),
        ({"last_epoch": 3, "base_lrs": [0.1], "changed_lrs": ["0.1"]}, "a rate for each group"),
        *(
            ({"last_epoch": 3, "base_lrs": [base], "changed_lrs": [now]}, "a rate for each group")
            for base, now in (
                (0.1, -5),
                (0.1, math.nan),
                (0.1, math.inf),
                (-0.1, None),
                (math.nan, None),
                (math.inf, 0.1),
            )
        ),
        ({"last_epoch": 3, "base_lrs": [0.1]}, "or is not whole: no changed_lrs"),
    ],
)
def test_bad_state_changes_nothing(state, text):
    schedule = optim.StepLR(make_optimizer(0.1), 3)
    schedule.step()
    with pytest.raises(CheckpointError, match=text):
        schedule.load_state_dict(state)
    assert (schedule.last_epoch, schedule.base_lrs) == (1, [0.1])
    assert schedule.get_last_lr() == [0.1]
