"""Sheets of pictures as a file: every picture in its cell, captions within the sheet."""

import numpy as np
import pytest
from PIL import Image

from apps.shared import sheet
from apps.shared.pictures import Picture
from apps.shared.sheet import BAR, CELL, GAP, draw_sheet, wrap, write_filmstrip, write_sheet
from minidl.errors import ArgumentError, CheckpointError
from tests.apps.shared.made_up_page import EVIL, SURROGATE, captioned, filmstrip, noise


def test_pictures_are_where_they_belong():
    greys = [40, 80, 120, 160, 200]
    pictures = [Picture(np.full((10, 10), grey, np.uint8), "a flower") for grey in greys]
    drawn = np.asarray(draw_sheet(pictures, columns=3))
    step = (drawn.shape[0] - GAP) // 2
    for i, grey in enumerate(greys):
        y, x = GAP + i // 3 * step, GAP + i % 3 * (CELL + GAP)
        assert (drawn[y : y + CELL, x : x + CELL] == grey).all()
    assert (drawn[GAP + step :, GAP + 2 * (CELL + GAP) :] == 255).all()  # the sixth cell is empty


def test_small_pictures_are_enlarged_pixel_by_pixel():
    image = noise(8, 8, 3)
    drawn = np.asarray(draw_sheet([Picture(image)], cell=80))
    assert drawn.shape == (80 + 2 * GAP, 80 + 2 * GAP, 3)
    np.testing.assert_array_equal(drawn[GAP + 5 :: 10, GAP + 5 :: 10][:8, :8], image)


def test_pictures_of_another_shape_keep_it():
    drawn = np.asarray(draw_sheet([Picture(np.zeros((30, 60), np.uint8))], cell=120))
    black = np.argwhere((drawn == 0).all(axis=2))
    assert (np.ptp(black, axis=0) == (59, 119)).all()
    assert black.min(axis=0).tolist() == [GAP + 30, GAP]


def test_transparency_shows_the_paper_of_the_cell():
    clear = np.zeros((10, 10, 4), np.uint8)
    drawn = np.asarray(draw_sheet([Picture(clear)]))
    assert drawn.min() > 230


def test_captions_make_the_cells_equal_and_stay_inside():
    drawn = np.asarray(draw_sheet(captioned(7), "A title", columns=4))
    assert drawn.shape[1] == GAP + 4 * (CELL + GAP)
    margins = np.ones(drawn.shape[1], bool)
    for x in range(4):
        margins[GAP - 1 + x * (CELL + GAP) :][: CELL + 2] = False  # a y may hang over by a pixel
    assert (drawn[50:, margins] == 255).all()  # nothing is written between the columns
    assert (drawn[-GAP:] == 255).all() and (drawn[:GAP] == 255).all()


@pytest.mark.parametrize("text", ["word " * 60, "w" * 500, SURROGATE * 30, "Blüte × 中 " * 20, ""])
def test_lines_fit_their_width(text):
    lines = wrap(text, 14, 160, "#000000")
    assert len(lines) <= 5 and all(line.font.getlength(line.text) <= 160 for line in lines)
    assert bool(lines) == bool(text)
    if len(text) > 200:
        assert lines[-1].text.endswith("...")


def test_wrapping_loses_no_word():
    text = "the petals are yellow and as thin as hairs around an orange yellow center"
    assert " ".join(line.text for line in wrap(text, 14, 160, "#000000")) == text


def test_right_and_wrong_differ_by_more_than_colour():
    marks = []
    for right in (None, True, False):
        drawn = np.asarray(draw_sheet([Picture(np.zeros((9, 9), np.uint8), right=right)]))
        marks.append(drawn[GAP + CELL - 22 : GAP + CELL + BAR, GAP + CELL - 22 : GAP + CELL])
    drawn = [(mark.min(axis=2) > 200) for mark in marks[1:]]  # the strokes are white
    assert drawn[0][:20].any() and drawn[1][:20].any() and (drawn[0] != drawn[1]).any()
    assert not (marks[0][:20] > 0).any()


def test_no_font_of_the_system(monkeypatch):
    monkeypatch.setattr(sheet, "FONTS", ("no-such-font.ttf",))
    (line,) = wrap("Blüte 中", 14, 160, "#000000")
    assert line.text == "Blute ?"
    (line,) = wrap("bluebell · 1.9", 14, 160, "#000000")
    assert line.text == "bluebell · 1.9"


@pytest.mark.parametrize("name, form", [("s.png", "PNG"), ("s.JPG", "JPEG"), ("s.jpeg", "JPEG")])
def test_files(tmp_path, name, form):
    write_sheet(tmp_path / name, captioned(3), "draw", EVIL, columns=2)
    with Image.open(tmp_path / name) as written:
        assert written.format == form and written.width == GAP + 2 * (CELL + GAP)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_filmstrip_is_one_row_or_a_row_per_frame(tmp_path):
    write_filmstrip(tmp_path / "row.png", filmstrip(5), "draw", cell=100)
    write_filmstrip(tmp_path / "rows.png", filmstrip(3, pictures=4), "draw", cell=100)
    row = np.asarray(Image.open(tmp_path / "row.png"))
    rows = np.asarray(Image.open(tmp_path / "rows.png"))
    assert (row.shape[1] - GAP) // (100 + GAP) == 5 and (rows.shape[1] - GAP) // (100 + GAP) == 4
    for i in range(5):  # frame i has the grey 20 i, and is 75 pixels high
        assert (row[:, GAP + 50 + i * (100 + GAP)] == 20 * i).all(axis=1).sum() >= 75
    for i in range(1, 3):
        assert (rows[:, GAP + 50] == 20 * i).all(axis=1).sum() >= 75


def test_the_same_pictures_give_the_same_file(tmp_path):
    for name in ("a.png", "b.png"):
        write_sheet(tmp_path / name, captioned(4), "draw")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_mistakes(tmp_path):
    with pytest.raises(ArgumentError, match=r"draw: a sheet is a file that ends in \.png"):
        write_sheet(tmp_path / "sheet.gif", captioned(1), "draw")
    with pytest.raises(ArgumentError, match="at least one picture"):
        write_sheet(tmp_path / "sheet.png", [], "draw")
    with pytest.raises(CheckpointError, match="draw: cannot write"):
        write_sheet(tmp_path / "none" / "sheet.png", captioned(1), "draw")
