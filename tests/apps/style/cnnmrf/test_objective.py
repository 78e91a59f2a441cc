"""CNNMRF's loss: its parts, its gradient, copies, what does not fit."""

import numpy as np
import pytest

from apps.shared.options import OptionError
from apps.shared.photo import Photo
from apps.style.cnnmrf.objective import PatchObjective
from apps.style.cnnmrf.pictures import Pictures
from apps.style.cnnmrf.settings import Settings, check_settings
from apps.style.loss_network import LossNetwork
from minidl.errors import ArgumentError, ShapeError
from minidl.nn import Parameter

SIZE = 56, 72  # of the content
FEW = {"layers": {"relu1": 1.0, "fire3": 1.0}, "content_layers": {"fire3": 1.0}}


@pytest.fixture(scope="module")
def net(weights):
    return LossNetwork("squeezenet", weights("squeezenet"))


@pytest.fixture
def made(net, pictures):
    """made(...): an objective with these settings, and a picture to evaluate."""

    def make(names=("content.png", "style.png"), size=SIZE, network=net, **more):
        settings = Settings(pictures=[str(pictures / name) for name in names], **{**FEW, **more})
        check_settings(settings, more)
        found = Pictures(settings)
        rng = np.random.default_rng(1)
        start = 0.7 * found.start_at(size, rng) + 70 * rng.random((1, 3, *size))
        return PatchObjective(network, settings, found, size), Parameter(start.astype(np.float32))

    return make


def test_parts_of_the_loss(made):
    objective, x = made()
    losses = objective.evaluate(x)
    assert list(losses) == ["patches", "content", "tv"] and min(losses.values()) > 0
    assert 0 < min(objective.correlation.values()) < max(objective.correlation.values()) < 1
    objective, x = made(content_weight=0.0, tv_weight=0.0)
    assert list(objective.evaluate(x)) == ["patches"]
    objective, x = made(["style.png"])
    assert list(objective.evaluate(x)) == ["patches", "tv"]


def test_patches_are_zero_where_the_picture_is_the_style(made, pictures):
    objective, _ = made(["style.png", "style.png"], (64, 80), stride=1)
    style = Parameter(Photo.read(pictures / "style.png").tensor().data)
    losses = objective.evaluate(style)
    assert losses["patches"] == pytest.approx(0, abs=1e-5)
    assert losses["content"] == pytest.approx(0, abs=1e-9)
    assert objective.correlation == pytest.approx({"relu1": 1.0, "fire3": 1.0}, abs=1e-5)


@pytest.mark.parametrize("kind", ["energy", "reference"])
def test_a_step_against_the_gradient_leads_down(made, kind):
    objective, x = made(gradient=kind, content_weight=0.0, tv_weight=0.0)
    before = objective.evaluate(x)["patches"]
    g = x.grad.data
    x.data -= (2 / np.abs(g).max()) * g
    assert objective.evaluate(x)["patches"] < before


def test_the_gradient_is_that_of_the_energy(made):
    """Along a line: matches do not change within a small step."""
    objective, x = made(content_weight=0.0, tv_weight=0.0)
    objective.evaluate(x)
    g = x.grad.data.copy()
    step = g * (1 / np.abs(g).max())
    values = []
    for sign in (1, -1):
        moved = Parameter(x.data + np.float32(sign * 0.5) * step)
        values.append(objective.evaluate(moved)["patches"])
    assert values[0] - values[1] == pytest.approx(float((g * step).sum()), rel=0.05)


def test_layers_and_weights_add_up(made):
    parts = [made(layers={name: 1.0}, tv_weight=0.0) for name in ("relu1", "fire3")]
    each = [objective.evaluate(x)["patches"] for objective, x in parts]
    objective, x = made(layers={"relu1": 0.5, "fire3": 2.0}, mrf_weight=3.0, tv_weight=0.0)
    expected = 3 * (0.5 * each[0] + 2 * each[1])
    assert objective.evaluate(x)["patches"] == pytest.approx(expected, rel=1e-5)


def test_copies_bring_better_matches(made):
    plain, x = made()
    plain.evaluate(x)
    copies, x = made(rotations=3, patch_scales=3)
    assert len(copies.patches["relu1"].features) == 9
    copies.evaluate(x)
    for name, correlation in plain.correlation.items():
        assert copies.correlation[name] > correlation


def test_the_shift_moves_the_content_alike(made, pictures):
    objective, _ = made(mrf_weight=0.0, tv_weight=0.0)
    content = Parameter(Photo.read(pictures / "content.png").tensor().data)
    assert objective.evaluate(content, (2, 1))["content"] == pytest.approx(0, abs=1e-9)


def test_time_grows_with_the_square_of_the_pixels_that_are_matched(made):
    objective, _ = made()
    objective.matching, objective.seconds = 1.0, 4.0
    assert objective.pixels_to_compute(SIZE) == 56 * 72
    assert objective.pixels_to_compute((112, 144)) == 56 * 72 * (0.75 * 4 + 0.25 * 16)


def test_vgg(made, weights):
    """The layers of the paper, up to relu4_2."""
    net = LossNetwork("vgg16", weights("vgg16"))
    objective, x = made(network=net, net="vgg16", layers={}, content_layers={})
    assert list(objective.patches) == ["relu3_1", "relu4_1"]
    losses = objective.evaluate(x)
    assert losses["patches"] > 0 and losses["content"] > 0 and np.abs(x.grad.data).max() > 0


def test_what_does_not_fit(made):
    with pytest.raises(ArgumentError, match="squeezenet has relu1, pool1"):
        made(layers={"relu4_1": 1.0})
    with pytest.raises(ShapeError, match="patches of 9x9 do not fit into fire5"):
        made(layers={"fire5": 1.0}, patch=9)
    objective, x = made(size=(9, 72))
    with pytest.raises(ShapeError, match="patches of 3x3 do not fit into fire3, 2x"):
        objective.evaluate(x)
    for wrong in ({"rotations": 2}, {"patch_scales": 0}, {"stride": 0}, {"gradient": "none"}):
        with pytest.raises(OptionError):
            made(**wrong)
    for wrong in ({"content_weight": 1.0}, {"init": "content"}):
        with pytest.raises(OptionError, match="no content"):
            made(["style.png"], **wrong)
    with pytest.raises(OptionError, match="nothing is asked"):
        made(mrf_weight=0.0, content_weight=0.0)


@pytest.mark.parametrize(
    "changed, says",
    [
        ({"optimizer": "lbfgs", "lr": 3.0}, "--lr does nothing"),
        ({"optimizer": "lbfgs", "average": 0.5}, "--average does nothing"),
        ({"optimizer": "lbfgs", "shift": 9}, "--shift does nothing"),
        ({"content_weight": 0.0, "content_layers": {"fire2": 1.0}}, "--content-layers does"),
        ({"mrf_weight": 0.0, "layers": {"fire2": 1.0}}, "--layers does nothing"),
        ({"mrf_weight": 0.0, "patch": 5}, "--patch does nothing"),
        ({"mrf_weight": 0.0, "stride": 1}, "--stride does nothing"),
        ({"mrf_weight": 0.0, "rotations": 3}, "--rotations does nothing"),
        ({"mrf_weight": 0.0, "patch_scales": 3}, "--patch-scales does nothing"),
        ({"mrf_weight": 0.0, "gradient": "reference"}, "--gradient does nothing"),
        ({"rotations": 11, "patch_scales": 11}, "at most 99 copies"),
    ],
)
def test_an_option_that_does_nothing_is_refused(made, changed, says):
    with pytest.raises(OptionError, match=says):
        made(**changed)


def test_copies_that_are_too_small_are_left_out(made):
    relu1 = {"relu1": 1.0}
    objective, x = made(layers=relu1, content_layers=relu1, rotations=7, style_size=12)
    assert objective.left_out > 0
    assert len(objective.patches["relu1"].features) == 7 - objective.left_out
    assert np.isfinite(sum(objective.evaluate(x).values()))
    objective, _ = made(layers=relu1, content_layers=relu1, rotations=7)
    assert objective.left_out == 0


def test_memory_of_the_style(made):
    """Features are there once, and are counted."""
    objective, _ = made(rotations=3)
    counted = 0
    for patches in objective.patches.values():
        for features in patches.features:
            assert np.shares_memory(features.data, patches.pixels)
            counted += features.data.nbytes
    assert objective.megabytes(SIZE) == pytest.approx(counted / 1e6)
    assert objective.megabytes((2 * SIZE[0], 2 * SIZE[1])) == pytest.approx(4 * counted / 1e6)


def test_hidden_colours_of_the_content_are_not_seen(made, pictures):
    photo = Photo.read(pictures / "content.png")
    photo.alpha = np.ones(photo.size, np.float32)
    photo.alpha[:20] = 0
    found = []
    for hidden in (0, 1):
        photo.pixels[:20] = hidden
        photo.save(pictures / "hidden.png")
        objective, _ = made(("hidden.png", "style.png"))
        found.append(objective.content.data)
    np.testing.assert_array_equal(*found)
