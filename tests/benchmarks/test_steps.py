"""The steps that are compared: how many operations they have, and that both sides do the same."""

import numpy as np
import pytest

from benchmarks.step_cases import CASES
from benchmarks.steps import FORMATS, operations, step_of
from benchmarks.train_step import main


def test_operations_of_lenet():
    """Of conv1 forward and the gradient of w, of all others that of x as well."""
    conv1, others = 28 * 28 * 6 * 25, 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert operations(CASES["lenet5"]) == 2 * 64 * (2 * conv1 + 3 * others)


def test_operations_of_lstm():
    """There is no gradient of x to compute, but of the state, step by step."""
    one = 20 * 32 * 2048 * 512
    assert operations(CASES["lstm"]) == 2 * (2 * one + 2 * one + one)


@pytest.mark.torch
@pytest.mark.parametrize("side", FORMATS)
def test_both_sides_learn_the_same(side):
    pytest.importorskip("torch")
    (ours, our_state), (theirs, their_state) = (
        step_of(each, CASES["lenet5"]) for each in ("minidl", side)
    )
    begun = {name: value.copy() for name, value in our_state().items()}
    for _ in range(3):
        ours()
        theirs()
    expected = their_state()
    assert expected.keys() == begun.keys()
    for name, value in our_state().items():
        np.testing.assert_allclose(value, expected[name], rtol=0, atol=1e-6)
        assert np.abs(value - begun[name]).max() > 1e-5


def test_a_name_that_is_none(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["train_step", "--models", "lenet5,resnet19"])
    with pytest.raises(SystemExit):
        main()
    assert "no such model: resnet19. There are lenet5, alexnet" in capsys.readouterr().err
