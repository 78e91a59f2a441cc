"""The output of a command is looked at before the work starts."""

import os

import pytest

from apps.shared.options import OptionError
from apps.shared.output_file import OutputFile


def test_a_new_file(tmp_path):
    output = OutputFile(tmp_path / "a.png", beside=(".html",))
    assert not list(tmp_path.iterdir())  # looking leaves nothing behind
    output.write(b"content")
    assert (tmp_path / "a.png").read_bytes() == b"content"
    assert output.beside(".html") == tmp_path / "a.html"


def test_nothing_is_overwritten_unasked(tmp_path):
    (tmp_path / "a.png").write_bytes(b"old")
    (tmp_path / "b.html").write_bytes(b"old")
    for name in ("a.png", "b.png"):
        with pytest.raises(OptionError, match="there already") as caught:
            OutputFile(tmp_path / name, beside=(".html",))
        assert "--overwrite" in caught.value.hint
    OutputFile(tmp_path / "a.png", overwrite=True).write(b"new")
    assert (tmp_path / "a.png").read_bytes() == b"new"


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    (tmp_path / "folder.png").mkdir()
    for path, rule in (
        ("a.txt", "ends in .png"), ("a", "ends in .png"), ("no/a.png", "no such file or folder"),
        ("file/a.png", "cannot be written"), ("folder.png", "this is a folder"),
    ):  # fmt: skip
        with pytest.raises(OptionError, match=rule):
            OutputFile(tmp_path / path, overwrite=True)


def test_any_ending(tmp_path):
    OutputFile(tmp_path / "model.bin", endings=())


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write all")
def test_a_folder_without_the_right_to_write(tmp_path):
    os.chmod(tmp_path, 0o500)
    try:
        with pytest.raises(OptionError, match="permission denied"):
            OutputFile(tmp_path / "a.png")
    finally:
        os.chmod(tmp_path, 0o700)
