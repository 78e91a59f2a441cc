"""`minidl style super-resolution` from file to file."""

import signal

import numpy as np
import pytest
from PIL import Image

from apps.shared.photo import psnr
from apps.style import needs
from apps.style.super_resolution import mrf, search
from apps.style.super_resolution.examples import examples_for
from apps.style.super_resolution.report import most_different
from apps.style.super_resolution.settings import Settings
from tests.apps.conftest import last_json, minidl
from tests.apps.style.super_resolution.test_mrf import picture


def save(path, pixels):
    Image.fromarray(np.round(np.asarray(pixels) * 255).astype(np.uint8)).save(path)
    return path


def enlarged(*arguments):
    result = minidl("style", "super-resolution", *arguments, "--json")
    assert result.exit_code == 0, result.output
    return last_json(result.stdout)


def test_progress_counts_all_patches():
    settings = Settings(scale=4)
    pixels = np.repeat(picture((19, 23))[..., None], 3, 2)
    enlargement, told = mrf.Enlargement(pixels, examples_for(pixels, settings), settings), [0]
    while enlargement.step():
        told.append(enlargement.done)
    assert told == sorted(set(told)) and told[-1] == enlargement.total
    assert enlargement.total == mrf.count_places((19, 23), 4)


def refused(*arguments):
    result = minidl("style", "super-resolution", *arguments)
    assert result.exit_code == 2, result.output
    return result.output


@pytest.fixture
def photo(tmp_path):
    grey = picture((41, 36))
    return save(tmp_path / "photo.png", np.dstack([0.2 + 0.6 * grey, 0.3 + 0.5 * grey, grey / 2]))


@pytest.mark.parametrize("scale", [2, 4])
def test_larger_by_its_own_patches(scale, photo, tmp_path):
    out = tmp_path / "out.png"
    figures = enlarged(photo, "-o", out, "--scale", scale)
    image = np.asarray(Image.open(out))
    assert image.shape == (41 * scale, 36 * scale, 3) and figures["size"] == [*image.shape[:2]]
    small = np.asarray(Image.open(out).resize((36, 41), Image.Resampling.BICUBIC), np.float32)
    given = np.asarray(Image.open(photo), np.float32)
    assert np.abs(small - given).mean() < 4  # of 255: it is still the same picture


def test_examples_from_a_folder_and_a_comparison(tmp_path):
    folder = tmp_path / "examples"
    folder.mkdir()
    for seed in range(3):
        save(folder / f"{seed}.png", picture((80, 90), seed))
    photo, out = save(tmp_path / "photo.png", picture((81, 90), 7)), tmp_path / "out.png"
    figures = enlarged(photo, "-o", out, "--examples", folder, "--test")
    assert np.asarray(Image.open(out)).shape == (80, 90, 3)
    truth = np.asarray(Image.open(photo).convert("RGB"))[:80] / 255
    ours = np.asarray(Image.open(out)) / 255
    assert figures["psnr"] == pytest.approx(psnr(ours, truth), abs=0.05)
    assert figures["psnr"] > figures["psnr_cubic"] + 2 > 22


def test_the_same_bits_again(photo, tmp_path):
    files = [tmp_path / name for name in ("a.png", "b.png")]
    for file in files:
        enlarged(photo, "-o", file, "--most-examples", 500, "--seed", 5)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_refuses(photo, tmp_path, monkeypatch):
    out = tmp_path / "out.png"
    tiny = save(tmp_path / "tiny.png", picture((8, 8)))
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "at least 14 pixels" in refused(tiny, "-o", out)
    assert "no pictures" in refused(photo, "-o", out, "--examples", empty)
    assert "no such scale" in refused(photo, "-o", out, "--scale", 3)
    assert "needs a --model" in refused(photo, "-o", out, "--method", "fast")
    assert "belongs to --method mrf" in refused(
        photo, "-o", out, "--method", "fast", "--candidates", 3
    )
    said = refused(photo, "-o", out, "--candidates", 1, "--agreement", 2)
    assert "--agreement does nothing" in said
    assert "no.png" in refused(tmp_path / "no.png", "-o", out)
    assert "belongs to --method mrf" in refused(photo, "-o", out, "--method", "fast", "--seed", 3)
    monkeypatch.setattr(needs, "free_megabytes", lambda: 1.0)
    assert "more memory than there is" in refused(photo, "-o", out)
    assert not out.exists()


# --- interrupted and resumed, report ------------------------------------------------------------


@pytest.fixture
def chunks_of_50(monkeypatch):
    monkeypatch.setattr(search, "CHUNK", 50)


def stop_after(monkeypatch, steps):
    """Ctrl-C once so many steps are made."""
    step, count = mrf.Enlargement.step, [0]

    def pressed(self):
        count[0] += 1
        if count[0] == steps:
            signal.raise_signal(signal.SIGINT)
        return step(self)

    monkeypatch.setattr(mrf.Enlargement, "step", pressed)


@pytest.mark.parametrize("steps", [3, 9, 20])
def test_an_interrupted_picture_goes_on_to_the_same_bits(
    steps, photo, tmp_path, monkeypatch, chunks_of_50
):
    """4 times as large: the first doubling has 9 steps, its last one ends it."""
    whole, part = tmp_path / "whole.png", tmp_path / "part.png"
    options = ("--scale", 4, "--most-examples", 800)
    expected = enlarged(photo, "-o", whole, *options)
    assert expected["interrupted"] is False
    with monkeypatch.context() as patch:
        stop_after(patch, steps)
        result = minidl("style", "super-resolution", photo, "-o", part, *options, "--json")
    assert result.exit_code == 130 and last_json(result.stdout)["interrupted"]
    state = tmp_path / "part.png.resume.safetensors"
    assert state.exists() and Image.open(part).size == Image.open(whole).size
    assert part.read_bytes() != whole.read_bytes()
    assert "unfinished run" in refused(photo, "-o", part, *options)
    assert "another value of --seed" in refused(
        photo, "-o", part, *options, "--seed", 2, "--resume"
    )
    other = save(tmp_path / "other.png", picture((41, 36), 5))
    assert "read other pictures" in refused(other, "-o", part, *options, "--resume")
    enlarged(photo, "-o", part, *options, "--resume")
    assert part.read_bytes() == whole.read_bytes() and not state.exists()
    page = (tmp_path / "part.html").read_text()
    assert "made since the run was resumed" in page or steps == 20


def test_an_interrupted_picture_has_the_detail_that_was_found(photo):
    """Rows of places that are found are those of the whole picture, but for their last ones, which
    do not know their neighbours yet; below is interpolation."""
    pixels, settings = np.asarray(Image.open(photo), np.float32) / 255, Settings(agreement=0.0)
    pairs = examples_for(pixels, settings)
    whole, part = (mrf.Doubling(pixels[..., 0], pairs, 4, 0.0) for _ in range(2))
    while not whole.is_searched:
        whole.search()
    part.found = 5 * part.columns + 3
    part.numbers[: part.found] = whole.numbers[: part.found]
    part.distances[: part.found] = whole.distances[: part.found]
    made, complete = part.made(), whole.made()
    np.testing.assert_array_equal(made[:20], complete[:20])
    np.testing.assert_array_equal(made[21:], part.enlarged[21:])
    assert np.abs(complete[21:] - part.enlarged[21:]).max() > 0.01


def test_the_report(photo, tmp_path):
    figures = enlarged(photo, "-o", tmp_path / "out.png", "--test")
    page = (tmp_path / "out.html").read_text()
    assert figures["report"] == str(tmp_path / "out.html")
    for words in ("Twice as large", "what it was", "cubic interpolation", "PSNR"):
        assert words in page
    assert "there already" in refused(photo, "-o", tmp_path / "out.png")


def test_a_detail_is_where_pictures_differ():
    a = np.zeros((400, 300, 3), np.float32)
    b = a.copy()
    b[330:340, 30:50] = 1
    y, x = most_different(a, b)
    assert 180 <= y <= 330 and 0 <= x <= 30
    assert most_different(a[:20, :30], b[:20, :30]) == (0, 0)
