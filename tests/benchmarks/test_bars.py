"""Pictures of ratios."""

from xml.etree import ElementTree

from benchmarks.bars import BAR, LEFT, Group, write_bars

SVG = "{http://www.w3.org/2000/svg}"


def test_bars_are_as_long_as_their_values(tmp_path):
    file = tmp_path / "pictures" / "bars.svg"
    groups = [Group("one", (0.5, 2.0)), Group("a < b", (1.0, 1.5))]
    write_bars(file, "Ratios & more", ("first", "second"), groups)
    picture = ElementTree.parse(file).getroot()
    bars = [r for r in picture.iter(SVG + "rect") if r.get("height") == str(BAR - 1)]
    lengths = [float(bar.get("width")) for bar in bars]
    line = picture.find(SVG + "line[@class='one']")
    one = float(line.get("x1")) - LEFT
    for length, value in zip(lengths, [0.5, 2.0, 1.0, 1.5], strict=True):
        assert abs(length - value * one) < 0.2
    assert max(lengths) + LEFT < float(picture.get("width"))
    texts = [text.text for text in picture.iter(SVG + "text")]
    assert {"Ratios & more", "first", "second", "one", "a < b", "0.50", "2.00"} <= set(texts)
