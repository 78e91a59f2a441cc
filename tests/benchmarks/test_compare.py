"""What a comparison does when other programs take the processors."""

import argparse

import pytest

from benchmarks import compare as comparing
from benchmarks.compare import Spoiled, measure_all, section_of
from benchmarks.results import write_section
from benchmarks.timing import Timings


def test_a_spoiled_case_does_not_end_the_others(capsys):
    def measure(name, quick):
        if name == "b":
            raise Spoiled("b: other programs spoiled all 15 rounds; try later")
        return {"model": name, "quick": quick}

    options = argparse.Namespace(json=True, quick=True, write=True)
    with pytest.raises(SystemExit, match="spoiled: b; nothing written"):
        measure_all(["a", "b", "c"], measure, str, options)
    printed = capsys.readouterr()
    assert printed.out.splitlines() == [
        '{"model": "a", "quick": true}', '{"model": "c", "quick": true}'
    ]  # fmt: skip
    assert "b: other programs" in printed.err
    assert measure_all(["a"], measure, str, options) == [{"model": "a", "quick": True}]


def test_what_was_chosen_has_a_section_of_its_own():
    all_of_them = ("ops", "Layers", "python -m benchmarks.ops --write")
    assert section_of("ops", "Layers", "layers", []) == all_of_them
    name, title, command = section_of("ops", "Layers", "layers", ["relu", "max pool"])
    assert (name, title) == ("ops relu 'max pool'", "Layers: relu, max pool")
    assert command == "python -m benchmarks.ops --layers relu 'max pool' --write"


def test_too_few_rounds_are_no_result(monkeypatch):
    class Fake:
        def __init__(self, *arguments):
            pass

        def peak_mb(self):
            return 1

        def close(self):
            pass

    monkeypatch.setattr(comparing, "Worker", Fake)
    monkeypatch.setattr(comparing, "alternate", lambda workers, n: Timings([[1.0] * 19] * 2, 181))
    with pytest.raises(Spoiled, match="x: other programs spoiled 181 rounds"):
        comparing.compare("ops", ("minidl", "nchw"), "x", quick=False)
    assert comparing.compare("ops", ("minidl", "nchw"), "x", quick=True).rounds()["rounds"] == 19


def test_the_section_of_a_comparison(monkeypatch, tmp_path):
    file = tmp_path / "RESULTS.md"
    monkeypatch.setattr(
        comparing, "write_section", lambda *section: write_section(*section, file=file)
    )
    monkeypatch.setattr(comparing, "provenance", lambda *packages: ", ".join(packages))
    rows = [{"layer": "relu", "ratio": 1.5, "unasked": 1}]
    columns = {"layer": "layer", "times": "ratio"}
    comparing.write_comparison(
        "ops", "Layers", "layers", ["relu"], "About.", columns, rows, "Note."
    )
    assert file.read_text().split("<!-- begin ops relu -->\n")[1] == (
        "## Layers: relu\n\nAbout.\n\n"
        "| layer | times |\n| --- | --- |\n| relu | 1.5 |\n\nNote.\n\n"
        "All by `python -m benchmarks.ops --layers relu --write`. minidl, numpy, numba, torch\n"
        "<!-- end ops relu -->\n"
    )
