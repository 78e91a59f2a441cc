"""The learning-rate range test: where it suggests, and what it writes."""

import json
import re

import numpy as np
import pytest

import minidl as library
import models
from apps.classify.lr_find.sweep import Sweep, sweep
from minidl import nn
from tests.apps.classify.test_mistakes import refused
from tests.apps.conftest import last_json, minidl


def test_suggests_where_the_loss_falls_most_steeply():
    """A loss that falls by a logistic step at 1e-2 and explodes at 1."""
    rates = np.geomspace(1e-5, 10, 121)
    losses = 2 - 1.5 / (1 + (1e-2 / rates) ** 2) + (rates > 1) * rates
    noise = np.random.default_rng(0).normal(0, 0.05, len(rates))
    found = Sweep(rates.tolist(), (losses + noise).tolist())
    assert 0.004 < found.steepest < 0.025 and 0.05 < found.lowest <= 1.3
    flat = Sweep(rates.tolist(), (1 + rates).tolist())
    assert flat.steepest is None


def test_a_sweep_takes_a_step_with_each_rate_until_it_explodes():
    """Least squares: stable up to the rate 1 / (largest eigenvalue of x^T x / n)."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((64, 3)).astype(np.float32)
    y = (x.sum(1, keepdims=True) + rng.standard_normal((64, 1))).astype(np.float32)
    model = nn.Linear(3, 1, bias=False)
    model.weight.data[:] = 3
    chosen = [rng.permutation(64)[:32] for _ in range(200)]
    batches = iter([(library.tensor(x[i]), library.tensor(y[i])) for i in chosen])
    optimizer = library.optim.SGD(model.parameters(), lr=0.1)
    rates = np.geomspace(1e-3, 100, 200).tolist()
    found = sweep(model, batches, nn.MSELoss(), optimizer, rates)
    limit = 1 / np.linalg.eigvalsh(x.T @ x / 64).max()  # MSE has a factor of 2
    assert found.rates == rates[: len(found.rates)] and "exploded" in found.ended
    assert limit < found.rates[-1] < 6 * limit and found.steepest < limit
    first = ((3 * x.sum(1) - y[:, 0])[chosen[0]] ** 2).mean()
    assert found.losses[0] == pytest.approx(first, rel=1e-5)


def test_command(halves, tmp_path):
    result = minidl("lr-find", "lenet", "--data", halves, "--steps", 40, "--batch-size", 8,
                    "--json", "--output", tmp_path / "lr")  # fmt: skip
    assert result.exit_code == 0, result.output
    figures = last_json(result.output)
    written = json.loads((tmp_path / "lr" / "lr.json").read_text())
    assert written["suggestion"] == figures["suggestion"] and 1e-5 < figures["suggestion"] < 1
    assert written["rates"] == pytest.approx(np.geomspace(1e-5, 1, 40)[: figures["steps"]].tolist())
    assert len(written["losses"]) == len(written["smoothed"]) == figures["steps"]
    assert written["settings"]["batch_size"] == 8
    page = (tmp_path / "lr" / "lr.html").read_text()
    assert page.count('<circle class="dot') == figures["steps"] and "<script" not in page
    assert not re.search(r'(src|href)="(?!data:)', page)  # opens without a network
    assert {path.name for path in (tmp_path / "lr").iterdir()} == {"lr.json", "lr.html"}


def test_the_same_seed_finds_the_same(halves, tmp_path):
    found = []
    for name in ("a", "b"):
        minidl("lr-find", "lenet", "--data", halves, "--steps", 20, "--output", tmp_path / name)
        found.append(json.loads((tmp_path / name / "lr.json").read_text())["losses"])
    assert found[0] == found[1]


def test_only_what_learns_is_swept(trained, halves, tmp_path):
    result = minidl("lr-find", "lenet", "--data", halves, "--mode", "frozen", "--weights", trained,
                    "--steps", 20, "--output", tmp_path / "lr")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert "of which 255 learn" in result.output


@pytest.mark.parametrize(
    "options, says",
    [
        (["--lowest", 1, "--highest", 0.1], "the rates rise from above 0"),
        (["--lowest", 0], "the rates rise from above 0"),
        (["--steps", 3], "steps must be at least 20"),
        (["--lowest", 1e30, "--highest", 1e35], "begin with a lower --lowest"),
        (["--mode", "frozen"], "starts from weights"),
    ],
)
def test_mistakes(halves, tmp_path, options, says):
    result = minidl("lr-find", "lenet", "--data", halves, *options, "--output", tmp_path / "lr")
    refused(result, says)
    assert not (tmp_path / "lr").exists()


def test_without_a_network():
    refused(minidl("lr-find"), "error: lr-find: say which network", "minidl lr-find lenet")


@pytest.mark.parametrize(
    "options, says",
    [
        (["--optimizer", "adm"], ["no such optimizer", "did you mean adam?"]),
        (["--batch-size", 0], ["batch-size must be at least 1", "--batch-size  0"]),
        (["--lr-mult", "features"], ["--lr-mult is NAME=VALUE"]),
        (["--lr-mult", "featurs=0.1"], ["no such layer", "did you mean features?"]),
        (["--class-weights", "topp=2"], ["no such class", "did you mean top?"]),
        (["--data", "digit"], ["no such data set", "did you mean digits?"]),
        (["--size", 64], ["expects pictures as (N, 1, 32, 32)"]),
        (["--mode", "frozen", "--weights", "nowhere.npz"], ["nowhere.npz"]),
    ],
    ids=lambda value: " ".join(map(str, value))[:30],
)
def test_errors_are_those_of_lr_find(halves, tmp_path, options, says):
    """What train and lr-find share speaks of the command that was called."""
    result = minidl("lr-find", "lenet", "--data", halves, *options, "--output", tmp_path / "lr")
    refused(result, "error: lr-find: ", *says)
    assert "train:" not in result.output and not (tmp_path / "lr").exists()


def test_hints_name_the_options_of_the_command(halves, tmp_path):
    net = models.build("resnet18", num_classes=3, in_channels=1, width=0.05)
    library.io.save_checkpoint(tmp_path / "start.safetensors", net)
    result = minidl("lr-find", "resnet18", "--data", halves, "--size", 32, "--mode", "finetune",
                    "--weights", tmp_path / "start.safetensors", "--model-arg", "width=0.1",
                    "--output", tmp_path / "lr")  # fmt: skip
    refused(result, "error: lr-find: the shapes differ", "--fresh conv1")
    result = minidl("lr-find", "resnet18", "--data", halves, "--size", 32, "--batch-size", 1,
                    "--model-arg", "width=0.05", "--output", tmp_path / "lr")  # fmt: skip
    refused(result, "error: lr-find: training needs more than one value",
            "hint: use a larger --batch-size, or larger pictures with --size")  # fmt: skip
