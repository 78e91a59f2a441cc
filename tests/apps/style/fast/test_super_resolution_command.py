"""`minidl style super-resolution --method fast`: a network of fast-train enlarges a picture."""

import numpy as np
from PIL import Image

from tests.apps.conftest import last_json, minidl


def test_by_a_network(train, photos, tmp_path):
    model, out = tmp_path / "larger.safetensors", tmp_path / "out.png"
    trained = train(model, "--task", "super-resolution", "--scale", 2, iterations=2, style=None)
    assert trained.exit_code == 0, trained.output
    arguments = ["style", "super-resolution", photos / "a.png", "-o", out, "--method", "fast"]
    result = minidl(*arguments, "--model", model, "--json")
    assert result.exit_code == 0, result.output
    assert np.asarray(Image.open(out)).shape == (140, 190, 3)
    assert last_json(result.stdout)["size"] == [140, 190]
    result = minidl(*arguments, "--model", model, "--test", "--overwrite", "--json")
    assert np.asarray(Image.open(out)).shape == (70, 94, 3)
    assert last_json(result.stdout)["psnr_cubic"] > last_json(result.stdout)["psnr"] > 0
    larger = tmp_path / "four.safetensors"
    train(larger, "--task", "super-resolution", "--scale", 4, iterations=2, style=None)
    result = minidl(*arguments, "--model", larger, "--overwrite", "--json")
    assert last_json(result.stdout)["size"] == [280, 380]  # the network knows its scale
    result = minidl(*arguments, "--model", model, "--scale", 4, "--overwrite")
    assert result.exit_code == 2 and "enlarges by 2" in result.output
    result = minidl(*arguments, "--model", model, "--resume")
    assert result.exit_code == 2 and "--resume belongs to --method mrf" in result.output
    result = minidl(*arguments, "--model", tmp_path / "none", "--overwrite")
    assert result.exit_code == 2 and "none" in result.output
