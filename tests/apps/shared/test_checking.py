"""What the commands `check` print about pictures and captions."""

from apps.shared.checking import FOR_DRAWING, check_data
from apps.shared.console import Console
from minidl.data.captioned import check_captioned
from tests.data.captioned.make import jsonl, pictures, roses


def test_facts_and_findings_are_printed_and_returned(tmp_path, capsys):
    path = str(roses(tmp_path, count=70))
    (tmp_path / "p/3.png").unlink()
    found = check_data(path, None, Console())
    said = capsys.readouterr().out.splitlines()
    assert "pictures: 69" in said and "error: pictures are not there (1): p/3.png" in said
    assert any("hint:" in line and "leave them out with --skip-missing" in line for line in said)
    assert found["serious"] and found["facts"]["pictures"] == "69" and found["data"] == path
    assert found["findings"][0]["kind"] == "missing pictures"
    assert found["findings"][0]["names"] == ["p/3.png"]


def test_what_matters_to_drawing_alone_can_be_left_out(tmp_path, capsys):
    pictures(tmp_path, *(f"{i}.png" for i in range(90)))
    records = [
        {"image": f"{i}.png", "caption": f"die {i}. Blüte " + "x" * 200, "class": "rose"}
        for i in range(90)
    ]
    path = str(jsonl(tmp_path / "x.jsonl", *records))
    full = check_data(path, None, Console())
    assert {one["kind"] for one in full["findings"]} == set(FOR_DRAWING) - {
        "classes", "single pictures",
    } and full["serious"]  # fmt: skip
    capsys.readouterr()
    found = check_data(path, None, Console(), without=FOR_DRAWING)
    assert found["findings"] == [] and not found["serious"] and "classes" not in found["facts"]
    assert capsys.readouterr().out.endswith("nothing is wrong with these data\n")


def test_what_is_left_out_has_the_names_of_facts_and_findings(tmp_path):
    pictures(tmp_path, *(f"{i}.png" for i in range(3)))
    classes = ["a", "a", "b"]
    records = [{"image": f"{i}.png", "caption": str(i), "class": classes[i]} for i in range(3)]
    report = check_captioned(jsonl(tmp_path / "x.jsonl", *records))
    names = {finding.kind for finding in report.findings} | set(report.facts)
    assert {"classes", "single pictures"} <= names
