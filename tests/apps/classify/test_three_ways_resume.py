"""Each way of training goes on after Ctrl-C as if nothing had happened: weights equal bit for bit.

62 pictures in batches of 8 are 8 steps in an epoch (4 with two batches in each).
"""

import json
import shutil

import numpy as np
import pytest
from PIL import Image, ImageOps

import minidl as library
import models
from minidl.kernels import settings
from tests.apps.classify.three_ways import (
    colours,
    history_of,
    interrupt_after,
    run,
    same,
    weights_of,
)
from tests.apps.conftest import minidl

__all__ = ["colours"]  # a fixture

WAYS = {
    "scratch": [
        "--mixup", 0.4, "--label-smoothing", 0.1, "--warmup", 1.5, "--milestones", "1,2",
        "--augment", "color",
    ],
    "accumulate": [
        "--accumulate", 2, "--class-weights", "top=3", "--class-weights", "left=0.5",
        "--clip-grad", 0.5, "--no-bias-decay", "--schedule", "step", "--warmup", 0.5,
    ],
    "finetune": ["--mode", "finetune", "--lr-mult", "features=0.1", "--lr-mult", "*.bias=2"],
    "frozen": ["--mode", "frozen", "--keep", "best"],
    "frozen uncached": ["--mode", "frozen", "--augment", "shift", "--freeze", "features"],
    "unfreeze": ["--mode", "frozen", "--unfreeze-after", 1, "--schedule", "exponential"],
}  # fmt: skip
STEPS = {"accumulate": [3, 8], "unfreeze": [5, 8, 20]}  # after which Ctrl-C comes; others:
USUAL = [5, 16]


@pytest.fixture(scope="module")
def lenet(halves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lenet") / "run"
    run(folder, "lenet", "--data", halves, "--epochs", 2, "--seed", 5)
    return folder


def arguments(halves, lenet, way):
    options = WAYS[way]
    start = ["--weights", lenet] if "--mode" in options else []
    return ("lenet", "--data", halves, "--epochs", 3, "--batch-size", 8, *options, *start)


@pytest.mark.parametrize("way", WAYS)
def test_after_ctrl_c(halves, lenet, tmp_path, monkeypatch, way):
    given = arguments(halves, lenet, way)
    run(tmp_path / "whole", *given)
    expected = weights_of(tmp_path / "whole")
    for steps in STEPS.get(way, USUAL):
        folder = tmp_path / f"after {steps}"
        interrupt_after(monkeypatch, steps)
        result = minidl("train", *given, "--output", folder)
        monkeypatch.undo()
        assert result.exit_code == 130, result.output
        saved = library.io.load_checkpoint(folder / "checkpoint.safetensors").run
        assert saved["step"] == steps
        again = minidl("train", "--resume", folder)
        assert again.exit_code == 0, again.output
        assert same(weights_of(folder), expected)
        assert same(weights_of(folder, "best"), weights_of(tmp_path / "whole", "best"))
        for one, other in zip(history_of(folder), history_of(tmp_path / "whole"), strict=True):
            assert one["loss"] == other["loss"] and one.get("val_loss") == other.get("val_loss")
        assert figures(folder) == figures(tmp_path / "whole")
        assert not (folder / "features").exists()


def figures(folder):
    facts = json.loads((folder / "run.json").read_text())
    return {name: facts[name] for name in ("test_accuracy", "test_loss", "class_weights")}


def test_features_are_used_again_or_computed_again(halves, lenet, tmp_path, monkeypatch):
    """There already; or damaged, of other weights, cut short: then they are computed anew."""
    given = arguments(halves, lenet, "frozen")
    run(tmp_path / "whole", *given)
    for number, damage in enumerate([None, "index", "length", "gone"]):
        folder = tmp_path / str(number)
        interrupt_after(monkeypatch, 3)
        assert minidl("train", *given, "--output", folder).exit_code == 130
        monkeypatch.undo()
        features = folder / "features"
        assert {p.name for p in features.iterdir()} == {
            "train.npy", "validation.npy", "index.json",
        }  # fmt: skip
        assert np.load(features / "train.npy").shape == (62, 84)
        if damage == "index":
            (features / "index.json").write_text('{"key": "another"}')
        elif damage == "length":
            np.save(features / "train.npy", np.zeros((3, 84), np.float32))
        elif damage == "gone":
            (features / "validation.npy").unlink()
        result = minidl("train", "--resume", folder)
        assert result.exit_code == 0, result.output
        assert ("there already" in result.output) == (damage is None)
        assert same(weights_of(folder), weights_of(tmp_path / "whole"))


@pytest.mark.parametrize("change", ["pictures", "convolutions"])
def test_features_of_other_pictures_or_kernels_are_computed_again(
    colours, tmp_path, monkeypatch, change
):
    """Pictures overwritten under their names; another way to compute convolutions."""
    data = tmp_path / "colours"
    shutil.copytree(colours, data)
    start = tmp_path / "start.safetensors"
    library.io.save_checkpoint(start, models.lenet5(num_classes=4, in_channels=3))
    given = ("lenet", "--data", data, "--size", 32, "--mode", "frozen", "--weights", start,
             "--batch-size", 8, "--epochs", 2)  # fmt: skip
    interrupt_after(monkeypatch, 3)
    assert minidl("train", *given, "--output", tmp_path / "run").exit_code == 130
    monkeypatch.undo()
    if change == "pictures":
        for path in data.glob("*/*.png"):
            ImageOps.flip(Image.open(path)).save(path)  # keeps mean and deviation
    with library.use_exact_conv(settings.exact_conv != (change == "convolutions")):
        result = minidl("train", "--resume", tmp_path / "run")
    assert result.exit_code == 0, result.output
    assert "this once" in result.output and "there already" not in result.output


@pytest.mark.parametrize(
    "options, epochs",
    [([], 3), (["--early-stopping", 1, "--lr", 1e-30], 2)],
    ids=["all", "stopped"],
)
def test_no_features_are_computed_for_a_finished_run(halves, lenet, tmp_path, options, epochs):
    folder = tmp_path / "run"
    run(folder, *arguments(halves, lenet, "frozen"), *options)
    before, weights = json.loads((folder / "run.json").read_text()), weights_of(folder)
    assert before["epochs"] == epochs
    (folder / "features").mkdir()  # left by a run killed behind its last epoch
    again = minidl("train", "--resume", folder)
    assert again.exit_code == 0, again.output
    assert "features behind" not in again.output and not (folder / "features").exists()
    after = json.loads((folder / "run.json").read_text())
    for name in ("features", "epochs", "test_accuracy", "test_loss"):
        assert after[name] == before[name]
    assert same(weights_of(folder), weights)


def test_the_weight_file_is_not_needed_any_more(halves, lenet, tmp_path):
    weights = tmp_path / "start.safetensors"
    weights.write_bytes((lenet / "checkpoint.safetensors").read_bytes())
    given = ("lenet", "--data", halves, "--mode", "frozen", "--weights", weights)
    run(tmp_path / "run", *given, "--epochs", 1)
    weights.unlink()
    result = minidl("train", "--resume", tmp_path / "run", "--epochs", 2)
    assert result.exit_code == 0, result.output
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["weights"]["source"] == str(weights) and len(facts["weights"]["loaded"]) == 10
    assert same(weights_of(lenet), weights_of(tmp_path / "run"), "features")


@pytest.mark.parametrize(
    "options, says",
    [
        (["--mixup", 0.3], "another --mixup"),
        (["--lr-mult", "features=0.2"], "another --lr-mult"),
        (["--accumulate", 2], "another --accumulate"),
        (["--class-weights", "balanced"], "another --class-weights"),
        (["--mode", "scratch"], "another --mode"),
        (["--milestones", "1"], "another --milestones"),
        (["--no-cache"], "another --cache"),
    ],
)
def test_contradictions_are_refused(halves, lenet, options, says):
    folder = lenet.parent / "frozen"
    given = ("lenet", "--data", halves, "--mode", "frozen", "--weights", lenet, "--epochs", 1,
             "--lr-mult", "classifier.5=2")  # fmt: skip
    if not folder.exists():
        run(folder, *given)
    assert minidl("train", "--resume", folder, *given[1:]).exit_code == 0  # repeated: no conflict
    result = minidl("train", "--resume", folder, *options)
    assert result.exit_code == 2 and says in result.output
