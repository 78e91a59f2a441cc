"""Emoji from Debian's font, where it is installed."""

import unicodedata

import numpy as np
import pytest

from minidl.data import open_captioned
from minidl.data.captioned import emoji
from minidl.errors import DataError
from tests.data.make import write


@pytest.fixture(scope="module")
def parts():
    """Those to train and to test on, as files."""
    if not emoji.INSTALLED.is_file():
        pytest.skip("Debian's fonts-noto-color-emoji is not installed")
    return [open_captioned("emoji", split) for split in ("train", "test")]


def test_each_has_its_name_as_caption(parts):
    captions = {n: c for part in parts for n, c in zip(part.names, part.captions)}
    assert captions["U+1F337"] == ["tulip"] and captions["U+1F600"] == ["grinning face"]
    assert len(captions) > 1300 and all(len(texts) == 1 for texts in captions.values())
    assert len({texts[0] for texts in captions.values()}) == len(captions)
    named = [n for n in captions if unicodedata.name(chr(int(n[2:], 16))).lower() in captions[n]]
    assert len(named) == len(captions)
    assert "U+4E2D" not in captions and "U+0041" not in captions  # which the font does not draw
    assert parts[0].findings == [] and 0.15 < len(parts[1]) / len(captions) < 0.25


def test_pictures_are_painted_in_color_on_white(parts):
    train = parts[0]
    tulip = train.names.index("U+1F337") if "U+1F337" in train.names else None
    seen = (train if tulip is not None else parts[1]).pictures
    seen = seen[tulip if tulip is not None else parts[1].names.index("U+1F337")]
    assert seen.shape == (128, 136, 3) and seen.dtype == np.uint8
    assert (seen[0] == 255).all() and (seen[:, 0] == 255).all()
    red = (seen[..., 0].astype(int) - seen[..., 1] > 80).mean()
    green = (seen[..., 1].astype(int) - seen[..., 0] > 40).mean()
    assert red > 0.1 and green > 0.05  # its blossom and its leaves


def test_pictures_can_be_read_again_and_at_any_size(parts):
    files = parts[1].pictures
    assert (files[3] == files[3]).all() and files.files.stamp(files.names[3])
    few = parts[1].subset([0, 1, 2]).pictures
    few.size = 32
    array = few.decode()
    assert array.shape == (3, 32, 32, 3) and (array[0] != array[1]).any()
    assert "U+" in files.files.describe(files.names[0])


def test_a_font_that_is_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(emoji, "INSTALLED", tmp_path / "nowhere.ttf")
    said = r"not on this machine(?s:.*)apt install fonts-noto-color-emoji(?s:.*)--data-dir"
    with pytest.raises(DataError, match=said):
        open_captioned("emoji", data_dir=tmp_path)


def test_another_file_of_the_same_name(tmp_path):
    write(tmp_path / "NotoColorEmoji.ttf", b"no font")
    with pytest.raises(DataError, match="not a font with pictures"):
        open_captioned("emoji", data_dir=tmp_path)


def test_a_font_of_outlines(tmp_path):
    from PIL import ImageFont

    outlines = ImageFont.load_default(20)  # of Pillow's own font
    write(tmp_path / "emoji/NotoColorEmoji.ttf", outlines.font_bytes)
    with pytest.raises(DataError, match=r"not a font with pictures of 136x128"):
        open_captioned("emoji", data_dir=tmp_path)
