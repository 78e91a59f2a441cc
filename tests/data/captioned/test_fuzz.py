"""Damaged files end in a DataError or in a data set, never in anything else."""

import json

import numpy as np
import pytest

from minidl.data import CaptionedDataset, open_captioned
from minidl.data.captioned import check_captioned
from minidl.errors import DataError
from tests.data.captioned.make import pictures, roses
from tests.data.make import write

ODD = [
    b'"', b"{", b"}", b"[", b"\\", b",", b"\n", b"\r", b"\0", b"\xff", b"null", b"\\ud800",
    b"1e999",
    b'{"image": {}, "caption": "x"}\n', b'"split": 7, ', b'"class": [1], ', b"\xe2\x80\xa8", b";",
]  # fmt: skip


def damaged(content, rng):
    """The content with a few bytes lost, repeated or added."""
    for _ in range(rng.integers(1, 4)):
        at, length = rng.integers(0, len(content) + 1), rng.integers(0, 30)
        odd = ODD[rng.integers(len(ODD))]
        middle = [odd, content[at : at + length] * 2, b""][rng.integers(3)]
        content = content[:at] + middle + content[at + length :]
    return content


@pytest.mark.parametrize("suffix", ["jsonl", "csv", "json"])
def test_damaged_files(tmp_path, suffix):
    content = roses(tmp_path, count=6).read_bytes()
    if suffix == "json":
        images = [
            {"filename": f"{i}.png", "filepath": "p", "sentences": [{"raw": f"a rose, {i}"}]}
            for i in range(6)
        ]
        content = json.dumps({"images": images}, indent=1).encode()
    if suffix == "csv":
        rows = [f'p/{i}.png,"a ""big"" rose, {i}",rose,train' for i in range(6)]
        content = "\n".join(["image,caption,class,split", *rows]).encode()
    rng = np.random.default_rng(0)
    opened = 0
    for _ in range(300):
        path = write(tmp_path / f"x.{suffix}", damaged(content, rng))
        try:
            dataset = open_captioned(path, skip_missing=bool(rng.integers(2)))
            assert isinstance(dataset, CaptionedDataset) and len(dataset)
            opened += 1
        except DataError as error:
            assert str(error).encode()
    assert 10 < opened < 290


def test_damaged_files_are_checked(tmp_path):
    content = roses(tmp_path, count=6).read_bytes()
    rng = np.random.default_rng(1)
    for _ in range(30):
        report = check_captioned(write(tmp_path / "x.jsonl", damaged(content, rng)))
        assert all(str(finding).encode() for finding in report.findings)


def test_damaged_pictures(tmp_path):
    folder = pictures(tmp_path, "a.png")
    write(tmp_path / "a.txt", b"a rose\n")
    content = (folder / "a.png").read_bytes()
    rng = np.random.default_rng(2)
    for _ in range(30):
        write(tmp_path / "a.png", damaged(content, rng))
        check_captioned(tmp_path)
        try:
            assert open_captioned(tmp_path, size=16).pictures.shape == (1, 16, 16, 3)
        except DataError as error:
            assert "a.png" in str(error)
