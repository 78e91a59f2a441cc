"""Options of the three ways that contradict each other, or name what is not there."""

import numpy as np
import pytest

import minidl as library
import models
from tests.apps.classify.test_mistakes import refused
from tests.apps.classify.three_ways import colours, run
from tests.apps.conftest import minidl

__all__ = ["colours"]  # a fixture


@pytest.fixture(scope="module")
def lenet(halves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("lenet") / "run"
    run(folder, "lenet", "--data", halves, "--epochs", 1)
    return folder


@pytest.mark.parametrize(
    "options, says",
    [
        (["--mode", "finetune"], ["--mode finetune starts from weights", "--weights FILE"]),
        (["--mode", "frozen"], ["--mode frozen starts from weights"]),
        (["--mode", "frosen"], ["no such mode", "did you mean frozen?"]),
        (["--weights", "x.npz"], ["from scratch starts without weights", "--mode finetune"]),
        (["--freeze", "features"], ["--freeze belongs to --mode frozen"]),
        (["--train-from", "features"], ["--train-from belongs to --mode frozen"]),
        (["--unfreeze-after", 2], ["--unfreeze-after belongs to --mode frozen"]),
        (["--fresh", "classifier"], ["--fresh belongs to"]),
        (["--cache"], ["--cache belongs to --mode frozen"]),
        (["--lr-mult", "features"], ["--lr-mult is NAME=VALUE"]),
        (["--lr-mult", "features=-1"], ["a factor of at least 0", "features=-1"]),
        (["--lr-mult", "features=nan"], ["a factor of at least 0"]),
        (["--lr-mult", "a=1", "--lr-mult", "a=2"], ["names a twice"]),
        (["--lr-mult", "featurs=0.1"], ["no such layer", "did you mean features?"]),
        (["--lr-mult", "*=0"], ["no layer learns"]),
        (["--model-arg", "width=2"], ["lenet has no such argument", "width=2"]),
        (["--model-arg", "actvation=tanh"], ["no such argument", "did you mean activation?"]),
        (["--model-arg", "num_classes=3"], ["the number of classes is that of the data"]),
        (["--model-arg", "activation=gelu"], ["no such activation"]),
        (["--augment", "flop"], ["no such augment", "did you mean flip?"]),
        (["--mixup", "-1"], ["mixup must be at least 0"]),
        (["--label-smoothing", "1"], ["label-smoothing must be below 1"]),
        (["--class-weights", "balancd"], ["no such file", "balanced"]),
        (["--class-weights", "topp=2"], ["no such class", "did you mean top?"]),
        (["--class-weights", "top=x"], ["a factor of at least 0"]),
        (["--accumulate", "0"], ["accumulate must be at least 1"]),
        (["--milestones", "3,2"], ["ascending numbers of epochs", "80,120"]),
        (["--milestones", "3", "--schedule", "cosine"], ["belong together"]),
        (["--schedule", "multistep"], ["belong together"]),
        (["--milestones", "80,120", "--epochs", "3"], ["the run ends before its first milestone"]),
        (["--milestones", "3", "--epochs", "3"], ["the run ends before its first milestone"]),
        (["--warmup", "1", "--schedule", "plateau"], ["has no warm-up"]),
        (["--warmup", "30", "--epochs", "3"], ["longer than the run"]),
        (["--clip-grad", "0"], ["clip-grad must be above 0"]),
        (["--keep", "first"], ["no such keep"]),
        (["--size", "0"], ["size must be at least 1"]),
        (["--size", "64"], ["expects pictures as (N, 1, 32, 32)", "(2, 1, 64, 64)"]),
        (["--test-share", "0.3"], ["the data come with pictures to test on"]),
        (["--test-share", "1.5"], ["test-share lies between 0 and 1"]),
        (["--loss", "map"], ["belongs to lenet5_1998"]),
    ],
    ids=lambda value: " ".join(map(str, value))[:30],
)
def test_options(halves, tmp_path, options, says):
    result = minidl("train", "lenet", "--data", halves, "--output", tmp_path / "run", *options)
    refused(result, *says)
    assert not (tmp_path / "run").exists()  # a mistake leaves no folder


@pytest.mark.parametrize(
    "options, says",
    [
        (["--freeze", "features.1"], ["no such layer", "did you mean features"]),
        (["--train-from", "classifer"], ["no such layer", "did you mean classifier?"]),
        (["--freeze", "features", "--train-from", "classifier"], ["both say what is frozen"]),
        (["--freeze", "features,classifier"], ["no layer learns"]),
        (["--freeze", "classifier.5", "--fresh", "classifier.5"], ["knows nothing"]),
        (["--fresh", "classifier.7"], ["no such layer"]),
        (["--unfreeze-after", 9, "--epochs", 9], ["the run ends before"]),
        (["--cache", "--augment", "flip"], ["only of pictures that stay the same"]),
        (["--cache", "--mixup", "0.2"], ["only of pictures that stay the same"]),
        (["--weights", "nowhere.npz"], ["nowhere.npz"]),
        (["--weights", "."], ["holds no checkpoint.safetensors"]),
    ],
    ids=lambda value: " ".join(map(str, value))[:30],
)
def test_options_of_frozen_layers(halves, lenet, tmp_path, monkeypatch, options, says):
    monkeypatch.chdir(tmp_path)
    given = ["--weights", lenet] if "--weights" not in options else []
    result = minidl("train", "lenet", "--data", halves, "--mode", "frozen", *given, *options,
                    "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 2 and "Traceback" not in result.output
    for text in says:
        assert text in result.output
    assert not (tmp_path / "run").exists()


def test_weights_of_another_network(lenet, colours, tmp_path):
    given = ("resnet20_cifar", "--data", colours, "--mode", "finetune", "--weights", lenet)
    result = minidl("train", *given, "--output", tmp_path / "run")
    refused(result, "no tensor of the file", "or unknown names\n")
    np.savez(tmp_path / "lenet.npz", *[t.numpy() for t in models.lenet5().state_dict().values()])
    given = (*given[:-1], tmp_path / "lenet.npz")
    result = minidl("train", *given, "--output", tmp_path / "run")
    refused(result, "no tensor of the file", "minidl weights convert --by order")


def test_weights_of_another_size_name_the_option(colours, tmp_path):
    net = models.build("vgg11", num_classes=4, width=0.05, size=64)
    library.io.save_checkpoint(tmp_path / "start.safetensors", net)
    given = ("vgg11", "--data", colours, "--size", 32, "--model-arg", "width=0.05", "--mode",
             "frozen", "--weights", tmp_path / "start.safetensors", "--epochs", 1)  # fmt: skip
    result = minidl("train", *given, "--output", tmp_path / "run")
    refused(result, "another size", "--fresh classifier.fc6")
    again = minidl("train", *given, "--fresh", "classifier.fc6", "--output", tmp_path / "run")
    assert again.exit_code == 0, again.output
    assert "behind classifier.flatten" in again.output


@pytest.mark.parametrize("channels", [3, 1])
def test_weights_of_a_run_with_another_head_name_it(colours, tmp_path, channels):
    """Grey weights, too: colour pictures would be converted to them."""
    arguments = {"num_classes": 4, "width": 0.05, "size": 32, "head": "average"}
    arguments["in_channels"] = channels
    meta = {"model": "vgg11", "model_arguments": arguments}
    net = models.build("vgg11", **arguments)
    library.io.save_checkpoint(tmp_path / "start.safetensors", net, meta=meta)
    given = ("vgg11", "--data", colours, "--size", 32, "--model-arg", "width=0.05", "--mode",
             "finetune", "--weights", tmp_path / "start.safetensors", "--epochs", 1)  # fmt: skip
    result = minidl("train", *given, "--output", tmp_path / "run")
    refused(
        result, "the shapes differ in 1 tensor\n",
        "the file's network was made with head='average', this one with head='fc': make it with "
        "--model-arg head=average, or leave the layer out with --fresh classifier.fc8",
    )  # fmt: skip
    again = minidl("train", *given, "--model-arg", "head=average", "--output", tmp_path / "run")
    assert again.exit_code == 0, again.output


def test_a_class_weights_file_that_is_none(halves, tmp_path):
    for content in (b"", b"\xff\xfe", b"[1, 2]", b'{"top": "many"}', b"top\n"):
        (tmp_path / "weights").write_bytes(content)
        result = minidl("train", "lenet", "--data", halves, "--class-weights",
                        tmp_path / "weights", "--output", tmp_path / "run")  # fmt: skip
        assert result.exit_code == 2 and "Traceback" not in result.output, content


def test_a_disk_too_small_for_features(halves, lenet, tmp_path, monkeypatch):
    import shutil

    usage = shutil.disk_usage(tmp_path)._replace(free=1 << 20)
    monkeypatch.setattr("apps.shared.feature_cache.shutil.disk_usage", lambda path: usage)
    result = run(tmp_path / "run", "lenet", "--data", halves, "--mode", "frozen", "--weights",
                 lenet, "--epochs", 1)  # fmt: skip
    assert "features are not cached: the features would take" in result.output


def test_ctrl_c_while_features_are_computed(halves, lenet, tmp_path, monkeypatch):
    def interrupted(loader):
        yield next(iter(loader))
        raise KeyboardInterrupt

    monkeypatch.setattr("apps.shared.feature_cache.with_progress", interrupted)
    result = minidl("train", "lenet", "--data", halves, "--mode", "frozen", "--weights", lenet,
                    "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 130 and "nothing was saved" in result.output
    assert not (tmp_path / "run").exists()
