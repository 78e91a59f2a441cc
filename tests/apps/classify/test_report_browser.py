"""report.html in a real browser, offline: nothing missing, nothing loaded, nothing too wide."""

import re

import pytest

from tests.apps.browser import CONTRASTS, OVERFLOW, TEXT_SIZES, show
from tests.apps.classify.made_up_report import DIGITS, EVIL, FLOWERS, WEIGHTS, page


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(
    "classes", [DIGITS, ["airplane", "automobile", EVIL, "a very long name of a class " * 3]],
    ids=["digits", "names"],
)  # fmt: skip
def test_page_in_the_browser(browser, tmp_path, classes, width, scheme):
    html, evaluation = page(classes, n=120, weights=WEIGHTS, better=1)
    show(browser, html, tmp_path, width, scheme)
    assert browser.get_log("browser") == []  # no error on the console
    requests = re.findall(r'"url":"([^"]{0,40})', " ".join(
        entry["message"] for entry in browser.get_log("performance")
        if '"Network.requestWillBeSent"' in entry["message"]
    ))  # fmt: skip
    assert all(url.startswith(("file:", "data:")) for url in requests)
    assert browser.title.startswith("lenet on <script>")  # the script was text, and did not run
    assert browser.execute_script(OVERFLOW) == 0  # nothing to scroll sideways
    sizes = browser.execute_script(TEXT_SIZES)
    assert sizes and min(sizes) >= 12, sorted(set(sizes))[:3]
    count = "return document.querySelectorAll(arguments[0]).length"
    assert browser.execute_script(count, "svg.chart") == 3
    assert browser.execute_script(count, "#confusion td") == len(classes) ** 2
    assert browser.execute_script(count, "#confusion tbody th[scope=row]") == len(classes)
    assert browser.execute_script(count, "#classes tbody tr") == len(classes)
    assert browser.execute_script(count, ".filters img") == 6
    assert browser.execute_script(count, ".maps img") == 6
    pairs = [count for _, _, count in evaluation.confused(9) if count > 1]
    assert pairs and browser.execute_script(count, "#pairs li") == len(pairs)
    broken = "return [...document.images].filter(i => !i.naturalWidth || !i.alt).length"
    assert browser.execute_script(broken) == 0
    assert min(browser.execute_script(CONTRASTS)) >= 4.5  # WCAG 2.1, 1.4.3


@pytest.mark.browser
def test_a_matrix_of_17_classes_is_seen_whole(browser, tmp_path):
    show(browser, page(FLOWERS, n=170)[0], tmp_path)
    hidden = "const s = document.querySelector('#confusion').parentElement;"
    assert browser.execute_script(f"{hidden} return s.scrollWidth - s.clientWidth") <= 0

    show(browser, page(FLOWERS, n=170)[0], tmp_path, width=390)  # names stay while it scrolls
    row, last = browser.execute_script(
        f"{hidden} s.scrollLeft = 9999; const r = s.querySelector('tbody tr');"
        "return [r.cells[0], r.cells[17]].map(cell => cell.getBoundingClientRect().right)"
    )
    assert 0 < row < last <= 390


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_pictures_of_a_pair_are_squares_of_one_size(browser, tmp_path, width):
    show(browser, page(FLOWERS, n=170, image_shape=(60, 90, 3), better=1)[0], tmp_path, width)
    sizes = browser.execute_script(
        "return [...document.querySelectorAll('.pair img')].map(i => [i.width, i.height])"
    )
    assert sizes and all(abs(w - h) <= 1 and w >= 40 for w, h in sizes)
    assert max(w for w, _ in sizes) - min(w for w, _ in sizes) <= 1


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_thousand_classes_in_the_browser(browser, tmp_path, width):
    names = [f"n{i:08} a long name of class {i}" for i in range(1000)]
    show(browser, page(names, n=2000)[0], tmp_path, width)
    assert browser.execute_script(OVERFLOW) == 0
    heights = browser.execute_script(
        "const d = [...document.querySelectorAll('details')].find(d => d.querySelector('.box'));"
        "const before = document.body.scrollHeight; d.open = true;"
        "return [before, document.body.scrollHeight]"
    )
    assert heights[0] < heights[1] < heights[0] + 600  # the long table scrolls in a box


@pytest.mark.browser
def test_pointing_at_a_curve_shows_its_values(browser, tmp_path):
    from selenium.webdriver.common.action_chains import ActionChains

    show(browser, page(DIGITS)[0], tmp_path)
    bands = browser.find_elements("css selector", "svg.chart .band")
    assert len(bands) == 3 * 12
    tip = bands[3].find_element("css selector", ".tip")
    visibility = "return getComputedStyle(arguments[0]).visibility"
    assert browser.execute_script(visibility, tip) == "hidden"
    target = bands[3].find_element("css selector", "rect")
    ActionChains(browser).move_to_element(target).perform()
    assert browser.execute_script(visibility, tip) == "visible"
    text = tip.find_element("css selector", "text").text
    assert text == "epoch 4 · training 0.5 · validation 0.525"


@pytest.mark.browser
def test_report_of_a_real_run(browser, trained, tmp_path):
    show(browser, (trained / "report.html").read_text(), tmp_path)
    assert browser.get_log("browser") == []
    text = browser.find_element("css selector", "body").text
    for expected in ("100.00", "61,111", "every test picture was recognised", "bottom", "cosine"):
        assert expected in text
