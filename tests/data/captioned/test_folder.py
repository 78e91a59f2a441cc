"""Folders and archives with pictures and texts, Reed's layout among them."""

import zipfile

import pytest

from minidl.data import open_captioned
from minidl.errors import DataError
from tests.data.captioned.make import jsonl, picture, pictures, roses
from tests.data.make import write


def texts(folder, *names):
    pictures(folder, *(name + ".png" for name in names))
    for name in names:
        write(folder / (name + ".txt"), f"this is {name}\n\nand a second line\n")
    return folder


def everything(path, **options):
    parts = [open_captioned(path, split, **options) for split in ("train", "test")]
    return {
        name: (captions, None if part.classes is None else part.class_names[part.classes[i]])
        for part in parts
        for i, (name, captions) in enumerate(zip(part.names, part.captions))
    }


def test_a_text_beside_each_picture(tmp_path):
    texts(tmp_path, *"abcdefgh")
    write(tmp_path / "notes.doc", b"left alone")
    found = everything(tmp_path)
    assert len(found) == 8 and found["a.png"] == (["this is a", "and a second line"], None)


def test_folders_are_classes_and_splits(tmp_path):
    texts(tmp_path, "train/rose/1", "train/tulip/1", "val/rose/2", "val/tulip/9")
    train = open_captioned(tmp_path)
    assert train.names == ["train/rose/1.png", "train/tulip/1.png"]
    assert train.class_names == ["rose", "tulip"] and train.classes.tolist() == [0, 1]
    assert open_captioned(tmp_path, "test").names == ["val/rose/2.png", "val/tulip/9.png"]


def test_one_folder_is_no_class(tmp_path):
    texts(tmp_path, *(f"all/{i}" for i in range(8)))
    assert {label for _, label in everything(tmp_path).values()} == {None}


def test_pictures_without_a_text_are_listed(tmp_path):
    texts(tmp_path, *(f"{i}" for i in range(8)))
    pictures(tmp_path, "x.png", "y.png")
    findings = open_captioned(tmp_path).findings
    assert [(f.kind, f.names) for f in findings] == [("no text file", ["x.png", "y.png"])]


def test_pictures_without_any_text_are_refused(tmp_path):
    pictures(tmp_path, "x.png", "y.png")
    with pytest.raises(DataError, match=r"no captions beside them(?s:.*)captions\.jsonl"):
        open_captioned(tmp_path)
    with pytest.raises(DataError, match="no pictures with captions"):
        open_captioned(write(tmp_path / "empty/readme", b"").parent)


@pytest.mark.parametrize("name", ["captions.jsonl", "metadata.jsonl"])
def test_a_list_in_the_folder_comes_first(tmp_path, name):
    pictures(tmp_path / "in", "p/a.png")
    jsonl(tmp_path / "in" / name, {"file_name": "p/a.png", "text": "hello", "split": "train"})
    assert open_captioned(tmp_path).captions == [["hello"]]


def test_archives(tmp_path):
    folder = texts(tmp_path / "data", *(f"{c}/{i}" for c in ("rose", "tulip") for i in range(5)))
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        for path in sorted(folder.rglob("*.*")):
            archive.write(path, path.relative_to(tmp_path))
    assert everything(tmp_path / "data.zip") == everything(folder)
    assert open_captioned(tmp_path / "data.zip", size=16).pictures.shape[1:] == (16, 16, 3)


# --- Reed's layout ----------------------------------------------------------------------------


def oxford(folder, classes=10, per_class=3, lists=True):
    number = 0
    for c in range(1, classes + 1):
        for _ in range(per_class):
            number += 1
            stem = f"image_{number:05d}"
            write(folder / f"jpg/{stem}.jpg", picture(number))
            write(folder / f"text_c10/class_{c:05d}/{stem}.txt", f"flower {number}\nagain\n")
    names = [f"class_{c:05d}" for c in range(1, classes + 1)]
    if lists:
        write(folder / "trainvalclasses.txt", "\n".join(names[2:]))
        write(folder / "testclasses.txt", "\n".join(names[:2]) + "\n")
    return folder


def test_oxford_by_its_lists(tmp_path):
    oxford(tmp_path)
    train, test = (open_captioned(tmp_path, split) for split in ("train", "test"))
    assert (len(train), len(test)) == (24, 6)
    assert test.names[4] == "jpg/image_00005.jpg" and test.captions[4] == ["flower 5", "again"]
    assert [test.class_names[c] for c in test.classes] == 3 * ["class_00001"] + 3 * ["class_00002"]


def test_without_lists_no_class_is_in_both_parts(tmp_path):
    oxford(tmp_path, lists=False)
    train, test = (open_captioned(tmp_path, split) for split in ("train", "test"))
    assert len(train) + len(test) == 30 and len(test) >= 3
    assert not set(train.classes) & set(test.classes)


def test_birds_have_one_name_in_several_classes(tmp_path):
    for c, label in enumerate(("001.Albatross", "002.Auklet", "003.Wren", "004.Gull", "005.Tern")):
        for stem in ("0001", "0002"):
            write(tmp_path / f"images/{label}/{stem}.jpg", picture(c))
            write(tmp_path / f"text_c10/{label}/{stem}.txt", f"{label} {stem}\n")
    found = everything(tmp_path)
    assert found["images/003.Wren/0002.jpg"] == (["003.Wren 0002"], "003.Wren")
    assert len(found) == 10


def test_what_is_missing_in_reeds_data(tmp_path):
    oxford(tmp_path)
    (tmp_path / "jpg/image_00009.jpg").unlink()
    with pytest.raises(DataError, match=r"not there(?s:.*)image_00009\.jpg"):
        open_captioned(tmp_path)
    assert len(open_captioned(tmp_path, skip_missing=True)) == 23
    write(tmp_path / "testclasses.txt", "class_00001\n")
    with pytest.raises(DataError, match=r"no split, but others do(?s:.*)image_00004"):
        open_captioned(tmp_path, skip_missing=True)
    for path in (tmp_path / "jpg").iterdir():
        path.unlink()
    with pytest.raises(DataError, match=r"no pictures(?s:.*)beside text_c10"):
        open_captioned(tmp_path)


def test_roses_are_found_by_their_list(tmp_path):
    roses(tmp_path / "x").rename(tmp_path / "x/captions.jsonl")
    assert len(everything(tmp_path / "x")) == 12
