"""The check of one's own data: each thing that can be wrong, found once and by name."""

import numpy as np
import pytest

from minidl.data.captioned import Finding, check_captioned
from minidl.errors import DataError
from tests.data.captioned.make import jsonl, picture, pictures, roses
from tests.data.make import png, write


def found(path, **options):
    """Kind -> names of all findings."""
    report = check_captioned(path, **options)
    assert all(str(finding) for finding in report.findings)
    return {finding.kind: list(finding.names) for finding in report.findings}


def test_good_data_have_no_findings(tmp_path):
    report = check_captioned(roses(tmp_path, count=100))
    assert report.findings == [] and not report.serious
    assert report.facts["pictures"] == "100" and report.facts["sizes"] == "80 pixels wide, 70 high"
    assert report.facts["captions"].startswith("100, 100 of them different, with 104 words")
    assert report.facts["classes"] == "2, of 50 pictures each"


def test_all_that_can_be_listed_is_listed_at_once(tmp_path):
    pictures(tmp_path, *(f"{i}.png" for i in range(6)))
    path = jsonl(
        tmp_path / "x.jsonl",
        {"image": "0.png", "caption": "a rose"},
        {"image": "gone.png", "caption": "a rose"},
        {"image": "1.png", "caption": " "},
        "no JSON",
        {"image": "2.png", "words": "a rose"},
        {"image": "gone too.png", "caption": "a tulip"},
    )
    report = check_captioned(path)
    assert report.serious and [f.serious for f in report.findings][:3] == [True] * 3
    names = found(path)
    assert names["missing pictures"] == ["gone.png", "gone too.png"]
    assert names["not JSON"] == ["line 4"] and names["no captions"] == ["1.png"]
    assert names["wrong fields"] == ["line 5 (has image, words)"]


def test_pictures_that_are_odd(tmp_path):
    path = roses(tmp_path, count=70)
    write(tmp_path / "p/3.png", b"\x89PNG nothing more")
    write(tmp_path / "p/4.png", picture(4, 70, 150))
    write(tmp_path / "p/5.png", picture(5, 20, 30))
    write(tmp_path / "p/6.png", png(np.full((70, 70, 3), 9, np.uint8)))
    write(tmp_path / "p/8.png", (tmp_path / "p/7.png").read_bytes())
    names = found(path)
    assert [name.split(" ")[0] for name in names["unreadable pictures"]] == ["p/3.png"]
    assert names["elongated pictures"] == ["p/4.png (150x70)"]
    assert names["small pictures"] == ["p/5.png (30x20)"]
    assert names["blank pictures"] == ["p/6.png"]
    assert names["duplicate pictures"] == ["p/7.png = p/8.png"]


def test_a_picture_in_both_parts_is_a_leak(tmp_path):
    pictures(tmp_path, "a.png", "b.png")
    write(tmp_path / "c.png", (tmp_path / "a.png").read_bytes())
    path = jsonl(
        tmp_path / "x.jsonl",
        {"image": "a.png", "caption": "one", "split": "train"},
        {"image": "b.png", "caption": "two", "split": "train"},
        {"image": "c.png", "caption": "three", "split": "test"},
    )
    assert found(path)["leaks"] == ["a.png = c.png"]
    more = {"image": "b.png", "caption": "four", "split": "val"}
    write(tmp_path / "d.png", (tmp_path / "b.png").read_bytes())
    path = jsonl(tmp_path / "y.jsonl", *path.read_text().splitlines(), more | {"image": "d.png"})
    assert found(path)["leaks"] == ["a.png = c.png", "b.png = d.png"]
    facts = check_captioned(path).facts
    assert facts["split"] == "2 to train on, 1 to validate on, 1 to test on"


def test_captions_that_are_odd(tmp_path):
    texts = ["a rose", "a rose", "?!", "3", "x " * 150, "eine Blüte", "7.png"]
    pictures(tmp_path, *(f"{i}.png" for i in range(8)))
    records = [{"image": f"{i}.png", "caption": text} for i, text in enumerate([*texts, "z"])]
    records[6]["caption"] = "6.png"
    path = jsonl(tmp_path / "x.jsonl", *records)
    assert not check_captioned(path).serious  # for it can be opened, and learned from
    names = found(path)
    assert names["no words"] == ["'?!'"] and names["file names"] == ["3.png", "6.png"]
    assert names["long captions"] == ["4.png (299)"] and names["odd characters"] == [
        "'ü' (1 times)"
    ]
    assert names["shared captions"] == ["2 x 'a rose'"]


def test_one_caption_for_all(tmp_path):
    pictures(tmp_path, *(f"{i}.png" for i in range(8)))
    path = jsonl(
        tmp_path / "x.jsonl", *({"image": f"{i}.png", "caption": "a rose"} for i in range(8))
    )
    assert "one caption" in found(path) and check_captioned(path).serious


@pytest.mark.parametrize(
    "count, label, kinds",
    [
        (80, "rose", ["one class"]),
        (5, None, ["few pictures"]),
        (1, None, ["few pictures", "no test part"]),
    ],
)
def test_too_little_to_learn_from(tmp_path, count, label, kinds):
    pictures(tmp_path, *(f"{i}.png" for i in range(count)))
    records = [{"image": f"{i}.png", "caption": f"rose {i}", "class": label} for i in range(count)]
    assert sorted(found(jsonl(tmp_path / "x.jsonl", *records))) == kinds


def test_classes_of_one_picture(tmp_path):
    pictures(tmp_path, *(f"{i}.png" for i in range(5)))
    records = [
        {"image": f"{i}.png", "caption": f"rose {i}", "class": "ab"[i > 3]} for i in range(5)
    ]
    assert found(jsonl(tmp_path / "x.jsonl", *records))["single pictures"] == ["b"]


def test_words_are_counted(tmp_path):
    pictures(tmp_path, *(f"{i}.png" for i in range(6)))
    texts = ["a rose", "a red rose, a red rose", "a tulip", "a rose in a vase", "no tulip", "?"]
    records = [
        {"image": f"{i}.png", "caption": text, "split": "test" if i in (3, 4) else "train"}
        for i, text in enumerate(texts)
    ]
    facts = check_captioned(jsonl(tmp_path / "x.jsonl", *records)).facts
    assert facts["captions"] == (
        "6, 6 of them different, with 7 words, 4 of which occur in one caption alone and 1 in 4 or "
        "more; each is 0 to 6 words long"
    )
    assert facts["words to test on"] == "6, 3 of them in no caption to train on"


def test_a_report_without_what_does_not_matter(tmp_path):
    report = check_captioned(roses(tmp_path, count=80, **{"class": "rose"}))
    assert report.serious and "classes" in report.facts
    rest = report.without(["one class", "classes"])
    assert not rest.serious and rest.findings == []
    assert set(report.facts) - set(rest.facts) == {"classes"}


def test_drawn_flowers_need_no_check():
    assert check_captioned("flowers").findings == []


def test_what_is_not_there_is_an_error(tmp_path):
    with pytest.raises(DataError, match="no such"):
        check_captioned(tmp_path / "none.jsonl")


def test_a_finding_says_how_many_and_which():
    finding = Finding("k", "pictures are odd", [f"{i}.png" for i in range(1234)])
    assert str(finding).startswith("pictures are odd (1,234): 0.png, 1.png")
    assert str(finding).endswith("and 1,229 more")
