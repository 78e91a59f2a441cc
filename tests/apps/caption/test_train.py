"""`minidl caption train`: the folder that it fills, two phases, resuming, and what it refuses."""

import json

import numpy as np
import pytest

import minidl as library
from apps.caption.learning import Learner
from apps.caption.network import cnn_arguments, make_cnn, of_network
from minidl.errors import MinidlError
from tests.apps.caption.conftest import arguments
from tests.apps.conftest import last_json, minidl, spawn
from tests.apps.killing import assert_same_metrics, assert_same_weights, done, kill_after, wait_for
from tests.training.processes import posix


def weights_of(folder):
    return library.io.load_checkpoint(folder / "checkpoint.safetensors").model


def lines_of(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_the_folder_of_a_run(captioning_run):
    names = {path.name for path in captioning_run.iterdir()}
    assert {"checkpoint.safetensors", "best.safetensors", "captioner.safetensors", "run.json",
            "metrics.jsonl", "report.html"} <= names  # fmt: skip
    run = json.loads((captioning_run / "run.json").read_text())
    assert run["epochs"] == 2 and run["tested_epoch"] == 2 and run["of"] == "test"
    assert set(run["scores"]) >= {"bleu", "rouge_l", "cider_d", "distinct"}
    assert {"loss", "val_loss", "val_cider", "val_distinct", "val_perplexity"} <= set(
        lines_of(captioning_run)[0]
    )
    assert lines_of(captioning_run)[0]["val_perplexity"] == pytest.approx(
        np.exp(lines_of(captioning_run)[0]["val_loss"])
    )


def test_what_speaks_alone_is_the_network_in_half_the_bytes(captioning_run):
    """Variances stay as they are: half the bytes may be too few for a small one."""
    alone = library.io.load_checkpoint(captioning_run / "captioner.safetensors")
    for name, value in of_network(weights_of(captioning_run)).items():
        expected = value.numpy()
        if expected.dtype == np.float32 and "running" not in name:
            expected = expected.astype(np.float16)
        np.testing.assert_array_equal(alone.model[name].numpy(), expected)
        assert alone.model[name].dtype == expected.dtype
    assert alone.meta["settings"]["data"] == "flowers.jsonl"  # not where it was


def test_sentences_are_told_after_each_epoch(jsonl, tmp_path):
    result = minidl(*arguments(jsonl, tmp_path / "run", "--epochs", 1))
    assert result.output.count("    said: ") == 2 and result.output.count("    true: ") == 2


# --- killed -------------------------------------------------------------------------------------


@posix
def test_after_kills(jsonl, tmp_path):
    """A CNN that learns from the start, with words of the network's own."""
    whole, folder = tmp_path / "whole", tmp_path / "run"
    few = ("--epochs", 12, "--scheduled-sampling", 0.5)
    assert minidl(*arguments(jsonl, whole, *few)).exit_code == 0
    command = arguments(jsonl, folder, *few)
    for epochs in (0, 7):
        kill_after(spawn(*command), folder / "metrics.jsonl", epochs)
        command = ("caption", "train", "--resume", folder)
    result = minidl(*command)
    assert result.exit_code == 0, result.output
    assert_same_weights(weights_of(folder), weights_of(whole))
    assert_same_metrics(folder, whole)
    told = [
        library.io.load_checkpoint(one / "checkpoint.safetensors").run["callbacks"]["Samples"]
        for one in (folder, whole)
    ]
    assert told[0] == told[1] and len(told[0]["told"]) == 12


@posix
def test_after_kills_in_both_phases(jsonl, tmp_path, lenet):
    """Of a CNN with weights: its features are computed once, then it learns, too."""
    whole, folder = tmp_path / "whole", tmp_path / "run"
    few = ("--cnn", "lenet", "--weights", lenet, "--epochs", 12, "--finetune-cnn-after", 6)
    result = minidl(*arguments(jsonl, whole, *few))
    assert result.exit_code == 0, result.output
    assert not (whole / "features").exists()
    command = arguments(jsonl, folder, *few)
    for epochs in (2, 8):
        kill_after(spawn(*command), folder / "metrics.jsonl", epochs)
        command = ("caption", "train", "--resume", folder)
    assert done(folder / "metrics.jsonl") >= 8
    result = minidl(*command)
    assert result.exit_code == 0, result.output
    assert_same_weights(weights_of(folder), weights_of(whole))
    assert_same_metrics(folder, whole)


@posix
def test_after_sigterm(jsonl, tmp_path):
    """As after Ctrl-C: the step is finished, the state saved."""
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert minidl(*arguments(jsonl, whole, "--epochs", 5)).exit_code == 0
    process = spawn(*arguments(jsonl, folder, "--epochs", 5))
    wait_for(process, folder / "metrics.jsonl", 2)
    process.terminate()
    _, text = process.communicate(timeout=60)
    assert process.returncode == 143 and "Traceback" not in text
    assert text.endswith(
        f"interrupted; the state is saved. Go on with: minidl caption train --resume {folder}\n"
    )
    result = minidl("caption", "train", "--resume", folder)
    assert result.exit_code == 0, result.output
    assert_same_weights(weights_of(folder), weights_of(whole))
    assert_same_metrics(folder, whole)


def test_ctrl_c_before_the_first_checkpoint(jsonl, tmp_path, monkeypatch):
    """The folder is free for the same command: it said that nothing was saved."""

    def interrupted(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("apps.shared.callbacks.FirstCheckpoint.on_fit_start", interrupted)
        result = minidl(*arguments(jsonl, tmp_path / "run", "--epochs", 1))
    assert result.exit_code == 130 and "nothing was saved" in result.output
    assert not (tmp_path / "run").exists()


# --- two phases ---------------------------------------------------------------------------------


def test_a_frozen_cnn_stays_as_it_was_until_its_turn(jsonl, tmp_path, lenet):
    given = library.io.load_checkpoint(lenet).model["features.0.weight"].numpy()
    few = ("--cnn", "lenet", "--weights", lenet, "--epochs", 2)
    for after, stays in (((), True), (("--finetune-cnn-after", 1), False)):
        folder = tmp_path / f"{stays}"
        result = minidl(*arguments(jsonl, folder, *few, *after))
        assert result.exit_code == 0, result.output
        assert "computing the features" in result.output
        now = weights_of(folder)["cnn.layers.0.weight"].numpy()
        assert np.array_equal(now, given) == stays


def test_features_of_the_file_are_standardized(jsonl, tmp_path, lenet):
    from apps.caption.captioner import load_captioner
    from apps.caption.data import open_part

    folder = tmp_path / "run"
    few = ("--cnn", "lenet", "--weights", lenet, "--epochs", 1, "--val-share", 0)
    result = minidl(*arguments(jsonl, folder, *few))
    assert result.exit_code == 0, result.output
    captioner = load_captioner(str(folder))
    train = open_part(captioner.settings, "train", library.data.transforms.Compose([]))
    captioner.net.cnn.one_length = False  # as they are before
    features = captioner.features(train.picture(i) for i in range(len(train)))
    np.testing.assert_allclose(features.mean(0), 0, atol=1e-3)
    assert features.std(0).max() == pytest.approx(1, abs=1e-3)


def test_sentences_while_it_learns_are_those_of_the_network_afterwards(jsonl, tmp_path, lenet):
    """Features of the file go through the norm before the LSTM hears them."""
    from apps.caption.captioner import Decoding, captions_of, load_captioner
    from apps.caption.data import open_part

    folder = tmp_path / "run"
    few = ("--cnn", "lenet", "--weights", lenet, "--epochs", 8, "--val-share", 0)
    result = minidl(*arguments(jsonl, folder, *few))
    assert result.exit_code == 0, result.output
    run = library.io.load_checkpoint(folder / "checkpoint.safetensors").run
    told = run["callbacks"]["Samples"]["told"][-1]["said"]
    captioner = load_captioner(str(folder))
    train = open_part(captioner.settings, "train", library.data.transforms.Compose([]))
    shown = np.linspace(0, len(train) - 1, len(told)).astype(int)
    found = captions_of([captioner], [train.picture(i) for i in shown], Decoding(beam=1))
    assert told == [" ".join(best.words) for best, *_ in found] and len(set(told)) > 1


def test_features_that_find_no_room_are_standardized(jsonl, tmp_path, lenet, monkeypatch):
    """The network of a run does not depend on the size of the disk."""
    from apps.shared.cut import NotCached
    from apps.shared.feature_cache import FeatureFiles

    def no_room(files):
        raise NotCached("the disk is full")

    few = ("--cnn", "lenet", "--weights", lenet, "--epochs", 1)
    for name in ("room", "none"):
        result = minidl(*arguments(jsonl, tmp_path / name, *few))
        assert result.exit_code == 0, result.output
        monkeypatch.setattr(FeatureFiles, "check_room", no_room)
    assert "features are not cached: the disk is full" in result.output
    for name in ("cnn.norm.running_mean", "cnn.norm.running_var"):
        room, none = (weights_of(tmp_path / run)[name].numpy() for run in ("room", "none"))
        np.testing.assert_allclose(room, none, rtol=1e-4, atol=1e-6)


def test_a_validation_part_that_is_wrong_is_no_missing_one(jsonl, tmp_path):
    def change(lines):
        for i, line in enumerate(lines):
            if i % 3 == 0:
                line |= {"split": "val", "captions": ["?!"]}

    data = changed(jsonl, "val.jsonl", change)
    result = minidl(*arguments(data, tmp_path / "run", "--epochs", 1))
    assert result.exit_code == 2 and "no caption has a word" in result.output


def test_a_run_without_validation(jsonl, tmp_path):
    folder = tmp_path / "run"
    result = minidl(*arguments(jsonl, folder, "--epochs", 1, "--val-share", 0))
    assert result.exit_code == 0, result.output
    assert {"cider", "distinct", "perplexity"} <= set(lines_of(folder)[0])


def test_early_stopping_and_the_best_epoch(jsonl, tmp_path):
    folder = tmp_path / "run"
    more = ("--epochs", 30, "--early-stopping", 2, "--lr", 1e-7, "--json")
    result = minidl(*arguments(jsonl, folder, *more))
    assert result.exit_code == 0, result.output
    found = last_json(result.stdout)
    assert found["epochs"] < 30 and found["tested_epoch"] == found["best_epoch"]
    assert "cider" in found["stopped_early"]


def test_more_epochs(jsonl, tmp_path):
    folder = tmp_path / "run"
    assert minidl(*arguments(jsonl, folder, "--epochs", 1)).exit_code == 0
    result = minidl("caption", "train", "--resume", folder, "--epochs", 2, "--json")
    assert result.exit_code == 0, result.output
    assert last_json(result.stdout)["epochs"] == 2
    again = minidl("caption", "train", "--resume", folder)
    assert again.exit_code == 0 and "trains further" in again.output


def test_the_learner_is_saved_as_its_network():
    from apps.caption.network import make_cnn
    from models.show_and_tell import Decoder, ShowAndTell

    net = ShowAndTell(
        make_cnn("small", {"width": 2, "out": 3, "size": 32}, 32), Decoder(3, 9, 4, 4)
    )
    assert Learner(net).state_dict().keys() == net.state_dict().keys()
    more = Learner(net, phrases=7).state_dict()
    assert more.keys() - net.state_dict().keys() == {"detector.weight", "detector.bias"}
    assert of_network(more).keys() == net.state_dict().keys()
    other = Learner(net, phrases=7)
    other.load_state_dict(more)
    np.testing.assert_array_equal(other.detector.weight.data, more["detector.weight"].data)


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, says",
    [
        (["--cnn", "squeezent"], ["no such cnn", "did you mean squeezenet"]),
        (["--size", 48], ["the small CNN sees 32 or 64 pixels"]),
        (["--weights", "squeezenet"], ["no weights for the small CNN"]),
        (["--finetune-cnn-after", 2], ["belongs to a CNN that has --weights"]),
        (["--cnn", "squeezenet", "--phrase-loss", 1], ["for a CNN that learns from the start"]),
        (["--scheduled-sampling", 1.5], ["scheduled-sampling must be at most 1"]),
        (["--dropout", 1], ["dropout must be below 1"]),
        (["--early-stopping", 2, "--val-share", 0], ["needs pictures to validate with"]),
        (["--min-count", 999], ["no word occurs so often", "--min-count"]),
        (["--data", "nowhere.jsonl"], ["no such file"]),
        (["--data", "tuxpant"], ["did you mean tuxpaint"]),
    ],
)
def test_options_that_will_not_do(jsonl, tmp_path, options, says):
    folder = tmp_path / "run"
    result = minidl(*arguments(jsonl, folder, *options))
    assert result.exit_code == 2, result.output
    for text in says:
        assert text in result.output
    assert not folder.exists() and "Traceback" not in result.output


@pytest.mark.parametrize("cnn, size", [("lenet", 28), ("squeezenet", 8), ("alexnet", 66)])
def test_a_size_that_will_not_do_names_one_that_does(jsonl, tmp_path, cnn, size):
    more = ("--cnn", cnn, "--weights", "none", "--epochs", 1)
    result = minidl(*arguments(jsonl, tmp_path / "run", *more, "--size", size))
    assert result.exit_code == 2 and not (tmp_path / "run").exists()
    (hint,) = [line for line in result.output.splitlines() if "hint: " in line]
    assert "in preprocessing: " not in hint
    fits = int(hint.split("--size ")[1])
    with pytest.raises(MinidlError):
        make_cnn(cnn, cnn_arguments(cnn, fits - 1), fits - 1)
    make_cnn(cnn, cnn_arguments(cnn, fits), fits)


def test_weights_of_another_cnn(jsonl, tmp_path, lenet):
    more = ("--cnn", "resnet20_cifar", "--weights", lenet)
    result = minidl(*arguments(jsonl, tmp_path / "run", *more))
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


def test_weights_that_lack_a_layer_before_the_last(jsonl, tmp_path):
    import models

    path = tmp_path / "wide.safetensors"
    net = models.build("lenet", in_channels=3)
    state = {n: v.numpy() for n, v in net.state_dict().items() if not n.startswith("classifier.3")}
    np.savez(tmp_path / "part.npz", **state)
    more = ("--cnn", "lenet", "--weights", tmp_path / "part.npz")
    result = minidl(*arguments(jsonl, path.with_name("run"), *more))
    assert result.exit_code == 2 and "lack layers that features come from" in result.output


def changed(jsonl, name, change):
    """A file beside the other, of lines that `change` has changed."""
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    change(lines)
    path = jsonl.with_name(name)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def test_captions_without_a_word_are_listed_and_left_out(jsonl, tmp_path):
    def change(lines):
        lines[0]["captions"] = ["?!", "..."]
        lines[1]["captions"] = ["", *lines[1]["captions"], "-"]

    folder = tmp_path / "run"
    result = minidl(*arguments(changed(jsonl, "wordless.jsonl", change), folder, "--epochs", 1))
    assert result.exit_code == 0, result.output
    assert "captions without a word" in result.output and "train-0.png" in result.output
    run = json.loads((folder / "run.json").read_text())
    assert run["pictures"] + run["validation"] == 47

    def none(lines):
        for line in lines:
            line["captions"] = ["!"]

    result = minidl(*arguments(changed(jsonl, "none.jsonl", none), tmp_path / "none"))
    assert result.exit_code == 2 and "no caption has a word" in result.output


def test_a_single_picture(jsonl, tmp_path, lenet):
    """A CNN that learns cannot normalize it; one that is frozen does not have to."""

    def change(lines):
        lines[:] = lines[:1] + lines[-1:]

    data = changed(jsonl, "single.jsonl", change)
    result = minidl(*arguments(data, tmp_path / "run"))
    assert result.exit_code == 2 and "a single picture to train on" in result.output
    more = ("--cnn", "lenet", "--weights", lenet, "--epochs", 1)
    result = minidl(*arguments(data, tmp_path / "run", *more))
    assert result.exit_code == 0, result.output


def test_captions_that_are_the_same_everywhere(jsonl, tmp_path):
    """No phrase tells the pictures apart, so there is none to learn beside the sentence."""
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    for line in lines:
        line["captions"] = ["a flower"]
    same = jsonl.with_name("same.jsonl")
    same.write_text("".join(json.dumps(line) + "\n" for line in lines))
    folder = tmp_path / "run"
    assert minidl(*arguments(same, folder, "--epochs", 1)).exit_code == 0
    assert minidl("caption", "train", "--resume", folder, "--epochs", 2).exit_code == 0
    assert all("caption_loss" not in epoch for epoch in lines_of(folder))  # the loss is that


def test_missing_pictures(jsonl, tmp_path):
    def change(lines):
        lines[3]["image"] = "gone.png"

    data = changed(jsonl, "missing.jsonl", change)
    result = minidl(*arguments(data, tmp_path / "run"))
    assert result.exit_code == 2
    assert "gone.png" in result.output and "--skip-missing" in result.output
    assert minidl("caption", "check", data).exit_code == 2
    result = minidl(*arguments(data, tmp_path / "run", "--skip-missing", "--epochs", 1))
    assert result.exit_code == 0, result.output


def test_other_captions_than_when_the_run_began(jsonl, tmp_path):
    def swap(lines):
        lines[0]["captions"], lines[5]["captions"] = lines[5]["captions"], lines[0]["captions"]

    folder, data = tmp_path / "run", changed(jsonl, "changing.jsonl", lambda lines: None)
    assert minidl(*arguments(data, folder, "--epochs", 1)).exit_code == 0
    changed(jsonl, "changing.jsonl", swap)
    result = minidl("caption", "train", "--resume", folder, "--epochs", 2)
    assert result.exit_code == 2 and "the data have changed" in result.output


def test_a_resumed_run_refuses_other_options(captioning_run):
    for options, says in (
        (["--seed", 4], "another --seed"), (["--hidden", 4], "another --hidden"),
        (["--cnn", "resnet18"], "another --cnn"),
        (["--epochs", 1], "another --epochs"), (["--output", "elsewhere"], "stays in its folder"),
    ):  # fmt: skip
        result = minidl("caption", "train", "--resume", captioning_run, *options)
        assert result.exit_code == 2 and says in result.output


def test_a_run_of_something_else(tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    library.io.save_checkpoint(path, library.nn.Linear(1, 1), meta={"model": "lenet"})
    result = minidl("caption", "train", "--resume", tmp_path)
    assert result.exit_code == 2 and "Traceback" not in result.output
