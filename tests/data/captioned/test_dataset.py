"""CaptionedDataset and PictureFiles."""

import numpy as np
import pytest

from minidl.data import CaptionedDataset
from minidl.data.captioned import PictureFiles
from minidl.data.files import FolderFiles
from minidl.errors import DataError
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


@pytest.mark.parametrize(
    "changes, said",
    [
        ({"captions": [["a"], [], ["d"], ["e"]]}, r"list of captions(?s:.*)'x'"),
        ({"captions": [["a"], ["b", " "], ["d"], ["e"]]}, r"none of them empty(?s:.*)'x'"),
        ({"captions": ["a", "b", "c", "d"]}, "list of captions"),
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
