"""Pictures of a page: data URIs, sheets with captions, filmstrips."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from apps.shared.pictures import Filmstrip, Frame, Picture, filter_images, picture_uri
from tests.apps.shared.made_up_page import EVIL, QUOTES, captioned, filmstrip, noise, page


def decoded(uri):
    head, content = uri.split(",")
    return head, Image.open(io.BytesIO(base64.b64decode(content)))


def test_a_sheet_says_what_is_on_its_pictures():
    html = page(captioned(4))
    sheet = html.split('<ul class="sheet">')[1].split("</ul>")[0]
    cells = sheet.split("<li ")[1:]
    assert len(cells) == 4
    for cell, picture in zip(cells, captioned(4)):
        assert f'alt="{picture.caption}"' in cell and f"<figcaption>{picture.caption}" in cell
        assert f'<span class="from">{picture.second}</span>' in cell
        assert picture.uri in cell
    marks = [("✓ right" in cell, "✗ wrong" in cell) for cell in cells]
    assert marks == [(False, False), (True, False), (False, True), (False, False)]
    assert cells[1].startswith('class="card right"') and cells[2].startswith('class="card wrong"')


def test_pictures_without_captions_have_no_empty_ones():
    html = page([Picture(noise(8, 8), alt="noise")])
    assert 'alt="noise"' in html and "figcaption>" not in html


def test_captions_are_escaped():
    pictures = [Picture(noise(8, 8), EVIL, QUOTES, alt=QUOTES)]
    html = page(pictures, [Filmstrip(EVIL, [Frame(EVIL, pictures, QUOTES)] * 2)])
    assert html.count("<script") == 1 and "owned'</script>" not in html
    assert 'onmouseover="alert' not in html and "{{ 7 * 7 }}" in html


def test_a_filmstrip_has_a_labelled_slider_over_all_frames():
    html = page(strips=[filmstrip(8)])
    (slider,) = re.findall("<input [^>]+>", html)
    for attribute in ('type="range"', 'min="0"', 'max="7"', 'value="7"',
                      'aria-label="The drawing: frame"'):  # fmt: skip
        assert attribute in slider
    assert html.count('class="frame"') == 8 and "<b>step 700</b> <span>loss 0.12</span>" in html
    frames = re.findall(r'src="(data:image/[^"]+)" alt="picture 0 at step', html)
    assert [np.asarray(decoded(uri)[1])[0, 0] for uri in frames] == [20 * i for i in range(8)]


def test_one_frame_needs_no_slider():
    html = page(strips=[filmstrip(1)])
    assert "<input" not in html and html.count('class="frame"') == 1


def test_frames_may_be_sheets():
    html = page(strips=[filmstrip(3, pictures=4)])
    assert html.count('<ul class="sheet">') == 3 and html.count("<figcaption>a flower 2") == 3
    assert 'class="filmstrip card"' in html  # has the whole width
    assert 'class="filmstrip card single"' in page(strips=[filmstrip(3)])


def test_transparent_pictures_stay_so():
    head, shown = decoded(picture_uri(noise(50, 60, 4)))
    assert head == "data:image/png;base64" and shown.mode == "RGBA"


def test_how_large_and_how_exact_is_the_pictures_own():
    photo = noise(300, 600, 3)
    assert decoded(Picture(photo).uri)[1].size == (160, 80)
    head, shown = decoded(Picture(photo, at_most=512).uri)
    assert shown.size == (512, 256) and "jpeg" in head
    head, shown = decoded(Picture(photo[:50, :50], exact=True).uri)
    assert "png" in head and Picture(photo, exact=True).pixelated
    np.testing.assert_array_equal(np.asarray(shown), photo[:50, :50])


def test_filters_keep_zero_grey_and_sign():
    weight = np.zeros((2, 1, 3, 3), np.float32)
    weight[0, 0, 0, 0], weight[0, 0, 2, 2] = -2, 1
    first, zero = filter_images(weight)
    assert first[0, 0] == 0 and first[2, 2] == 191 and first[1, 1] == 128
    assert (zero == 128).all()
    assert filter_images(np.ones((3, 3, 5, 5), np.float32), at_most=2)[0].shape == (5, 5, 3)


@pytest.mark.parametrize("shape, kind, size", [((8, 40, 1), "png", (40, 8)),
                                               ((41, 20, 3), "jpeg", (20, 41)),
                                               ((200, 400, 1), "jpeg", (160, 80))])  # fmt: skip
def test_small_pictures_stay_exact(shape, kind, size):
    image = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    head, content = picture_uri(image).split(",")
    assert head == f"data:image/{kind};base64"
    shown = Image.open(io.BytesIO(base64.b64decode(content)))
    assert shown.size == size
    if kind == "png":
        np.testing.assert_array_equal(np.asarray(shown), image[:, :, 0])
