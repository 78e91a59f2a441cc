"""From scratch, all weights of a file, some layers frozen: what learns, and from what it starts."""

import json
import re
import shutil

import numpy as np
import pytest

import minidl as library
import models
from apps.classify.defaults import from_checkpoint
from apps.classify.task import prepare_task
from apps.shared.batches import evaluation_loader
from minidl.data import open_dataset
from tests.apps.classify.three_ways import changed, colours, history_of, run, same, weights_of
from tests.apps.conftest import minidl

__all__ = ["colours"]  # a fixture

SMALL = ("--size", 32, "--model-arg", "width=0.1")


@pytest.fixture(scope="module")
def lenet(halves, tmp_path_factory):
    """A run folder of LeNet-5 with three classes of grey pictures."""
    folder = tmp_path_factory.mktemp("lenet") / "run"
    run(folder, "lenet", "--data", halves, "--epochs", 3, "--seed", 5)
    return folder


@pytest.fixture(scope="module")
def vgg(colours, tmp_path_factory):
    """A small VGG-11 with batch norm that has seen colours."""
    folder = tmp_path_factory.mktemp("vgg") / "run"
    run(folder, "vgg11_bn", "--data", colours, *SMALL, "--epochs", 2)
    return folder


# --- frozen -------------------------------------------------------------------------------------


def test_frozen_layers_keep_every_bit(lenet, halves, tmp_path):
    result = run(tmp_path / "run", "lenet", "--data", halves, "--mode", "frozen", "--weights",
                 lenet, "--epochs", 2, "--lr", 0.5)  # fmt: skip
    before, after = weights_of(lenet), weights_of(tmp_path / "run")
    assert changed(before, after) == {"classifier.5.weight", "classifier.5.bias"}
    assert "(61,111 parameters, of which 255 learn)" in result.output
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["settings"]["mode"] == "frozen" and facts["weights"]["source"] == str(lenet)
    assert len(facts["weights"]["loaded"]) == 10 and not facts["weights"]["unused"]
    assert facts["features"]["behind"] == "classifier.4"
    assert not (tmp_path / "run" / "features").exists()  # it has finished


def test_statistics_of_frozen_batch_norms_stay(vgg, colours, tmp_path):
    run(tmp_path / "run", "vgg11_bn", "--data", colours, *SMALL, "--mode", "frozen", "--weights",
        vgg / "best.safetensors", "--no-cache", "--epochs", 1)  # fmt: skip
    before, after = weights_of(vgg, "best"), weights_of(tmp_path / "run")
    assert any("running_var" in name for name in before)
    assert changed(before, after) == {"classifier.fc8.weight", "classifier.fc8.bias"}


@pytest.mark.parametrize("options", [[], ["--train-from", "classifier.fc7"]], ids=["fc8", "fc7"])
def test_features_that_are_cached_change_nothing(vgg, colours, tmp_path, options):
    """Dropout before the layers that learn works in both, on the same numbers."""
    arguments = ("vgg11_bn", "--data", colours, *SMALL, "--mode", "frozen", "--weights", vgg,
                 "--epochs", 3, "--lr", 0.05, *options)  # fmt: skip
    cached = run(tmp_path / "a", *arguments)
    plain = run(tmp_path / "b", *arguments, "--no-cache")
    behind = "classifier.relu7" if not options else "classifier.relu6"
    assert f"features behind {behind}" in cached.output and "this once" in cached.output
    assert "features are not cached: as asked" in plain.output
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    start = weights_of(vgg)
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert changed(start, a) == {n for n in a if n.startswith(("classifier.fc8", *options[1:]))}
    for one, other in zip(history_of(tmp_path / "a"), history_of(tmp_path / "b"), strict=True):
        for figure in ("loss", "accuracy", "val_loss", "val_accuracy"):
            assert one[figure] == pytest.approx(other[figure], rel=1e-4)


def test_a_new_last_layer_and_its_report(lenet, tmp_path):
    result = run(tmp_path / "run", "lenet", "--mode", "frozen", "--weights",
                 lenet / "checkpoint.safetensors", "--epochs", 1)  # fmt: skip
    assert "initialised afresh  2" in result.output and "the file has 3 classes" in result.output
    assert "pictures are normalized as the weights need it" in result.output
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    fresh = {row["name"] for row in facts["weights"]["initialised"]}
    assert fresh == {"classifier.5.weight", "classifier.5.bias"}
    assert {row["name"] for row in facts["weights"]["unused"]} == fresh
    normalize = facts["settings"]["preprocessing"][-1]
    expected = json.loads((lenet / "run.json").read_text())["settings"]["preprocessing"][-1]
    assert normalize == expected  # of the pictures that the weights were learned from
    before, after = weights_of(lenet), weights_of(tmp_path / "run")
    assert changed(before, after) == fresh and after["classifier.5.bias"].shape == (10,)


@pytest.mark.parametrize(
    "options, learns",
    [
        (["--freeze", "features"], "classifier"),
        (["--freeze", "features.0,classifier.1", "--freeze", "classifier.3"],
         ("features.3", "classifier.5")),
        (["--freeze", "*.weight"], ("features.0.bias", "features.3.bias", "classifier.1.bias",
                                    "classifier.3.bias", "classifier.5.bias")),
        (["--train-from", "classifier.3"], ("classifier.3", "classifier.5")),
        (["--train-from", "classifier"], "classifier"),
        (["--lr-mult", "classifier.5.bias=0"], "classifier.5.weight"),
    ],
)  # fmt: skip
def test_which_layers_learn(lenet, halves, tmp_path, options, learns):
    run(tmp_path / "run", "lenet", "--data", halves, "--mode", "frozen", "--weights", lenet,
        "--epochs", 1, *options)  # fmt: skip
    before, after = weights_of(lenet), weights_of(tmp_path / "run")
    assert changed(before, after) == {name for name in before if name.startswith(learns)}


def test_features_of_maps_are_cached_with_their_layout(vgg, colours, tmp_path):
    """The cut is among the convolutions; the classifier has dropout, which draws the same."""
    arguments = ("vgg11_bn", "--data", colours, *SMALL, "--mode", "frozen", "--weights", vgg,
                 "--epochs", 2, "--train-from", "features.conv5_1")  # fmt: skip
    result = run(tmp_path / "a", *arguments)
    assert "features behind features.pool4" in result.output
    run(tmp_path / "b", *arguments, "--no-cache")
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=2e-4, atol=2e-5, err_msg=name)
    assert same(weights_of(vgg), a, "features.conv1", "features.bn4", "features.conv4")
    assert not same(weights_of(vgg), a, "features.bn5_1.running_mean")


@pytest.mark.parametrize(
    "name, options, behind",
    [
        ("resnet20_cifar", [], "flatten"),
        ("resnet20_cifar", ["--train-from", "layer3.1"], "layer3.0"),
        ("googlenet", ["--size", 80, "--model-arg", "width=0.1"], "flatten"),
        ("alexnet", ["--size", 67, "--model-arg", "width=0.125"], "classifier.relu7"),
    ],
)
def test_every_family_can_be_cut(colours, tmp_path, name, options, behind):
    """With its auxiliary heads frozen, GoogLeNet leaves them out."""
    model_args = {"width": 0.1 if name == "googlenet" else 0.125} if "--size" in options else {}
    if "alexnet" in name:
        model_args["size"] = 67
    library.manual_seed(3)
    net = models.build(name, num_classes=4, in_channels=3, **model_args)
    library.io.save_checkpoint(tmp_path / "start.safetensors", net)
    arguments = (name, "--data", colours, "--mode", "frozen", "--weights",
                 tmp_path / "start.safetensors", "--epochs", 1, "--batch-size", 16,
                 *options)  # fmt: skip
    cached = run(tmp_path / "a", *arguments)
    assert f"features behind {behind} " in cached.output
    run(tmp_path / "b", *arguments, "--no-cache")
    start = {n: t.data for n, t in net.state_dict().items()}
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    head = models.entry(name).head
    expected = {n for n in a if n.startswith((head, "layer3.1", "layer3.2"))}
    if "--train-from" not in options:
        expected = {n for n in a if n.startswith(head)}
    assert changed(start, a) == changed(start, b) == expected
    for tensor in expected:
        np.testing.assert_allclose(a[tensor], b[tensor], rtol=2e-4, atol=2e-5, err_msg=tensor)


@pytest.mark.parametrize(
    "options, why",
    [
        (["--augment", "flip"], "the pictures differ in each epoch (augmentation: flip)"),
        (["--mixup", 0.3], "mixup blends different pictures in each epoch"),
        (["--freeze", "classifier"], "the first layer learns"),
    ],
)
def test_why_nothing_is_cached(lenet, halves, tmp_path, options, why):
    result = run(tmp_path / "run", "lenet", "--data", halves, "--mode", "frozen", "--weights",
                 lenet, "--epochs", 1, *options)  # fmt: skip
    assert f"features are not cached: {why}" in result.output
    assert json.loads((tmp_path / "run" / "run.json").read_text())["features"] == {"reason": why}


# --- unfreezing and finetuning ------------------------------------------------------------------


def test_frozen_layers_learn_later(lenet, halves, tmp_path):
    folder = tmp_path / "run"
    start = weights_of(lenet)
    arguments = ("lenet", "--data", halves, "--mode", "frozen", "--weights", lenet,
                 "--unfreeze-after", 2, "--schedule", "none", "--early-stopping", 50)  # fmt: skip
    run(folder, *arguments, "--epochs", 3, "--unfreeze-lr-mult", 0)
    assert changed(start, weights_of(folder)) == {"classifier.5.weight", "classifier.5.bias"}
    result = run(tmp_path / "other", *arguments, "--epochs", 4)
    assert "features behind classifier.4" in result.output  # until they learn
    after = weights_of(tmp_path / "other")
    assert changed(start, after) == set(start)
    groups = library.io.load_checkpoint(tmp_path / "other/checkpoint.safetensors").optimizer
    assert [g["lr_mult"] for g in groups["param_groups"]] == [0.1, 1.0]
    moved = [
        np.abs(after[n] - start[n]).max() for n in ("features.0.weight", "classifier.5.weight")
    ]
    assert 0 < moved[0] < moved[1]


def test_finetuning_trains_everything_slower(lenet, halves, tmp_path):
    run(tmp_path / "run", "lenet", "--data", halves, "--mode", "finetune", "--weights", lenet,
        "--epochs", 1)  # fmt: skip
    checkpoint = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    assert checkpoint.meta["settings"]["lr"] == pytest.approx(0.002)  # a tenth of the recipe's
    assert changed(weights_of(lenet), weights_of(tmp_path / "run")) == set(weights_of(lenet))


def test_fresh_layers_learn_faster_when_finetuning(lenet, tmp_path):
    run(tmp_path / "run", "lenet", "--mode", "finetune", "--weights", lenet, "--epochs", 1,
        "--lr-mult", "features=0.5", "--lr-mult", "*.bias=2", "--no-bias-decay")  # fmt: skip
    checkpoint = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    groups = checkpoint.optimizer["param_groups"]
    found = [(g["lr_mult"], g["weight_decay"], len(g["params"])) for g in groups]
    decay = 5e-4
    assert found == [
        (0.5, decay, 2), (1.0, 0.0, 2),  # features: kernels, biases
        (1.0, decay, 2), (2.0, 0.0, 2), (10.0, decay, 1), (20.0, 0.0, 1),
    ]  # fmt: skip


def test_layers_can_be_initialised_afresh(lenet, halves, tmp_path):
    result = run(tmp_path / "run", "lenet", "--data", halves, "--mode", "frozen", "--weights",
                 lenet, "--fresh", "classifier", "--epochs", 1)  # fmt: skip
    assert "initialised afresh  6" in result.output and "as asked" in result.output
    before, after = weights_of(lenet), weights_of(tmp_path / "run")
    assert changed(before, after) == {name for name in before if name.startswith("classifier")}


def test_grey_pictures_for_weights_of_colours(vgg, halves, tmp_path):
    result = run(tmp_path / "run", "vgg11_bn", "--data", halves, *SMALL, "--mode", "frozen",
                 "--weights", vgg, "--epochs", 1)  # fmt: skip
    assert "the weights were learned from colour pictures" in result.output
    meta = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").meta
    assert meta["model_arguments"]["in_channels"] == 3
    assert meta["preprocessing"][0]["name"] == "ToRGB"
    picture = halves / "test" / "top" / "0.png"
    assert minidl("predict", tmp_path / "run", picture).exit_code == 0
    assert minidl("evaluate", tmp_path / "run").exit_code == 0


def test_colour_pictures_for_weights_of_grey(lenet, colours, tmp_path):
    result = run(tmp_path / "run", "lenet", "--data", colours, "--mode", "finetune", "--weights",
                 lenet, "--epochs", 1)  # fmt: skip
    assert "the weights were learned from grey pictures" in result.output
    meta = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").meta
    assert meta["model_arguments"]["in_channels"] == 1
    assert meta["preprocessing"][0]["name"] == "Grayscale"


def test_auxiliary_heads_learn_and_are_left_out_of_the_accuracy(colours, tmp_path):
    library.manual_seed(0)
    arguments = ("googlenet", "--data", colours, "--size", 80, "--model-arg", "width=0.1",
                 "--batch-size", 16, "--epochs", 1)  # fmt: skip
    run(tmp_path / "run", *arguments)
    weights = weights_of(tmp_path / "run")
    library.manual_seed(0)
    net = models.build("googlenet", num_classes=4, in_channels=3, width=0.1)
    start = {n: t.data for n, t in net.state_dict().items()}
    assert changed(start, weights) == set(start)
    entry = history_of(tmp_path / "run")[0]
    assert 0 <= entry["accuracy"] <= 1 and entry["loss"] > entry["val_loss"]  # 1.6 log 4, log 4
    assert entry["loss"] == pytest.approx(1.6 * np.log(4), rel=0.25)
    run(tmp_path / "one", *arguments, "--model-arg", "aux_logits=false")
    assert not any(name.startswith("aux") for name in weights_of(tmp_path / "one"))


def test_weights_of_a_run_are_those_that_it_kept(lenet, halves, tmp_path):
    """Its other commands take the best epoch of such a run, too."""
    run(tmp_path / "run", "lenet", "--data", halves, "--epochs", 1, "--keep", "best")
    # As if an earlier epoch had been better, with the weights of another run.
    shutil.copy(lenet / "best.safetensors", tmp_path / "run" / "best.safetensors")
    best, last = weights_of(tmp_path / "run", "best"), weights_of(tmp_path / "run")
    assert changed(best, last) == set(best)
    arguments = ("lenet", "--data", halves, "--mode", "frozen", "--epochs", 1, "--weights")
    run(tmp_path / "a", *arguments, tmp_path / "run")
    assert same(best, weights_of(tmp_path / "a"), "features")
    run(tmp_path / "b", *arguments, tmp_path / "run" / "checkpoint.safetensors")
    assert same(last, weights_of(tmp_path / "b"), "features")


# --- data ---------------------------------------------------------------------------------------


def test_test_share_is_kept_for_later_commands(colours, tmp_path):
    run(tmp_path / "run", "lenet", "--data", colours, "--test-share", 0.4, "--epochs", 1)
    test = open_dataset(colours, "test", test_share=0.4)
    figures = json.loads(minidl("evaluate", tmp_path / "run", "--json").output.splitlines()[-1])
    assert figures["images"] == len(test) > 25
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert figures["test_accuracy"] == facts["test_accuracy"]


@pytest.mark.parametrize(("share", "some"), [("0", False), ("0.5", True)])
def test_val_share_says_how_many_pictures_do_not_train(share, some, colours, tmp_path):
    everything = len(open_dataset(colours, "train"))
    run(tmp_path / "run", "lenet", "--data", colours, "--val-share", share, "--epochs", 2)
    meta = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").meta
    trained, validated = meta["pictures"]
    assert trained + validated == everything
    assert (0.3 < validated / everything < 0.7) if some else validated == 0
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == 2
    assert all(("val_loss" in json.loads(line)) == some for line in lines)


def test_a_val_share_of_all_pictures_is_refused(colours):
    result = minidl("train", "lenet", "--data", colours, "--val-share", "1")
    assert result.exit_code == 2
    assert "--val-share" in result.output


def test_size_and_arguments_of_the_network(colours, tmp_path):
    run(tmp_path / "run", "resnet20_cifar", "--data", colours, "--size", 16, "--model-arg",
        "shortcut=B", "--epochs", 1)  # fmt: skip
    meta = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").meta
    assert meta["model_arguments"] == {"num_classes": 4, "in_channels": 3, "shortcut": "B"}
    assert meta["preprocessing"][1:3] == [
        {"name": "Resize", "size": 16, "filter": "bilinear"},
        {"name": "CenterCrop", "size": [16, 16]},
    ]
    assert minidl("evaluate", tmp_path / "run").exit_code == 0


def test_auxiliary_heads_help_again_after_unfreezing(colours, tmp_path):
    library.manual_seed(1)
    net = models.build("googlenet", num_classes=4, in_channels=3, width=0.1)
    library.io.save_checkpoint(tmp_path / "start.safetensors", net)
    start = {n: t.data for n, t in net.state_dict().items()}
    run(tmp_path / "run", "googlenet", "--data", colours, "--size", 80, "--model-arg", "width=0.1",
        "--mode", "frozen", "--weights", tmp_path / "start.safetensors", "--epochs", 2,
        "--unfreeze-after", 1, "--batch-size", 16)  # fmt: skip
    assert changed(start, weights_of(tmp_path / "run")) == set(start)
    first, second = (entry["loss"] for entry in history_of(tmp_path / "run"))
    assert second > first + 0.3 * np.log(4)  # the loss of the heads is in it again


@pytest.mark.parametrize(
    "options, says, cards",
    [
        (["--unfreeze-after", 1], "Some layers kept theirs for 1 epoch, while the others were "
         "trained; then they were trained, too.", {"Frozen at first": "4"}),
        (["--unfreeze-after", 2, "--lr-mult", "features.0=0"], "kept theirs for 2 epochs,",
         {"Frozen at first": "3", "Frozen": "1"}),
        (["--unfreeze-after", 2, "--early-stopping", 1, "--lr", 1e-30], "After 2 epochs all would "
         "have been trained, but the run ended before.", {"Frozen": "4"}),
        (["--unfreeze-after", 1, "--unfreeze-lr-mult", 0], "Some layers keep theirs",
         {"Frozen": "4"}),
    ],
)  # fmt: skip
def test_the_report_of_layers_that_learn_later(lenet, halves, tmp_path, options, says, cards):
    folder = tmp_path / "run"
    run(folder, "lenet", "--data", halves, "--mode", "frozen", "--weights", lenet, "--epochs", 3,
        *options)  # fmt: skip
    text = (folder / "report.html").read_text().split("<h2>Weights</h2>")[1].split("<h2>")[0]
    assert says in text and ("keep theirs" in text) == ("kept theirs" not in text)
    assert ("would have been" in text) == ("would have been" in says)
    found = dict(re.findall(r"<dt>(Frozen[^<]*)</dt><dd>([^<]+)</dd>", text))
    assert found == cards
    names = json.loads((folder / "run.json").read_text())["frozen"]
    assert len(names) == 8 and not any(name.startswith("classifier.5") for name in names)


def test_auxiliary_heads_that_do_not_learn_ask_for_no_larger_pictures(colours, tmp_path):
    net = models.build("googlenet", num_classes=4, in_channels=3, width=0.1)
    library.io.save_checkpoint(tmp_path / "start.safetensors", net)
    arguments = ("googlenet", "--data", colours, "--size", 48, "--model-arg", "width=0.1",
                 "--mode", "frozen", "--weights", tmp_path / "start.safetensors",
                 "--epochs", 2)  # fmt: skip
    run(tmp_path / "run", *arguments)
    run(tmp_path / "uncached", *arguments, "--no-cache")
    later = minidl("train", *arguments, "--unfreeze-after", 1, "--output", tmp_path / "later")
    assert later.exit_code == 2 and "at least 79" in later.output  # at once, not after an epoch
    assert "epoch 1" not in later.output and not (tmp_path / "later").exists()


def test_validation_has_the_plain_loss(halves, tmp_path):
    """As the test has: what training adds to its loss is not in it."""
    run(tmp_path / "run", "lenet", "--data", halves, "--epochs", 2, "--label-smoothing", 0.3,
        "--mixup", 0.2, "--class-weights", "top=5")  # fmt: skip
    checkpoint = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors")
    task = prepare_task(from_checkpoint(checkpoint.meta, {}), print, checkpoint)
    loader = evaluation_loader(task.data.validation, task.data.preprocessing, 1)
    expected = library.evaluate(task.model, loader, library.nn.CrossEntropyLoss())["loss"]
    assert checkpoint.run["history"][-1]["val_loss"] == pytest.approx(expected, rel=1e-5)
    page = (tmp_path / "run" / "report.html").read_text()
    assert "contains label smoothing (0.3), mixup (0.2) and class weights, that of" in page


def test_accumulating_is_a_larger_batch(halves, tmp_path):
    for name, options in (
        ("a", ["--batch-size", 4, "--accumulate", 4]),
        ("b", ["--batch-size", 16]),
    ):
        run(tmp_path / name, "lenet", "--data", halves, "--epochs", 2, *options)
    a, b = weights_of(tmp_path / "a"), weights_of(tmp_path / "b")
    for name in a:
        np.testing.assert_allclose(a[name], b[name], rtol=1e-4, atol=1e-5, err_msg=name)
    for one, other in zip(history_of(tmp_path / "a"), history_of(tmp_path / "b"), strict=True):
        assert one["step"] == other["step"] and one["lr"] == pytest.approx(other["lr"])


def test_the_network_of_1998_learns_with_its_own_loss(tmp_path):
    run(tmp_path / "run", "lenet5_1998", "--epochs", 3, "--batch-size", 16)
    facts = json.loads((tmp_path / "run" / "run.json").read_text())
    assert facts["settings"]["loss"] == "map" and facts["test_accuracy"] > 0.8
    again = run(tmp_path / "frozen", "lenet5_1998", "--mode", "frozen", "--weights",
                tmp_path / "run", "--epochs", 1, "--loss", "cross-entropy")  # fmt: skip
    assert "of which 10,164 learn" in again.output  # F6: the output has nothing to learn
