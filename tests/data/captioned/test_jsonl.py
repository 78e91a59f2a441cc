"""One's own pictures and captions in JSON lines."""

import json
import time
import unicodedata

import pytest

from minidl.data import open_captioned
from minidl.data.captioned.listing import Entry, Listing
from minidl.data.files import FolderFiles
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


def test_a_picture_is_one_however_it_is_spelled(tmp_path):
    """Or it would be in both parts of the data."""
    pictures(tmp_path, "p/a.png", "b.png")
    names = [
        "p/a.png", "p//a.png", "./p/./a.png", "p/../p/a.png", "p\\a.png", str(tmp_path / "p/a.png"),
    ]  # fmt: skip
    records = [{"image": name, "caption": f"{i}"} for i, name in enumerate(names)]
    part = open_captioned(jsonl(tmp_path / "x.jsonl", *records))
    assert part.names == ["p/a.png"] and part.captions == [["0", "1", "2", "3", "4", "5"]]


@pytest.mark.parametrize("on_disk, written", [("NFD", "NFC"), ("NFC", "NFD")])
def test_accents_may_be_written_in_two_ways(tmp_path, on_disk, written):
    name = unicodedata.normalize(on_disk, "Blüte é.png")
    pictures(tmp_path, name)
    record = {"image": unicodedata.normalize(written, name), "caption": "x", "split": "train"}
    assert open_captioned(jsonl(tmp_path / "x.jsonl", record)).names == [name]


def test_the_split_is_that_of_a_mac(tmp_path):
    """Which has the accents of names apart from their letters."""
    names = [f"ä{i}.png" for i in range(40)]
    pictures(tmp_path / "a", *names)
    pictures(tmp_path / "b", *(unicodedata.normalize("NFD", name) for name in names))
    parts = []
    for folder in (tmp_path / "a", tmp_path / "b"):
        path = jsonl(folder / "x.jsonl", *({"image": n, "caption": f"of {n}"} for n in names))
        parts.append(sorted(open_captioned(path, "test").captions))
    assert parts[0] == parts[1]


def test_val_is_a_part_of_its_own_beside_test(tmp_path):
    pictures(tmp_path, *(f"{i}.png" for i in range(4)))
    splits = ("train", "val", "test", "validation")
    records = [{"image": f"{i}.png", "caption": "x", "split": s} for i, s in enumerate(splits)]
    path = jsonl(tmp_path / "x.jsonl", *records)
    found = {split: open_captioned(path, split).names for split in ("train", "val", "test")}
    assert found == {"train": ["0.png"], "val": ["1.png", "3.png"], "test": ["2.png"]}
    del records[2]
    path = jsonl(tmp_path / "x.jsonl", *records)
    assert open_captioned(path, "test").names == ["1.png", "3.png"]
    with pytest.raises(DataError, match=r"no pictures in this part(?s:.*)dataset\.split"):
        open_captioned(path, "val")


def test_a_part_of_many_pictures_takes_no_time(tmp_path):
    splits = ("train", "val", "test") * 8000
    entries = [Entry(f"{i}.png", ["x"], split=split) for i, split in enumerate(splits)]
    listing = Listing(FolderFiles(tmp_path), "x", entries)
    start = time.process_time()
    assert listing.part("val").tolist() == list(range(1, 24_000, 3))
    assert time.process_time() - start < 5


def test_a_mark_of_byte_order_where_files_were_joined(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    lines = [json.dumps({"image": f"{n}.png", "caption": n, "split": "train"}) for n in "ab"]
    path = write(tmp_path / "x.jsonl", "\n\ufeff".join(lines))
    assert open_captioned(path).captions == [["a"], ["b"]]


def test_a_remark_is_no_caption(tmp_path):
    pictures(tmp_path, "a.png")
    record = {
        "comment": "blurred",
        "caption": "x",
        "text": "y",
        "captions": ["z"],
        "split": "train",
    }
    path = jsonl(tmp_path / "x.jsonl", record | {"path": "/tmp", "image": "a.png"})
    assert open_captioned(path).captions == [["x", "z"]]


def test_messages_have_no_control_characters(tmp_path):
    path = jsonl(tmp_path / "x.jsonl", {"image": "a\x1b[31m\nb.png", "caption": "x"})
    with pytest.raises(DataError, match=r"a\\x1b\[31m\\nb\.png"):
        open_captioned(path)


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
        (['{"image": "a.png", "caption": "x", "caption": "y"}'], r"twice(?s:.*)1 \(caption\)"),
        (['{"image": "a.png", "caption": {"x": 1, "x": 2}}'], r"twice(?s:.*)1 \(x\)"),
        ([{"image": "a.png", "caption": {"x": 1}}], "not text"),
        (['{"image": "a.png", "caption": "x", "class": NaN}'], "neither text nor number"),
        ([{"image": "a.png", "caption": "x", "class": [1]}], "neither text nor number"),
        ([{"image": "a.png", "caption": "x", "class": True}], "neither text nor number"),
        (['{"image": "a.png", "caption": NaN}'], "not text"),
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
