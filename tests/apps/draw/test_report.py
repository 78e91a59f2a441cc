"""report.html of a drawing run."""

import json

import pytest

from apps.draw.report import page
from tests.apps.browser import OVERFLOW, show


def rendered(drawing_run, **changes):
    run = json.loads((drawing_run / "run.json").read_text()) | changes
    lines = (drawing_run / "metrics.jsonl").read_text().splitlines()
    captions = [f"<b>caption</b> {i}" for i in range(8)]
    return page.render(drawing_run, run, [json.loads(line) for line in lines], captions)


def test_captions_are_escaped_and_every_sample_is_there(drawing_run):
    html = rendered(drawing_run)
    assert "<b>caption" not in html and "&lt;b&gt;caption" in html
    frames = len(list((drawing_run / "samples").iterdir()))
    assert html.count('class="frame"') == min(frames, page.FRAMES)
    assert "Accuracy of the discriminator" in html and "wrong caption" in html


def test_long_runs_keep_the_last_frame(drawing_run, monkeypatch):
    monkeypatch.setattr(page, "FRAMES", 4)
    strip = page.filmstrip(drawing_run, ["a"] * 8)
    assert len(strip.frames) <= 5 and strip.frames[-1].caption == "step 18"


def test_an_alarm_is_shown(drawing_run):
    alarm = {"epoch": 2, "name": "collapse", "says": "the samples collapse", "hint": "--beta1 0"}
    assert "Epoch 2: the samples collapse." in rendered(drawing_run, alarms=[alarm])


ATTRIBUTES = dict.fromkeys(("color", "count", "shape", "center", "background", "size"), 0.5)


def test_what_the_oracle_said(drawing_run):
    held_out = {"attributes": ATTRIBUTES, "shuffled": ATTRIBUTES,
                "all_six": {"attributes": 0.125}, "diversity": {"same": 0.7, "across": 0.9},
                "r_precision": 0.25}  # fmt: skip
    html = rendered(drawing_run, held_out=held_out)
    assert "50.00\xa0%" in html and "captions shuffled" in html and "25.00\xa0%" in html
    assert "All six right" in html and "12.50\xa0%" in html


@pytest.mark.browser
def test_the_slider_moves(drawing_run, browser, tmp_path):
    show(browser, rendered(drawing_run), tmp_path)
    shown = "return document.querySelector('.frame.now b').textContent"
    assert browser.execute_script(shown) == "step 18"
    browser.execute_script(
        "const s = document.querySelector('input[type=range]'); s.value = 0;"
        "s.dispatchEvent(new Event('input'))"
    )
    assert browser.execute_script(shown) == "step 0"
    assert not browser.get_log("browser") and browser.execute_script(OVERFLOW) <= 0
