"""Belief propagation: exact on chains, near the best choice on grids."""

import itertools

import numpy as np
import pytest

from apps.style.super_resolution.belief import best_choice


def problem(shape, k, seed, between=1.0):
    random = np.random.default_rng(seed)
    Y, X = shape
    return (
        random.random((Y, X, k)),
        between * random.random((Y, X - 1, k, k)),
        between * random.random((Y - 1, X, k, k)),
    )


def cost(choice, evidence, beside, below):
    """The sum that a choice is to make small; arguments as of best_choice."""
    y, x = np.indices(choice.shape)
    total = evidence[y, x, choice].sum()
    total += beside[y[:, 1:], x[:, :-1], choice[:, :-1], choice[:, 1:]].sum()
    total += below[y[:-1], x[:-1], choice[:-1], choice[1:]].sum()
    return float(total)


def least(costs):
    """The smallest cost of all choices."""
    Y, X, k = costs[0].shape
    choices = itertools.product(range(k), repeat=Y * X)
    return min(cost(np.reshape(choice, (Y, X)), *costs) for choice in choices)


def slow_cost(choice, evidence, beside, below):
    Y, X = choice.shape
    total = sum(evidence[y, x, choice[y, x]] for y in range(Y) for x in range(X))
    for y, x in np.ndindex(Y, X):
        if x + 1 < X:
            total += beside[y, x, choice[y, x], choice[y, x + 1]]
        if y + 1 < Y:
            total += below[y, x, choice[y, x], choice[y + 1, x]]
    return total


def test_cost():
    costs = problem((4, 5), 3, 0)
    choice = np.random.default_rng(1).integers(0, 3, (4, 5))
    assert cost(choice, *costs) == pytest.approx(slow_cost(choice, *costs))


@pytest.mark.parametrize("shape", [(1, 1), (1, 6), (6, 1)])
@pytest.mark.parametrize("seed", range(5))
def test_a_chain_has_its_best_choice(shape, seed):
    costs = problem(shape, 3, seed, between=3.0)
    assert cost(best_choice(*costs), *costs) == pytest.approx(least(costs))


def test_a_grid_comes_near_its_best_choice():
    """Of all 2^9 choices; each node for itself does worse."""
    ours, alone, best = [], [], []
    for seed in range(10):
        costs = problem((3, 3), 2, seed, between=0.5)
        ours.append(cost(best_choice(*costs), *costs))
        alone.append(cost(costs[0].argmin(axis=2), *costs))
        best.append(least(costs))
    lost = np.mean(ours) - np.mean(best)
    assert 0 <= lost < (np.mean(alone) - np.mean(best)) / 4


def test_without_neighbours_each_node_takes_what_it_sees():
    evidence, beside, below = problem((4, 5), 6, 0)
    choice = best_choice(evidence, 0 * beside, 0 * below)
    np.testing.assert_array_equal(choice, evidence.argmin(axis=2))
