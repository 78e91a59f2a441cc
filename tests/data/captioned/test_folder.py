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


def captions_of(path):
    return {name: captions for name, (captions, _) in everything(path).items()}


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


def zipped(folder, path):
    """A zip of a folder, with its name, as a file manager makes it."""
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.rglob("*.*")):
            archive.write(file, file.relative_to(folder.parent))
    return path


def test_a_list_is_found_in_the_folder_that_holds_everything(tmp_path):
    pictures(tmp_path / "in/mine", "a.png", "b.png")
    records = [{"image": f"{n}.png", "caption": n} for n in "ab"]
    jsonl(tmp_path / "in/mine/captions.jsonl", *records)
    path = zipped(tmp_path / "in/mine", tmp_path / "x.zip")
    expected = {"mine/a.png": (["a"], None), "mine/b.png": (["b"], None)}
    assert everything(path) == everything(tmp_path / "in") == expected


def test_a_list_in_each_folder_of_a_split(tmp_path):
    """As Hugging Face's imagefolder has them."""
    for split in ("train", "validation", "test"):
        pictures(tmp_path / split, "1.png")
        jsonl(tmp_path / split / "metadata.jsonl", {"file_name": "1.png", "text": split})
    for path in (tmp_path, zipped(tmp_path, tmp_path.parent / f"{tmp_path.name}.zip")):
        found = [open_captioned(path, split) for split in ("train", "val", "test")]
        assert [part.captions for part in found] == [[["train"]], [["validation"]], [["test"]]]
    jsonl(tmp_path / "train/metadata.jsonl", {"file_name": "2.png", "text": "x"}, "?")
    with pytest.raises(DataError, match=r"not JSON(?s:.*)train/metadata\.jsonl, line 2"):
        open_captioned(tmp_path)


def test_a_list_in_a_folder_may_name_pictures_elsewhere(tmp_path):
    pictures(tmp_path, "p/a.png", "p/b.png")
    names = "../p/a.png", str(tmp_path / "p/b.png")
    jsonl(tmp_path / "x/captions.jsonl", *({"image": n, "caption": "x"} for n in names))
    assert sorted(everything(tmp_path / "x")) == sorted(names)


def test_pictures_beside_the_folders(tmp_path):
    texts(tmp_path, "a", "rose/1", "rose/2", "tulip/1", "tulip/2")
    assert {label for _, label in everything(tmp_path).values()} == {None}
    findings = open_captioned(tmp_path).findings
    assert [(f.kind, f.names) for f in findings] == [("loose pictures", ["a.png"])]


def test_lines_of_text_files(tmp_path):
    texts(tmp_path, "a", "b", "c")
    write(tmp_path / "a.txt", "\ufeffone\r\n\r\ntwo\r\n")
    write(tmp_path / "b.txt", "one\u2028still\x85one\rtwo")
    (tmp_path / "c.txt").rename(tmp_path / "c.TXT")
    found = captions_of(tmp_path)
    assert found["a.png"] == ["one", "two"] and found["b.png"] == ["one\u2028still\x85one", "two"]
    assert found["c.png"] == ["this is c", "and a second line"]


def test_a_caption_that_is_there_twice_counts_once(tmp_path):
    texts(tmp_path, *"abc")
    write(tmp_path / "b.txt", "one\ntwo \n one\n\n")
    write(tmp_path / "captions.csv", 'image,caption\na.png,"one"\na.png, one \nb.png,one\n')
    assert captions_of(tmp_path) == {"a.png": ["one"], "b.png": ["one"]}
    (tmp_path / "captions.csv").unlink()
    assert captions_of(tmp_path)["b.png"] == ["one", "two"]
    findings = open_captioned(tmp_path).findings
    assert [(f.kind, f.names) for f in findings] == [("repeated captions", ["b.png"])]


def test_archives(tmp_path):
    folder = texts(tmp_path / "data", *(f"{c}/{i}" for c in ("rose", "tulip") for i in range(5)))
    zipped(folder, tmp_path / "data.zip")
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


def test_reeds_texts_without_folders_are_without_classes(tmp_path):
    for i in range(6):
        write(tmp_path / f"jpg/{i}.png", picture(i))
        write(tmp_path / f"text_c10/{i}.txt", f"flower {i}\n")
    assert everything(tmp_path) == {f"jpg/{i}.png": ([f"flower {i}"], None) for i in range(6)}


def test_two_of_reeds_texts_for_one_picture(tmp_path):
    write(tmp_path / "jpg/1.png", picture(1))
    for label in "ab":
        write(tmp_path / f"text_c10/{label}/1.txt", label)
    with pytest.raises(DataError, match=r"another class(?s:.*)text_c10/b/1\.txt"):
        open_captioned(tmp_path)


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
