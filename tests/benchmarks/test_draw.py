"""The benchmark of drawn sentences: its commands exist, and its table says what was measured."""

from pathlib import Path

import pytest

from apps.draw.presets import from_command_line
from apps.draw.settings import Settings
from apps.shared.options import table
from benchmarks import draw
from benchmarks.training import Finished

ATTRIBUTES = {"color": 0.98, "count": 0.5, "shape": 0.9, "center": 0.97, "background": 1.0,
              "size": 0.99}  # fmt: skip


@pytest.mark.parametrize("way", draw.WAYS)
def test_the_options_of_a_way_are_options_of_the_command(way, monkeypatch):
    ran = []
    monkeypatch.setattr(draw, "run", lambda training, runs: ran.append(training.name))
    words = list(draw.training(way, 0, Path("runs"), None).arguments)
    flags = {option.flag: option for option in table(Settings).values()}
    given = {}
    while words:
        word = words.pop(0)
        if word == "--no-discriminant":
            given["discriminant"] = False
            continue
        option = flags[word]
        given[option.name] = option.type(words.pop(0))
    assert from_command_line(given).seed == 0
    needs_encoder = way != draw.DEFAULT and not way.endswith("-gan")
    assert ran == ([f"draw-{draw.DEFAULT}-0"] if needs_encoder else [])
    assert ("text_encoder" in given) == needs_encoder


def finished(seconds, cpu):
    training = draw.Training("draw-small-cls-0", (), program=draw.PROGRAM)
    return Finished(training, {"seconds": seconds}, [], "here", cpu)


def figures(**changes):
    part = {"attributes": ATTRIBUTES, "shuffled": ATTRIBUTES, "r_precision": 0.5, "frechet": 31.4,
            "diversity": {"same": 0.75, "across": 0.92}}  # fmt: skip
    worse = {"attributes": {name: value - 0.02 for name, value in ATTRIBUTES.items()}}
    return {"seen": part, "held_out": part | worse | changes}


def test_a_row_has_medians_over_seeds():
    scores = [figures(), figures(r_precision=0.7), figures(r_precision=0.6)]
    row = draw.row("small-cls", [finished(600, 1200.0)] * 3, scores)
    assert len(row) == len(draw.columns())
    assert row[2:8] == ["96.0", "98.0", "95.0", "97.0", "88.0", "48.0"]
    assert row[8:] == ["0.75 / 0.92", "+2.0", "60.0", "31", "10", "20"]


def test_what_is_not_known_is_a_dash():
    row = draw.row("small-gan", [finished(60, None)], [figures(r_precision=None, frechet=None)])
    assert row[-4:] == ["-", "-", "1", "-"]


def test_the_section_names_its_commands(monkeypatch):
    written = []
    monkeypatch.setattr(draw, "write_section", lambda *texts: written.append(texts))
    monkeypatch.setattr("sys.argv", ["draw.py"])
    draw.write({"small-cls": [finished(600, 1200.0)]}, {"small-cls": [figures()]})
    ((name, title, body),) = written
    assert name == "draw" and "minidl draw train" in body and "must reach" in body
    assert "python -m benchmarks.draw" in body
