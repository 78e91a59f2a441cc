"""What all pages have: nothing is loaded, nothing from data runs, one script at most."""

import base64
import hashlib
import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from apps.shared.page import (
    Page,
    breakable,
    duration,
    environment,
    percent,
    render,
    settings_table,
    write_page,
)
from minidl.errors import CheckpointError
from tests.apps.shared.made_up_page import (
    EVIL,
    QUOTES,
    SURROGATE,
    captioned,
    filmstrip,
    noise,
    page,
)


def policy(html):
    """Content-Security-Policy: directive -> sources."""
    (content,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', html)
    return dict(part.strip().split(" ", 1) for part in content.replace("&#39;", "'").split(";"))


def test_a_page_without_a_filmstrip_has_no_script():
    html = page(captioned(), history=[{"epoch": 1, "loss": 1.0}])
    assert "<script" not in html
    assert policy(html) == {"default-src": "'none'", "img-src": "data:",
                            "style-src": "'unsafe-inline'"}  # fmt: skip


def test_the_policy_names_the_one_script_that_is_there():
    html = page(strips=[filmstrip(), filmstrip()])
    (script,) = re.findall(r"<script>(.*?)</script>", html, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert policy(html)["script-src"] == f"'sha256-{digest}'"
    assert policy(html)["default-src"] == "'none'"


def test_nothing_is_loaded():
    html = page(captioned(), [filmstrip(pictures=3)], [{"epoch": 1, "loss": 1.0}])
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html)
    assert len(addresses) > 30 and all(address.startswith("data:") for address in addresses)
    assert "http://" not in html and "https://" not in html


def test_texts_are_escaped():
    html = page([], [], [{"epoch": 1, f"{EVIL}_loss": 1.0, "loss": 2.0}], title=EVIL)
    assert "<script" not in html and 'onmouseover="alert' not in html
    assert html.count("&lt;/script&gt;&lt;script&gt;") > 5 and "{{ 7 * 7 }}" in html


def test_a_name_that_is_not_there_is_an_error():
    with pytest.raises(UndefinedError):
        environment().from_string("{{ pagg }}").render(page=1)


def test_tab_and_heading():
    html = page(heading="lenet on digits")
    assert "<title>lenet on digits</title>" in html and "<h1>lenet on digits</h1>" in html
    html = page(heading="lenet on digits", title="98 %")
    assert "<title>98 %</title>" in html and "<h1>lenet on digits</h1>" in html


def test_a_page_of_nothing_but_a_heading():
    html = render("shared/page.html.j2", Page("only this"))
    assert "<h1>only this</h1>" in html and "<h2>" not in html and "<dl" not in html


def test_names_that_are_no_utf8_can_be_written(tmp_path):
    write_page(tmp_path / "page.html", page(note=SURROGATE), "test")
    assert "fleur \\udce9" in (tmp_path / "page.html").read_text()
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]


def test_a_page_that_cannot_be_written(tmp_path):
    with pytest.raises(CheckpointError, match="draw: cannot write the file"):
        write_page(tmp_path / "none" / "page.html", "text", "draw")


def test_every_template_is_packaged():
    """pyproject.toml packages what ends in .j2."""
    folder = Path(environment().loader.searchpath[0])
    named = {
        name
        for path in folder.rglob("*.j2")
        for name in re.findall(r'(?:extends|include|from) "([^"]+)"', path.read_text())
    }
    assert len(named) > 8
    assert all(name.endswith(".j2") and (folder / name).is_file() for name in named)


@pytest.mark.parametrize(
    "seconds, text", [(3.4, "3 s"), (71.2, "1:11 min"), (59.6, "1:00 min"), (7384, "2:03:04 h")]
)
def test_durations(seconds, text):
    assert duration(seconds) == text


def test_percent_does_not_break():
    assert percent(0.9917) == "99.17\u00a0%"


def test_paths_break_after_slashes_and_stay_escaped():
    assert breakable(f"a/b{EVIL[:9]}") == "a/<wbr>b&lt;/<wbr>script&gt;"


def test_settings_as_texts():
    steps = [{"name": "Resize", "size": 32}, {"name": "ToFloat"}]
    rows = settings_table(
        {"batch_size": 32, "data": None, "steps": steps, "lr_mult": {"features": 0.1}},
        {"milestones": [], "freeze": ("a", "b"), "quotes": QUOTES},
    )
    assert rows == [
        ("batch size", "32"), ("data", "-"), ("steps", "Resize(size=32), ToFloat()"),
        ("lr mult", "features=0.1"), ("milestones", "none"), ("freeze", "a, b"), ("quotes", QUOTES),
    ]  # fmt: skip


def test_a_page_stays_small():
    from apps.shared.pictures import Picture

    pictures = [Picture(noise(448, 448, 3, seed=i), "noise") for i in range(24)]
    assert len(page(pictures)) < 24 * 30_000
