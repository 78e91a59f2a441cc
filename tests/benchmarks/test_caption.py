"""The benchmark of captions: its commands exist, and its tables say what was measured."""

import json
from types import SimpleNamespace

import pytest

from apps.caption.recipes import from_command_line
from apps.caption.settings import Settings
from apps.shared.options import table
from benchmarks import caption
from benchmarks.training import Finished

ATTRIBUTES = {"color": 0.98, "count": 0.5, "size": 0.25}
WORDS = {"bleu": [0.6, 0.5, 0.4, 0.3], "rouge_l": 0.5, "cider_d": 1.5, "distinct": 0.75}


@pytest.mark.parametrize("way", caption.NAMES)
@pytest.mark.parametrize("epochs", [None, 7])
def test_the_options_of_a_way_are_options_of_the_command(way, epochs, monkeypatch):
    monkeypatch.setattr(caption, "run", lambda training, runs: training)
    _, of_way, _ = (caption.WAYS | caption.COMPARED)[way]
    words = list(caption.trained(way, of_way, 2, None, epochs).arguments)
    flags = {option.flag: option for option in table(Settings).values()}
    given = {}
    while words:
        option = flags[words.pop(0)]
        given[option.name] = option.type(words.pop(0))
    settings = from_command_line(given)
    assert settings.seed == 2 and (epochs is None or settings.epochs == 7)


def finished(name="caption-flowers-0", seed=0, cpu=1200.0):
    training = caption.Training(name, (), program=caption.PROGRAM)
    history = [{"val_caption_loss": loss} for loss in (1.5, 0.75, 0.25)]
    return Finished(training, {"seconds": 600, "settings": {"seed": seed}}, history, "here", cpu)


def figures():
    part = {"all_right": 0.99, "nothing_wrong": 0.995, "attributes": ATTRIBUTES}
    chance = part | {"all_right": 0.01}
    return {
        "pictures": 2424, "said": WORDS, "ceiling": {"best": 2.0, "mean": 1.0, "faultless": 1.6},
        "nearest": WORDS | {"cider_d": 0.5}, "most_frequent": WORDS | {"cider_d": 0.0},
        "attributes": {"said": part, "shuffled": chance, "blank": chance},
    }  # fmt: skip


def test_the_section(monkeypatch):
    written = []
    monkeypatch.setattr(caption, "write_section", lambda *texts: written.append(texts))
    monkeypatch.setattr("sys.argv", ["caption.py"])
    ways = ("flowers", "tuxpaint-squeezenet")
    done = {way: [finished(f"caption-{way}-{seed}", seed) for seed in (0, 1)] for way in ways}
    scores = {way: [figures(), figures()] for way in ways}
    caption.write(done, scores, {way: figures() for way in ways}, False)
    ((name, title, body),) = written
    assert name == "caption" and "minidl caption train" in body and "must reach" in body
    assert "\n\nPhotographs and drawings" in body  # no part of the list above it
    lines = [[cell.strip() for cell in line.split("|")] for line in body.splitlines()]
    widths = {len(cells) for cells in lines if len(cells) > 3}
    assert len(widths) == 2  # two tables, each with rows of one width
    first, second = (
        [c for c in lines if len(c) == width] for width in sorted(widths, reverse=True)
    )
    shares = ["99.0", "99.5", "98.0", "50.0", "25.0", "1.0", "1.0"]
    assert first[2][1:13] == ["the default", "0", *shares, "1.50", "93.8", "75.0"]
    assert first[4][1:3] == ["the default", "together"]
    assert second[2][3:7] == ["1.500", "0.500", "3.00", "0.000"]
    assert second[2][-3:-1] == ["10.0", "20.0"]


def test_the_section_of_ways_side_by_side(monkeypatch):
    written = []
    monkeypatch.setattr(caption, "write_section", lambda *texts: written.append(texts))
    monkeypatch.setattr("sys.argv", ["caption.py", "--compare"])
    done = {way: [finished(f"caption-{way}-0")] for way in caption.COMPARED}
    caption.write(done, {way: [figures()] for way in done}, {}, True)
    ((name, _, body),) = written
    assert name == "caption-compared" and caption.TRIED not in body
    assert "| GoogLeNet with batch norm | 1.50 | 0.75 | 0.25 |" in body
    assert all(text in body for text in caption.SIDE_BY_SIDE.values())
    caption.write({"flowers": done["flowers"]}, {"flowers": [figures()]}, {}, True)
    assert not any(text in written[1][2] for text in caption.SIDE_BY_SIDE.values())


def test_ways_of_fewer_epochs_than_are_compared():
    one = finished()
    del one.history[1:]
    assert "epoch 2" not in caption.by_epoch(["flowers"], {"flowers": [one]})


def test_a_way_that_learns_captions_alone_has_one_loss():
    one = finished()
    for epoch in one.history:
        epoch["val_loss"] = epoch.pop("val_caption_loss")
    body = caption.by_epoch(["flowers-captions-alone"], {"flowers-captions-alone": [one]})
    assert "| without the loss of phrases | 1.50 | 0.75 | 0.25 |" in body


def test_ways_are_of_one_table(monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["caption.py", "--ways", "flowers-googlenet"])
    with pytest.raises(SystemExit):
        caption.main()
    assert "no such way: flowers-googlenet; there are flowers, " in capsys.readouterr().err


def test_a_new_run_is_scored_anew(tmp_path, monkeypatch):
    scored = []

    def answer(words, **options):
        scored.append(words)
        return SimpleNamespace(stdout=json.dumps({"score": len(scored)}))

    monkeypatch.setattr(caption.subprocess, "run", answer)
    monkeypatch.setattr(caption, "commit", lambda: "before")
    runs = [finished("a"), finished("b")]
    for one in runs:
        (tmp_path / one.training.name).mkdir()
        (tmp_path / one.training.name / "run.json").touch()
    assert caption.score(runs[:1], tmp_path) == caption.score(runs[:1], tmp_path) == {"score": 1}
    assert caption.score(runs, tmp_path) == {"score": 2}  # together
    assert scored[1][3:5] == [str(tmp_path / "a"), str(tmp_path / "b")]
    monkeypatch.setattr(caption, "commit", lambda: "after")  # other code may score otherwise
    assert caption.score(runs, tmp_path) == {"score": 3}
