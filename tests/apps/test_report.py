"""report.html in a real browser, offline: nothing missing, nothing loaded, nothing too wide."""

import base64
import io
import re
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import minidl
from apps.classify.metrics import Evaluation
from apps.classify.report import render

EVIL = "<script>document.title = 'owned'</script>"
QUOTES = '"\' onmouseover="alert(1)" {{ 7 * 7 }} &amp;'


def page(classes, n=60, history=12, names=None, image_shape=(8, 8, 1)):
    """A report of made-up figures."""
    rng = np.random.default_rng(0)
    labels = np.arange(n) % len(classes)
    logits = rng.standard_normal((n, len(classes)))
    logits[np.arange(n), labels] += 2
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    dataset = SimpleNamespace(names=names)
    images = rng.integers(0, 256, (n, *image_shape)).astype(np.uint8)
    dataset = Items([(image, int(label)) for image, label in zip(images, labels)])
    dataset.names = names
    entries = [
        {"epoch": e, "loss": 2 / e, "accuracy": 1 - 0.9 / e, "val_loss": 2.1 / e,
         "val_accuracy": 0.99 - 0.9 / e, "lr": 0.05 / e}
        for e in range(1, history + 1)
    ]  # fmt: skip
    run = {
        "model": "lenet", "data": EVIL, "date": "2026-01-01 00:00 UTC", "seconds": 71.2,
        "epochs": history, "images_per_second": 5000.0, "parameters": 61706,
        "command": f"minidl train lenet --data '{EVIL}'", "curves_note": "Validation: some.",
        "settings": {"seed": 7, "data_dir": QUOTES, "preprocessing": [{"name": "Resize"}]},
        "versions": {"minidl": "0.1.0"},
    }  # fmt: skip
    evaluation = Evaluation(classes, labels, probabilities, 0.1234, 1.0)
    model = minidl.nn.Sequential(minidl.nn.Conv2d(image_shape[2], 6, 5))
    return render(run, entries, evaluation, dataset, model), evaluation


class Items(list):
    names = None


DIGITS = [str(i) for i in range(10)]


# --- the text of the page -----------------------------------------------------------------------


def test_user_texts_are_escaped():
    names = [f"{QUOTES} {i}.png" for i in range(60)]
    html, _ = page(["cat", EVIL, QUOTES], names=names)
    assert "<script" not in html and 'onmouseover="alert' not in html
    assert "&lt;script&gt;" in html and "{{ 7 * 7 }}" in html


def test_nothing_is_loaded():
    html, _ = page(DIGITS)
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "http://" not in html and "https://" not in html
    assert "default-src 'none'" in html


def test_pictures_are_those_of_the_mistakes():
    html, evaluation = page(DIGITS)
    wrong = evaluation.mistakes()[:24]
    images = re.findall(
        r'<img class="pixels" src="data:image/png;base64,([^"]+)" alt="\d, taken', html
    )
    assert len(images) == len(wrong)
    shown = np.asarray(Image.open(io.BytesIO(base64.b64decode(images[0]))))
    rng = np.random.default_rng(0)
    rng.standard_normal((60, 10))
    expected = rng.integers(0, 256, (60, 8, 8, 1)).astype(np.uint8)[wrong[0], :, :, 0]
    np.testing.assert_array_equal(shown, expected)


def test_large_pictures_become_thumbnails():
    html, _ = page(["a", "b", "c"], image_shape=(300, 500, 3))
    uris = re.findall(r'src="data:image/jpeg;base64,([^"]+)" alt="\w, taken', html)
    assert Image.open(io.BytesIO(base64.b64decode(uris[0]))).size == (160, 96)


def test_many_classes_are_a_list_of_pairs():
    html, evaluation = page([f"class {i}" for i in range(60)], n=240)
    assert "too many for a matrix" in html
    assert html.count("<td>class ") == len(evaluation.confused_pairs(20))


def test_no_mistake_and_one_epoch():
    rng = np.random.default_rng(0)
    html, _ = page(["a", "b"], n=1, history=1)
    assert "<svg" in html and rng is not None
    assert "every test picture was recognised" in html or "taken for" in html


# --- in Chromium --------------------------------------------------------------------------------


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
    show(browser, page(classes)[0], tmp_path, width, scheme)
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
const texts = document.querySelectorAll('#confusion td, .note, th, dt, dd, figcaption, .from');
return [...texts].map(e => {
  const a = light(parse(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e));
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
});
"""


FLOWERS = [f"{name} of the meadow" for name in "abcdefghijklmnopq"]


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
