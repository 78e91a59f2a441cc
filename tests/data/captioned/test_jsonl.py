"""One's own pictures and captions in JSON lines."""

import time

import pytest

from minidl.data import open_captioned
from minidl.errors import DataError
from tests.data.captioned.make import jsonl, pictures, roses
from tests.data.make import write


def both(path, **options):
    return [open_captioned(path, split, **options) for split in ("train", "test")]


def test_parts_hold_everything_once(tmp_path):
    train, test = both(roses(tmp_path), size=32)
    assert sorted(train.names + test.names) == sorted(f"p/{i}.png" for i in range(12))
    assert train.pictures.shape == (len(train), 32, 32, 3) and train.class_names == test.class_names
    for part in (train, test):
        for name, captions, number in zip(part.names, part.captions, part.classes):
            i = int(name[2:-4])
            assert captions == [f"a flower with {i} petals"]
            assert part.class_names[number] == ("rose" if i % 2 else "tulip")
    assert open_captioned(tmp_path / "data.jsonl", "test").names == test.names


def test_several_captions_and_lines_for_a_picture(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    path = jsonl(
        tmp_path / "x.jsonl",
        {"image": "a.png", "captions": ["one", "two"], "split": "train"},
        "",
        {"image": "b.png", "caption": "three", "split": "val"},
        {"image": "a.png", "caption": "four", "split": "training"},
        {"image": "./a.png", "caption": "two", "split": "train"},
    )
    train, test = both(path)
    assert train.captions == [["one", "two", "four"]] and test.captions == [["three"]]
    assert train.classes is None and [f.kind for f in train.findings] == ["repeated captions"]


@pytest.mark.parametrize("fields", [("file_name", "text"), ("path", "sentences"), ("Image", "c 1")])
def test_other_names_of_fields(tmp_path, fields):
    if fields[1] == "c 1":
        fields = ("Image", "Caption 1")
    pictures(tmp_path, "ä ö.png")
    records = [{fields[0]: "ä ö.png", fields[1]: "eine Blüte", "split": "train"}]
    part = open_captioned(jsonl(tmp_path / "x.jsonl", *records))
    assert part.captions == [["eine Blüte"]] and part.picture(0).shape == (70, 80, 3)


def test_a_line_separator_inside_of_a_caption_is_no_line(tmp_path):
    pictures(tmp_path, "a.png")
    path = jsonl(tmp_path / "x.jsonl", {"image": "a.png", "caption": "a\u2028b", "split": "train"})
    assert open_captioned(path).captions == [["a\u2028b"]]


def test_missing_pictures_are_listed_and_refused(tmp_path):
    path = roses(tmp_path)
    for i in range(7):
        (tmp_path / f"p/{i}.png").unlink()
    with pytest.raises(DataError) as caught:
        open_captioned(path)
    said = str(caught.value)
    assert "pictures are not there" in said and "how many  7" in said
    assert "p/0.png, p/1.png, p/2.png, p/3.png, p/4.png and 2 more" in said
    assert caught.value.suggests == {"skip_missing": True}
    train, test = both(path, skip_missing=True)
    assert sorted(train.names + test.names) == sorted(f"p/{i}.png" for i in range(7, 12))
    assert train.findings[0].kind == "missing pictures" and len(train.findings[0].names) == 7


def test_empty_captions_are_left_out_and_listed(tmp_path):
    pictures(tmp_path, "a.png", "b.png", "c.png", "d.png")
    path = jsonl(
        tmp_path / "x.jsonl",
        {"image": "a.png", "captions": ["good", "  "], "split": "train"},
        {"image": "b.png", "caption": "", "split": "train"},
        {"image": "c.png", "captions": [], "split": "train"},
        {"image": "d.png", "caption": None, "split": "train"},
    )
    part = open_captioned(path)
    assert part.captions == [["good"]]
    assert {f.kind: list(f.names) for f in part.findings} == {
        "empty captions": ["a.png", "b.png", "d.png"],
        "no captions": ["b.png", "c.png", "d.png"],
    }


@pytest.mark.parametrize(
    "lines, said",
    [
        (['{"image": "a.png", "caption": "x"'], "not JSON objects"),
        (["a.png a red rose"], "not JSON objects"),
        (["[1, 2]"], "not JSON objects"),
        (["[" * 100_000], "not JSON objects"),
        ([{"picture_url": "a.png", "caption": "x"}], r"lack a picture(?s:.*)picture_url, caption"),
        ([{"image": "a.png"}], "lack a picture or a caption"),
        ([{"image": 7, "caption": "x"}], "name no picture"),
        ([{"image": "", "caption": "x"}], "name no picture"),
        ([{"image": "a\0.png", "caption": "x"}], "name no picture"),
        ([{"image": "a.png", "caption": 7}], "not text"),
        ([{"image": "a.png", "captions": [["x"]]}], "not text"),
        ([{"image": "a.png", "caption": "x", "split": "dev"}], r"none of train(?s:.*)1 \(dev\)"),
        ([{"image": "a.png", "caption": "x", "class": "u"},
          {"image": "a.png", "caption": "y", "class": "v"}], r"another class(?s:.*)line 2"),
        ([{"image": "a.png", "caption": "x", "class": "u"},
          {"image": "b.png", "caption": "y"}], r"no class, but others do(?s:.*)b\.png"),
        ([{"image": "a.png", "caption": "x", "split": "train"},
          {"image": "b.png", "caption": "y"}], r"no split, but others do(?s:.*)b\.png"),
        ([""], "no pictures with captions"),
        ([{"image": "a.png", "caption": ""}], "no pictures with captions"),
        ([{"image": "x" * 5000, "caption": "x"}], "pictures are not there"),
    ],
)  # fmt: skip
def test_bad_lines_are_named(tmp_path, lines, said):
    pictures(tmp_path, "a.png", "b.png")
    with pytest.raises(DataError, match=said):
        open_captioned(jsonl(tmp_path / "x.jsonl", *lines))


@pytest.mark.parametrize(
    "content, said",
    [
        ('{"image": "a.png", "caption": "Blüte"}'.encode("latin-1"), r"not UTF-8(?s:.*)line 1"),
        ('{"image": "a.png", "caption": "x"}'.encode("utf-16"), r"not UTF-8(?s:.*)it is UTF-16"),
        (b"\n\n\xff", r"not UTF-8(?s:.*)line 3, byte 2"),
    ],
)
def test_other_encodings_are_refused(tmp_path, content, said):
    pictures(tmp_path, "a.png")
    with pytest.raises(DataError, match=said):
        open_captioned(write(tmp_path / "x.jsonl", content))


def test_a_byte_order_mark_is_no_harm(tmp_path):
    pictures(tmp_path, "a.png")
    content = '\ufeff{"image": "a.png", "caption": "x", "split": "train"}\r\n'.encode()
    assert open_captioned(write(tmp_path / "x.jsonl", content)).captions == [["x"]]


def test_a_damaged_picture_is_named(tmp_path):
    path = roses(tmp_path)
    for i in range(12):
        write(tmp_path / f"p/{i}.png", b"no picture")
    with pytest.raises(DataError, match=r"not a picture(?s:.*)p/\d+\.png"):
        open_captioned(path, size=32)
    train = open_captioned(path)
    with pytest.raises(DataError, match="not a picture"):
        train.picture(0)


def test_one_picture_cannot_be_split(tmp_path):
    path = roses(tmp_path, count=1)
    assert len(open_captioned(path)) == 1
    with pytest.raises(DataError, match="no pictures in this part"):
        open_captioned(path, "test")


def test_many_bad_lines_take_no_time(tmp_path):
    """10,000 lines of one picture, and as many that are wrong: seconds, not minutes."""
    pictures(tmp_path, "a.png")
    lines = [{"image": "a.png", "caption": f"rose {i}", "split": "train"} for i in range(10_000)]
    path = jsonl(tmp_path / "x.jsonl", *lines, *["?"] * 10_000)
    start = time.process_time()
    with pytest.raises(DataError, match="how many  10000"):
        open_captioned(path)
    assert time.process_time() - start < 10
