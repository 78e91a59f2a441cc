"""A user's mistakes get a few lines, exit code 2 and no traceback."""

import errno
import os
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

import minidl as library
from tests.apps.conftest import NAMES, minidl, picture, spawn

SAVED = "the state is saved; go on with minidl train --resume"


def refused(result, *says, code=2):
    """The command ended with the code, short and with these texts."""
    assert result.exit_code == code, result.output
    assert "Traceback" not in result.output
    assert len(result.output.splitlines()) <= 12
    for text in says:
        assert text in result.output


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["lennet"], ["no such model", "did you mean lenet?"]),
        (["lenet", "--data", "digit"], ["no such data set", "did you mean digits?"]),
        (["lenet", "--data", "./nowhere/at/all"], ["no such file or folder"]),
        (["lenet", "--optimizer", "adm"], ["no such optimizer", "did you mean adam?"]),
        (["lenet", "--schedule", "cosin"], ["no such schedule", "did you mean cosine?"]),
        (["lenet", "--cpu-kernels", "numbas"], ["no such cpu-kernels", "did you mean numba?"]),
        (["lenet", "--epochs", "0"], ["epochs must be at least 1", "--epochs  0"]),
        (["lenet", "--lr", "-1"], ["lr must be above 0"]),
        (["lenet", "--lr", "nan"], ["lr must be above 0"]),
        (["lenet", "--lr", "inf"], ["lr must be above 0"]),
        (["lenet", "--batch-size", "0"], ["batch-size must be at least 1"]),
        (["lenet", "--momentum", "1"], ["momentum must be below 1"]),
        (["lenet", "--optimizer", "adam", "--momentum", "0.9"], ["adam has no momentum"]),
        (["lenet", "--weight-decay", "-0.1"], ["weight-decay must be at least 0"]),
        (["lenet", "--seed", "-1"], ["seed must be at least 0"]),
        (["lenet", "--early-stopping", "0"], ["early-stopping must be at least 1"]),
        (["lenet", "--workers", "-2"], ["workers must be at least 0"]),
        (["lenet", "--data-dir", "/nowhere"], ["the data folder is not there"]),
        (["--resume", "/nowhere/run"], ["no such run"]),
        ([], ["say which network", "minidl train lenet"]),
    ],
    ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else None,
)
def test_wrong_options(arguments, says, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(minidl("train", *arguments), *says)
    left = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert not left  # a mistake leaves no run folder with something in it


@pytest.mark.parametrize("arguments", [["--epochs", "many"], ["--epoch", "3"]])
def test_options_that_cannot_be_read(arguments):
    result = minidl("train", "lenet", *arguments)
    assert result.exit_code == 2 and "Traceback" not in result.output
    assert arguments[0] in result.output


def test_debug_shows_the_traceback(tmp_path):
    process = spawn("train", "lenet", "--epochs", "0", "--debug", cwd=tmp_path)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "Traceback" in err and "epochs must be at least 1" in err


# --- data ---------------------------------------------------------------------------------------


def copy_of(halves, tmp_path):
    return shutil.copytree(halves, tmp_path / "data")


def train_on(path, tmp_path, *more):
    return minidl(
        "train", "lenet", "--data", path, "--epochs", 1, "--output", tmp_path / "run", *more
    )


def test_damaged_picture(halves, tmp_path):
    data = copy_of(halves, tmp_path)
    bad = data / "train" / "top" / "3.png"
    bad.write_bytes(bad.read_bytes()[:200])
    refused(train_on(data, tmp_path), "3.png", "damaged or cut short")


def test_a_damaged_picture_to_test_on_loses_no_training(halves, tmp_path):
    data = copy_of(halves, tmp_path)
    bad = data / "test" / "top" / "3.png"
    whole = bad.read_bytes()
    bad.write_bytes(whole[:200])
    run = tmp_path / "run"
    refused(train_on(data, tmp_path), "3.png", "damaged or cut short", f"{SAVED} {run}")
    bad.write_bytes(whole)
    result = minidl("train", "--resume", run)
    assert result.exit_code == 0, result.output
    assert "N above 1 trains further" in result.output and "after 1 epoch," in result.output
    (data / "train" / "top" / "3.png").unlink()  # other data: going on is no help
    again = minidl("train", "--resume", run)
    refused(again, "the data have changed", "start a new run")
    assert "go on with" not in again.output


def test_empty_class(halves, tmp_path):
    data = copy_of(halves, tmp_path)
    for file in (data / "train" / "left").iterdir():
        file.unlink()
    refused(train_on(data, tmp_path), "left")


def test_no_pictures(tmp_path):
    (tmp_path / "data" / "a").mkdir(parents=True)
    refused(train_on(tmp_path / "data", tmp_path), str(tmp_path / "data"))


def test_one_class(tmp_path):
    """The folder above the right one, or the folder of one class."""
    (tmp_path / "data" / "a").mkdir(parents=True)
    for i in range(12):
        Image.new("L", (32, 32), i).save(tmp_path / "data" / "a" / f"{i}.png")
    refused(train_on(tmp_path / "data", tmp_path), "one class", "a folder per class")


def test_truncated_archive(halves, tmp_path):
    whole = shutil.make_archive(str(tmp_path / "halves"), "gztar", halves)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(open(whole, "rb").read()[:-2000])
    refused(train_on(cut, tmp_path), "cut.tar.gz")


def test_archive_that_is_none(tmp_path):
    (tmp_path / "data.zip").write_bytes(b"PK\x03\x04 and nothing more")
    refused(train_on(tmp_path / "data.zip", tmp_path), "data.zip")
    with zipfile.ZipFile(tmp_path / "empty.zip", "w"):
        pass
    refused(train_on(tmp_path / "empty.zip", tmp_path), "empty.zip")


def test_label_out_of_range(tmp_path):
    import struct

    for split in ("train", "t10k"):
        images = struct.pack(">IIII", 0x803, 3, 28, 28) + bytes(3 * 28 * 28)
        labels = struct.pack(">II", 0x801, 3) + (b"\1\2\3" if split == "train" else b"\1\2\x63")
        (tmp_path / f"{split}-images-idx3-ubyte").write_bytes(images)
        (tmp_path / f"{split}-labels-idx1-ubyte").write_bytes(labels)
    refused(train_on(tmp_path, tmp_path), "label out of range", "99")


def test_missing_file_of_a_data_set(tmp_path):
    (tmp_path / "t10k-labels-idx1-ubyte").write_bytes(b"\0\0\x08\1\0\0\0\0")
    refused(train_on(tmp_path, tmp_path), "missing")


# --- the run folder -----------------------------------------------------------------------------


def test_output_in_use(halves, trained, tmp_path):
    result = minidl("train", "lenet", "--data", halves, "--output", trained)
    refused(result, "not empty", f"minidl train --resume {trained}")
    (tmp_path / "file").touch()
    refused(minidl("train", "lenet", "--output", tmp_path), "not empty")
    refused(minidl("train", "lenet", "--output", tmp_path / "file"), "cannot be used")
    refused(minidl("train", "lenet", "--output", tmp_path / "file" / "run"), "cannot be used")


def test_output_that_cannot_be_written(halves):
    refused(minidl("train", "lenet", "--data", halves, "--output", "/proc/run"), "cannot be used")


def test_full_disk(halves, tmp_path, monkeypatch):
    """The disk is full from the third checkpoint on: what was saved before stays usable."""
    synced, real = [], os.fsync

    def fsync(descriptor):
        if "checkpoint" in os.readlink(f"/proc/self/fd/{descriptor}"):
            synced.append(descriptor)
        if len(synced) >= 3:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    result = minidl("train", "lenet", "--data", halves, "--epochs", 4, "--output", tmp_path / "run")
    monkeypatch.undo()
    refused(result, "the disk is full", f"intact; {SAVED} {tmp_path / 'run'}")
    resumed = minidl("train", "--resume", tmp_path / "run")
    assert resumed.exit_code == 0, resumed.output
    assert "after 4 epochs" in resumed.output


def test_full_disk_for_the_figures(trained):
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full here")
    with open("/dev/full", "w") as full:
        process = spawn("data", "list", stdout=full)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "the disk is full" in err and "Traceback" not in err


def test_broken_pipe(trained):
    command = f"{sys.executable} -c 'from apps.cli import main; main()' data list | head -n 0"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], capture_output=True, text=True, timeout=60
    )
    assert done.stderr == "" and done.returncode in (0, 141)


def test_kernels_that_the_environment_misspells():
    process = spawn("data", "list", env={"MINIDL_CPU_KERNELS": "numbra"})
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2 and "Traceback" not in err
    assert "no such kernel set" in err and "numba" in err


def test_nobody_reads_the_progress(halves, tmp_path):
    """`minidl train ... 2>&1 | head -1`, seen from the command: stderr is closed at once."""
    read, write = os.pipe()
    os.close(read)
    process = spawn("train", "lenet", "--data", halves, "--epochs", 1, "--output",
                    tmp_path / "run", stderr=write)  # fmt: skip
    os.close(write)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 141 and out == ""


# --- checkpoints --------------------------------------------------------------------------------


def test_damaged_checkpoints(trained, halves, tmp_path):
    whole = (trained / "checkpoint.safetensors").read_bytes()
    for content in (b"", whole[:-1], whole[: len(whole) // 2], whole[:-9] + b"x" + whole[-8:],
                    b"\x80\x04pickle"):  # fmt: skip
        (tmp_path / "checkpoint.safetensors").write_bytes(content)
        refused(minidl("train", "--resume", tmp_path), "checkpoint.safetensors")
        refused(minidl("evaluate", tmp_path), "checkpoint.safetensors")
        refused(minidl("predict", tmp_path, halves / "test" / "top" / "0.png"), "checkpoint")


def test_checkpoint_of_something_else(trained, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    library.io.save_checkpoint(path, library.nn.Linear(2, 2))
    refused(minidl("evaluate", tmp_path), "not one of a classifier")
    refused(minidl("train", "--resume", tmp_path), "does not say how the run was set up")

    meta = library.io.load_checkpoint(trained / "checkpoint.safetensors").meta
    library.io.save_checkpoint(path, library.nn.Linear(2, 2), meta=meta)
    refused(minidl("evaluate", tmp_path), "does not fit")
    library.io.save_checkpoint(path, library.nn.Linear(2, 2), meta=meta | {"model": "vgg"})
    refused(minidl("evaluate", tmp_path), "no such model")


def test_data_of_other_classes(trained):
    refused(
        minidl("evaluate", trained, "--data", "digits"),
        "the data have 10 classes, the network 3", ", ".join(NAMES),
    )  # fmt: skip


def test_no_such_run(trained, halves):
    refused(minidl("evaluate", trained.with_name("rum")), "no such run", f"did you mean {trained}?")
    refused(minidl("evaluate", halves), "no checkpoint.safetensors")
    refused(minidl("predict", trained, halves / "none.png"), "no such file")
    refused(minidl("predict", trained, halves / "none.png", "--top", 0), "top must be at least 1")
    refused(minidl("evaluate", trained, "--split", "tset"), "train", "test", "tset")


def test_diverging_loss_names_the_module(halves, tmp_path):
    result = minidl("train", "lenet", "--data", halves, "--epochs", 30, "--lr", "1e30",
                    "--momentum", 0, "--output", tmp_path / "run")  # fmt: skip
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert "the loss is" in result.output and "LeNet5" in result.output
    assert "or clip gradients (--clip-grad)" in result.output


def test_a_batch_too_small_for_batch_norm_names_the_options(halves, tmp_path):
    result = minidl("train", "resnet18", "--model-arg", "width=0.05", "--data", halves, "--size",
                    32, "--batch-size", 1, "--output", tmp_path / "run")  # fmt: skip
    refused(result, "more than one value per channel", "hint: use a larger --batch-size, or larger "
            "pictures with --size\n", "in model: ResNet.layer4.0.bn1")  # fmt: skip


@pytest.mark.parametrize("n, says", [(12, "the validation loss is nan"), (1, "the test loss is")])
def test_divergence_in_the_last_step_is_no_success(tmp_path, n, says):
    """The weights are finite, what they give is not; of 3 pictures none is held out."""
    rng = np.random.default_rng(0)
    for name in NAMES:
        for split, count in (("train", n), ("test", 3)):
            (tmp_path / "few" / split / name).mkdir(parents=True)
            for i in range(count):
                picture(name, rng).save(tmp_path / "few" / split / name / f"{i}.png")
    result = minidl("train", "lenet", "--data", tmp_path / "few", "--epochs", 1, "--lr", "1e30",
                    "--batch-size", 64, "--output", tmp_path / "run")  # fmt: skip
    refused(result, says, "lower the learning rate")


def test_unknown_data_to_fetch():
    refused(minidl("data", "fetch", "mnits"), "did you mean mnist?")
