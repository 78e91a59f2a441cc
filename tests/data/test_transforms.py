import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from minidl.data import transforms as T
from minidl.errors import ArgumentError, DtypeError, MinidlError, ShapeError
from tests.data.make import pixels

RNG = np.random.default_rng


def draws(transform, image, n=400):
    return [transform(image, RNG([7, i])) for i in range(n)]


ramp = np.arange(40 * 60, dtype=np.int64).reshape(40, 60)
place = np.stack([ramp // 60, ramp % 60, ramp * 0], 2).astype(np.uint8)  # says where it was

# --- geometry -------------------------------------------------------------------------------------


@pytest.mark.parametrize("filter", ["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"])
def test_resize_equals_pillow(filter):
    image = pixels(13, 17, 3)
    expected = Image.fromarray(image).resize((7, 9), getattr(Image.Resampling, filter.upper()))
    np.testing.assert_array_equal(T.Resize((9, 7), filter)(image), np.asarray(expected))
    grey = T.Resize((9, 7), filter)(image[:, :, :1])
    np.testing.assert_array_equal(grey, np.asarray(expected)[:, :, :1])


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 30))
def test_resize_shorter_side_keeps_the_ratio(H, W, size):
    h, w, _ = T.Resize(size)(np.zeros((H, W, 1), np.uint8)).shape
    assert min(h, w) == size
    longer, other = (h, w) if H >= W else (w, h)
    assert abs(longer - size * max(H, W) / min(H, W)) <= 0.5 + 1e-9


@pytest.mark.parametrize("size, expected", [(4, place[18:22, 28:32]), ((3, 60), place[18:21])])
def test_center_crop(size, expected):
    np.testing.assert_array_equal(T.CenterCrop(size)(place), expected)


def test_center_crop_of_a_smaller_image_adds_black():
    image = pixels(3, 8, 1)
    result = T.CenterCrop(6)(image)
    np.testing.assert_array_equal(result[1:4], image[:, 1:7])
    assert not result[0].any() and not result[4:].any()


def test_pad():
    result = T.Pad((1, 2), fill=9)(pixels(3, 4, 3))
    assert result.shape == (5, 8, 3)
    np.testing.assert_array_equal(result[1:4, 2:6], pixels(3, 4, 3))
    assert (result[0] == 9).all() and (result[:, 6:] == 9).all()


def test_random_crop_reaches_every_position_equally():
    image = pixels(5, 6, 1, seed=2)
    corners = [T.RandomCrop((4, 4))(place[:5, :6], RNG(i))[0, 0, :2] for i in range(900)]
    assert image.shape == (5, 6, 1)
    counts = np.zeros((2, 3))
    for top, left in corners:
        counts[top, left] += 1
    assert counts.sum() == 900 and abs(counts - 150).max() < 5 * np.sqrt(150)


def test_random_crop_pads_with_black():
    for result in draws(T.RandomCrop(8, padding=2), np.full((8, 8, 1), 255, np.uint8), 50):
        assert result.shape == (8, 8, 1)
        assert (result == 255).sum() >= 36 and set(np.unique(result)) <= {0, 255}
    with pytest.raises(ShapeError, match="larger than the padded image"):
        T.RandomCrop(9)(pixels(8, 20, 3), RNG(0))


def test_random_resized_crop_distribution():
    windows = np.array([T.RandomResizedCrop(8).draw(300, 300, RNG(i)) for i in range(3000)])
    top, left, h, w = windows.T
    assert (top >= 0).all() and (top + h <= 300).all() and (left + w <= 300).all()
    area, ratio = h * w / 300**2, w / h
    assert 0.075 < area.min() < 0.1 and 0.95 < area.max() <= 1
    assert 0.74 < ratio.min() < 0.77 and 1.30 < ratio.max() < 1.35
    # Shares near 1 with an extreme ratio do not fit and are drawn again: below 0.7 all fit.
    below = area[area < 0.7]
    assert abs(below.mean() - 0.39) < 0.02
    assert abs(np.log(ratio).mean()) < 0.02
    assert abs((np.log(ratio[area < 0.7]) > 0.144).mean() - 0.25) < 0.03  # even in the logarithm


def test_random_resized_crop_of_an_extreme_image_takes_the_middle():
    assert T.RandomResizedCrop(8, scale=(1, 1)).draw(10, 1000, RNG(0)) == (0, 493, 10, 13)
    assert T.RandomResizedCrop(8, scale=(1, 1)).draw(1000, 12, RNG(0)) == (492, 0, 16, 12)
    assert T.RandomResizedCrop((5, 7))(place, RNG(0)).shape == (5, 7, 3)


def test_random_resized_crop_scales_its_window():
    transform = T.RandomResizedCrop((9, 11))
    top, left, h, w = transform.draw(40, 60, RNG(3))
    expected = T.Resize((9, 11))(place[top : top + h, left : left + w])
    np.testing.assert_array_equal(transform(place, RNG(3)), expected)


@pytest.mark.parametrize("p", [0.0, 0.25, 0.5, 1.0])
def test_flip_probability(p):
    image = pixels(3, 4, 3)
    results = draws(T.RandomHorizontalFlip(p), image, 1000)
    flipped = [np.array_equal(r, image[:, ::-1]) for r in results]
    assert all(f or np.array_equal(r, image) for f, r in zip(flipped, results))
    assert abs(np.mean(flipped) - p) <= 5 * np.sqrt(p * (1 - p) / 1000)


# --- colour ---------------------------------------------------------------------------------------


def test_grayscale_and_rgb():
    image = pixels(5, 6, 3)
    expected = np.rint(image @ np.array([0.299, 0.587, 0.114]))
    result = T.Grayscale()(image)
    assert result.shape == (5, 6, 1)
    assert abs(result[:, :, 0] - expected).max() <= 1
    np.testing.assert_array_equal(T.Grayscale()(result), result)
    np.testing.assert_array_equal(T.ToRGB()(result), np.repeat(result, 3, 2))
    assert T.ToRGB()(image) is image


def test_brightness_range():
    image = np.full((2, 2, 3), 100, np.uint8)
    values = np.array([r[0, 0, 0] for r in draws(T.ColorJitter(brightness=0.4), image, 1000)])
    assert 60 <= values.min() < 63 and 137 < values.max() <= 140
    assert abs(values.mean() - 100) < 4
    values = [r.max() for r in draws(T.ColorJitter(brightness=3), image, 200)]
    assert min(values) < 8 and max(values) == 255  # 0 to 4 times, clipped


def test_contrast_keeps_the_mean_and_scales_differences():
    image = np.array([[[80], [120]]], np.uint8)
    spans = []
    for result in draws(T.ColorJitter(contrast=0.5), image, 500):
        low, high = result[0, :, 0].astype(int)
        assert abs(low + high - 200) <= 1
        spans.append(high - low)
    assert 20 <= min(spans) <= 22 and 58 <= max(spans) <= 60


def test_saturation_moves_along_the_line_to_grey():
    image = np.array([[[200, 100, 50]]], np.uint8)
    luma = 0.299 * 200 + 0.587 * 100 + 0.114 * 50
    factors = []
    for result in draws(T.ColorJitter(saturation=0.5), image, 500):
        factor = (result[0, 0] - luma) / (image[0, 0] - luma)
        assert np.ptp(factor) < 0.06
        factors.append(factor[0])
    assert 0.49 < min(factors) < 0.53 and 1.47 < max(factors) < 1.51
    grey = pixels(3, 3, 1)
    np.testing.assert_array_equal(T.ColorJitter(saturation=1, hue=0.5)(grey, RNG(0)), grey)


def test_hue_turns_the_circle():
    red = np.array([[[255, 0, 0]]], np.uint8)
    results = {tuple(r[0, 0]) for r in draws(T.ColorJitter(hue=0.5), red, 800)}
    assert len(results) > 150
    assert all(max(r) == 255 and min(r) == 0 for r in results)  # full colours, all around
    near = [r[0, 0] for r in draws(T.ColorJitter(hue=0.05), red, 200)]
    assert all(r[0] == 255 and max(r[1], r[2]) <= 80 for r in near)
    assert any(r[1] > 40 for r in near) and any(r[2] > 40 for r in near)  # both ways


def test_steps_of_jitter_come_in_every_order():
    image = pixels(4, 4, 3, seed=5)
    orders = {tuple(RNG(i).permutation(4)) for i in range(500)}
    assert len(orders) == 24
    jitter = T.ColorJitter(0.9, 0.9, 0.9, 0.4)
    assert len({r.tobytes() for r in draws(jitter, image, 50)}) == 50


def test_lighting_statistics():
    # Krizhevsky 4.1: shifts have covariance  P diag((std lambda)^2) P^T, one for all pixels.
    image = np.zeros((3, 2, 2), np.float32)
    shifts = []
    for result in draws(T.PCALighting(0.1), image, 4000):
        assert (result == result[:, :1, :1]).all()
        shifts.append(result[:, 0, 0])
    P = np.array(
        [[-0.5675, 0.7192, 0.4009], [-0.5808, -0.0045, -0.8140], [-0.5836, -0.6948, 0.4203]]
    )
    variances = np.array([0.2175, 0.0188, 0.0045])
    expected = P @ np.diag((0.1 * variances) ** 2) @ P.T
    scale = expected.max()
    np.testing.assert_allclose(np.cov(np.array(shifts).T), expected, atol=0.1 * scale)
    np.testing.assert_allclose(np.mean(shifts, 0), 0, atol=0.1 * np.sqrt(scale))
    np.testing.assert_allclose(P.T @ P, np.eye(3), atol=1e-3)  # columns are the components


def test_lighting_uses_columns_as_components():
    components = [[1, 0, 0], [0, 0, 1], [0, 1, 0]]
    lighting = T.PCALighting(1.0, variances=[4, 0, 0], components=components)
    result = lighting(np.zeros((3, 1, 1), np.float32), RNG(0)).ravel()
    assert result[0] == pytest.approx(4 * RNG(0).normal(0, 1.0, 3)[0])
    assert result[1] == result[2] == 0


# --- floats and pipelines -------------------------------------------------------------------------


def test_to_float_and_normalize():
    image = pixels(3, 4, 3)
    floats = T.ToFloat()(image)
    assert floats.dtype == np.float32 and floats.shape == (3, 3, 4)
    np.testing.assert_allclose(floats, image.transpose(2, 0, 1) / 255, rtol=1e-6)
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    expected = (image / 255 - mean) / std
    np.testing.assert_allclose(
        T.Normalize(mean, std)(floats), expected.transpose(2, 0, 1), rtol=1e-5, atol=1e-6
    )


def test_random_erasing_covers_one_rectangle():
    """Of the share and the shape that were asked for, anywhere, in as many pictures as p says."""
    image = np.full((24, 36, 3), 200, np.uint8)
    erase = T.RandomErasing(0.4, scale=(0.1, 0.3), ratio=(0.5, 2), fill=[7, 8, 9])
    corners, erased = set(), 0
    for seed in range(1000):
        covered = erase(image, RNG(seed)) != image
        assert (covered == covered[..., :1]).all()
        rows, columns = np.nonzero(covered[..., 0])
        if not len(rows):
            continue
        erased += 1
        h, w = np.ptp(rows) + 1, np.ptp(columns) + 1
        assert len(rows) == h * w  # without a hole
        assert 0.08 < h * w / (24 * 36) < 0.33 and 0.44 < h / w < 2.3  # rounded to whole pixels
        corners.add((rows.min(), columns.min()))
        assert erase(image, RNG(seed))[rows[0], columns[0]].tolist() == [7, 8, 9]
    assert 350 < erased < 450 and len(corners) > 200
    assert {corner[0] for corner in corners} >= set(range(12))
    grey = T.RandomErasing(1, (0.5, 0.5), (1, 1), 4)(np.zeros((10, 10, 1), np.uint8), RNG(0))
    assert (grey == 4).sum() == 49
    wide = np.zeros((2, 50, 3), np.uint8)  # into which no square of half of it fits
    assert T.RandomErasing(1, (0.5, 0.5), (1, 1), 4)(wide, RNG(0)) is wide


EVERYTHING = T.Compose(
    [
        T.Resize((30, 31), "bicubic"), T.Resize(24), T.Pad(2, 7), T.RandomCrop((26, 25), (1, 0)),
        T.RandomResizedCrop(20, (0.2, 0.9), (0.5, 2), "nearest"), T.CenterCrop(18),
        T.RandomHorizontalFlip(0.3), T.RandomErasing(0.7, (0.1, 0.3), (0.5, 2), [1, 2, 3]),
        T.ColorJitter(0.1, 0.2, 0.3, 0.1), T.Grayscale(), T.ToRGB(),
        T.ToFloat(), T.PCALighting(0.2), T.Normalize([0.5, 0.4, 0.3], [0.2, 0.3, 0.4]),
    ]
)  # fmt: skip


def test_config_rebuilds_the_pipeline_through_json():
    text = json.dumps(EVERYTHING.config())
    again = T.from_config(json.loads(text))
    assert json.dumps(again.config()) == text
    assert {step["name"] for step in again.config()} == set(T.KNOWN)
    for seed in range(5):
        np.testing.assert_array_equal(EVERYTHING(place, RNG(seed)), again(place, RNG(seed)))


def test_the_input_is_never_changed():
    image = place.copy()
    for seed in range(5):
        EVERYTHING(image, RNG(seed))
    np.testing.assert_array_equal(image, place)


def test_same_generator_same_result():
    for step in EVERYTHING.transforms:
        image = place if not isinstance(step, (T.PCALighting, T.Normalize)) else T.ToFloat()(place)
        np.testing.assert_array_equal(step(image, RNG(1)), step(image, RNG(1)))
        if not step.random:
            np.testing.assert_array_equal(step(image), step(image, RNG(2)))


def test_compose_flattens():
    inner = T.Compose([T.Pad(1), T.ToFloat()])
    assert [s["name"] for s in T.Compose([T.CenterCrop(3), inner]).config()] == [
        "CenterCrop", "Pad", "ToFloat",
    ]  # fmt: skip
    assert "Pad(padding=(1, 1), fill=0)" in repr(inner)


floats = T.ToFloat()(place)


@pytest.mark.parametrize(
    "call, error, says",
    [
        (lambda: T.Resize(0), ArgumentError, "size"),
        (lambda: T.Resize((3, 4, 5)), ArgumentError, "size"),
        (lambda: T.Resize(3, "bilinar"), ArgumentError, "did you mean bilinear?"),
        (lambda: T.Resize(3, None), ArgumentError, "no such filter"),
        (lambda: T.Resize(3)(floats), DtypeError, "before ToFloat"),
        (lambda: T.Resize(3)(place[:, :, 0]), ShapeError, "(H, W, C)"),
        (lambda: T.Resize(3)(place[:0]), ShapeError, "(H, W, C)"),
        (lambda: T.CenterCrop(-1), ArgumentError, "size"),
        (lambda: T.Pad(-1), ArgumentError, "padding"),
        (lambda: T.Pad(1, fill=256), ArgumentError, "0 to 255"),
        (lambda: T.RandomCrop(3)(place), ArgumentError, "needs a generator"),
        (lambda: T.RandomResizedCrop(3, scale=(0.5, 0.1)), ArgumentError, "low <= high <= 1"),
        (lambda: T.RandomResizedCrop(3, scale=(0.5, 2)), ArgumentError, "scale"),
        (lambda: T.RandomResizedCrop(3, ratio=(0, 1)), ArgumentError, "ratio"),
        (lambda: T.RandomResizedCrop(3, ratio=1), ArgumentError, "ratio"),
        (lambda: T.RandomHorizontalFlip(1.5), ArgumentError, "0 to 1"),
        (lambda: T.RandomHorizontalFlip("x"), ArgumentError, "0 to 1"),
        (lambda: T.RandomErasing(-1), ArgumentError, "0 to 1"),
        (lambda: T.RandomErasing(scale=(0.5, 0.1)), ArgumentError, "low <= high <= 1"),
        (lambda: T.RandomErasing(ratio=0), ArgumentError, "ratio"),
        (lambda: T.RandomErasing(fill=[0, 256]), ArgumentError, "0 to 255"),
        (lambda: T.RandomErasing(fill=[]), ArgumentError, "0 to 255"),
        (lambda: T.RandomErasing(fill=[1, 2])(place, RNG(0)), ShapeError, "2 colours"),
        (lambda: T.RandomErasing()(floats, RNG(0)), DtypeError, "before ToFloat"),
        (lambda: T.RandomErasing()(place), ArgumentError, "needs a generator"),
        (lambda: T.ColorJitter(brightness=-1), ArgumentError, "brightness"),
        (lambda: T.ColorJitter(hue=0.6), ArgumentError, "from 0 to 0.5"),
        (lambda: T.ColorJitter(contrast=float("nan")), ArgumentError, "contrast"),
        (lambda: T.PCALighting(variances=[1, 2]), ArgumentError, "3 numbers"),
        (lambda: T.PCALighting(components="abc"), ArgumentError, "3x3"),
        (lambda: T.PCALighting()(place, RNG(0)), DtypeError, "after ToFloat"),
        (lambda: T.PCALighting()(floats[:1], RNG(0)), ShapeError, "ToRGB"),
        (lambda: T.Normalize([0.5], [0]), ArgumentError, "above 0"),
        (lambda: T.Normalize([0.5], [1, 1]), ArgumentError, "one number per channel"),
        (lambda: T.Normalize("a", 1), ArgumentError, "mean"),
        (lambda: T.Normalize([10**400], [1]), ArgumentError, "mean"),
        (lambda: T.Normalize([0.5, 0.5], [1, 1])(floats), ShapeError, "the image has 3"),
        (lambda: T.Normalize(0.5, 1)(place), DtypeError, "after ToFloat"),
        (lambda: T.ToFloat()(floats), DtypeError, "uint8"),
        (lambda: T.Compose([T.ToFloat]), ArgumentError, "every step"),
        (lambda: T.from_config({"name": "Pad"}), ArgumentError, "a list"),
        (lambda: T.from_config(["Pad"]), ArgumentError, "described by"),
        (lambda: T.from_config([{"name": "Resise", "size": 3}]), ArgumentError, "mean Resize?"),
        (lambda: T.from_config([{"name": "Compose"}]), ArgumentError, "no such transform"),
        (lambda: T.from_config([{"name": "os.system"}]), ArgumentError, "no such transform"),
        (lambda: T.from_config([{"name": "Resize", "sise": 3}]), ArgumentError, "mean size?"),
        (lambda: T.from_config([{"name": "ToFloat", "x": 3}]), ArgumentError, "takes none"),
        (lambda: T.from_config([{"name": "Resize"}]), ArgumentError, "size"),
        (lambda: T.from_config([{"name": "Resize", "size": "3"}]), ArgumentError, "size"),
        (lambda: T.Resize(10**6)(place), ShapeError, "of memory"),
        (lambda: T.Pad(10**6)(place), ShapeError, "of memory"),
    ],
)
def test_refuses(call, error, says):
    with pytest.raises(error) as caught:
        call()
    assert says in str(caught.value) and isinstance(caught.value, MinidlError)
