"""report.html in a real browser, offline: nothing missing, nothing loaded, nothing too wide."""

import re
import shutil

import pytest

from tests.apps.classify.made_up_report import DIGITS, EVIL, FLOWERS, WEIGHTS, page


@pytest.fixture(scope="module")
def browser():
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    chromium = chromium or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not chromium or not driver:
        pytest.skip("Chromium or chromedriver is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in (
        "headless=new", "no-sandbox", "disable-gpu", "disable-quic", "no-first-run",
        "disable-background-networking", "disable-component-update", "disable-sync",
    ):  # fmt: skip
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    driver.execute_cdp_cmd("Network.enable", {})
    driver.execute_cdp_cmd(
        "Network.emulateNetworkConditions",
        {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0},
    )
    yield driver
    driver.quit()


def show(browser, html, folder, width=1280, scheme="light"):
    """Open a page at a width in pixels, as a phone below 600, and forget what was logged."""
    (folder / "report.html").write_text(html, encoding="utf-8")
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600},
    )
    feature = {"name": "prefers-color-scheme", "value": scheme}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})
    browser.get_log("browser"), browser.get_log("performance")
    browser.get((folder / "report.html").as_uri())


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
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) == 0  # nothing to scroll sideways
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


# Pixels on the screen of every text in the page, the scale of charts included.
TEXT_SIZES = """
const sizes = [];
const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walk.nextNode()) {
  const e = walk.currentNode.parentElement;
  if (!walk.currentNode.data.trim() || !e.getClientRects().length) continue;
  const svg = e.closest('svg.chart');
  const scale = svg ? svg.getBoundingClientRect().width / svg.viewBox.baseVal.width : 1;
  sizes.push(parseFloat(getComputedStyle(e).fontSize) * scale + 1e-6);
}
return sizes;
"""

# Contrast between text and background of each cell of the matrix and each note.
CONTRASTS = """
const parse = c => c.match(/[\\d.]+/g).map(Number);
const behind = e => {
  let layers = [];
  for (; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
  let at = [255, 255, 255];
  for (const [r, g, b, a = 1] of layers.reverse())
    at = [r, g, b].map((v, i) => v * a + at[i] * (1 - a));
  return at;
};
const light = rgb => {
  const [r, g, b] = rgb.map(v => v / 255)
    .map(v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4);
  return .2126 * r + .7152 * g + .0722 * b;
};
const texts = document.querySelectorAll(
  '#confusion td, .note, th, dt, dd, figcaption, .from, .given span, .pair p, summary, .layers p');
return [...texts].map(e => {
  const a = light(parse(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e));
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
});
"""


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
    overflow = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert browser.execute_script(overflow) == 0
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
