"""One's own pictures and captions in CSV."""

import pytest

from minidl.data import open_captioned
from minidl.errors import DataError
from tests.data.captioned.make import pictures
from tests.data.make import write

PLAIN = """image,caption,class,split
a.png,"a rose, fully open",rose,train
b.png,"a ""tulip"", open",tulip,train
a.png,second,rose,train
"""


def test_rows_become_pictures(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    part = open_captioned(write(tmp_path / "x.csv", PLAIN))
    assert part.names == ["a.png", "b.png"]
    assert part.captions == [["a rose, fully open", "second"], ['a "tulip", open']]
    assert part.classes.tolist() == [0, 1] and part.class_names == ["rose", "tulip"]


@pytest.mark.parametrize("separator", [";", "\t", "|"])
def test_other_separators_and_several_columns(tmp_path, separator):
    pictures(tmp_path, "a.png")
    text = "Image,caption_1,caption_2,split\r\na.png,one,two,train\r\n".replace(",", separator)
    assert open_captioned(write(tmp_path / "x.csv", text)).captions == [["one", "two"]]


def test_a_caption_of_two_lines(tmp_path):
    pictures(tmp_path, "a.png")
    text = 'image,caption,split\na.png,"one\ntwo",train\n\n'
    assert open_captioned(write(tmp_path / "x.csv", text)).captions == [["one\ntwo"]]


@pytest.mark.parametrize(
    "text, said",
    [
        ("a.png,a rose\n", r"names no columns(?s:.*)but a\.png, a rose(?s:.*)called \"image\""),
        ("image,words\na.png,x\n", "names no columns"),
        ("", "but nothing"),
        ("image,caption\na.png,a rose, fully open\n", r"more or fewer columns(?s:.*)line 2"),
        ("image,caption\na.png\n", r"more or fewer columns(?s:.*)line 2"),
        ("image,caption\n,x\n", "name no picture"),
        ("image,caption\nz.png,x\n", r"not there(?s:.*)z\.png"),
        ("image,caption\n", "no pictures with captions"),
        ('image,caption\na.png,"' + "x" * 200_000 + '"\n', "cannot be read"),
        ("image,caption\na.png,Bl\udcfcte\n", "not UTF-8"),
    ],
)
def test_bad_rows_are_named(tmp_path, text, said):
    pictures(tmp_path, "a.png")
    content = text.encode("utf-8", "surrogateescape")
    with pytest.raises(DataError, match=said):
        open_captioned(write(tmp_path / "x.csv", content))
