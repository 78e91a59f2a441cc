"""CaptionedDataset and PictureFiles."""

import numpy as np
import pytest

from minidl.data import CaptionedDataset, open_captioned
from minidl.data.captioned import PictureFiles
from minidl.data.files import FolderFiles
from minidl.errors import ArgumentError, DataError
from tests.data.captioned.make import jsonl, pictures
from tests.data.make import pixels, png, write


def dataset(**changes):
    arguments = {
        "pictures": pixels(4, 6, 5, 3),
        "captions": [["a"], ["b", "c"], ["d"], ["e"]],
        "classes": [0, 1, 1, 0],
        "class_names": ["x", "y"],
        "names": ["w", "x", "y", "z"],
    }
    return CaptionedDataset(**(arguments | changes))


def test_subset_keeps_what_belongs_together():
    whole = dataset()
    part = whole.subset([3, 1])
    assert len(part) == 2 and part.captions == [["e"], ["b", "c"]] and part.names == ["z", "x"]
    assert part.classes.tolist() == [0, 1] and part.class_names == ["x", "y"]
    np.testing.assert_array_equal(part.picture(0), whole.picture(3))
    assert repr(whole) == "CaptionedDataset(4 pictures, 5 captions, 2 classes)"
    assert len(whole.subset([])) == 0
    with pytest.raises(DataError, match="from 0 to 3"):
        whole.subset([4])


@pytest.mark.parametrize("wrong", [[True, False, True, True], [1.7], [[1]], 2])
def test_a_subset_is_of_numbers(wrong):
    """A mask would be taken for pictures 0 and 1, and a fraction cut off."""
    with pytest.raises(DataError, match="indexes are ints"):
        dataset().subset(np.array(wrong))


@pytest.mark.parametrize("wrong", [4, -1, 1.0, True])
def test_a_picture_has_a_number(wrong):
    with pytest.raises(IndexError, match="from 0 to 3"):
        dataset().picture(wrong)


def test_many_wrong_captions_are_few_lines():
    with pytest.raises(DataError, match="and 99,995 more") as caught:
        dataset(captions=[["a"], [7] * 100_000, ["d"], ["e"]])
    assert len(str(caught.value)) < 300


def test_split_holds_everything_once_and_each_class_on_both_sides():
    names = [f"é{i}.png" for i in range(60)]
    whole = dataset(
        pictures=pixels(60, 4, 4, 3), captions=[[f"one of {n}", f"two of {n}"] for n in names],
        classes=[i % 3 for i in range(60)], class_names=list("xyz"), names=names,
    )  # fmt: skip
    train, validation = whole.split(0.2)
    assert sorted(train.names + validation.names) == sorted(names) and 3 <= len(validation) < 25
    assert set(validation.classes) == {0, 1, 2} == set(train.classes)
    for part in (train, validation):
        for i, name in enumerate(part.names):
            assert part.captions[i] == [f"one of {name}", f"two of {name}"]
            np.testing.assert_array_equal(part.picture(i), whole.picture(names.index(name)))
    again = whole.subset(range(59, -1, -1)).split(0.2)[1]
    assert sorted(again.names) == sorted(validation.names)
    assert sorted(whole.split(0.2, "x")[1].names) != sorted(validation.names)
    assert [len(part) for part in whole.subset([]).split()] == [0, 0]
    assert [len(part) for part in whole.subset([5]).split()] == [1, 0]
    for wrong in ({"fraction": 0}, {"fraction": 1}, {"fraction": "a"}, {"salt": 1}):
        with pytest.raises(ArgumentError, match=next(iter(wrong))):
            whole.split(**wrong)


def test_training_pictures_can_be_split_once_more(tmp_path):
    """The hash that took out those to test on must not be asked again."""
    pictures(tmp_path, *(f"{i}.png" for i in range(100)))
    records = [{"image": f"{i}.png", "caption": "x"} for i in range(100)]
    train, validation = open_captioned(jsonl(tmp_path / "x.jsonl", *records)).split(0.2)
    assert 8 < len(validation) < 30 and len(train) + len(validation) > 60


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"captions": [["a"], [], ["d"], ["e"]]}, r"list of captions(?s:.*)'x'"),
        ({"captions": [["a"], ["b", " "], ["d"], ["e"]]}, r"none of them empty(?s:.*)'x'"),
        ({"captions": ["a", "b", "c", "d"]}, "list of captions"),
        ({"captions": [["a"], ["b", 7], ["d"], ["e"]]}, r"are texts(?s:.*)'x'(?s:.*)7"),
        ({"captions": None}, "captions are a list"),
        ({"captions": "abcd"}, "captions are a list"),
        ({"names": [1, 2, 3, 4]}, "names are texts"),
        ({"class_names": []}, "numbers of class_names"),
        ({"pictures": None}, r"\(N, H, W, 3\)"),
        ({"pictures": [pixels(4, 6, 3)] * 4}, r"\(N, H, W, 3\)(?s:.*)list"),
        ({"captions": [["a"]]}, "one entry per picture"),
        ({"classes": [0, 1]}, "one entry per picture"),
        ({"classes": [0, 1, 2, 0]}, "numbers of class_names"),
        ({"classes": [0, -1, 1, 0]}, "numbers of class_names"),
        ({"classes": [0.0, 1.0, 1.0, 0.0]}, "classes are ints"),
        ({"pictures": np.zeros((4, 6, 5, 3))}, "uint8"),
        ({"pictures": np.zeros((4, 6, 5, 1), np.uint8)}, r"\(N, H, W, 3\)"),
    ],
)
def test_what_does_not_fit_is_refused(changes, said):
    with pytest.raises(DataError, match=said):
        dataset(**changes)


def test_pictures_are_scaled_and_cut_to_a_square(tmp_path):
    wide = np.zeros((40, 100, 3), np.uint8)
    wide[:, 30:70] = (200, 100, 50)  # the middle square
    write(tmp_path / "wide.png", png(wide))
    write(tmp_path / "gray.png", png(np.full((9, 9, 1), 77, np.uint8)))
    files = FolderFiles(tmp_path)
    as_they_are = PictureFiles(files, ["wide.png", "gray.png"])
    np.testing.assert_array_equal(as_they_are[0], wide)
    assert as_they_are[1].shape == (9, 9, 3) and as_they_are.decode() is as_they_are
    array = PictureFiles(files, ["wide.png", "gray.png"], 20).decode()
    assert array.shape == (2, 20, 20, 3) and (array[0, :, 2:-2] == (200, 100, 50)).all()
    assert (array[1] == 77).all()


@pytest.mark.parametrize(
    "name, picture, options",
    [
        ("one.png", ("RGB", (1, 1), (200, 0, 0)), {}),
        ("wide.png", ("RGB", (20_000, 3), (200, 0, 0)), {}),
        ("large.jpg", ("RGB", (20_000, 300), (200, 0, 0)), {}),
        ("gray.png", ("I;16", (80, 70), 200 * 256 + 17), {}),
        ("inks.jpg", ("CMYK", (80, 70), (0, 255, 255, 55)), {}),
        ("inks.tif", ("CMYK", (80, 70), (0, 255, 255, 55)), {}),
        ("clear.png", ("RGBA", (80, 70), (200, 0, 0, 255)), {}),
        ("moving.gif", ("RGB", (80, 70), (200, 0, 0)), {"save_all": True}),
    ],
)
def test_pictures_of_all_kinds(tmp_path, name, picture, options):
    from PIL import Image

    if options:
        options = options | {"append_images": [Image.new("RGB", (80, 70), "blue")]}
    Image.new(*picture).save(tmp_path / name, **options)
    found = PictureFiles(FolderFiles(tmp_path), [name], 16)[0].astype(int)
    expected = (200, 200, 200) if picture[0] == "I;16" else (200, 0, 0)
    assert found.shape == (16, 16, 3) and np.abs(found - expected).max() <= 2


def test_what_cannot_be_decoded_is_named(tmp_path):
    from PIL import Image

    write(tmp_path / "cut.png", png(pixels(90, 90, 3))[:9000])
    Image.new("1", (20_000, 20_000)).save(tmp_path / "huge.png")
    for name, said in (("cut.png", "cut short"), ("huge.png", "too large")):
        with pytest.raises(DataError, match=rf"{said}(?s:.*){name}"):
            PictureFiles(FolderFiles(tmp_path), [name], 16)[0]


def test_a_large_jpeg_is_decoded_as_a_small_one(tmp_path):
    """Decoding at a part of the size looks as scaling afterwards does."""
    from PIL import Image

    y, x = np.mgrid[0:800, 0:900]
    smooth = np.stack([x / 4, y / 4, (x + y) / 8], 2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    small = PictureFiles(FolderFiles(tmp_path), ["a.jpg"], 40)[0].astype(int)
    expected = smooth[:, 50:850].reshape(40, 20, 40, 20, 3).mean((1, 3))
    assert small.shape == (40, 40, 3) and np.abs(small - expected).max() < 6


def test_large_data_stay_files(tmp_path, monkeypatch):
    monkeypatch.setattr("minidl.data.captioned.dataset.MAX_IN_MEMORY", 1000)
    write(tmp_path / "a.png", png(pixels(30, 30, 3)))
    files = PictureFiles(FolderFiles(tmp_path), ["a.png"], 20)
    assert files.decode() is files
    part = CaptionedDataset(files, [["x"]]).subset([0, 0])
    assert part.picture(1).shape == (20, 20, 3) and len(part) == 2
