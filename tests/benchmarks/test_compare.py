"""What a comparison does when other programs take the processors."""

import argparse

import pytest

from benchmarks.compare import Spoiled, measure_all


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
