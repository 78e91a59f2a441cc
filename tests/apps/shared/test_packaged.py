"""Networks that come with minidl: told apart by what they are for."""

import pytest

import minidl
from apps.shared import packaged
from apps.shared.packaged import kind_of, packaged_file, packaged_names
from minidl.errors import CheckpointError


@pytest.fixture
def trained(tmp_path, monkeypatch):
    monkeypatch.setattr(packaged, "TRAINED", tmp_path)
    for name, kind in (("a_rose", "drawing"), ("night", "style"), ("day", "drawing")):
        path = tmp_path / f"{name}.safetensors"
        minidl.io.save_checkpoint(path, minidl.nn.Linear(1, 1), meta={"kind": kind})
    return tmp_path


def test_names_of_a_kind(trained):
    assert packaged_names(["drawing"]) == ["a-rose", "day"]
    assert packaged_names(["style", "drawing"]) == ["a-rose", "day", "night"]


def test_the_file_of_a_name(trained):
    assert packaged_file("a-rose", ["drawing"]) == trained / "a_rose.safetensors"
    assert packaged_file(str(trained / "night.safetensors"), ["drawing"]) is None  # a path
    with pytest.raises(CheckpointError, match="did you mean a-rose"):
        packaged_file("a-ros", ["drawing"])
    with pytest.raises(CheckpointError):
        packaged_file("night", ["drawing"])


def test_two_kinds_have_a_network_of_one_name(trained):
    for name, kind in (("rose", "drawing"), ("rose_captions", "captioning")):
        path = trained / f"{name}.safetensors"
        minidl.io.save_checkpoint(path, minidl.nn.Linear(1, 1), meta={"kind": kind})
    assert packaged_names(["captioning"]) == ["rose"]
    assert packaged_file("rose", ["captioning"]) == trained / "rose_captions.safetensors"
    assert packaged_file("rose", ["drawing"]) == trained / "rose.safetensors"


def test_a_file_of_something_else_has_no_kind(tmp_path):
    from safetensors.numpy import save_file

    save_file({}, tmp_path / "other.safetensors")
    assert kind_of(tmp_path / "other.safetensors") is None
