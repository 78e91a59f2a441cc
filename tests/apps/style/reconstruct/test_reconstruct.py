"""Reconstructions from layers: how near they come, and the sheet."""

import signal

import numpy as np
import pytest
from PIL import Image

from apps.shared.photo import Photo, psnr
from apps.style.optimize.loop import Loop
from apps.style.reconstruct.panels import reconstruct
from apps.style.reconstruct.settings import Settings
from minidl.errors import ArgumentError
from tests.apps.conftest import last_json, minidl


def settings(pictures, weights, **more):
    options = {"image": str(pictures / "content.png"), "weights": weights("squeezenet")}
    # 45x35: with odd sides, windows of stride 2 see every pixel.
    return Settings(**options | {"size": 45, "layers": ["relu1", "fire2"]} | more)


def test_content_of_the_first_layer_is_nearly_the_picture(pictures, weights):
    found = reconstruct(settings(pictures, weights, optimizer="lbfgs", iterations=80), print)
    first, second = found.panels
    assert first.layers == ["relu1"] and second.layers == ["fire2"]
    assert first.psnr > 30 and first.psnr > second.psnr > 9
    assert first.loss < 1e-3 * first.first_loss


def test_style_loss_falls_by_a_hundred_from_noise(pictures, weights):
    """That of the finished picture, whose pixels are from 0 to 255."""
    found = reconstruct(settings(pictures, weights, shift=0, size=33, style=True), print)
    kinds = [(panel.kind, panel.layers) for panel in found.panels]
    assert kinds == [
        ("content", ["relu1"]), ("content", ["fire2"]),
        ("style", ["relu1"]), ("style", ["relu1", "fire2"]),
    ]  # fmt: skip
    for panel in found.panels[2:]:
        assert panel.first_loss > 100 * panel.loss and panel.psnr is None


def test_grey_of_the_picture_is_no_fault(pictures, weights):
    photo = Photo.read(pictures / "content.png")
    photo.pixels[...] = 0.5
    photo.save(pictures / "grey.png")
    said, image = [], str(pictures / "grey.png")
    made = settings(pictures, weights, image=image, layers=["relu1"], style=True, optimizer="lbfgs",
                    iterations=30)  # fmt: skip
    reconstruct(made, said.append)
    assert not [text for text in said if "grey" in text]


def test_psnr():
    black, grey = (np.full((4, 4, 3), v, np.float32) for v in (0.0, 0.1))
    assert psnr(black, black) == np.inf
    assert psnr(black, grey) == pytest.approx(20, abs=1e-4)  # 20 log10 (1 / 0.1)


def test_the_command(pictures, weights, tmp_path):
    out = tmp_path / "sheet.png"
    arguments = ("style", "reconstruct", pictures / "content.png", "--weights",
                 weights("squeezenet"), "--layers", "fire2,relu1", "--style", "--size", 40,
                 "--iterations", 3, "-o", out)  # fmt: skip
    result = minidl(*arguments, "--json")
    assert result.exit_code == 0, result.output
    panels = last_json(result.output)["panels"]
    assert [panel["layers"] for panel in panels] == [["relu1"], ["fire2"], ["relu1"],
                                                     ["relu1", "fire2"]]  # fmt: skip
    width, height = Image.open(out).size
    assert width > 3 * 40 and height > 2 * 40
    assert "4 panels of 40x31 pixels: less than 1 s" in result.output
    page = (tmp_path / "sheet.html").read_text()
    assert "From noise to what the layers know" in page and "Loss of style" in page
    unused = minidl(*arguments, "--overwrite", "--optimizer", "lbfgs", "--lr", 3)
    assert unused.exit_code == 2 and "--lr does nothing" in unused.output
    again = minidl(*arguments)
    assert again.exit_code == 2 and "--overwrite replaces it" in again.output


def test_layers_that_are_not_there(pictures, weights):
    with pytest.raises(ArgumentError, match="no such layer"):
        reconstruct(settings(pictures, weights, layers=["conv1_1"]), print)


# --- interrupted and resumed --------------------------------------------------------------------


def press_at(monkeypatch, when):
    """Let Ctrl-C be pressed in this iteration, counted over all panels."""
    count, iterate = [0], Loop.iterate

    def pressed(self, objective):
        count[0] += 1
        if count[0] == when:
            signal.raise_signal(signal.SIGINT)
        iterate(self, objective)

    monkeypatch.setattr(Loop, "iterate", pressed)


@pytest.mark.parametrize("when", [2, 4, 10], ids=["first panel", "end of a panel", "last panel"])
def test_an_interrupted_sheet_goes_on_to_the_same_bits(
    when, pictures, weights, tmp_path, monkeypatch
):
    """4 panels of 4 iterations. At the end of a panel the next one has begun when it is noticed."""
    options = ("style", "reconstruct", pictures / "content.png", "--weights", weights("squeezenet"),
               "--layers", "relu1,fire2", "--style", "--size", 33, "--iterations", 4,
               "--json")  # fmt: skip
    whole, part = tmp_path / "whole.png", tmp_path / "part.png"
    expected = last_json(minidl(*options, "-o", whole).stdout)
    with monkeypatch.context() as patch:
        press_at(patch, when)
        result = minidl(*options, "-o", part)
    assert result.exit_code == 130 and "--resume goes on" in result.output
    figures = last_json(result.stdout)
    assert figures["interrupted"] and not figures["panels"][-1]["finished"]
    state = tmp_path / "part.png.resume.safetensors"
    assert part.exists() and (tmp_path / "part.html").exists() and state.exists()
    result = minidl(*options, "-o", part, "--resume")
    assert result.exit_code == 0, result.output
    assert part.read_bytes() == whole.read_bytes() and not state.exists()
    assert last_json(result.stdout)["panels"] == expected["panels"]


def test_only_the_same_sheet_is_resumed(pictures, weights, tmp_path, monkeypatch):
    image = tmp_path / "image.png"
    Photo.read(pictures / "content.png").save(image)
    options = ("style", "reconstruct", image, "--weights", weights("squeezenet"), "--layers",
               "relu1", "--size", 33, "--iterations", 4, "-o", tmp_path / "s.png")  # fmt: skip
    assert "no unfinished run" in minidl(*options, "--resume").output
    with monkeypatch.context() as patch:
        press_at(patch, 2)
        assert minidl(*options).exit_code == 130
    assert "another --style" in minidl(*options, "--style", "--resume").output
    Photo.read(pictures / "style.png").save(image)
    assert "a file has changed" in minidl(*options, "--resume").output
