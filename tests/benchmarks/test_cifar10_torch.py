"""PyTorch's twin of a training: it does what `minidl train` does, and goes on where it stopped."""

import json

import pytest

from apps.classify.commands import train as train_ours
from apps.classify.settings import Settings
from apps.shared.console import Console
from apps.shared.options import OptionError, parse_options

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from benchmarks import cifar10_torch  # noqa: E402

pytestmark = pytest.mark.torch

OPTIONS = {
    "model": "airbench_cifar", "data": "digits", "model_args": ["width=0.125"], "epochs": 2,
    "batch_size": 128, "momentum": 0.5, "weight_decay": 0.1, "bias_decay": False, "warmup": 0.5,
    "lr_mult": ["*norm*.bias=64"], "label_smoothing": 0.2, "augment": "shift-flip",
}  # fmt: skip


def run(train, folder, **more):
    given = parse_options(Settings, OPTIONS | more)
    train(given=given, console=Console("test"), output=str(folder))
    history = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return history, json.loads((folder / "run.json").read_text())


def test_it_trains_as_minidl_does(tmp_path):
    """At a low rate, so that differences of rounding do not grow."""
    ours, our_run = run(train_ours, tmp_path / "ours", lr=0.01)
    twin, twin_run = run(cifar10_torch.train, tmp_path / "twin", lr=0.01)
    for mine, other in zip(ours, twin, strict=True):
        assert mine["loss"] == pytest.approx(other["loss"], rel=1e-3)
        assert mine["val_accuracy"] == pytest.approx(other["val_accuracy"], abs=0.02)
    assert ours[1]["loss"] < ours[0]["loss"] - 0.005  # it did learn
    assert our_run["test_accuracy"] == pytest.approx(twin_run["test_accuracy"], abs=0.02)
    assert 0 < twin_run["flip_accuracy"] < 1 and twin_run["seconds"] > 0


def test_it_goes_on_where_it_stopped(tmp_path, monkeypatch):
    whole, whole_run = run(cifar10_torch.train, tmp_path / "whole")
    save = cifar10_torch.save

    def save_and_stop(*arguments):
        save(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(cifar10_torch, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        run(cifar10_torch.train, tmp_path / "parts")
    monkeypatch.undo()
    cifar10_torch.train(
        given=parse_options(Settings, OPTIONS), console=Console("test"),
        resume=str(tmp_path / "parts"),
    )  # fmt: skip
    lines = (tmp_path / "parts" / "metrics.jsonl").read_text().splitlines()
    parts = [json.loads(line) for line in lines]
    assert [e["loss"] for e in parts] == pytest.approx([e["loss"] for e in whole], rel=1e-5)
    run_of_parts = json.loads((tmp_path / "parts" / "run.json").read_text())
    assert run_of_parts["test_accuracy"] == whole_run["test_accuracy"]


def test_other_networks_have_no_twin(tmp_path):
    with pytest.raises(OptionError, match="twin of airbench_cifar"):
        run(cifar10_torch.train, tmp_path / "run", model="lenet", model_args=[])
