"""The newcomer's command on real handwritten digits."""

import pytest

from apps.classify.options import from_command_line
from tests.apps.conftest import last_json, minidl


def test_two_epochs_learn_something(tmp_path):
    result = minidl("train", "lenet", "--epochs", 2, "--batch-size", 16, "--json",
                    "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = last_json(result.output)
    assert figures["test_accuracy"] > 0.8
    assert figures["images_per_second"] > 0


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_default_run_reaches_its_accuracy(tmp_path, seed):
    result = minidl("train", "lenet", "--seed", seed, "--json", "--output", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert last_json(result.output)["test_accuracy"] >= 0.98


def test_defaults_follow_the_data():
    digits = from_command_line({"model": "lenet"})
    assert digits.data == "digits" and digits.optimizer == "sgd" and digits.schedule == "cosine"
    mnist = from_command_line({"model": "lenet", "data": "mnist"})
    assert mnist.batch_size == 64 and mnist.lr == 0.03
    adam = from_command_line({"model": "lenet", "data": "mnist", "optimizer": "adam"})
    assert adam.lr == 1e-3 and adam.weight_decay == 0  # SGD's rate is no rate for Adam
