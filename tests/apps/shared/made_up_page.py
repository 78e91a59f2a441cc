"""A page of made-up pictures, with texts in it that try to become markup."""

import numpy as np

from apps.shared.curves import curves
from apps.shared.page import Figure, Page, environment, settings_table
from apps.shared.pictures import Filmstrip, Frame, Picture

EVIL = "</script><script>document.title = 'owned'</script>"
QUOTES = '"\' onmouseover="alert(1)" {{ 7 * 7 }} &amp;'
SURROGATE = "fleur \udce9"  # a byte of a file name that is no UTF-8
TEMPLATE = """\
{% extends "shared/page.html.j2" %}
{% from "shared/curves.html.j2" import curves as show_curves %}
{% from "shared/pictures.html.j2" import filmstrip, sheet %}
{% block script %}{% if strips %}{% include "shared/filmstrip.js.j2" %}{% endif %}{% endblock %}
{% block main %}
{% if history %}{{ show_curves(history) }}{% endif %}
{% for strip in strips %}{{ filmstrip(strip) }}{% endfor %}
{% if pictures %}{{ sheet(pictures) }}{% endif %}
{% endblock %}
"""


def noise(*shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape).astype(np.uint8)


def page(pictures=(), strips=(), history=(), **facts):
    """The text of a page."""
    facts = {"heading": f"a page {EVIL}", "note": QUOTES,
             "figures": [Figure("Colour", "98 %", EVIL)], "command": f"minidl draw '{EVIL}'",
             "settings": settings_table({"data_dir": QUOTES}), **facts}  # fmt: skip
    return environment().from_string(TEMPLATE).render(
        page=Page(**facts), pictures=pictures, strips=strips,
        history=curves(history) if history else None,
    )  # fmt: skip


def filmstrip(frames=8, pictures=1, title="The drawing"):
    """A filmstrip whose frame i is of one grey, 20 i."""
    return Filmstrip(title, [
        Frame(f"step {100 * i}",
              [Picture(np.full((48, 64), 20 * i, np.uint8), f"a flower {k}" if pictures > 1 else "",
                       alt=f"picture {k} at step {100 * i}") for k in range(pictures)],
              f"loss {1 / (i + 1):.2f}")
        for i in range(frames)
    ])  # fmt: skip


def captioned(n=12):
    """Pictures of several shapes, with short and long captions."""
    shapes = [(60, 90, 3), (90, 60, 3), (20, 20), (48, 48, 1), (30, 70, 4)]
    return [
        Picture(noise(*shapes[i % 5], seed=i), caption="a yellow flower " * (1 + i % 4),
                second=f"CIDEr-D {i / 10:.1f}", right=(None, True, False)[i % 3])
        for i in range(n)
    ]  # fmt: skip
