"""The picture of README's section on neural style."""

from pathlib import Path

import numpy as np

from apps.shared.photo import Photo
from benchmarks.style.readme import composed, pictures_of
from benchmarks.style.sheets import LARGEST, save_small, wheel

README = Path(__file__).parents[2] / "README.md"


def test_it_is_made_of_the_pictures_of_the_command_there():
    content, style = pictures_of(README.read_text())
    assert Path(wheel(content)).is_file() and Path(wheel(style)).is_file()


def test_content_and_style_stand_beside_the_result():
    photos = [Photo(np.full((*size, 3), grey, np.float32))
              for size, grey in (((60, 90), 0.2), ((50, 40), 0.4), ((120, 180), 0.6))]  # fmt: skip
    sheet = np.asarray(composed(*photos))
    assert sheet.shape == (300, 219 + 8 + 450, 3)
    assert [sheet[y, x, 0] for y, x in ((40, 50), (250, 50), (150, 400))] == [51, 102, 153]
    assert (sheet[:, 219:227] == 255).all() and (sheet[146:154, :219] == 255).all()


def test_a_picture_stays_small(tmp_path):
    from PIL import Image

    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3)).astype(np.uint8)
    save_small(Image.fromarray(noise), tmp_path / "made" / "noise.jpg")
    assert 20_000 < (tmp_path / "made" / "noise.jpg").stat().st_size <= LARGEST
