"""`minidl style super-resolution` from file to file."""

import numpy as np
import pytest
from PIL import Image

from apps.style.super_resolution import enlarge, mrf
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
    examples, told = mrf.examples_for(pixels, settings), []
    mrf.enlarged(pixels, examples, settings, lambda done, total: told.append((done, total)))
    assert told == sorted(told) and told[-1][0] == told[-1][1] == mrf.count_places((19, 23), 4)


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
    assert figures["psnr"] == pytest.approx(enlarge.psnr(ours, truth), abs=0.05)
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
    assert "no.png" in refused(tmp_path / "no.png", "-o", out)
    assert "belongs to --method mrf" in refused(photo, "-o", out, "--method", "fast", "--seed", 3)
    monkeypatch.setattr(enlarge, "free_megabytes", lambda: 1.0)
    assert "more memory than there is" in refused(photo, "-o", out)
    assert not out.exists()
