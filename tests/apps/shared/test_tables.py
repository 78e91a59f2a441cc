"""Text in columns, whatever its letters."""

import pytest
from rich.cells import cell_len

from apps.shared.tables import aligned, filled, width_of

NAMES = ["a.png", "花が咲く.png", "🌻.png", "Blu\u0308te.png"]  # wide letters, an accent of its own


def test_columns_begin_at_the_same_place():
    rows = [[name, name, "end"] for name in NAMES]
    lines = aligned([("name", "left"), ("again", "right"), ("last", "left")], rows)
    for part in ("  again ", "  last "):
        assert len({cell_len(line.partition(part)[0]) for line in lines}) == 1
    assert max(map(len, lines)) > min(map(len, lines))  # not by their number of letters


@pytest.mark.parametrize("name", NAMES)
def test_filled(name):
    wide = filled(name, 20)
    assert cell_len(wide) == 20 and wide.rstrip() == name
    assert filled(name, 20, "right").lstrip() == name


def test_bytes_that_are_no_text_are_as_wide_as_their_escapes():
    assert width_of("b\udcff.png") == len(r"b\udcff.png")
