"""The benchmark of drawn sentences: its commands exist, and its table says what was measured."""

import json
import os
import shutil
from pathlib import Path
from types import SimpleNamespace

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

    def run(training, runs):
        ran.append(training.name)
        return SimpleNamespace(training=training)

    monkeypatch.setattr(draw, "run", run)
    words = list(draw.trained(way, 0, Path("runs")).training.arguments)
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
    needs_encoder = draw.takes_encoder(way)
    assert ran[:-1] == ([f"draw-{draw.DEFAULT}-0"] if needs_encoder else [])
    assert ("text_encoder" in given) == needs_encoder


def test_short_trainings_run_in_pairs_after_the_encoder(monkeypatch):
    """Each once, with a name and a number of epochs of its own, and the encoder of a short run."""
    pairs = []

    def run_together(trainings, runs):
        pairs.append(trainings)
        return [SimpleNamespace(training=training) for training in trainings]

    monkeypatch.setattr(draw, "run_together", run_together)
    ways = ["paper-cls", "small-gan", "small-int"]
    done = draw.trained_briefly(ways, 3, Path("runs"))
    assert list(done) == ways
    assert [[one.name for one in pair] for pair in pairs] == [
        ["draw-short-small-cls-3", "draw-short-small-gan-3"],
        ["draw-short-paper-cls-3", "draw-short-small-int-3"],
    ]
    for one in pairs[1]:
        words = one.arguments
        assert words.count("--epochs") == 1 and words[words.index("--epochs") + 1] == "4"
        assert words[words.index("--text-encoder") + 1].endswith("draw-short-small-cls-3")


def finished(seconds, cpu):
    training = draw.Training("draw-small-cls-0", (), program=draw.PROGRAM)
    return Finished(training, {"seconds": seconds}, [], "here", cpu)


def figures(**changes):
    compared = ("attributes", "shuffled", "real", "nearest_seen", "chance")
    part = dict.fromkeys(compared, ATTRIBUTES) | {
        "all_six": dict.fromkeys(compared, 0.4), "left_open": {"background": 0.125},
        "r_precision": 0.5, "frechet": 31.4, "diversity": {"same": 0.75, "across": 0.92},
    }  # fmt: skip
    worse = {"attributes": {name: value - 0.02 for name, value in ATTRIBUTES.items()}}
    return {"seen": part, "held_out": part | worse | changes}


def test_a_row_has_medians_over_seeds():
    scores = [figures(), figures(r_precision=0.7), figures(r_precision=0.6)]
    row = draw.row("small-cls", [finished(600, 1200.0)] * 3, scores)
    assert len(row) == len(draw.columns())
    assert row[2:9] == ["3", "96.0", "98.0", "95.0", "97.0", "88.0", "48.0"]
    assert row[9:] == ["40.0", "0.75 / 0.92", "0.12", "+2.0", "60.0", "31", "10", "20"]


def test_what_is_not_known_is_a_dash():
    row = draw.row("small-gan", [finished(60, None)], [figures(r_precision=None, frechet=None)])
    assert row[-4:] == ["-", "-", "1", "-"]


def test_a_new_run_is_scored_anew(tmp_path, monkeypatch):
    """A score that is kept is of the run that lies there, not of one that was removed."""
    scored = []

    def answer(words, **options):
        scored.append(words)
        return SimpleNamespace(stdout=json.dumps({"score": len(scored)}))

    monkeypatch.setattr(draw.subprocess, "run", answer)
    one = finished(600, None)
    folder = tmp_path / one.training.name
    folder.mkdir()
    (folder / "run.json").touch()
    assert draw.score(one, tmp_path) == draw.score(one, tmp_path) == {"score": 1}
    later = (folder / draw.SCORE).stat().st_mtime + 10
    (folder / "run.json").write_text("{}")
    os.utime(folder / "run.json", (later, later))
    assert draw.score(one, tmp_path) == {"score": 2}
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "run.json").touch()
    assert draw.score(one, tmp_path) == {"score": 3}


def test_the_section_names_its_commands(monkeypatch):
    written = []
    monkeypatch.setattr(draw, "write_section", lambda *texts: written.append(texts))
    monkeypatch.setattr("sys.argv", ["draw.py"])
    ways = ("small-cls", "small-cls-turned", "paper-cls")
    done = {way: [finished(600, 1200.0)] for way in ways}
    for short in (False, True):
        draw.write(done, {way: [figures()] for way in ways}, short, {})
    (name, title, body), (short_name, _, short_body) = written
    assert short_name == "draw-short" and "a quarter" in short_body
    assert "must reach" not in short_body  # figures of so little training do not say
    assert name == "draw" and "minidl draw train" in body and "must reach" in body
    assert "python -m benchmarks.draw" in body
    assert "stand upright" in body and "not the paper's experiment" in body
    assert "nearest seen flower" in body and "real pictures" in body
