"""A run that was killed goes on as if nothing had happened: the weights are equal, bit for bit."""

import json
import os
import shutil
import signal
import sys
import time

import numpy as np
import pytest

import minidl as library
from apps import cli
from apps.shared.outcome import seconds_spent
from tests.apps.conftest import last_json, minidl, picture, spawn

EPOCHS = 20


def arguments(halves, folder):
    return ("train", "lenet", "--data", halves, "--epochs", EPOCHS, "--batch-size", 8,
            "--seed", 3, "--output", folder)  # fmt: skip


@pytest.fixture(scope="module")
def uninterrupted(halves, tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole") / "run"
    result = minidl(*arguments(halves, folder))
    assert result.exit_code == 0, result.output
    return library.io.load_checkpoint(folder / "checkpoint.safetensors")


def epochs_of(folder):
    """Epochs that are done; -1 before the first checkpoint."""
    if not (folder / "checkpoint.safetensors").exists():
        return -1
    return len((folder / "metrics.jsonl").read_text().splitlines())


def start_and_stop(halves, folder, number, epochs):
    """Start the run, send a signal when so many epochs are done, and wait for the end."""
    process = spawn(*arguments(halves, folder))
    deadline = time.monotonic() + 60
    while epochs_of(folder) < epochs:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, number)
    _, err = process.communicate(timeout=60)
    return process.returncode, err


def assert_same(checkpoint, expected):
    assert checkpoint.run["step"] == expected.run["step"]
    assert checkpoint.model.keys() == expected.model.keys()
    for name, tensor in expected.model.items():
        np.testing.assert_array_equal(checkpoint.model[name].data, tensor.data, err_msg=name)


@pytest.mark.parametrize("epochs", [0, 5])
def test_after_kill(halves, tmp_path, uninterrupted, epochs):
    folder = tmp_path / "run"
    code, _ = start_and_stop(halves, folder, signal.SIGKILL, epochs)
    assert code == -signal.SIGKILL
    saved = library.io.load_checkpoint(folder / "checkpoint.safetensors")  # valid at any moment
    assert saved.run["step"] < uninterrupted.run["step"]
    result = minidl("train", "--resume", folder)
    assert result.exit_code == 0, result.output
    assert_same(library.io.load_checkpoint(folder / "checkpoint.safetensors"), uninterrupted)
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    assert len(lines) == EPOCHS  # no epoch twice
    assert (folder / "report.html").exists()


@pytest.mark.parametrize("number, ends_with", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_after_ctrl_c(halves, tmp_path, uninterrupted, number, ends_with):
    folder = tmp_path / "run"
    code, err = start_and_stop(halves, folder, number, 4)
    assert code == ends_with
    assert f"minidl train --resume {folder}" in err and "saved" in err
    assert "Traceback" not in err
    result = minidl("train", "lenet", "--resume", folder, "--seed", 3)  # repeating is no conflict
    assert result.exit_code == 0, result.output
    assert_same(library.io.load_checkpoint(folder / "checkpoint.safetensors"), uninterrupted)


def test_ctrl_c_in_the_middle_of_an_epoch(halves, tmp_path, uninterrupted, monkeypatch):
    """The signal arrives in step 13 of 25 or so, in the middle of the arithmetic."""
    folder = tmp_path / "run"
    forward, steps = library.nn.CrossEntropyLoss.forward, []

    def interrupting(self, *inputs):
        steps.append(1)
        if len(steps) == 13:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(self, *inputs)

    monkeypatch.setattr(library.nn.CrossEntropyLoss, "forward", interrupting)
    result = minidl(*arguments(halves, folder))
    monkeypatch.undo()
    assert result.exit_code == 130, result.output
    saved = library.io.load_checkpoint(folder / "checkpoint.safetensors")
    assert saved.run["batch"] > 0  # in the middle of an epoch
    assert minidl("train", "--resume", folder).exit_code == 0
    assert_same(library.io.load_checkpoint(folder / "checkpoint.safetensors"), uninterrupted)


@pytest.mark.parametrize(
    "options, says",
    [
        (["--seed", 4], ["another --seed", "stored  0", "given   4"]),
        (["--batch-size", 16], ["another --batch-size"]),
        (["--epochs", 2], ["another --epochs"]),
        (["--lr", 0.5], ["another --lr"]),
        (["--optimizer", "adam"], ["another --optimizer"]),
        (["--momentum", 0.5], ["another --momentum"]),
        (["--weight-decay", 0.5], ["another --weight-decay"]),
        (["--schedule", "step"], ["another --schedule"]),
        (["--early-stopping", 3], ["another --early-stopping"]),
        (["--cpu-kernels", "reference"], ["another --cpu-kernels"]),
        (["--data", "digits"], ["another --data"]),
        (["--model-arg", "padding=2"], ["another --model-arg\n"]),
        (["resnet20_cifar"], ["has another network", "stored  'lenet'"]),
        (["--output", "elsewhere"], ["stays in its folder"]),
    ],
)
def test_contradictions_are_refused(trained, options, says):
    result = minidl("train", "--resume", trained, *options)
    assert result.exit_code == 2
    before = library.io.load_checkpoint(trained / "checkpoint.safetensors")
    for text in says:
        assert text in result.output
    assert before.run["epochs_finished"] == 6


def test_finished_run_may_have_more_epochs(halves, tmp_path):
    folder = tmp_path / "run"
    first = minidl("train", "lenet", "--data", halves, "--epochs", 2, "--output", folder)
    assert first.exit_code == 0, first.output
    again = minidl("train", "--resume", folder)  # nothing is left to do
    assert "after 2 epochs" in again.output
    assert "all 2 epochs are done; --epochs N with N above 2 trains further" in again.output
    more = minidl("train", "--resume", folder, "--epochs", 3)
    assert more.exit_code == 0, more.output
    assert "after 3 epochs" in more.output


def test_a_run_that_stopped_early_says_why_it_trains_no_further(tmp_path):
    """With more patience it goes on, and is what it would have been with that from the start."""
    rng = np.random.default_rng(1)
    for name in ("a", "b"):  # both the same, so that what is learned does not hold for others
        (tmp_path / "data" / name).mkdir(parents=True)
        for i in range(30):
            picture("top", rng).save(tmp_path / "data" / name / f"{i}.png")
    arguments = ("train", "lenet", "--data", tmp_path / "data", "--epochs", 12, "--output")
    for name, patience in (("run", 1), ("patient", 50)):
        result = minidl(*arguments, tmp_path / name, "--early-stopping", patience)
        assert result.exit_code == 0, result.output
    folder, path = tmp_path / "run", tmp_path / "run" / "checkpoint.safetensors"
    before = library.io.load_checkpoint(path)
    done = before.run["epochs_finished"]
    assert 1 < done < 12

    again = minidl("train", "--resume", folder, "--epochs", 12)
    assert again.exit_code == 0, again.output
    says = f"stopped early, after epoch {done}: 1 epoch without a better validation loss. It trains"
    assert says in again.output and "--early-stopping N with N above 1" in again.output
    assert_same(library.io.load_checkpoint(path), before)

    more = minidl("train", "--resume", folder, "--early-stopping", 50)
    assert more.exit_code == 0, more.output
    assert "after 12 epochs" in more.output and "stopped early" not in more.output
    patient = library.io.load_checkpoint(tmp_path / "patient" / "checkpoint.safetensors")
    assert_same(library.io.load_checkpoint(path), patient)
    facts = [json.loads((tmp_path / name / "run.json").read_text()) for name in ("run", "patient")]
    for name in ("epochs", "best_epoch", "tested_epoch", "stopped_early", "test_loss"):
        assert facts[0][name] == facts[1][name]
    less = minidl("train", "--resume", folder, "--early-stopping", 2)
    assert less.exit_code == 2 and "another --early-stopping" in less.output


def test_seconds_are_those_of_the_whole_run(halves, tmp_path, monkeypatch):
    first = minidl("train", "lenet", "--data", halves, "--epochs", 2, "--output", tmp_path / "run")
    assert first.exit_code == 0, first.output
    saved = library.io.load_checkpoint(tmp_path / "run" / "checkpoint.safetensors").run
    lines = (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()
    spent = sum(json.loads(line)["seconds"] for line in lines)
    assert seconds_spent(saved) == pytest.approx(spent) and spent > 0
    assert seconds_spent({"history": [{"seconds": 3}], "totals": {"seconds": 0.5}}) == 3.5
    monkeypatch.setattr("apps.classify.training.seconds_spent", lambda run: 1000)
    result = minidl("train", "--resume", tmp_path / "run", "--json")
    assert 1000 < last_json(result.output)["seconds"] < 1060


def test_ctrl_c_while_the_command_starts(monkeypatch, capsys):
    """NumPy and the like are being imported: no traceback from inside them either."""

    class Interrupting:
        def find_spec(self, name, path=None, target=None):
            if name == "apps.files.data":
                raise KeyboardInterrupt

    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    monkeypatch.delitem(sys.modules, "apps.files.data", raising=False)
    monkeypatch.setattr(sys, "argv", ["minidl", "data", "list"])
    with pytest.raises(SystemExit) as caught:
        cli.main()
    assert caught.value.code == 130 and capsys.readouterr().err == "interrupted\n"


def test_changed_data_are_noticed(halves, tmp_path):
    data = shutil.copytree(halves, tmp_path / "data")
    folder = tmp_path / "run"
    first = minidl("train", "lenet", "--data", data, "--epochs", 1, "--output", folder)
    assert first.exit_code == 0, first.output
    (data / "train" / "top" / "0.png").unlink()
    result = minidl("train", "--resume", folder, "--epochs", 2)
    assert result.exit_code == 2
    assert "the data have changed since the run began" in result.output


def test_resume_from_another_folder(halves, tmp_path, monkeypatch):
    monkeypatch.chdir(halves.parent)
    folder = tmp_path / "run"
    first = minidl("train", "lenet", "--data", halves.name, "--epochs", 1, "--output", folder)
    assert first.exit_code == 0, first.output
    monkeypatch.chdir(tmp_path)
    again = minidl("train", "--resume", "run", "--data", halves, "--epochs", 2)
    assert again.exit_code == 0, again.output


def test_ctrl_c_while_kernels_compile(halves, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("apps.classify.task.warm_up", interrupted)
    result = minidl(*arguments(halves, tmp_path / "run"))
    assert result.exit_code == 130
    assert "nothing was saved" in result.output
    assert not (tmp_path / "run").exists()
