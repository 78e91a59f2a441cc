"""Gatys' loss: its parts, tiles, masks, shifts."""

import numpy as np
import pytest

import minidl
from apps.shared.options import OptionError
from apps.shared.photo import Photo
from apps.style.gatys.objective import GatysObjective
from apps.style.gatys.pictures import Pictures
from apps.style.gatys.settings import Settings
from apps.style.gatys.tiles import TiledGatysObjective, make_objective, pixels_of_tiles
from apps.style.loss_network import LossNetwork
from apps.style.losses import gram
from minidl.errors import ArgumentError, ShapeError
from minidl.nn import Parameter

SIZE = 56, 72  # of the content


@pytest.fixture(scope="module")
def net(weights):
    return LossNetwork("squeezenet", weights("squeezenet"))


@pytest.fixture
def made(net, pictures):
    """made(...): an objective with these settings, and its pictures."""

    def make(size=SIZE, styles=("style.png",), kind=None, network=net, **more):
        settings = Settings(
            content=str(pictures / "content.png"), styles=[str(pictures / s) for s in styles],
            **more,
        )  # fmt: skip
        found = Pictures(settings)
        if kind is None:
            return make_objective(network, settings, found, size), found
        return kind(network, settings, found, size), found

    return make


def canvas(found, size=SIZE, noise=True):
    x = found.content_at(size).tensor().data
    rng = np.random.default_rng(1)
    return Parameter((0.7 * x + 70 * rng.random(x.shape)).astype(np.float32) if noise else x)


def gradient(objective, x, shift=(0, 0)):
    losses = objective.evaluate(x, shift)
    return losses, x.grad.data.copy()


# --- parts --------------------------------------------------------------------------------------


def test_parts_of_the_loss(made):
    objective, found = made()
    losses = objective.evaluate(canvas(found))
    assert list(losses) == ["content", "style", "tv"] and min(losses.values()) > 0
    objective, found = made(content_weight=0.0, tv_weight=0.0)
    assert list(objective.evaluate(canvas(found))) == ["style"]


def test_content_is_zero_at_the_content_however_it_is_shifted(made):
    objective, found = made()
    for shift in ((0, 0), (2, 3)):
        assert objective.evaluate(canvas(found, noise=False), shift)["content"] == 0


def test_style_is_zero_at_the_style(made, pictures):
    objective, found = made(style_size=80, content_weight=0.0)
    style = found.style_at(0, SIZE)
    assert objective.evaluate(Parameter(style.tensor().data))["style"] < 1e-10


def test_weights_multiply_their_part(made):
    plain, found = made()
    heavy, _ = made(content_weight=0.5, style_weight=3.0, tv_weight=2e-3)
    light, strong = plain.evaluate(canvas(found)), heavy.evaluate(canvas(found))
    for name, factor in (("content", 10), ("style", 3), ("tv", 10)):
        assert strong[name] == pytest.approx(factor * light[name], rel=1e-4)


def test_layers_have_weights(made):
    both, found = made(style_layers={"relu1": 1.0, "fire2": 0.25})
    parts = [made(style_layers={layer: 1.0})[0] for layer in ("relu1", "fire2")]
    first, second = (part.evaluate(canvas(found))["style"] for part in parts)
    assert both.evaluate(canvas(found))["style"] == pytest.approx(first + second / 4, rel=1e-4)


def test_layers_of_the_paper_share_its_weight(made):
    """w_l = 1 / 5 of alpha = 1, beta = 1000 (Gatys et al. 2016, section 3), computed by hand."""
    objective, found = made(loss_norm="paper")
    layers = ["relu1", "fire2", "fire3", "fire4", "fire5"]
    x, content = canvas(found), found.content_at(SIZE).tensor()
    with minidl.no_grad():
        style = objective.net.features(found.style_at(0, SIZE).tensor(), layers)
        features = objective.net.features(x, layers)
        P = objective.net.features(content, ["fire3"])["fire3"].data.astype(np.float64)
    expected = {"content": ((features["fire3"].data - P) ** 2).sum() / 2, "style": 0.0}
    for name in layers:
        F, S = (y[name].data[0].reshape(y[name].shape[1], -1).astype(np.float64)
                for y in (features, style))  # fmt: skip
        difference = F @ F.T - S @ S.T * F.shape[1] / S.shape[1]
        expected["style"] += 1000 / 5 * (difference**2).sum() / (4 * F.size**2)
    assert objective.evaluate(x) == pytest.approx(expected, rel=1e-3)


def test_several_styles_are_blended(made, pictures):
    styles = ("style.png", "content.png")
    blended, found = made(styles=styles, style_weights=[1.0, 3.0])
    alone = [made(styles=(s,))[0].evaluate(canvas(found))["style"] for s in styles]
    expected = 0.25 * alone[0] + 0.75 * alone[1]
    assert blended.evaluate(canvas(found))["style"] == pytest.approx(expected, rel=1e-4)
    with pytest.raises(OptionError, match="as many as styles, 2"):
        made(styles=styles, style_weights=[1.0])


def test_the_gradient_is_that_of_the_losses(made, weights):
    """Against finite differences, along random directions, in float64."""
    network = LossNetwork("squeezenet", weights("squeezenet"))
    objective, found = made(size=(40, 52), tv_weight=1e-3, network=network)
    in_float64(objective)
    x = Parameter(canvas(found, (40, 52)).data.astype(np.float64))
    rng = np.random.default_rng(2)
    for shift in ((0, 0), (1, 2)):
        objective.kept.found.clear()
        _, g = gradient(objective, x, shift)
        d, h = rng.standard_normal(x.shape), 1e-4
        ends = []
        for sign in (1, -1):
            moved = Parameter(x.data + sign * h * d)
            ends.append(sum(objective.evaluate(moved, shift).values()))
        assert (ends[0] - ends[1]) / (2 * h) == pytest.approx((g * d).sum(), rel=2e-4)


def in_float64(objective):
    """The same objective, weights and targets in float64."""
    for layer in objective.net.chain.values():
        for parameter in layer.parameters():
            parameter.data = parameter.data.astype(np.float64)
    objective.net.mean = objective.net.mean.double()
    objective.content = objective.content.double()
    objective.targets = [{k: A.double() for k, A in region.items()} for region in objective.targets]


# --- tiles --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, tile, norm, shift",
    [
        ("squeezenet", 32, "target", (0, 0)),
        ("squeezenet", 48, "target", (1, 3)),
        ("squeezenet", 32, "port", (2, 0)),
        pytest.param("vgg16", 32, "paper", (1, 3), marks=pytest.mark.slow),
    ],
)
def test_tiles_change_nothing(made, weights, name, tile, norm, shift):
    """Losses and gradient, and nowhere less than along the borders of the tiles."""
    size = 93, 118
    network = LossNetwork(name, weights(name))
    more = {"net": name, "network": network, "size": size, "loss_norm": norm}
    whole, found = made(**more, kind=GatysObjective)
    tiled, _ = made(**more, tile=tile, kind=TiledGatysObjective)
    expected, g = gradient(whole, canvas(found, size), shift)
    losses, tiles = gradient(tiled, canvas(found, size), shift)
    assert list(losses) == list(expected)
    for part, value in expected.items():
        assert losses[part] == pytest.approx(value, rel=2e-4)
    error = np.abs(tiles - g)[0].max(axis=0) / np.abs(g).max()
    assert error.max() < 1e-3
    border = np.zeros(size, bool)
    for line in range(tile, max(size), tile):
        border[max(line - 2, 0) : line + 2] = True
        border[:, max(line - 2, 0) : line + 2] = True
    assert border.any() and error[border].mean() < 3 * error[~border].mean() + 1e-7


def test_tiles_of_masked_regions(made, pictures):
    masks = [[half(pictures, "left"), ""], [half(pictures, "right"), ""]]
    whole, found = made(styles=("style.png",), masks=masks, kind=GatysObjective)
    tiled, _ = made(styles=("style.png",), masks=masks, tile=32, kind=TiledGatysObjective)
    expected, g = gradient(whole, canvas(found), (3, 2))
    losses, tiles = gradient(tiled, canvas(found), (3, 2))
    assert losses["style"] == pytest.approx(expected["style"], rel=1e-4)
    np.testing.assert_allclose(tiles, g, rtol=0, atol=1e-3 * np.abs(g).max())


class Counts(LossNetwork):
    """Keeps how many pixels it sees, and whether with a gradient: that costs thrice as much."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = []

    def features(self, x, names):
        self.seen.append((x.data.size // 3, 1 if x.requires_grad else 0, list(names)))
        return super().features(x, names)


@pytest.mark.parametrize("content_weight", [0.05, 0.0])
def test_only_a_tile_is_in_memory_at_once(made, weights, content_weight):
    assert isinstance(made(tile=64)[0], TiledGatysObjective)
    assert not isinstance(made(tile=72)[0], TiledGatysObjective)  # it is as large as the picture
    network = Counts("squeezenet", weights("squeezenet"))
    size, more = (288, 288), {"tile": 96, "content_weight": content_weight}
    objective, found = made(size=size, network=network, **more)
    network.seen.clear()
    objective.evaluate(canvas(found, size))
    settings = Settings(content="", styles=[], **more)
    at_once, computed = pixels_of_tiles(network, settings, size)
    assert max(n for n, _, _ in network.seen) <= at_once < 160**2
    passes = sum((3 if graded else 1) * n for n, graded, _ in network.seen) / 3
    assert 0.7 * computed < passes <= computed  # tiles along the edge have smaller crops
    assert pixels_of_tiles(network, settings, (96, 60)) == (96 * 60, 96 * 60)


@pytest.mark.parametrize("tile", [None, 32])
@pytest.mark.parametrize(
    "more, last", [({"content_weight": 0.0, "style_layers": {"relu1": 1.0}}, "relu1"),
                   ({"style_weight": 0.0}, "fire3")],
)  # fmt: skip
def test_layers_without_a_weight_are_not_computed(made, weights, tile, more, last):
    network = Counts("squeezenet", weights("squeezenet"))
    objective, found = made(network=network, tile=tile, **more)
    objective.evaluate(canvas(found))
    assert {names[-1] for _, _, names in network.seen} == {last}


@pytest.mark.parametrize("tile", [None, 32])
def test_several_styles_of_the_whole_picture_need_its_gram_matrices_once(made, tile, monkeypatch):
    from apps.style.gatys import objective as module
    from apps.style.gatys import tiles

    calls = []
    for place in (module, tiles):
        monkeypatch.setattr(place, "gram", lambda *a: calls.append(1) or gram(*a))
    counts = []
    for styles in (("style.png",), ("style.png", "content.png")):
        objective, found = made(styles=styles, tile=tile)
        calls.clear()
        losses = objective.evaluate(canvas(found))
        counts.append(len(calls))
    assert counts[0] == counts[1] > 0
    alone = [made(styles=(s,))[0].evaluate(canvas(found))["style"] for s in styles]
    assert losses["style"] == pytest.approx(sum(alone) / 2, rel=1e-4)


@pytest.mark.parametrize("more", [{"pool": "avg"}, {"pool": "l2"}, {"styles": 2}])
def test_tiles_with_other_options(made, weights, more):
    network = LossNetwork("squeezenet", weights("squeezenet"), more.get("pool", "max"))
    more = {"network": network, "styles": ("style.png", "content.png")[: more.get("styles", 1)]}
    whole, found = made(**more, kind=GatysObjective)
    tiled, _ = made(**more, tile=32, kind=TiledGatysObjective)
    expected, g = gradient(whole, canvas(found), (1, 2))
    losses, tiles = gradient(tiled, canvas(found), (1, 2))
    assert losses == pytest.approx(expected, rel=2e-4)
    np.testing.assert_allclose(tiles, g, rtol=0, atol=1e-3 * np.abs(g).max())


# --- masks --------------------------------------------------------------------------------------


def half(folder, side, size=SIZE):
    path = folder / f"{side}-{size[0]}.png"
    mask = np.zeros((*size, 3), np.float32)
    mask[:, : size[1] // 2] = side == "left"
    mask[:, size[1] // 2 :] = side == "right"
    Photo(mask).save(path)
    return str(path)


def test_nothing_changes_outside_of_the_masks(made, pictures):
    objective, found = made(masks=[[half(pictures, "left"), ""]], init="noise")
    _, g = gradient(objective, x := canvas(found))
    assert np.abs(g[..., 36:]).max() == 0 and np.abs(g[..., :36]).max() > 0
    start = found.start_at(SIZE, np.random.default_rng(0))
    content = found.content_at(SIZE)
    np.testing.assert_array_equal(start[..., 36:], content.tensor().data[..., 36:])
    finished = found.finished(Photo.from_tensor(x))
    np.testing.assert_array_equal(finished.bytes[:, 36:], found.original.bytes[:, 36:])
    assert (finished.bytes[:, :36] != found.original.bytes[:, :36]).any()


def test_masks_move_with_the_picture(made, pictures):
    """The style of the right half is computed from the same pixels, however these are shifted."""
    masks = [[half(pictures, "right"), ""]]
    objective, found = made(masks=masks, style_layers={"relu1": 1.0}, content_weight=0.0)
    x = found.content_at(SIZE).tensor().data.copy()
    other = x.copy()
    other[..., :33] = 255 - other[..., :33]  # outside of the mask, and of what relu1 sees of it
    for shift in ((0, 0), (0, 8), (3, 8)):
        first, second = (objective.evaluate(Parameter(y), shift)["style"] for y in (x, other))
        assert first == pytest.approx(second, rel=1e-6), shift
    moved = objective.moved_mask(0, (3, 2), (59, 74))
    assert moved[0, 37] == 0 and moved[0, 38] == 1 and moved[0].sum() == 36


def test_grey_styles_mean_grey(made, pictures):
    assert not made()[1].has_grey_style()
    photo = Photo.read(pictures / "style.png")
    photo.pixels[:, 40:] = 0.5
    photo.save(pictures / "grey.png")
    assert made(styles=("style.png", "grey.png"))[1].has_grey_style()


def test_each_region_has_its_own_style(made, pictures):
    """The left half in the style of the style's left half: its Gram matrix is that of the half."""
    masks = [[half(pictures, "left"), half(pictures, "right", (64, 80))]]
    objective, found = made(masks=masks, style_size=80, style_layers={"relu1": 1.0})
    right = Photo(found.styles[0].pixels[:, 40:])
    with minidl.no_grad():
        y = objective.net.features(right.tensor(), ["relu1"])["relu1"]
    rows = y.data[0].reshape(64, -1)
    G = objective.targets[0]["relu1"].data
    np.testing.assert_allclose(G, rows @ rows.T / rows.shape[1], rtol=0, atol=0.05 * G.max())


def test_masks_that_do_not_fit(made, pictures):
    with pytest.raises(OptionError, match="as large as its content picture"):
        made(masks=[[half(pictures, "left", (20, 30)), ""]])
    with pytest.raises(OptionError, match="as large as its style picture"):
        made(masks=[[half(pictures, "left"), half(pictures, "left")]])
    with pytest.raises(OptionError, match="once for each style"):
        made(styles=("style.png",) * 3, masks=[[half(pictures, "left"), ""]] * 2)
    with pytest.raises(OptionError, match="no white part"):
        made(masks=[[half(pictures, "none"), ""]])


# --- what cannot be -----------------------------------------------------------------------------


def test_layers_that_are_not_there(made):
    with pytest.raises(ArgumentError, match="squeezenet has no such layer") as caught:
        made(style_layers={"relu3_1": 1.0})
    assert "relu1, pool1, fire2" in str(caught.value)


def test_pictures_that_are_too_small(made):
    with pytest.raises(ShapeError, match="fire5 needs pictures of at least"):
        made(size=(9, 12))
