"""The networks that come with minidl: small, and nearer to their style than a photograph is."""

import numpy as np
import pytest

from apps.shared.packaged import TRAINED
from apps.shared.photo import Photo
from apps.shared.trained_transform import load_fast, trained_names
from apps.style.fast.stylize import stylized

NAMES = ["starry-night"]


def test_the_networks_that_come_with_minidl_are_there():
    assert trained_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_network_is_small_and_says_how_it_was_trained(name):
    path = TRAINED / f"{name.replace('-', '_')}.safetensors"
    assert path.stat().st_size < 1e6
    meta = load_fast(name).meta
    assert meta["steps"] == meta["settings"]["iterations"] and meta["losses"]["style"] > 0
    assert "/" not in str([meta["settings"][key] for key in ("style", "data")])


@pytest.mark.parametrize("name", NAMES)
def test_it_changes_a_photograph_and_keeps_its_structure(name):
    from skimage import data

    photo = Photo(data.chelsea().astype(np.float32) / np.float32(255)).fitted(200)
    drawn = stylized(load_fast(name).net, photo).pixels
    assert np.abs(drawn - photo.pixels).mean() > 0.05
    light = [pixels.mean(axis=2)[:128, :192] for pixels in (photo.pixels, drawn)]
    coarse = [x.reshape(16, 8, 24, 8).mean(axis=(1, 3)).ravel() for x in light]
    assert np.corrcoef(*coarse)[0, 1] > 0.3
