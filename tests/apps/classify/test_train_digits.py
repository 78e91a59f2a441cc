"""The newcomer's command on real handwritten digits."""

import pytest

import models
from apps.classify.defaults import from_command_line
from apps.shared.optimizer import MOMENTUM, OPTIMIZERS, make_optimizer
from tests.apps.conftest import last_json, minidl


def test_two_epochs_learn_something(tmp_path):
    result = minidl("train", "lenet", "--epochs", 2, "--batch-size", 16, "--json",
                    "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = last_json(result.output)
    assert figures["test_accuracy"] > 0.8
    assert figures["images_per_second"] > 0


def test_the_network_of_caffe_stands_its_default_rate(tmp_path):
    result = minidl("train", "lenet_caffe", "--epochs", 1, "--json", "--output", tmp_path / "run")
    assert result.exit_code == 0, result.output  # with the rate of LeNet the loss becomes NaN
    assert last_json(result.output)["test_accuracy"] > 0.5


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_default_run_reaches_its_accuracy(tmp_path, seed):
    result = minidl("train", "lenet", "--seed", seed, "--json", "--output", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert last_json(result.output)["test_accuracy"] >= 0.98


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_options_reach_the_optimizer(name):
    given = {"optimizer": name, "lr": 0.25, "weight_decay": 0.125}
    if name in MOMENTUM:
        given["momentum"] = 0.5
    group = make_optimizer(models.build("lenet"), from_command_line(given)).param_groups[0]
    del given["optimizer"]
    assert {option: group[option] for option in given} == given


def test_defaults_follow_the_data():
    digits = from_command_line({"model": "lenet"})
    assert digits.data == "digits" and digits.optimizer == "sgd" and digits.schedule == "cosine"
    mnist = from_command_line({"model": "lenet", "data": "mnist"})
    assert mnist.batch_size == 64 and mnist.lr == 0.03
    adam = from_command_line({"model": "lenet", "data": "mnist", "optimizer": "adam"})
    assert adam.lr == 1e-3 and adam.weight_decay == 0  # SGD's rate is no rate for Adam
