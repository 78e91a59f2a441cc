"""The command line: what it prints, what it leaves behind, and how it refuses."""

import json
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import minidl as library
import models
from apps.classify.data import make_loaders
from apps.classify.defaults import from_command_line
from apps.classify.recipes import OTHER_DATA, RECIPES
from apps.classify.task import train_and_evaluate
from apps.shared import warm_up
from apps.shared.batches import evaluation_loader
from apps.shared.optimizer import OPTIMIZERS
from tests.apps.conftest import NAMES, last_json, minidl, open_data, picture, spawn


def test_run_folder(trained, halves):
    names = {path.name for path in trained.iterdir()}
    assert names >= {
        "checkpoint.safetensors", "best.safetensors", "run.json", "metrics.jsonl", "report.html",
    }  # fmt: skip
    assert any(name.startswith("events.out.tfevents") for name in names)
    run = json.loads((trained / "run.json").read_text())
    assert run["test_accuracy"] == 1.0 and run["epochs"] == 6
    assert run["settings"]["data"] == str(halves) and run["settings"]["seed"] == 0
    history = [json.loads(line) for line in (trained / "metrics.jsonl").read_text().splitlines()]
    assert [entry["epoch"] for entry in history] == [1, 2, 3, 4, 5, 6]
    assert history[-1]["loss"] < history[0]["loss"]
    meta = library.io.load_checkpoint(trained / "checkpoint.safetensors").meta
    assert meta["classes"] == NAMES and meta["model"] == "lenet"
    assert [step["name"] for step in meta["preprocessing"]][-2:] == ["ToFloat", "Normalize"]


def test_json_is_all_of_stdout(halves, tmp_path):
    process = spawn("train", "lenet", "--data", halves, "--epochs", 1, "--json",
                    "--output", tmp_path / "run")  # fmt: skip
    out, err = process.communicate(timeout=100)
    assert process.returncode == 0, err
    figures = json.loads(out)  # one object and nothing else
    assert figures.keys() >= {"test_accuracy", "epochs", "seconds", "images_per_second", "run"}
    assert figures["epochs"] == 1 and figures["run"] == str(tmp_path / "run")
    assert "epoch 1/1" in err


def test_last_line_names_a_new_folder(halves, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folders = set()
    for _ in range(2):  # within one second, too
        result = minidl("train", "lenet", "--data", halves, "--epochs", 1)
        assert result.exit_code == 0, result.output
        line = result.output.splitlines()[-1]
        assert line.startswith("run folder: runs/lenet-halves")
        folders.add(line.split()[2])
    assert len(folders) == 2


def test_evaluate_finds_the_accuracy_of_training(trained, halves):
    figures = last_json(minidl("evaluate", trained, "--data", halves, "--json").output)
    assert figures["test_accuracy"] == 1.0 and figures["images"] == 18
    run = json.loads((trained / "run.json").read_text())
    assert figures["test_loss"] == pytest.approx(run["test_loss"], rel=1e-6)
    result = minidl("evaluate", trained, "--split", "train")  # the data of the run by default
    assert "train accuracy" in result.output and "in 72" in result.output


def test_predict(trained, halves, tmp_path):
    large = tmp_path / "large.jpg"  # another size, format and colour than in training
    picture("top", np.random.default_rng(5)).resize((90, 90)).convert("RGB").save(large)
    paths = [*(halves / "test" / name / "0.png" for name in NAMES), large]
    result = minidl("predict", trained, *paths, "--top", 2, "--json")
    assert result.exit_code == 0, result.output
    answers = last_json(result.output)["predictions"]
    assert [answer["top"][0]["class"] for answer in answers] == [*NAMES, "top"]
    for answer in answers:
        first, second = (entry["probability"] for entry in answer["top"])
        assert 1 >= first >= second >= 0
    plain = minidl("predict", trained, paths[0], "--top", 1)
    assert plain.stdout.startswith(f"{paths[0]}: bottom ")
    assert "preprocessing, as in training: Grayscale(), Resize(size=32" in plain.stderr


def test_predict_goes_on_after_a_bad_picture(trained, halves, tmp_path):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"not a picture")
    good = halves / "test" / "top" / "0.png"
    result = minidl("predict", trained, bad, good, tmp_path / "none.png", "--json")
    assert result.exit_code == 2
    answers = last_json(result.output)["predictions"]
    assert [answer["image"] for answer in answers] == [str(good)]
    assert "bad.png" in result.output and "none.png" in result.output


def test_same_seed_same_weights(halves, tmp_path):
    weights = []
    for name, workers in (("a", 0), ("b", 3)):
        arguments = ("--epochs", 2, "--seed", 7, "--workers", workers, "--output", tmp_path / name)
        result = minidl("train", "lenet", "--data", halves, *arguments)
        assert result.exit_code == 0, result.output
        weights.append(library.io.load_checkpoint(tmp_path / name / "checkpoint.safetensors").model)
    for name in weights[0]:
        np.testing.assert_array_equal(weights[0][name].data, weights[1][name].data)


@pytest.mark.parametrize("schedule", ["none", "step", "exponential", "cosine", "plateau"])
def test_schedules(halves, tmp_path, schedule):
    result = minidl("train", "lenet", "--data", halves, "--epochs", 3, "--schedule", schedule,
                    "--lr", 0.02, "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    rates = [json.loads(line)["lr"] for line in lines]
    last = np.array([json.loads(line)["step"] for line in lines])
    last = (last - 1) / last[-1]  # part of the run that was over before the epoch's last step
    expected = {
        "none": [0.02] * 3, "plateau": [0.02] * 3, "step": [0.02, 0.002, 0.0002],
        "exponential": [0.02, 0.02 * 0.01 ** (1 / 3), 0.02 * 0.01 ** (2 / 3)],
        "cosine": list(0.01 * (1 + np.cos(np.pi * last))),
    }  # fmt: skip
    assert rates == pytest.approx(expected[schedule])


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_optimizers_learn(halves, tmp_path, optimizer):
    result = minidl("train", "lenet", "--data", halves, "--epochs", 6, "--optimizer", optimizer,
                    "--json", "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert last_json(result.output)["test_accuracy"] > 0.8


def test_early_stopping_ends_before_its_epochs(tmp_path):
    rng = np.random.default_rng(1)
    for name in (
        "a",
        "b",
    ):  # both the same, so that what is learned does not hold for other pictures
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(30):
            picture("top", rng).save(tmp_path / "data" / name / f"{i}.png")
    result = minidl("train", "lenet", "--data", tmp_path / "data", "--epochs", 40,
                    "--early-stopping", 2, "--json", "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["val_loss"] for line in lines]
    assert len(losses) < 40 and len(losses) - 1 - int(np.argmin(losses)) == 2
    assert last_json(result.output)["epochs"] == len(losses)
    assert "\nstopped early: 2 epochs without a better validation loss\n" in result.output
    best = f"ested: the network of epoch {len(losses) - 2}"
    assert f"\nt{best}\n" in result.output
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["stopped_early"] == "2 epochs without a better validation loss"
    assert facts["tested_epoch"] == facts["best_epoch"] == len(losses) - 2
    page = (tmp_path / "run" / "report.html").read_text()
    assert f"Stopped early: {facts['stopped_early']}. T{best}. Validation:" in page
    reported = facts["test_loss"]

    def loss_of(path):
        return last_json(minidl("evaluate", path, "--json").output)["test_loss"]

    assert loss_of(tmp_path / "run") == pytest.approx(reported, rel=1e-6)
    assert loss_of(tmp_path / "run" / "best.safetensors") == pytest.approx(reported, rel=1e-6)
    last = loss_of(tmp_path / "run" / "checkpoint.safetensors")  # a file in a run is itself
    assert abs(last - reported) > 1e-4


def test_pictures_without_contrast(tmp_path):
    for name, grey in (("a", 77), ("b", 77)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(12):
            Image.new("L", (32, 32), grey).save(tmp_path / "data" / name / f"{i}.png")
    result = minidl("train", "lenet", "--data", tmp_path / "data", "--epochs", 1, "--json",
                    "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert np.isfinite(last_json(result.output)["test_loss"])


def test_28x28_pictures_get_a_border_and_keep_their_pixels(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "t10k"):
        pixels, labels = rng.bytes(40 * 28 * 28), bytes([i % 10 for i in range(40)])
        header = struct.pack(">IIII", 0x803, 40, 28, 28)
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(header + pixels)
        header = struct.pack(">II", 0x801, 40)
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(header + labels)
    data = open_data(from_command_line({"data": str(tmp_path)}))
    x = data.preprocessing(data.test[0][0])
    normalize = data.preprocessing.transforms[-1]
    x = x * normalize.std[0] + normalize.mean[0]
    np.testing.assert_allclose(x[0, 2:30, 2:30] * 255, data.test[0][0][:, :, 0], atol=1e-3)
    x[0, 2:30, 2:30] = 0
    assert abs(x).max() < 1e-6


def test_only_training_pictures_are_augmented():
    settings = from_command_line({"data": "digits", "batch_size": 50})
    data = open_data(settings)
    plain = {data.preprocessing(data.train[i][0]).tobytes() for i in range(len(data.train))}
    x, _ = next(iter(make_loaders(data, 50, seed=0, workers=1)[0]))
    moved = [picture for picture in x.numpy() if picture.tobytes() not in plain]
    assert 30 < len(moved) < 50  # all but about one in 25, which is moved by 0 pixels
    first, _ = next(iter(evaluation_loader(data.train, data.preprocessing)))
    assert all(picture.tobytes() in plain for picture in first.numpy())


def test_reference_kernels(halves, tmp_path):
    result = minidl("train", "lenet", "--data", halves, "--epochs", 1, "--cpu-kernels",
                    "reference", "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    library.use_cpu_kernels("numba")


def test_names_that_the_terminal_cannot_show(tmp_path):
    """Class names in any script, and bytes that are no UTF-8, as names from an old archive are."""
    rng, data = np.random.default_rng(0), os.fsencode(tmp_path / "data")
    for name in ("Käse 乳酪".encode(), b"caf\xe9"):
        os.makedirs(os.path.join(data, name))
        for i in range(12):
            with open(os.path.join(data, name, b"%d.png" % i), "wb") as file:
                picture("top", rng).save(file, "PNG")
    options = ["--data", str(tmp_path / "data"), "--epochs", "1", "--output", str(tmp_path / "run")]
    program = f"""
import sys
from apps.cli import main
for arguments in (["train", "lenet", *{options}], ["evaluate", {options[-1]!r}]):
    sys.argv[1:] = arguments
    try:
        main()
    except SystemExit as end:
        assert not end.code, end.code
"""
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, timeout=100,
                          capture_output=True, text=True)  # fmt: skip
    assert done.returncode == 0, done.stderr
    out = done.stdout
    assert r"K\xe4se \u4e73\u916a  precision" in out and r"caf\udce9  precision" in out
    run = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert run["classes"] == ["Käse 乳酪", "caf\udce9"]
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    assert "Käse 乳酪" in page and r"caf\udce9" in page


def test_warming_up_changes_nothing(monkeypatch):
    net, said = library.nn.Sequential(models.build("lenet"), library.nn.Dropout(0.5)), []
    before = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    library.manual_seed(5)
    expected = net[1](library.ones(100)).numpy()
    library.manual_seed(5)
    monkeypatch.setattr(warm_up, "PATIENCE", 0.0)
    warm_up.warm_up(lambda: train_and_evaluate(net, (1, 32, 32)), said.append)
    np.testing.assert_array_equal(net[1](library.ones(100)).numpy(), expected)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(tensor.numpy(), before[name])
    assert all(parameter.grad is None for parameter in net.parameters())
    assert "compiling" in said[0] and said[-1].startswith("ready after")


def test_version_and_help():
    assert minidl("--version").output.strip() == f"minidl {library.__version__}"
    for command in ("train", "evaluate", "predict", "data"):
        result = minidl(command, "--help")
        assert result.exit_code == 0 and "Usage" in result.output


def test_help_tells_the_defaults():
    lines = [line.split() for line in minidl("train", "--help").output.splitlines()]
    for name, recipe in (RECIPES | {"other": OTHER_DATA}).items():
        assert [name, str(recipe.epochs), str(recipe.batch_size), str(recipe.lr)] in lines
    said = " ".join(word for line in lines for word in line)
    assert "Without options" not in said  # without a network there is no training
    assert "`minidl train lenet` alone: on handwritten digits." in said
    assert from_command_line({"model": "lenet"}).data == "digits"


def test_evaluate_prints_strict_json(trained, halves, tmp_path):
    """Also for a network that answers NaN."""
    checkpoint = library.io.load_checkpoint(trained / "checkpoint.safetensors")
    model = models.build("lenet", **checkpoint.meta["model_arguments"])
    model.load_state_dict(checkpoint.model)
    model.classifier[-1].bias.data[:] = np.nan
    path = tmp_path / "spoiled.safetensors"
    library.io.save_checkpoint(path, model, meta=checkpoint.meta)
    result = minidl("evaluate", path, "--data", halves, "--json")
    assert result.exit_code == 0, result.output
    assert last_json(result.output)["test_loss"] is None
    result = minidl("predict", path, next((halves / "test" / "top").iterdir()), "--json")
    assert result.exit_code == 0, result.output
    assert last_json(result.output)["predictions"][0]["top"][0]["probability"] is None


def test_data_list():
    result = minidl("data", "list", "--json")
    names = [row["name"] for row in last_json(result.output)["datasets"]]
    assert set(names) >= {"digits", "mnist", "fashion-mnist", "cifar10"}


def test_fetching_what_is_installed():
    result = minidl("data", "fetch", "digits")
    assert result.exit_code == 0 and result.output == "digits needs no download\n"


def test_colour_pictures_get_three_channels(tmp_path):
    rng = np.random.default_rng(0)
    for name, channel in (("blue", 2), ("red", 0)):
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(20):
            pixels = rng.integers(0, 100, (20, 30, 3)).astype(np.uint8)
            pixels[..., channel] += 100
            Image.fromarray(pixels).save(tmp_path / "data" / name / f"{i}.png")
    result = minidl("train", "lenet", "--data", tmp_path / "data", "--epochs", 6, "--json",
                    "--batch-size", 4, "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 0, result.output
    assert last_json(result.output)["test_accuracy"] == 1.0
    weights = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").model
    assert weights["features.0.weight"].shape == (6, 3, 5, 5)
