"""minidl style fast-train: files, resume to the bit, options that will not do."""

import json
import os
import signal

import numpy as np
import pytest

import minidl as library
from apps.shared.console import Console
from apps.shared.options import OptionError
from apps.shared.photo import Photo
from apps.shared.trained_transform import load_fast
from apps.style import needs
from apps.style.fast import run
from apps.style.fast.settings import TrainSettings
from apps.style.fast.training import Training
from apps.style.super_resolution.fast import enlarged
from minidl.errors import CheckpointError, NonFiniteError
from tests.apps.conftest import last_json, minidl
from tests.apps.style.fast.conftest import photograph


def settings(photos, style, loss_weights, **more):
    given = {
        "style": str(style), "data": [str(photos)], "weights": str(loss_weights), "width": 0.1,
        "size": 64, "style_size": 64, "batch_size": 2, "iterations": 6,
    }  # fmt: skip
    return TrainSettings(**(given | more))


def test_the_files_of_a_run(model):
    found = load_fast(str(model))
    assert found.meta["settings"]["style"] == "stripes.png"  # without the folder
    assert found.meta["steps"] == 6 and set(found.meta["losses"]) == {"content", "style", "tv"}
    stored = library.io.load_checkpoint(model).model
    assert {value.dtype for value in stored.values()} == {np.dtype("float16")}
    assert {p.dtype for p in found.net.parameters()} == {np.dtype("float32")}
    page = model.with_suffix(".html").read_text()
    assert "Fast style: stripes" in page and 'type="range"' in page and "https:" not in page
    assert not model.with_name("stripes.resume.safetensors").exists()


def test_the_loss_falls(photos, style, loss_weights):
    learned = Training(
        settings(photos, style, loss_weights, iterations=60, small_share=0.9, lr=5e-3)
    )
    totals = []
    learned.run(lambda parts: totals.append(sum(parts.values())))
    assert len(totals) == 60
    assert np.mean(totals[-10:]) < 0.7 * np.mean(totals[:10])


def test_a_resumed_run_ends_with_the_same_bits(photos, style, loss_weights, tmp_path):
    options = settings(photos, style, loss_weights, small_share=0.5)
    whole = Training(options)
    whole.run(lambda parts: None)
    first = Training(options)
    first.run(lambda parts: first.notes.step < 4)
    first.check()
    first.save(tmp_path / "state.safetensors")
    second = Training(options)
    second.load(library.io.load_checkpoint(tmp_path / "state.safetensors"))
    assert second.notes.step == 4 and len(second.notes.samples) == 1
    assert second.notes.checks == first.notes.checks
    second.run(lambda parts: None)
    for name, value in whole.net.state_dict().items():
        assert np.array_equal(value.numpy(), second.net.state_dict()[name].numpy()), name
    assert second.notes.losses == whole.notes.losses and second.notes.sums == whole.notes.sums


def test_losses_that_are_not_finite_end_a_run_and_spoil_nothing(
    photos, style, loss_weights, tmp_path, monkeypatch
):
    """What was saved before stays, a state or network of NaN is never written."""
    monkeypatch.setattr(run, "SAVE_SECONDS", -1.0)  # after every step
    training = Training(settings(photos, style, loss_weights))
    state, seen = tmp_path / "m.safetensors.resume.safetensors", []
    losses = training.perception.losses

    def spoiled(drawn, photographs):
        parts = losses(drawn, photographs)
        if training.notes.step == 3 and drawn.requires_grad:  # no check of photographs held out
            seen.append(state.read_bytes())
            parts["style"] = parts["style"] * float("nan")
        return parts

    monkeypatch.setattr(training.perception, "losses", spoiled)
    with pytest.raises(NonFiniteError, match="of step 4 is not finite") as caught:
        run.make_steps(training, state, Console("fast-train"))
    assert "--lr" in caught.value.hint
    assert training.notes.step == 3 and state.read_bytes() == seen[0]
    assert all(np.isfinite(p.detach().numpy()).all() for p in training.net.parameters())


def test_gradients_that_are_not_finite_are_seen_before_the_weights_change(
    photos, style, loss_weights
):
    training = Training(settings(photos, style, loss_weights))
    step = training.step

    def spoiled(net, batch):
        parts = step(net, batch)
        next(iter(net.parameters())).grad.data[...] = np.inf
        return parts

    training.step = spoiled
    with pytest.raises(NonFiniteError, match="not finite"):
        training.run(lambda parts: None)
    assert all(np.isfinite(p.detach().numpy()).all() for p in training.net.parameters())


def test_a_run_whose_loss_overflows_writes_no_model(train, tmp_path):
    result = train(tmp_path / "m.safetensors", "--style-weight", "1e39")
    assert result.exit_code != 0 and "not finite" in result.output, result.output
    assert not (tmp_path / "m.safetensors").exists()


def test_memory_is_looked_at_before_a_step_of_full_size(photos, style, loss_weights, monkeypatch):
    training = Training(settings(photos, style, loss_weights, size=512, batch_size=4))
    monkeypatch.setattr(needs, "free_megabytes", lambda: 100.0)
    sizes, measured = [], training.measured
    monkeypatch.setattr(
        training, "measured", lambda *given: sizes.append(given[1:]) or measured(*given)
    )
    with pytest.raises(OptionError, match="more memory than there is") as caught:
        training.estimate()
    assert sizes == [(2, 96)]
    fits = int(caught.value.hint.split()[1])
    assert 32 <= fits < 512 and "--batch-size" in caught.value.hint


def test_what_is_counted_from_small_squares_is_what_large_ones_need(photos, style, loss_weights):
    training = Training(settings(photos, style, loss_weights, width=0.5))
    net = training.fresh()
    small, large = (training.measured(net, *given)[1] for given in ((2, 96), (2, 192)))
    if not small:
        pytest.skip("the system does not tell the peak of memory")
    assert small * (192 / 96) ** 2 == pytest.approx(large, rel=0.5)


def test_the_estimate_counts_both_parts_of_a_run_of_the_smallest_size(
    photos, style, loss_weights, monkeypatch
):
    """Where the small squares are as large as the others."""
    training = Training(settings(photos, style, loss_weights, size=32, iterations=100))
    monkeypatch.setattr(training, "measured", lambda net, count, size: (2.0, 1.0))
    assert training.estimate().seconds == 200


def test_ctrl_c_keeps_the_state_and_resume_goes_on(
    photos, style, loss_weights, tmp_path, monkeypatch
):
    model = tmp_path / "m.safetensors"
    arguments = [
        "style", "fast-train", style, "--data", photos, "-o", model, "--weights", loss_weights,
        "--width", 0.1, "--size", 64, "--style-size", 64, "--batch-size", 1,
    ]  # fmt: skip
    one_step = Training.one_step

    def pressed(self, batch):
        if self.notes.step == 2:
            signal.raise_signal(signal.SIGINT)
        return one_step(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Training, "one_step", pressed)
        result = minidl(*arguments, "--iterations", 100_000)
    assert result.exit_code == 130 and "--resume goes on" in result.output, result.output
    assert load_fast(str(model)).meta["steps"] == 3
    state = tmp_path / "m.safetensors.resume.safetensors"
    content = library.io.load_checkpoint(state)
    content.meta["settings"]["iterations"] = steps = content.run["step"] + 2
    learned = Training(TrainSettings(**content.meta["settings"]))
    learned.load(content)
    learned.save(state)
    result = minidl(*arguments, "--iterations", steps, "--resume", "--json")
    assert result.exit_code == 0, result.output
    assert json.loads(result.output.splitlines()[-1])["iterations"] == steps
    assert not state.exists()


def test_the_report_tells_losses_on_photographs_held_out(train, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    for i in range(30):
        photograph(40, 40, i).save(folder / f"{i}.png")
    model = tmp_path / "m.safetensors"
    result = train(model, "--data", folder, "--snapshots", 2, "--json")
    assert result.exit_code == 0, result.output
    figures = last_json(result.stdout)
    learned = Training(TrainSettings(**figures["settings"]))
    assert figures["held_out"] == learned.photographs.held_out >= 1
    learned.net.load_state_dict(load_fast(str(model)).net.state_dict())
    learned.check()  # the weights were rounded to float16
    expected = learned.notes.checks[0]
    for name, value in figures["losses_held_out"].items():
        assert value == pytest.approx(expected[name], rel=0.02)
    page = model.with_suffix(".html").read_text()
    assert "Losses on photographs that no step saw" in page and "held out" in result.output
    few = train(tmp_path / "few.safetensors", "--json")
    assert last_json(few.stdout)["losses_held_out"] is None
    assert "few photographs it learned from" in (tmp_path / "few.html").read_text()


def test_super_resolution(train, tmp_path):
    model = tmp_path / "larger.safetensors"
    more = ["--task", "super-resolution", "--scale", 2]
    result = train(model, *more, iterations=3, style=None)
    assert result.exit_code == 0, result.output
    found = load_fast(str(model), "fast super-resolution")
    assert found.net.scale == 2 and "style" not in found.meta["losses"]
    pixels = np.random.default_rng(0).random((14, 23, 3), np.float32)
    larger = enlarged(Photo(pixels, pixels[..., 0]), str(model))
    assert larger.size == (28, 46) and larger.alpha.shape == (28, 46)
    shrunk = larger.pixels.reshape(14, 2, 23, 2, 3).mean(axis=(1, 3))
    assert np.corrcoef(shrunk.ravel(), pixels.ravel())[0, 1] > 0.8
    with pytest.raises(CheckpointError, match="expects a network for fast style"):
        load_fast(str(model))


@pytest.mark.parametrize(
    "options, says",
    [
        ({"--task": "super-resolution"}, "super-resolution has no style picture"),
        ({"--scale": "2"}, "--scale has no meaning with --task style"),
        ({"--loss-norm": "paper"}, "give --content-weight, --tv-weight, --style-weight"),
        (
            {"--content-weight": "0", "--style-weight": "0", "--tv-weight": "0"},
            "one weight is above",
        ),
        ({"--style-layers": "relu1,fire99"}, "no such layer"),
        ({"--style-layers": "relu1", "--style-weight": "0"}, "--style-layers does nothing"),
        ({"--loss-net": "squeezenot"}, "did you mean squeezenet"),
        ({"--size": "8"}, "at least 32"),
        ({"--small-share": "1"}, "below 1"),
        ({"--iterations": "0"}, "at least 1"),
        ({"--data": "nowhere"}, "no such file, folder or data set"),
        ({"--weights": "nowhere.pth"}, "no such file"),
    ],
)
def test_options_that_will_not_do(train, tmp_path, options, says):
    more = [part for pair in options.items() for part in pair]
    result = train(tmp_path / "m.safetensors", *more)
    assert result.exit_code == 2 and says in result.output, result.output
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "options, says",
    [
        ({"--size": "66", "--scale": "4"}, "multiple of the scale"),
        ({"--style-weight": "2"}, "--style-weight has no meaning with --task super-resolution"),
        ({"--style-layers": "relu1"}, "--style-layers has no meaning"),
        ({"--content-weight": "0", "--tv-weight": "0"}, "one weight is above 0"),
        ({"--loss-norm": "port", "--tv-weight": "1"}, "give --content-weight, --tv-weight"),
    ],
)
def test_options_of_super_resolution_that_will_not_do(
    photos, loss_weights, tmp_path, options, says
):
    more = [part for pair in options.items() for part in pair]
    arguments = ["style", "fast-train", "--task", "super-resolution", "--data", photos]
    arguments += ["--weights", loss_weights, "-o", tmp_path / "m.safetensors", *more]
    result = minidl(*arguments)
    assert result.exit_code == 2 and says in result.output, result.output
    assert os.listdir(tmp_path) == []


def test_files_that_are_there(train, model, tmp_path):
    result = train(model)
    assert result.exit_code == 2 and "--overwrite" in result.output
    result = train(tmp_path / "nowhere" / "m.safetensors")
    assert result.exit_code == 2 and "folder" in result.output
    result = train(tmp_path / "m.pth")
    assert result.exit_code == 2 and ".safetensors" in result.output
    result = train(tmp_path / "m.safetensors", "--resume")
    assert result.exit_code == 2 and "no unfinished run" in result.output


def test_what_is_missing(style, tmp_path):
    result = minidl("style", "fast-train", style, "-o", tmp_path / "m.safetensors")
    assert result.exit_code == 2 and "--data" in result.output
    result = minidl(
        "style", "fast-train", "--data", "digits", "-o", tmp_path / "m.safetensors"
    )  # fmt: skip
    assert result.exit_code == 2 and "style picture" in result.output
