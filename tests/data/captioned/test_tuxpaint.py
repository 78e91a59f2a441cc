"""The stamps of Tux Paint: those that are installed, and made-up ones."""

import io
import unicodedata

import numpy as np
import pytest
from PIL import Image

from minidl.data import open_captioned, tokenize
from minidl.data.captioned import check_captioned, tuxpaint
from minidl.data.captioned.dataset import on_white_square
from minidl.errors import DataError
from tests.data.captioned.make import picture
from tests.data.make import pixels, png, write


def stamps(folder, **texts):
    """A folder `stamps` with a picture and a text each, and a folder for data_dir to name."""
    for seed, (name, text) in enumerate(texts.items()):
        write(folder / f"stamps/animals/{name}.png", picture(seed))
        if text is not None:
            write(folder / f"stamps/animals/{name}.txt", text)
    return folder


def opened(folder, split="train", **options):
    return open_captioned("tuxpaint", split, data_dir=folder, **options)


def everything(folder):
    """Name -> captions in both parts."""
    parts = [opened(folder, split) for split in ("train", "test")]
    return {n: c for part in parts for n, c in zip(part.names, part.captions)}


def test_the_first_line_is_the_caption(tmp_path):
    text = "A cardinal. \nde.utf8=Ein Kardinal.\nfr.utf8=Un cardinal.\n"
    stamps(tmp_path, cardinal=text, robin="A robin.\r\n", owl="An owl")
    assert everything(tmp_path) == {
        "animals/cardinal.png": ["A cardinal."], "animals/robin.png": ["A robin."],
        "animals/owl.png": ["An owl"],
    }  # fmt: skip
    assert opened(tmp_path).classes is None


def test_stamps_are_seen_whole_on_a_white_square(tmp_path):
    pencil = np.zeros((10, 40, 4), np.uint8)
    pencil[2:8, :30] = [200, 100, 0, 255]
    content = png(pencil)
    for i in range(2):
        write(tmp_path / f"stamps/{i}.png", content)
        write(tmp_path / f"stamps/{i}.txt", f"Pencil {i}.")
    seen = opened(tmp_path).picture(0)
    assert seen.shape == (40, 40, 3)
    assert (seen[17:23, :30] == [200, 100, 0]).all()
    seen[17:23, :30] = 255
    assert (seen == 255).all()
    small = opened(tmp_path, size=20)
    assert small.subset([0]).pictures.shape == (1, 20, 20, 3)
    assert small.pictures[0, 10, 0, 2] < 60 and small.pictures[0, :6].min() == 255
    subset = opened(tmp_path).subset([0])
    assert subset.picture(0).shape == (40, 40, 3)


@pytest.mark.parametrize("shape, top, left", [((3, 6), 1, 0), ((6, 3), 0, 1), ((4, 4), 0, 0)])
def test_the_square_around_a_picture(shape, top, left):
    image = pixels(*shape, 3) // 2
    square = on_white_square(image)
    assert square.shape == (max(shape), max(shape), 3)
    height, width = shape
    assert (square[top : top + height, left : left + width] == image).all()
    assert (square == 255).all(-1).sum() == max(shape) ** 2 - height * width


@pytest.mark.parametrize(
    "kind", ["alpha", "grey and alpha", "palette", "transparent palette", "16"]
)
def test_pictures_of_all_kinds_are_laid_on_white(tmp_path, kind):
    """A square of which the left half is nearly black, and the right half transparent or white."""
    grey = np.full((12, 12), 255, np.uint8)
    grey[:, :6] = 8
    alpha = np.where(grey == 8, 255, 0).astype(np.uint8)
    stream = io.BytesIO()
    if kind == "alpha":
        Image.fromarray(np.stack([grey * (grey == 8)] * 3 + [alpha], -1)).save(stream, "PNG")
    elif kind == "grey and alpha":
        Image.merge("LA", [Image.fromarray(grey * (grey == 8)), Image.fromarray(alpha)]).save(
            stream, "PNG"
        )
    elif kind == "16":
        Image.fromarray(grey.astype(np.uint16) * 257).save(stream, "PNG")
    else:
        image = Image.fromarray((grey != 8).astype(np.uint8)).convert("P")
        other = 255 if kind == "palette" else 0
        image.putpalette([8, 8, 8, other, other, other])
        image.save(stream, "PNG", **({} if kind == "palette" else {"transparency": 1}))
    for i in range(2):
        write(tmp_path / f"stamps/{i}.png", stream.getvalue())
        write(tmp_path / f"stamps/{i}.txt", f"Half {i}.")
    seen = opened(tmp_path).picture(0)
    assert seen.shape == (12, 12, 3) and seen.dtype == np.uint8
    assert (seen[:, :6] == 8).all() and (seen[:, 6:] == 255).all()


def test_what_is_left_out_is_said(tmp_path):
    stamps(tmp_path, cardinal="A cardinal.", owl="An owl.", owl_mirror=None, mute="",
           lost="de.utf8=Verloren.\nfr.utf8=Perdu.\n", blank=" \nde.utf8=Leer.")  # fmt: skip
    for name in ("drawn.svg", "cardinal.svg", "cardinal.ogg", "owl.dat"):
        write(tmp_path / "stamps/animals" / name, b"<svg/>")
    write(tmp_path / "stamps/animals/drawn.txt", "A drawing.")
    assert set(everything(tmp_path)) == {"animals/cardinal.png", "animals/owl.png"}
    findings = {finding.kind: list(finding.names) for finding in opened(tmp_path).findings}
    assert findings["SVG"] == ["animals/drawn.svg"]
    assert findings["no text file"] == ["animals/owl_mirror.png"]
    mute = ["animals/blank.png", "animals/lost.png", "animals/mute.png"]
    assert findings["empty captions"] == findings["no captions"] == mute
    assert not check_captioned("tuxpaint", tmp_path).serious


@pytest.mark.parametrize("form", ["NFC", "NFD"])
def test_names_with_accents(tmp_path, form):
    name = unicodedata.normalize(form, "Bébé 鳥")
    stamps(tmp_path, **{name: "A baby bird.", "owl": "An owl."})
    assert f"animals/{name}.png" in everything(tmp_path)


def test_damaged_stamps(tmp_path):
    stamps(tmp_path, a="A bird.", b=b"\xff\xfeA\0")
    with pytest.raises(DataError, match=r"not UTF-8(?s:.*)b\.txt"):
        opened(tmp_path)
    write(tmp_path / "stamps/animals/b.txt", "A bee.")
    write(tmp_path / "stamps/animals/a.png", b"nothing")
    write(tmp_path / "stamps/animals/b.png", b"")
    with pytest.raises(DataError, match=r"[ab]\.png"):
        opened(tmp_path).picture(0)
    assert check_captioned("tuxpaint", tmp_path).serious


def test_stamps_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.setattr(tuxpaint, "INSTALLED", tmp_path / "nowhere")
    said = r"not on this machine(?s:.*)apt install tuxpaint-stamps-default(?s:.*)--data-dir"
    with pytest.raises(DataError, match=said):
        opened(tmp_path)
    (tmp_path / "stamps").mkdir()
    write(tmp_path / "stamps/README", b"no stamps")
    with pytest.raises(DataError, match="no pictures with captions"):
        opened(tmp_path)


def test_the_installed_stamps():
    if not tuxpaint.INSTALLED.is_dir():
        pytest.skip("Debian's tuxpaint-stamps-default is not installed")
    train, test = (open_captioned("tuxpaint", split) for split in ("train", "test"))
    assert len(train) + len(test) > 700 and 0.15 < len(test) / (len(train) + len(test)) < 0.25
    captions = [text for part in (train, test) for texts in part.captions for text in texts]
    assert "A strawberry." in captions and not any("utf8=" in text for text in captions)
    assert len(captions) == len(train) + len(test) and len(set(captions)) > 600
    assert len({word for text in captions for word in tokenize(text)}) > 900
    kinds = {finding.kind: finding for finding in train.findings}
    assert set(kinds) == {"SVG", "no text file"} and len(kinds["SVG"].names) > 100
    seen = train.picture(0)
    assert seen.shape[0] == seen.shape[1] and (seen[0, 0] == 255).all() and seen.std() > 5
