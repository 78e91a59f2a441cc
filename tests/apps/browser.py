"""Pages in a real browser, offline."""

import shutil

import pytest


def open_browser():
    """A headless Chromium without network; skips the test where there is none."""
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
    return driver


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


# How far the page is wider than the window.
OVERFLOW = "return document.documentElement.scrollWidth - document.documentElement.clientWidth"

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
  '#confusion td, .note, th, dt, dd, figcaption, .from, .given span, .pair p, summary, ' +
  '.layers p, .legend li, .frame p, .frame p span, .slide span, .mark, .settings dd');
return [...texts].map(e => {
  const a = light(parse(getComputedStyle(e).color).slice(0, 3)), b = light(behind(e));
  return (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
});
"""
