"""Karpathy's JSON of COCO and Flickr, made up by the tests."""

import json
import unicodedata

import pytest

from minidl.data import open_captioned
from minidl.data.captioned import check_captioned
from minidl.errors import DataError
from tests.data.captioned.make import pictures
from tests.data.make import write

SPLITS = ["train", "restval", "val", "test"]


def sentences(*texts):
    return [{"raw": text, "tokens": text.lower().rstrip(".").split()} for text in texts]


def image(name, split="train", *texts, **more):
    return {"filename": name, "split": split, "sentences": sentences(*texts)} | more


def karpathy(folder, *images, name="dataset.json"):
    content = images[0] if len(images) == 1 and isinstance(images[0], str) else None
    content = content or json.dumps({"images": images, "dataset": "coco"}, ensure_ascii=False)
    return write(folder / name, content)


def small(folder, **more):
    """Four pictures, one for each split that Karpathy's files name."""
    return karpathy(folder, *(image(f"{s}.png", s, f"A {s}.", **more) for s in SPLITS))


def test_splits_and_sentences(tmp_path):
    pictures(tmp_path, *(f"{split}.png" for split in SPLITS))
    path = small(tmp_path)
    train, val, test = (open_captioned(path, split) for split in ("train", "val", "test"))
    assert train.names == ["train.png", "restval.png"]
    assert train.captions == [["A train."], ["A restval."]]
    assert (val.names, test.captions) == (["val.png"], [["A test."]])
    assert train.classes is None and train.findings == []
    assert train.picture(0).shape == (70, 80, 3)


@pytest.mark.parametrize(
    "folder, more",
    [
        ("val2014", {"filepath": "val2014"}),
        ("images/val2014", {"filepath": "val2014"}),
        ("", {"filepath": "val2014"}),
        ("flickr8k images", {}),
        ("Flicker8k_Dataset", {}),
    ],
)
def test_pictures_are_found_in_folders_beside_the_file(tmp_path, folder, more):
    (tmp_path / ".hidden").mkdir()
    pictures(tmp_path / folder, *(f"{split}.png" for split in SPLITS))
    assert len(open_captioned(small(tmp_path, **more))) == 2


def test_the_folder_that_the_file_names_comes_first(tmp_path):
    pictures(tmp_path, "a.png", "one/a.png", "two/a.png")
    path = karpathy(tmp_path, image("a.png", "", "x", filepath="two"))
    assert open_captioned(path).names == ["two/a.png"]


def test_sentences_without_raw_text_are_their_tokens(tmp_path):
    pictures(tmp_path, "a.png", "b.png", "c.png")
    records = [
        {"filename": "a.png", "sentences": [{"tokens": ["a", "rose"]}, {"raw": "Roses."}]},
        {"filename": "b.png", "sentences": [{"raw": " "}, {"tokens": ["b"]}, {"tokens": []}]},
        {"filename": "c.png", "sentences": []},
        {"filename": "c.png"},
    ]
    found = open_captioned(karpathy(tmp_path, *(r | {"split": "train"} for r in records)))
    assert found.captions == [["a rose", "Roses."], ["b"]]
    findings = {finding.kind: list(finding.names) for finding in found.findings}
    assert findings == {"empty captions": ["b.png", "c.png"], "no captions": ["c.png"]}


@pytest.mark.parametrize("there, written", [("NFC", "NFD"), ("NFD", "NFC"), ("NFD", "NFD")])
def test_names_may_have_accents_in_any_form(tmp_path, there, written):
    name, other = (unicodedata.normalize(form, "Blüte 花.png") for form in (there, written))
    pictures(tmp_path / "Föto", name)
    found = open_captioned(karpathy(tmp_path, image(other, "train", "eine Blüte")))
    assert len(found) == 1 and found.picture(0).shape == (70, 80, 3)


def test_missing_pictures_are_listed_and_refused_unless_they_may_be_missing(tmp_path):
    pictures(tmp_path, "train.png", "val.png", "test.png")
    path = small(tmp_path, filepath="val2014")
    with pytest.raises(DataError, match=r"not there(?s:.*)val2014/restval\.png(?s:.*)skip_missing"):
        open_captioned(path)
    assert open_captioned(path, skip_missing=True).names == ["train.png"]


@pytest.mark.parametrize(
    "content, said",
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ('{"image": "a.png", "caption": "x"}\n{"image": "b.png", "caption": "y"}', r"\.jsonl"),
        ("[]", "no list of images"),
        ('{"a": 1}', r"no list of images(?s:.*)filename"),
        ('{"images": {"a": 1}}', "no list of images"),
        ('{"images": [{"id": 1, "file_name": "a.png"}], "annotations": []}', r"dataset_coco\.json"),
        ('{"images": []}', "no pictures with captions"),
        ('{"images": [7]}', "image 1"),
        ('{"images": [{"filename": " "}]}', "no file name"),
        ('{"images": [{"filename": "a.png", "filepath": 3}]}', "no file name"),
        ('{"images": [{"filename": "a.png", "sentences": "a rose"}]}', "not text"),
        ('{"images": [{"filename": "a.png", "sentences": [{"raw": 7}]}]}', r"text(?s:.*)a\.png"),
        ('{"images": [{"filename": "a.png", "sentences": [{"raw": "\\ud800"}]}]}', "not text"),
        ('{"images": [{"filename": "a.png", "sentences": [{"tokens": [1]}]}]}', "not text"),
        ("[" * 100_000, "not JSON"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said(tmp_path, content, said):
    pictures(tmp_path, "a.png")
    with pytest.raises(DataError, match=said):
        open_captioned(write(tmp_path / "x.json", content))


def test_text_of_another_encoding_is_refused(tmp_path):
    with pytest.raises(DataError, match="UTF-16"):
        open_captioned(write(tmp_path / "x.json", json.dumps({"images": []}).encode("utf-16")))


def test_a_split_that_nobody_knows(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    path = karpathy(tmp_path, image("a.png", "train", "x"), image("b.png", "rest", "y"))
    with pytest.raises(DataError, match=r"restval(?s:.*)image 2 \(rest\)"):
        open_captioned(path)


def test_a_picture_may_have_two_items_but_one_split(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    once = karpathy(tmp_path, image("a.png", "train", "x"), image("a.png", "train", "y"))
    assert open_captioned(once).captions == [["x", "y"]]
    twice = karpathy(tmp_path, image("a.png", "train", "x"), image("a.png", "test", "y"))
    with pytest.raises(DataError, match="another class or split"):
        open_captioned(twice)


def test_all_is_checked_at_once(tmp_path):
    pictures(tmp_path, *(f"{i}.png" for i in range(4)))
    records = [
        image("0.png", "train", "a rose"), image("gone.png", "train", "a rose"),
        image("1.png", "rest", "a tulip"), image("2.png", "test"), {"split": "train"},
    ]  # fmt: skip
    report = check_captioned(karpathy(tmp_path, *records))
    kinds = {finding.kind for finding in report.findings}
    assert {"missing pictures", "unknown split", "no captions", "no picture"} <= kinds
    assert report.serious
