"""What open_captioned takes, and the flowers that have a name."""

import io
import json
import tarfile

import pytest

from minidl.data import open_captioned, open_dataset
from minidl.errors import ArgumentError, DataError
from tests.data.captioned.make import picture, roses
from tests.data.make import SHARED, write


@pytest.mark.parametrize(
    "source, said",
    [
        ("flower17", r"no such data set(?s:.*)did you mean flowers17"),
        ("nowhere/at/all", "no such file"),
        ("none.jsonl", "no such file"),
    ],
)
def test_what_is_not_there(source, said):
    with pytest.raises(DataError, match=said):
        open_captioned(source)


@pytest.mark.parametrize(
    "options, said",
    [
        ({"source": ""}, "name or a path"),
        ({"source": 7}, "name or a path"),
        ({"split": "held-out"}, "split"),
        ({"size": 0}, "size is an int"),
        ({"skip_missing": "yes"}, "skip_missing is a bool"),
    ],
)
def test_arguments_are_checked(options, said):
    with pytest.raises(ArgumentError, match=said):
        open_captioned(**{"source": "flowers"} | options)


def test_other_files_are_refused(tmp_path):
    path = write(tmp_path / "x.txt", b"a.png a rose\n")
    with pytest.raises(DataError, match=r"neither a folder(?s:.*)\.jsonl or \.csv"):
        open_captioned(path)
    with pytest.raises(DataError, match="data folder is not there"):
        open_captioned(roses(tmp_path), data_dir=tmp_path / "nowhere")


# --- flowers17 --------------------------------------------------------------------------------


def flowers17(folder, captions, count=5):
    with tarfile.open(folder / "flowers17.tar", "w") as archive:
        for kind in ("iris", "pansy"):
            for i in range(count):
                info = tarfile.TarInfo(f"flowers17/{kind}/{i}.png")
                content = picture(i + 100 * (kind == "iris"))
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    write(folder / "flowers17-captions.json", json.dumps(captions))
    return folder


def test_flowers17_has_captions_for_each_kind(tmp_path, monkeypatch):
    captions = {"iris": ["blue", "bluish"], "pansy": ["violet"], "rose": ["red"]}
    flowers17(tmp_path, captions)
    train = open_captioned("flowers17", data_dir=tmp_path)
    monkeypatch.setenv("MINIDL_DATA", str(tmp_path))
    test = open_captioned("flowers17", "test", size=8)
    assert len(train) + len(test) == 10 and train.class_names == ["iris", "pansy"]
    for number, texts in zip(train.classes, train.captions):
        assert texts == captions[train.class_names[number]]
    assert test.names == list(open_dataset(tmp_path / "flowers17.tar", "test").names)


@pytest.mark.parametrize(
    "captions, said",
    [
        ({"iris": ["blue"]}, r"no captions(?s:.*)pansy"),
        (["blue"], "JSON object"),
        ({"iris": [1], "pansy": ["x"]}, "JSON object"),
    ],
)
def test_bad_captions_of_flowers17(tmp_path, captions, said):
    with pytest.raises(DataError, match=said):
        open_captioned("flowers17", data_dir=flowers17(tmp_path, captions))


def test_flowers17_says_where_it_is_looked_for(tmp_path):
    with pytest.raises(DataError, match=r"not on this machine(?s:.*)flowers17-captions\.json"):
        open_captioned("flowers17", data_dir=tmp_path)


def test_the_real_flowers17():
    if not (SHARED / "flowers17-captions.json").exists():
        pytest.skip("flowers17-captions.json is not there")
    test = open_captioned("flowers17", "test", size=32, data_dir=SHARED)
    assert len(test) == 273 and len(test.class_names) == 17
    assert {len(texts) for texts in test.captions} == {8} and test.findings == []
    assert test.pictures.std() > 30
