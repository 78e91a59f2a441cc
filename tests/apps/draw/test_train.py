"""`minidl draw train`: the folder that it fills, resuming, and what it refuses."""

import json
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

import minidl as library
from apps.draw import embeddings, training
from apps.draw.data import pairs_of
from apps.draw.encoder import load_encoders
from apps.draw.samples import sample_files, tiles_of
from apps.draw.texts import UNKNOWN
from minidl.data.captioned import CaptionedDataset
from tests.apps.conftest import last_json, minidl, spawn
from tests.apps.draw.conftest import arguments
from tests.apps.killing import assert_same_metrics, assert_same_weights, done, kill_after
from tests.training.processes import posix

EPOCHS = ("--epochs", 12, "--encoder-epochs", 12, "--sample-every", 7)


def test_the_folder_of_a_run(drawing_run):
    names = {path.name for path in drawing_run.iterdir()}
    assert {"checkpoint.safetensors", "generator.safetensors", "encoder", "samples", "run.json",
            "metrics.jsonl", "report.html"} <= names  # fmt: skip
    run = json.loads((drawing_run / "run.json").read_text())
    assert run["diversity"] > 0 and run["diversity_unit"] == "real pictures of it"
    assert run["steps"] == 18 and run["epochs"] == 3 and run["settings"]["gan"] == "cls"
    lines = [json.loads(line) for line in (drawing_run / "metrics.jsonl").read_text().splitlines()]
    assert {"discriminator_loss", "generator_loss", "real_accuracy", "drawn_accuracy",
            "wrong_accuracy", "diversity", "diversity_across",
            "lr_generator"} <= set(lines[0])  # fmt: skip
    files = sorted((drawing_run / "samples").iterdir())
    assert files[0].name == "step-000000.png" and files[-1].name == "step-000018.png"
    assert all(tile.shape == (64, 64, 3) for tile in tiles_of(files[0]))


def test_what_draws_alone_is_of_the_average(drawing_run):
    alone = library.io.load_checkpoint(drawing_run / "generator.safetensors").model
    whole = library.io.load_checkpoint(drawing_run / "checkpoint.safetensors")
    average = whole.run["callbacks"]["AverageWeights"]["weights"]
    for name, value in average.items():
        expected = value.numpy().astype(np.float16)
        np.testing.assert_array_equal(alone[f"generator.{name}"].numpy(), expected)
    assert not any(name.startswith("discriminator") for name in alone)


# --- killed -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def uninterrupted(jsonl, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    result = minidl(*arguments(jsonl, folder, *EPOCHS))
    assert result.exit_code == 0, result.output
    return folder


def assert_same(folder, expected):
    a, b = (
        library.io.load_checkpoint(one / "checkpoint.safetensors") for one in (folder, expected)
    )
    assert a.run["step"] == b.run["step"]
    average = [one.run["callbacks"]["AverageWeights"]["weights"] for one in (a, b)]
    for found, wanted in ((a.model, b.model), average):
        assert_same_weights(found, wanted)
    samples = [sample_files(one) for one in (folder, expected)]
    assert [path.name for path in samples[0]] == [path.name for path in samples[1]]
    for one, other in zip(*samples):
        assert one.read_bytes() == other.read_bytes(), one.name
    assert_same_metrics(folder, expected)


@posix
def test_after_kills(jsonl, tmp_path, uninterrupted):
    """One run, killed twice in phase 1, between the phases, and in phase 2."""
    folder = tmp_path / "run"
    command = arguments(jsonl, folder, *EPOCHS)
    for phase, epochs in (("encoder", 0), ("encoder", 5), ("encoder", 12), (".", 6)):
        kill_after(spawn(*command), folder / phase / "metrics.jsonl", epochs)
        command = ("draw", "train", "--resume", folder)
    result = minidl(*command)
    assert result.exit_code == 0, result.output
    assert_same(folder, uninterrupted)
    assert (folder / "report.html").exists()


@posix
@pytest.mark.parametrize("gan", ["gan", "cls-int"])
def test_after_kill_other_gans(jsonl, tmp_path, gan):
    """The pairs of INT are drawn anew as they were."""
    whole, folder = tmp_path / "whole", tmp_path / "run"
    few = ("--gan", gan, "--epochs", 5, "--sample-every", 7)
    few = (*few, "--encoder-epochs", 1) if gan != "gan" else few
    assert minidl(*arguments(jsonl, whole, *few)).exit_code == 0
    kill_after(spawn(*arguments(jsonl, folder, *few)), folder / "metrics.jsonl", 3)
    result = minidl("draw", "train", "--resume", folder)
    assert result.exit_code == 0, result.output
    assert_same(folder, whole)


@posix
@pytest.mark.parametrize("number, code", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_ctrl_c_in_phase_1(jsonl, tmp_path, uninterrupted, number, code):
    folder = tmp_path / "run"
    process = spawn(*arguments(jsonl, folder, *EPOCHS))
    while done(folder / "encoder" / "metrics.jsonl") < 2:
        assert process.poll() is None, process.communicate()
        time.sleep(0.005)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    assert process.returncode == code and f"minidl draw train --resume {folder}" in err
    assert minidl("draw", "train", "--resume", folder).exit_code == 0
    assert_same(folder, uninterrupted)


def test_more_epochs(jsonl, drawing_run, tmp_path):
    folder = tmp_path / "run"
    assert minidl(*arguments(jsonl, folder, "--epochs", 1, "--encoder-epochs", 1)).exit_code == 0
    result = minidl("draw", "train", "--resume", folder, "--epochs", 2, "--json")
    assert result.exit_code == 0, result.output
    assert last_json(result.stdout)["epochs"] == 2


# --- kinds --------------------------------------------------------------------------------------


@pytest.mark.parametrize("gan", ["gan", "conditional", "cls-int"])
def test_other_gans(jsonl, tmp_path, gan):
    folder, sheet = tmp_path / "run", tmp_path / "sheet.png"
    more = ("--gan", gan, "--epochs", 1)
    more = (*more, "--encoder-epochs", 1) if gan != "gan" else more
    result = minidl(*arguments(jsonl, folder, *more))
    assert result.exit_code == 0, result.output
    assert (folder / "encoder").exists() == (gan != "gan")
    result = minidl("draw", "sample", folder, "a red flower", "-n", 3, "-o", sheet)
    assert result.exit_code == 0, result.output
    assert ("plain GAN" in result.output) == (gan == "gan")
    assert Image.open(sheet).width > 300


@pytest.mark.parametrize("share", [0, 0.2])
def test_the_vector_of_unknown_words_is_learned(jsonl, tmp_path, share):
    """No caption has one, so without words that are dropped it stays as it was at random."""
    vectors = []
    for epochs in (1, 2):
        folder = tmp_path / str(epochs)
        words = ("--epochs", 1, "--encoder-epochs", epochs, "--word-dropout", share)
        assert minidl(*arguments(jsonl, folder, *words)).exit_code == 0
        vectors.append(
            load_encoders(folder).matching.text.embedding.weight.detach().numpy()[UNKNOWN]
        )
    assert np.array_equal(*vectors) == (share == 0)


def test_the_text_encoder_of_another_run(jsonl, tmp_path, drawing_run):
    folder = tmp_path / "run"
    words = list(arguments(jsonl, folder, "--epochs", 1, "--text-encoder", drawing_run))
    for option in ("--embedding", "--encoder-batch", "--encoder-lr"):
        result = minidl(*words, option, 8)
        assert result.exit_code == 2 and "stays as it is" in result.output
        assert f"leave out {option}\n" in result.output
    result = minidl(*words)
    assert result.exit_code == 0, result.output
    a, b = (
        library.io.load_checkpoint(one / "encoder" / "checkpoint.safetensors").model
        for one in (folder, drawing_run)
    )
    for name, tensor in a.items():
        np.testing.assert_array_equal(tensor.data, b[name].data)
    (folder / "checkpoint.safetensors").unlink()  # as if it had been killed between the phases
    result = minidl("draw", "train", "--resume", folder, "--json")
    assert result.exit_code == 0, result.output
    run = json.loads((folder / "run.json").read_text())
    assert run["epochs"] == 1 and run["settings"]["text_encoder"] == str(drawing_run)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    seconds = sum(json.loads(line)["seconds"] for line in lines)
    assert run["seconds"] == pytest.approx(seconds, abs=0.01)  # of this run, not of the other
    assert run["retrieval"]["of"] == "test pictures"


# --- refusals -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options, says",
    [
        (["--gan", "cl"], ["no such gan", "did you mean cls"]),
        (["--preset", "smal"], ["no such preset", "did you mean small"]),
        (["--size", 48], ["size is 32 or 64"]),
        (["--near-share", 1.5], ["near-share must be at most 1"]),
        (["--gan", "gan", "--wrong-weight", 1], ["--wrong-weight belongs to --gan cls"]),
        (["--gan", "int", "--drawn-weight", 1], ["--drawn-weight belongs to --gan cls"]),
        (["--gan", "gan", "--no-discriminant"], ["--discriminant belongs to a GAN with captions"]),
        (["--gan", "gan", "--text-encoder", "run"], ["--text-encoder belongs to"]),
        (["--gan", "gan", "--encoder-lr", 0.1], ["--encoder-lr belongs to"]),
        (["--gan", "gan", "--captions", 2], ["--captions belongs to"]),
        (["--encoder", "char-cnn-rnn", "--word-dropout", 0.1], ["belongs to --encoder word-lstm"]),
        (["--preset", "reed"], ["draw 64 pixels"]),
        (["--batch-size", 49], ["fewer pictures than a batch has", "--batch-size 48"]),
    ],
)
def test_options_that_will_not_do(jsonl, tmp_path, options, says):
    folder = tmp_path / "run"
    result = minidl(*arguments(jsonl, folder, *options))
    assert result.exit_code == 2, result.output
    for text in says:
        assert text in result.output
    assert not folder.exists() and "Traceback" not in result.output


def test_one_class_only(jsonl, tmp_path):
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    one = jsonl.with_name("one.jsonl")
    one.write_text("".join(json.dumps(line | {"class": "a"}) + "\n" for line in lines))
    result = minidl(*arguments(one, tmp_path / "run"))
    assert result.exit_code == 2
    assert "all pictures are of one class" in result.output and "--gan gan" in result.output
    assert "leave the class out" in result.output


@pytest.mark.parametrize("gan", ["cls", "conditional", "gan"])
def test_the_same_caption_everywhere(jsonl, tmp_path, gan):
    """Nothing can be learned of it; a plain GAN, the hint, does not ask for it."""
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    same = jsonl.with_name("same.jsonl")
    same.write_text(
        "".join(
            json.dumps({"image": line["image"], "captions": ["a flower"]}) + "\n" for line in lines
        )
    )
    words = ["draw", "train", "--data", same, "--gan", gan, "--size", 32, "--ngf", 4, "--ndf", 4]
    result = minidl(*words, "--batch-size", 8, "--epochs", 1, "--output", tmp_path / "run")
    if gan == "gan":
        assert result.exit_code == 0, result.output
        return
    assert result.exit_code == 2 and "all pictures are of one class" in result.output
    assert "--gan gan" in result.output and "leave the class out" not in result.output


def test_missing_pictures(jsonl, tmp_path):
    lines = jsonl.read_text().splitlines()
    lines[3] = lines[3].replace("train-3.png", "gone.png")
    broken = jsonl.with_name("missing.jsonl")
    broken.write_text("\n".join(lines))
    result = minidl(*arguments(broken, tmp_path / "run"))
    assert result.exit_code == 2
    assert "gone.png" in result.output and "--skip-missing" in result.output
    checked = minidl("draw", "check", broken, "--json")
    assert checked.exit_code == 2 and "gone.png" in checked.output
    found = last_json(checked.stdout)
    (missing,) = (one for one in found["findings"] if one["kind"] == "missing pictures")
    assert found["serious"] and missing["serious"] and missing["names"] == ["gone.png"]
    more = ("--skip-missing", "--epochs", 1, "--encoder-epochs", 1)
    result = minidl(*arguments(broken, tmp_path / "again", *more))
    assert result.exit_code == 0, result.output


def test_a_test_picture_that_is_damaged_is_named_before_hours_are_spent(
    jsonl, tmp_path, drawing_run
):
    lines = jsonl.read_text().splitlines()
    damaged = jsonl.with_name("damaged.jsonl")
    damaged.write_text("\n".join(lines).replace("test-3.png", "half.png"))
    jsonl.with_name("half.png").write_bytes(jsonl.with_name("test-3.png").read_bytes()[:200])
    for command in (
        arguments(damaged, tmp_path / "run"), ("draw", "score", drawing_run, "--data", damaged)
    ):  # fmt: skip
        result = minidl(*command)
        assert result.exit_code == 2, result.output
        assert "half.png" in result.output and "Traceback" not in result.output
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("text_encoder", [False, True])
def test_captions_without_a_word(jsonl, tmp_path, drawing_run, text_encoder):
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    lines[3]["captions"][0] = "!!!"
    signs = jsonl.with_name("signs.jsonl")
    signs.write_text("".join(json.dumps(line) + "\n" for line in lines))
    more = ("--text-encoder", drawing_run) if text_encoder else ()
    result = minidl(*arguments(signs, tmp_path / "run", *more))
    assert result.exit_code == 2 and "captions are without a word" in result.output
    assert "'!!!'" in result.output and "char-cnn-rnn" in result.output


def test_no_picture_is_held_out(jsonl, tmp_path):
    seen = jsonl.with_name("seen.jsonl")
    seen.write_text(jsonl.read_text().replace('"test"', '"train"'))
    words = arguments(seen, tmp_path / "run", "--epochs", 1, "--encoder-epochs", 1)
    result = minidl(*words, "--json")
    assert result.exit_code == 0 and "no pictures are held out" in result.output
    assert last_json(result.stdout)["retrieval"]["of"] == "training pictures"


def test_other_captions_than_when_the_run_began(jsonl, tmp_path):
    changing = jsonl.with_name("changing.jsonl")
    changing.write_text(jsonl.read_text())
    folder = tmp_path / "run"
    assert minidl(*arguments(changing, folder, "--epochs", 1, "--encoder-epochs", 1)).exit_code == 0
    changing.write_text(jsonl.read_text().replace("petals", "leaves"))
    result = minidl("draw", "train", "--resume", folder, "--epochs", 2)
    assert result.exit_code == 2 and "the data have changed" in result.output


def test_other_pictures_than_when_the_run_began(jsonl, tmp_path):
    changing = jsonl.with_name("fewer.jsonl")
    changing.write_text(jsonl.read_text())
    folder = tmp_path / "run"
    assert minidl(*arguments(changing, folder, "--epochs", 1, "--encoder-epochs", 1)).exit_code == 0
    changing.write_text(jsonl.read_text().partition("\n")[2])
    result = minidl("draw", "train", "--resume", folder, "--epochs", 2)
    assert result.exit_code == 2 and "changed since the run began: other pictures" in result.output


@pytest.mark.parametrize("phase", ["encoder", "networks"])
def test_captions_that_were_swapped_between_pictures(jsonl, tmp_path, phase):
    """As many of everything, and the same words."""
    changing = jsonl.with_name("swapped.jsonl")
    changing.write_text(jsonl.read_text())
    folder = tmp_path / "run"
    assert minidl(*arguments(changing, folder, "--epochs", 1, "--encoder-epochs", 1)).exit_code == 0
    if phase == "encoder":
        (folder / "checkpoint.safetensors").unlink()
    lines = [json.loads(line) for line in jsonl.read_text().splitlines()]
    lines[0]["captions"], lines[5]["captions"] = lines[5]["captions"], lines[0]["captions"]
    changing.write_text("".join(json.dumps(line) + "\n" for line in lines))
    result = minidl("draw", "train", "--resume", folder)
    assert result.exit_code == 2 and "the data have changed" in result.output


def test_a_run_goes_on_with_the_embeddings_that_it_had(jsonl, tmp_path, monkeypatch):
    """Another machine may find other eigenvectors of the same captions."""
    folder = tmp_path / "run"
    assert minidl(*arguments(jsonl, folder, "--epochs", 1, "--encoder-epochs", 1)).exit_code == 0
    seen = []

    class Noting(training.PlayingBatches):
        def __init__(self, pairs, embeddings, settings):
            seen.append(embeddings)
            super().__init__(pairs, embeddings, settings)

    monkeypatch.setattr(training, "PlayingBatches", Noting)
    assert minidl("draw", "train", "--resume", folder).exit_code == 0
    found = embeddings.discriminant
    monkeypatch.setattr(embeddings, "discriminant", lambda *given: -found(*given))
    assert minidl("draw", "train", "--resume", folder, "--epochs", 2).exit_code == 0
    np.testing.assert_array_equal(*seen)


def test_a_resumed_run_refuses_other_options(drawing_run):
    for options, says in (
        (["--seed", 4], "another --seed"), (["--gan", "gan"], "another --gan"),
        (["--lr-generator", 1], "another --lr-generator"), (["--epochs", 1], "another --epochs"),
        (["--output", "elsewhere"], "stays in its folder"),
    ):  # fmt: skip
        result = minidl("draw", "train", "--resume", drawing_run, *options)
        assert result.exit_code == 2 and says in result.output


def test_a_run_of_another_command(jsonl, tmp_path, drawing_run):
    """Or a part of one: nothing in it changes."""
    other = tmp_path / "other"
    words = ("train", "lenet", "--data", "digits", "--epochs", 1, "--output", other)
    assert minidl(*words).exit_code == 0
    encoder = drawing_run / "encoder"
    before = {path: path.read_bytes() for path in encoder.iterdir()}
    for folder, says in ((other, "not one of minidl draw train"), (encoder, f"{drawing_run} is")):
        result = minidl("draw", "train", "--resume", folder)
        assert result.exit_code == 2 and says in " ".join(result.output.split()), result.output
        assert "Traceback" not in result.output
    assert {path: path.read_bytes() for path in encoder.iterdir()} == before


def test_pictures_that_are_all_the_same(jsonl, tmp_path):
    """Then there is nothing to compare the diversity of drawn ones with."""
    for i in range(48):
        jsonl.with_name(f"same-{i}.png").write_bytes(jsonl.with_name("train-0.png").read_bytes())
    same = jsonl.with_name("pictures.jsonl")
    same.write_text(jsonl.read_text().replace("train-", "same-"))
    words = arguments(same, tmp_path / "run", "--epochs", 1, "--encoder-epochs", 1)
    result = minidl(*words, "--json")
    assert result.exit_code == 0, result.output
    assert last_json(result.stdout)["diversity"] is None
    assert (tmp_path / "run" / "report.html").exists()


@pytest.mark.parametrize("classes, expected", [(1, 1), (2, 2), (5, 5), (8, 8), (12, 8)])
def test_captions_that_are_shown_are_of_all_classes_where_these_are_few(classes, expected):
    """Of many classes, of those that are far apart."""
    texts = [[f"{number} a", f"{number} b"] for number in range(classes)]
    pictures = np.zeros((classes, 32, 32, 3), np.uint8)
    pairs = pairs_of(CaptionedDataset(pictures, texts, np.arange(classes)))
    found = training.far_apart(pairs, 8)
    assert len({text.split()[0] for text in found}) == expected
    assert len(found) == 8 and len(set(found)) == min(8, 2 * classes)


def test_no_run_to_go_on_with(tmp_path):
    result = minidl("draw", "train", "--resume", tmp_path / "nothing")
    assert result.exit_code == 2 and "no such run" in result.output


def test_the_report_is_there_while_a_run_goes_on(jsonl, tmp_path, monkeypatch):
    seen = []

    def note(run):
        seen.append((tmp_path / "run" / "report.html").exists())

    monkeypatch.setattr("apps.shared.live_report.EVERY", 0)
    monkeypatch.setattr("apps.draw.samples.Samples.on_step_start", lambda self, run: note(run))
    result = minidl(*arguments(jsonl, tmp_path / "run", "--epochs", 2, "--encoder-epochs", 1))
    assert result.exit_code == 0, result.output
    assert seen == [False] * 6 + [True] * 6
