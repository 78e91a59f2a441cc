"""Reconstructions from layers: how near they come, and the sheet."""

import numpy as np
import pytest
from PIL import Image

from apps.style.reconstruct.panels import psnr, reconstruct
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
    found = reconstruct(
        settings(pictures, weights, optimizer="lbfgs", iterations=90, size=33, style=True), print
    )
    kinds = [(panel.kind, panel.layers) for panel in found.panels]
    assert kinds == [
        ("content", ["relu1"]), ("content", ["fire2"]),
        ("style", ["relu1"]), ("style", ["relu1", "fire2"]),
    ]  # fmt: skip
    for panel in found.panels[2:]:
        assert panel.first_loss > 100 * panel.loss and panel.psnr is None


def test_psnr():
    from apps.shared.photo import Photo

    black, grey = (Photo(np.full((4, 4, 3), v, np.float32)) for v in (0.0, 0.1))
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
    assert "4 panels of 40x31 pixels: about" in result.output
    strip = minidl(*arguments, "--overwrite", "--snapshots", 3)
    assert strip.exit_code == 2 and "no strip of snapshots" in strip.output
    again = minidl(*arguments)
    assert again.exit_code == 2 and "--overwrite replaces it" in again.output


def test_layers_that_are_not_there(pictures, weights):
    with pytest.raises(ArgumentError, match="no such layer"):
        reconstruct(settings(pictures, weights, layers=["conv1_1"]), print)
