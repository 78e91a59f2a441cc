"""The text of report.html: what it says, that it is safe, and that it stays small."""

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from apps.classify.report.weights import sentences
from tests.apps.classify.made_up_report import DIGITS, EVIL, QUOTES, WEIGHTS, page


def pictures(html, alt=""):
    """The pictures whose description has this text, decoded, in order."""
    found = re.findall(r'src="data:image/\w+;base64,([^"]+)" alt="([^"]*)"', html)
    chosen = [content for content, description in found if alt in description]
    return [Image.open(io.BytesIO(base64.b64decode(content))) for content in chosen]


def section(html, heading):
    """What is between a heading and the next."""
    return html.split(f"<h2>{heading}</h2>")[1].split("<h2>")[0]


def made_up_images(n, classes, shape):
    """The pictures that page() makes."""
    rng = np.random.default_rng(0)
    rng.standard_normal((n, classes))
    return rng.integers(0, 256, (n, *shape)).astype(np.uint8)


def test_user_texts_are_escaped():
    names = [f"{QUOTES} {i}.png" for i in range(60)]
    html, _ = page(["cat", EVIL, QUOTES], names=names, weights=WEIGHTS, better=0)
    assert "<script" not in html and 'onmouseover="alert' not in html
    assert "&lt;script&gt;" in html and "{{ 7 * 7 }}" in html


def test_nothing_is_loaded():
    html, _ = page(DIGITS, weights=WEIGHTS)
    addresses = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", html)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "http://" not in html and "https://" not in html
    assert "default-src 'none'" in html


def test_pictures_are_those_of_the_mistakes():
    html, evaluation = page(DIGITS)
    wrong = evaluation.mistakes()[:24]
    shown = pictures(section(html, "Worst mistakes"), "taken for")
    images = made_up_images(60, 10, (8, 8, 1))
    assert len(shown) == len(wrong) > 3
    for picture, index in zip(shown, wrong):
        np.testing.assert_array_equal(np.asarray(picture), images[index, :, :, 0])


def test_confused_pairs_show_their_pictures():
    html, evaluation = page(DIGITS, n=600, better=1)
    text, images = section(html, "Most confused pairs"), made_up_images(600, 10, (8, 8, 1))
    cards = text.split("<li ")[1:]
    assert len(cards) == 9
    for card, (true, predicted, count) in zip(cards, evaluation.confused(9)):
        assert f"<b>{true}</b> taken for <b>{predicted}</b>: {count} of 60" in card
        wrong = evaluation.examples(true, predicted, 4)
        right = evaluation.examples(predicted, predicted, 1)
        for index in wrong:
            assert evaluation.labels[index] == true and evaluation.predicted[index] == predicted
        expected = images[[*wrong, *right], :, :, 0]
        np.testing.assert_array_equal(np.stack(pictures(card)), expected)


def test_pairs_that_were_confused_once_are_no_pairs():
    html, evaluation = page(DIGITS, n=20, better=1)
    assert len(evaluation.mistakes()) > 0 and evaluation.confused(1)[0][2] == 1
    assert "Most confused pairs" not in html


def test_feature_maps_are_those_of_a_recognised_picture():
    html, evaluation = page(DIGITS)
    text = section(html, "One picture on its way through the network")
    images = made_up_images(60, 10, (8, 8, 1))
    first = int(np.flatnonzero(evaluation.predicted == evaluation.labels)[0])
    (seen,) = pictures(text, "as the network gets it")
    np.testing.assert_array_equal(np.asarray(seen), images[first, :, :, 0])
    assert f"<b>{evaluation.classes[evaluation.labels[first]]}</b>, recognised" in text
    maps = pictures(text, "channel")
    assert len(maps) == 6 and all(one.size == (4, 4) for one in maps)
    assert "<b>1</b> <span>6 × 4 × 4 · all 6</span>" in text


def test_large_pictures_become_thumbnails():
    html, _ = page(["a", "b", "c"], image_shape=(300, 500, 3))
    shown = pictures(section(html, "Worst mistakes"))
    assert shown and all(picture.size == (160, 96) for picture in shown)


def test_a_page_of_photographs_stays_below_2_megabytes():
    """Noise is the worst case for JPEG."""
    html, evaluation = page(DIGITS, n=600, image_shape=(224, 224, 3), better=1)
    assert len(pictures(html, "taken for")) == 24 + 9 * 4
    assert len(html) < 2e6


def test_many_classes_are_a_list_of_pairs():
    html, evaluation = page([f"class {i}" for i in range(60)], n=240)
    assert "too many for a matrix" in html
    assert html.count("<td>class ") == len(evaluation.confused_pairs(20))


def test_a_thousand_classes():
    """The hardest are listed; all of them are folded away."""
    html, evaluation = page([f"class {i}" for i in range(1000)], n=2000)
    listed, folded = section(html, "Each class").split("<details>")
    rows = re.findall(r'<th scope="row">(class \d+)</th>', listed)
    assert rows == [row["name"] for row in evaluation.hardest(20)]
    assert len(re.findall(r'<th scope="row">class \d+</th>', folded)) == 1000
    assert "All 1,000 classes" in folded and len(html) < 1e6


def test_top_5_is_shown_where_it_says_something():
    html, evaluation = page(DIGITS)
    assert f"{100 * evaluation.top(5):.2f}\u00a0%" in html and "top-5" in html
    assert "top-5" not in page(["a", "b", "c"])[0]


@pytest.mark.parametrize(
    "tested, stopped, epochs, time",
    [
        (12, None, "5,000 pictures per second", "with evaluation"),
        (4, None, "tested: that of epoch 4", "with evaluation, 5,000 pictures per second"),
        (4, "8 epochs without", "stopped early, tested: that of epoch 4", "with evaluation, 5,000"),
        (12, "8 epochs without", "stopped early", "with evaluation, 5,000 pictures per second"),
    ],
)
def test_the_number_of_epochs_says_which_was_tested(tested, stopped, epochs, time):
    html, _ = page(DIGITS, tested_epoch=tested, stopped_early=stopped)
    cards = re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd><dd class=\"more\">([^<]+)</dd>", html)
    notes = {what: note for what, _, note in cards}
    assert notes["Epochs"] == epochs and notes["Time"].startswith(time)


def test_what_became_of_the_weights():
    assert "<h2>Weights</h2>" not in page(DIGITS)[0]
    html, _ = page(DIGITS, weights=WEIGHTS)
    text = section(html, "Weights")
    counts = re.findall(r"<dt>([^<]+)</dt><dd>([^<]+)</dd>", text)
    assert counts == [("Loaded", "30"), ("Initialised afresh", "1"), ("Unused", "1"),
                      ("Frozen", "1")]  # fmt: skip
    for row in ("features.conv7.weight", "64 × 3 × 3 × 3", "the file has 1000 rows", "mean_file",
                "Some layers keep theirs", "The padding differs.", "names: Caffe"):  # fmt: skip
        assert row in text
    assert "0 trained" in html  # of the parameters: all are frozen here
    assert "features=0.1" in section(html, "Settings")


def test_a_network_tested_as_it_was_before_unfreezing():
    run = {"settings": {"mode": "frozen", "unfreeze_after": 2}, "epochs": 5}
    for tested, said in ((2, True), (3, False)):
        text = " ".join(sentences(run | {"tested_epoch": tested}, {}, thawed=True))
        assert "kept theirs for 2 epochs" in text
        assert ("The tested network, that of epoch 2, still has them." in text) == said


@pytest.mark.parametrize("better, says", [(50, "every test picture was recognised"),
                                          (-50, "taken for")])  # fmt: skip
def test_one_picture_and_one_epoch(better, says):
    html, _ = page(["a", "b"], n=1, history=1, better=better)
    assert "<svg" in html and says in html
