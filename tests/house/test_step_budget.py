"""The way from a call to its arithmetic stays short enough to step through."""

import pytest

import minidl
from benchmarks.step_budget import BUDGETS, Steps, count_steps, subjects

SUBJECTS = subjects()


def test_each_subject_has_a_budget():
    assert list(SUBJECTS) == list(BUDGETS)


@pytest.mark.parametrize("name", SUBJECTS)
def test_steps_stay_within_budget(name):
    subject, budget = SUBJECTS[name], BUDGETS[name]
    with minidl.use_cpu_kernels("reference"):
        steps = count_steps(subject.run, subject.prepare)
    assert steps.lines > 10, "the tracer saw nothing"
    assert steps.within(budget), f"{name}: {steps} is over the budget {budget}"


def test_a_longer_way_counts_more():
    x = minidl.ones(2, 3)
    one, two = count_steps(lambda: x + x), count_steps(lambda: x + x + x)
    assert two.calls == 2 * one.calls and two.lines == 2 * one.lines and two.depth == one.depth


def test_what_is_prepared_does_not_count():
    x = minidl.ones(2, 3)
    assert count_steps(lambda y: y + y, lambda: (x.exp(),)) == count_steps(lambda: x + x)


def test_each_number_of_the_budget_counts():
    budget = Steps(calls=3, lines=3, depth=3)
    assert Steps(3, 3, 3).within(budget)
    assert not Steps(4, 3, 3).within(budget)
    assert not Steps(3, 4, 3).within(budget)
    assert not Steps(3, 3, 4).within(budget)
