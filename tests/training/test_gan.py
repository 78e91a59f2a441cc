"""Two optimizers in one run: the hand-written loop, stopped and resumed to the same bits."""

import random

import numpy as np
import pytest

import minidl
from minidl import callbacks, optim
from minidl.errors import CheckpointError
from minidl.io import load_checkpoint
from tests.training.gan import EPOCHS, by_hand, parts, points, step, train
from tests.training.long_run import Crash, metrics
from tests.training.processes import kill_after_next_save, posix, start
from tests.training.small import assert_same_weights, weights


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gan")
    train(folder)
    return folder


def assert_same_run(folder, expected):
    ours, theirs = (load_checkpoint(path / "checkpoint.safetensors") for path in (folder, expected))
    for name, tensor in theirs.model.items():
        np.testing.assert_array_equal(ours.model[name].data, tensor.data, err_msg=name)
    assert ours.optimizer.keys() == theirs.optimizer.keys() == {"generator", "critic"}
    for name, saved in theirs.optimizer.items():
        for number, state in saved["state"].items():
            for key, value in state.items():
                mine = ours.optimizer[name]["state"][number][key]
                np.testing.assert_array_equal(
                    getattr(mine, "data", mine), getattr(value, "data", value)
                )
    assert ours.run["position"] == theirs.run["position"]
    assert metrics(folder) == metrics(expected)


def test_it_is_the_hand_written_loop():
    fitted, history = train()
    model, optimizers = parts()
    by_hand(model, optimizers, EPOCHS)
    assert_same_weights(weights(fitted), weights(model))
    names = {"epoch", "step", "critic_loss", "real_accuracy", "generator_loss", "lr_generator",
             "lr_critic", "seconds", "images_per_second"}  # fmt: skip
    assert all(entry.keys() == names for entry in history)
    assert [entry["step"] for entry in history] == [5, 10, 15, 20]


def test_schedules_and_clipping_see_each_optimizer(whole):
    lines = metrics(whole)
    assert [line["lr_critic"] for line in lines] == [0.02, 0.01, 0.005, 0.0025]
    assert [line["lr_generator"] for line in lines] == [0.01, 0.01, 0.005, 0.005]

    norms = []

    class Norms(callbacks.Callback):
        order = 1

        def on_gradients(self, run):
            held = run.parameters_to_update()
            squares = [float((p.grad.data**2).sum()) for p in held.values()]
            norms.append((next(iter(held)).split(".")[0], sum(squares) ** 0.5))

    train(None, callbacks.ClipGradients(1e-3), Norms(), epochs=1)
    assert [name for name, _ in norms] == [
        "critic", "critic", "generator", "critic", "critic", "generator", "critic",
    ]  # fmt: skip
    assert [norm for _, norm in norms] == pytest.approx([1e-3] * 7, rel=1e-2)


# --- stopped and resumed ------------------------------------------------------------------------


def test_resume_after_each_step_in_turn(tmp_path, whole):
    for number in range(1, EPOCHS * 5):
        with pytest.raises(MemoryError):
            train(tmp_path, Crash("on_gradients", number), resume=number > 1)
    train(tmp_path, resume=True)
    assert_same_run(tmp_path, whole)


@posix
def test_resume_after_kill_9(tmp_path, whole):
    rng, kills, path = random.Random(0), 0, tmp_path / "checkpoint.safetensors"
    for _ in range(2):
        kills += kill_after_next_save(
            start("tests.training.gan", tmp_path), path, rng.uniform(0.0, 0.06)
        )
    assert kills >= 1
    process = start("tests.training.gan", tmp_path)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert_same_run(tmp_path, whole)


def test_a_checkpoint_of_other_optimizers(tmp_path):
    train(tmp_path, epochs=1)
    path = tmp_path / "checkpoint.safetensors"
    model, optimizers = parts()
    one = optim.Adam(model.parameters())

    for chosen, text in (
        (one, "one, without a name"),
        ({"critic": optimizers["critic"]}, r"\['critic'\]"),
        (
            {"critic": optimizers["generator"], "generator": optimizers["critic"]},
            "saved by RMSprop",
        ),
    ):
        with pytest.raises(CheckpointError, match=text):
            minidl.fit(model, points(), None, chosen, 2, resume=path, step=step)
    lone = callbacks.Checkpoint(tmp_path / "one", monitor=None)
    minidl.fit(model, points(), None, one, callbacks=lone, step=lambda run, x, t: {})
    with pytest.raises(CheckpointError, match="with other optimizers"):
        minidl.fit(model, points(), None, optimizers, 2, resume=lone.path, step=step)


def test_an_optimizer_may_have_any_name(tmp_path):
    """Even one that stands in the state of each optimizer."""
    model, optimizers = parts()
    renamed = {"param_groups": optimizers["critic"], "state": optimizers["generator"]}
    saving = callbacks.Checkpoint(tmp_path, monitor=None)
    minidl.fit(model, points(), None, renamed, callbacks=saving, step=lambda run, x, t: {})
    history = minidl.fit(
        model, points(), None, renamed, 2, callbacks=saving, resume=saving.path,
        step=lambda run, x, t: {},
    )  # fmt: skip
    assert len(history) == 2
