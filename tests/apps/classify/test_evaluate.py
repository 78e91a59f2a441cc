"""`minidl evaluate`: figures, classes matched by name, test-time augmentation, which checkpoint."""

import io
import json
import shutil

import numpy as np
import pytest

import minidl as library
import models
from apps.classify.evaluation import class_probabilities, evaluate
from apps.classify.metrics import Evaluation
from apps.classify.report.text import show_evaluation
from apps.shared.batches import evaluation_loader
from apps.shared.console import Console
from apps.shared.trained import Trained, load_trained
from minidl.data import ArrayDataset, open_dataset
from minidl.data import transforms as T
from tests.apps.conftest import NAMES, last_json, minidl


def test_json_holds_everything(trained, halves):
    metrics = pytest.importorskip("sklearn.metrics")
    figures = last_json(minidl("evaluate", trained, "--data", halves, "--json").output)
    network, data = load_trained(str(trained)), open_dataset(halves, "test")
    given = evaluate(network, data)
    np.testing.assert_array_equal(
        figures["confusion"],
        metrics.confusion_matrix(data.labels, given.predicted, labels=range(3)),
    )
    assert figures["classes"] == NAMES and figures["images"] == 18
    assert [row["name"] for row in figures["per_class"]] == NAMES
    assert figures["test_top5_accuracy"] is None  # of three classes it says nothing
    assert figures["mean_over_classes"] == {"precision": 1.0, "recall": 1.0, "f1": 1.0}
    assert figures["worst_mistakes"] == [] and figures["most_confused"] == []
    assert figures["tta"] == "none" and figures["images_per_second"] > 0


@pytest.fixture
def spoiled(trained, tmp_path):
    """A run whose best network answers "left" always, and whose last is that of `trained`."""
    folder = shutil.copytree(trained, tmp_path / "spoiled")
    checkpoint = library.io.load_checkpoint(folder / "best.safetensors")
    model = models.build("lenet", **checkpoint.meta["model_arguments"])
    model.load_state_dict(checkpoint.model)
    model.classifier[-1].bias.data[:] = [0, 1000, 0]
    library.io.save_checkpoint(folder / "best.safetensors", model, meta=checkpoint.meta)
    return folder


def test_best_or_last(spoiled):
    for options, accuracy in (((), 1), (("--last",), 1), (("--best",), 1 / 3)):
        figures = last_json(minidl("evaluate", spoiled, *options, "--json").output)
        assert figures["test_accuracy"] == pytest.approx(accuracy)
    picture = spoiled.parent / "none.png"
    result = minidl("predict", spoiled, picture, "--best")
    assert result.exit_code == 2 and "none.png" in result.output

    result = minidl("evaluate", spoiled / "best.safetensors", "--last")
    assert result.exit_code == 2
    assert "--last chooses in a run folder" in result.output and str(spoiled) in result.output
    (spoiled / "best.safetensors").unlink()
    result = minidl("evaluate", spoiled, "--best")
    assert result.exit_code == 2
    assert "no best.safetensors" in result.output and "--last" in result.output


def test_mistakes_and_pairs(spoiled):
    result = minidl("evaluate", spoiled, "--best")
    lines = result.output.splitlines()
    assert "bottom  taken for left  times 6" in lines
    assert "   top  taken for left  times 6" in lines
    assert "  left  precision 33.33 %  recall 100.00 %  F1 50.00 %  of 6" in lines
    assert "left  1  .  6  ." in [line.strip() for line in lines]  # of the matrix
    figures = last_json(minidl("evaluate", spoiled, "--best", "--json").output)
    assert figures["most_confused"][0] == {"true": "bottom", "predicted": "left", "count": 6}
    worst = figures["worst_mistakes"]
    assert len(worst) == 12 and worst[0]["predicted"] == "left" and worst[0]["true"] != "left"
    assert worst[0]["image"].endswith(".png")


# --- classes by name ----------------------------------------------------------------------------


def test_some_of_the_classes(trained, halves, tmp_path):
    for split in ("train", "test"):
        for name in ("bottom", "top"):
            shutil.copytree(halves / split / name, tmp_path / "two" / split / name)
    result = minidl("evaluate", trained, "--data", tmp_path / "two", "--json")
    assert result.exit_code == 0, result.output
    assert "matched by name: the data have 2 of the network's 3" in result.output
    figures = last_json(result.output)
    assert figures["test_accuracy"] == 1.0
    assert figures["confusion"] == [[6, 0, 0], [0, 0, 0], [0, 0, 6]]
    assert figures["mean_over_classes"]["recall"] == 1.0  # "left", without pictures, not counted
    text = minidl("evaluate", trained, "--data", tmp_path / "two").stdout
    assert "bottom  precision" in text and "left  precision" not in text


def test_classes_in_another_order(trained, halves):
    data = open_dataset(halves, "test")
    images = np.stack([data[i][0] for i in range(len(data))])
    other = ["top", "bottom", "left"]
    labels = [other.index(NAMES[label]) for label in data.labels]
    network = load_trained(str(trained))
    found = evaluate(network, ArrayDataset(images, labels, other))
    np.testing.assert_array_equal(found.labels, data.labels)
    assert found.classes == NAMES and found.accuracy == 1.0


def test_a_class_that_the_network_does_not_know(trained, halves, tmp_path):
    data = shutil.copytree(halves, tmp_path / "data")
    for split in ("train", "test"):
        (data / split / "top").rename(data / split / "right")
    result = minidl("evaluate", trained, "--data", data)
    assert result.exit_code == 2
    assert "other classes" in result.output and "does not know right" in result.output


# --- networks and sizes -------------------------------------------------------------------------


class WithAuxiliaryHead(library.nn.Module):
    """Gives two scores in training, as GoogLeNet does."""

    def __init__(self):
        super().__init__()
        self.flatten, self.fc = library.nn.Flatten(), library.nn.Linear(8 * 8, 3)

    def forward(self, x):
        y = self.fc(self.flatten(x))
        return (y, y) if self.training else y


def made_up(size=8, n=20):
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (n, size, size, 1)).astype(np.uint8)
    return ArrayDataset(images, rng.integers(0, 3, n), ["a", "b", "c"])


def network(steps, model=None):
    model = (model or WithAuxiliaryHead()).eval()
    return Trained(model, "toy", ["a", "b", "c"], T.Compose([*steps, T.ToFloat()]), {})


def test_networks_with_several_outputs_in_training():
    library.manual_seed(0)
    found = evaluate(network([T.Resize(8), T.CenterCrop(8)]), made_up())
    assert found.probabilities.shape == (20, 3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("tta, views", [("flip", 2), ("10-crop", 10)])
def test_augmented_answers_are_means_over_the_views(tta, views):
    from apps.classify.views import make_views

    library.manual_seed(0)
    toy, data = network([T.Resize(8), T.CenterCrop(8)]), made_up(size=20)
    found = evaluate(toy, data, tta=tta)
    make = make_views(toy.preprocessing, tta)
    for i in range(len(data)):
        x = make(data[i][0])[:, None]
        assert len(x) == views
        each = class_probabilities(toy.model, library.tensor(x))
        np.testing.assert_allclose(found.probabilities[i], each.mean(axis=0), rtol=1e-5)


def test_augmentation_from_the_command_line(trained, halves):
    losses = {
        tta: last_json(minidl("evaluate", trained, "--tta", tta, "--json").output)["test_loss"]
        for tta in ("none", "flip", "10-crop")
    }
    assert len(set(losses.values())) == 3 and all(loss < 1.1 for loss in losses.values())
    result = minidl("evaluate", trained, "--tta", "10-corp")
    assert result.exit_code == 2 and "did you mean 10-crop?" in result.output


@pytest.mark.parametrize("size, batch", [(32, 256), (64, 98), (224, 8), (1000, 1)])
def test_large_pictures_come_in_small_batches(size, batch):
    images = np.broadcast_to(np.zeros(3, np.uint8), (300, size, size, 3))
    data = ArrayDataset(images, np.zeros(300, int), ["a"])
    loader = evaluation_loader(data, T.Compose([T.ToFloat()]), workers=0)
    assert loader.batch_size == batch


# --- what is printed ----------------------------------------------------------------------------


def many_classes(n=1000):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, n, 3000)
    probabilities = rng.random((3000, n))
    probabilities[np.arange(3000), labels] += rng.random(3000) * 0.2
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    return Evaluation([f"class {i}" for i in range(n)], labels, probabilities, 1.0, 1.0)


def test_a_thousand_classes_fit_on_a_screen(capsys):
    found = many_classes()
    show_evaluation(Console(as_json=False), found, "test")
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) < 50 and max(map(len, lines)) < 100
    assert "the 20 classes" in lines[0]
    assert f"top-5 {100 * found.top(5):.2f} %" in lines[-1]


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_on_a_terminal_it_is_a_table(monkeypatch):
    found = many_classes(4)
    found.classes = ["[red]", "b", "c", "a name of some length"]
    out = Console(as_json=False)
    out.stream, out.is_terminal = Terminal(), True
    show_evaluation(out, found, "test")
    text = out.stream.getvalue()
    assert "[red]" in text  # a name, and no colour
    assert "precision" in text and text.count("precision") == 2  # heading, and the mean
    assert "a name of some length" in text and "─" in text


def test_strict_json_of_1000_classes(capsys):
    from apps.classify.report.text import evaluation_json

    text = json.dumps(evaluation_json(many_classes(), "test", None))
    assert len(text) < 5e6 and np.array(json.loads(text)["confusion"]).sum() == 3000
