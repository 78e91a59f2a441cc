"""Filmstrips, sheets and charts in a real browser, offline."""

import pytest

from apps.shared.pictures import Filmstrip, Frame, Picture
from tests.apps.browser import CONTRASTS, OVERFLOW, TEXT_SIZES, show
from tests.apps.shared.made_up_page import EVIL, QUOTES, captioned, filmstrip, noise, page

VISIBLE = """
return [...document.querySelectorAll('.frame')]
  .flatMap((f, i) => getComputedStyle(f).visibility === 'visible' ? [i] : []);
"""
BOXES = """
return [...document.querySelectorAll(arguments[0])].map(e => {
  const { x, y, width, height } = e.getBoundingClientRect();
  return [x, y, width, height].map(Math.round);
});
"""
HISTORY = [
    {"epoch": e, "generator_loss": 2 / e, "discriminator_loss": 1 - 0.5 / e,
     "val_generator_loss": 2.2 / e, "real_accuracy": 0.5, "lr": 2e-4 / e}
    for e in range(1, 41)
]  # fmt: skip


def slider(browser):
    return browser.find_element("css selector", ".filmstrip input")


@pytest.mark.browser
def test_the_keyboard_moves_the_slider_and_changes_the_frame(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    show(browser, page(strips=[filmstrip(8)]), tmp_path)
    assert browser.get_log("browser") == []  # the policy let the script run
    assert browser.execute_script(VISIBLE) == [7]  # the last frame is shown first
    browser.find_element("css selector", "body").send_keys(Keys.TAB)
    while browser.switch_to.active_element != slider(browser):  # past what else has the focus
        browser.switch_to.active_element.send_keys(Keys.TAB)
    for key, frame in ((Keys.ARROW_LEFT, 6), (Keys.ARROW_LEFT, 5), (Keys.HOME, 0),
                       (Keys.ARROW_LEFT, 0), (Keys.ARROW_RIGHT, 1), (Keys.END, 7)):  # fmt: skip
        slider(browser).send_keys(key)
        assert browser.execute_script(VISIBLE) == [frame]
        text = browser.find_element("css selector", ".frame.now p").text
        assert text.startswith(f"step {100 * frame} ")
        assert slider(browser).get_attribute("aria-valuetext") == text
    assert slider(browser).accessible_name == "The drawing: frame"
    assert slider(browser).aria_role == "slider"


@pytest.mark.browser
def test_frames_take_one_place(browser, tmp_path):
    show(browser, page(strips=[filmstrip(8)]), tmp_path)
    boxes = browser.execute_script(BOXES, ".frame > img")
    assert len(boxes) == 8 and all(box == boxes[0] for box in boxes) and boxes[0][2] > 300


@pytest.mark.browser
def test_two_strips_move_apart(browser, tmp_path):
    from selenium.webdriver.common.keys import Keys

    show(browser, page(strips=[filmstrip(3), filmstrip(4, pictures=3)]), tmp_path)
    slider(browser).send_keys(Keys.HOME)
    assert browser.execute_script(VISIBLE) == [0, 3 + 3]


@pytest.mark.browser
def test_without_the_script_the_frames_stand_side_by_side(browser, tmp_path):
    html = page(strips=[filmstrip(8)]).replace("<script>", "<script>// changed, so forbidden\n")
    show(browser, html, tmp_path)
    (said,) = browser.get_log("browser")
    assert "Content Security Policy" in said["message"]
    assert browser.execute_script(VISIBLE) == list(range(8))
    boxes = browser.execute_script(BOXES, ".frame")
    assert len({y for _, y, _, _ in boxes}) == 1
    assert all(a[0] + a[2] <= b[0] for a, b in zip(boxes, boxes[1:]))
    assert not slider(browser).is_displayed() and browser.execute_script(OVERFLOW) == 0


@pytest.mark.browser
@pytest.mark.parametrize("width, columns", [(1280, 6), (390, 2)])
def test_a_sheet_has_equal_cells_that_wrap(browser, tmp_path, width, columns):
    show(browser, page(captioned(12)), tmp_path, width)
    cells = browser.execute_script(BOXES, ".sheet li")
    assert len({x for x, _, _, _ in cells}) == columns
    assert len({w for _, _, w, _ in cells}) <= 2 and max(w for _, _, w, _ in cells) <= 220
    for at in range(0, 12, columns):  # a row
        row = cells[at : at + columns]
        assert len({(y, h) for _, y, _, h in row}) == 1
    images = browser.execute_script(BOXES, ".sheet img")
    assert all(abs(w - h) <= 1 and w >= 100 for _, _, w, h in images)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_everything_is_readable(browser, tmp_path, width, scheme):
    word = Picture(noise(8, 8), "Donaudampfschiff" * 8, QUOTES, right=True)
    long = [word, Picture(noise(8, 8), EVIL)]
    strip = Filmstrip(EVIL, [Frame(EVIL, long, "x" * 200), Frame("step 2", long)])
    html = page(captioned(5) + long, [filmstrip(3), strip], HISTORY)
    show(browser, html, tmp_path, width, scheme)
    assert browser.get_log("browser") == [] and browser.title.startswith("a page </script>")
    assert browser.execute_script(OVERFLOW) == 0
    assert min(browser.execute_script(TEXT_SIZES)) >= 12
    assert min(browser.execute_script(CONTRASTS)) >= 4.5
    broken = "return [...document.images].filter(i => !i.naturalWidth || !i.alt).length"
    assert browser.execute_script(broken) == 0


@pytest.mark.browser
def test_pointing_at_several_curves_shows_a_box_inside_the_chart(browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains

    show(browser, page(history=HISTORY), tmp_path)
    chart = browser.find_elements("css selector", "svg.chart")[0]
    for at in (0, 20, 39):
        band = chart.find_elements("css selector", ".band")[at]
        ActionChains(browser).move_to_element(band.find_element("css selector", "rect")).perform()
        box, plot = band.find_element("css selector", ".box"), chart.rect
        assert box.is_displayed()
        inside = plot["x"] <= box.rect["x"]
        inside &= box.rect["x"] + box.rect["width"] <= plot["x"] + plot["width"]
        text = band.find_element("css selector", ".tip text")
        assert inside and text.rect["width"] < box.rect["width"]
        assert f"epoch {at + 1}" in text.text and "generator (validation)" in text.text
