"""Efros and Leung's synthesis: every pixel is copied, periods are kept, a seed decides all."""

import numpy as np
import pytest

import minidl
from apps.style.texture import efros_leung
from apps.style.texture.efros_leung import EfrosLeung, gaussian, may_be_centre
from minidl.errors import ArgumentError
from tests.apps.style.texture.samples import (
    assert_copied,
    assert_repeats,
    grains,
    material,
    repeated,
    run,
)


def test_gaussian_of_the_paper():
    weights = gaussian(15)
    assert weights.shape == (15, 15) and weights[7, 7] == 1
    assert weights[7, 10] == weights[4, 7] == pytest.approx(np.exp(-(9 / 2) / (15 / 6.4) ** 2))


@pytest.mark.parametrize("size", [(17, 23), (1, 1), (2, 9), (12, 1)])
@pytest.mark.parametrize("tileable", [False, True])
def test_every_pixel_comes_from_the_sample(size, tileable):
    samples = [grains(), grains((20, 15), seed=1)]
    synthesis = EfrosLeung(material(*samples), size, 5, seed=3, tileable=tileable)
    assert run(synthesis).shape == (*size, 3)
    assert_copied(synthesis, samples)


def test_both_samples_are_used():
    synthesis = EfrosLeung(material(grains(), 1 - grains(seed=1)), (30, 30), 5)
    run(synthesis)
    assert set(synthesis.canvas.material.sources(synthesis.canvas.source)[0].ravel()) == {0, 1}


@pytest.mark.parametrize("tileable", [False, True])
def test_a_periodic_sample_is_continued_exactly(tileable):
    sample = repeated((5, 6), (28, 31))
    synthesis = EfrosLeung(material(sample), (20, 24), 7, seed=1, tileable=tileable)
    assert_repeats(run(synthesis), sample[:5, :6], wraps=tileable)


def test_the_seed_decides():
    def picture(seed):
        return run(EfrosLeung(material(grains()), (16, 16), 5, seed))

    np.testing.assert_array_equal(picture(4), picture(4))
    assert (picture(4) != picture(5)).any()


@pytest.mark.parametrize("tileable", [False, True])
def test_searching_for_several_pixels_at_once_changes_nothing(tileable, monkeypatch):
    def picture():
        return run(EfrosLeung(material(grains()), (22, 26), 5, seed=2, tileable=tileable))

    expected = picture()
    with minidl.use_cpu_kernels("reference"):
        np.testing.assert_array_equal(picture(), expected)
    sizes = []
    original = EfrosLeung.next_group
    monkeypatch.setattr(
        EfrosLeung, "next_group", lambda self: sizes.append(original(self)) or sizes[-1]
    )
    picture()
    assert max(map(len, sizes)) > 1
    monkeypatch.setattr(EfrosLeung, "next_group", original)
    monkeypatch.setattr(efros_leung, "GROUP", 1)
    np.testing.assert_array_equal(picture(), expected)


def test_passes_are_sorted_by_neighbours():
    synthesis = EfrosLeung(material(grains()), (15, 15), 5)
    for _ in range(3):
        synthesis.start_pass()
        filled = np.pad(synthesis.canvas.filled, 1)
        around = [int(filled[y : y + 3, x : x + 3].sum()) for y, x in synthesis.todo[::-1]]
        assert around == sorted(around, reverse=True) and min(around) >= 1
        for y, x in synthesis.todo:
            assert not synthesis.canvas.filled[y, x]
        synthesis.choose([synthesis.todo[0]])


def test_threshold_grows_where_a_pass_copies_nothing(monkeypatch):
    monkeypatch.setattr(efros_leung, "LARGEST_ERROR", 1e-9)  # no window is as near as that
    synthesis = EfrosLeung(material(grains()), (8, 8), 5)
    run(synthesis)
    steps = np.log(synthesis.threshold / 1e-9) / np.log(1.1)
    assert steps > 5 and steps == pytest.approx(round(steps))


def test_drawn_uniformly_among_equals():
    """Not always the first or last of equally good candidates."""
    sample = np.zeros((9, 60, 3), np.float32)
    columns = set()
    for seed in range(40):
        synthesis = EfrosLeung(material(sample), (4, 4), 3, seed)
        run(synthesis)
        columns |= set(synthesis.canvas.material.sources(synthesis.canvas.source)[2].ravel())
    assert len(columns) > 50


# --- holes, masks, guides, tiles ----------------------------------------------------------------


def with_hole(sample, hole, window=7, **more):
    there = ~hole
    stuff = material(sample, known=[there], **more)
    number = np.arange(hole.size).reshape(hole.shape)
    return EfrosLeung(stuff, hole.shape, window, source=np.where(there, number, -1))


def test_a_hole_in_a_periodic_picture_is_filled_exactly():
    sample = repeated((5, 6), (34, 36))
    hole = np.zeros(sample.shape[:2], bool)
    hole[14:21, 15:20] = hole[0:3, 33:] = True
    synthesis = with_hole(np.where(hole[..., None], 0.5, sample).astype(np.float32), hole)
    assert synthesis.total == hole.sum()
    np.testing.assert_array_equal(run(synthesis), sample)


def test_what_is_known_stays_as_it_is():
    sample, hole = grains((30, 30)), np.zeros((30, 30), bool)
    hole[10:14, 3:9] = True
    synthesis = with_hole(sample, hole, 5)
    image = run(synthesis)
    np.testing.assert_array_equal(image[~hole], sample[~hole])
    sources = synthesis.canvas.source[hole]
    assert not hole.ravel()[sources].any()


def test_nothing_to_fill_is_done_at_once():
    sample = grains()
    synthesis = with_hole(sample, np.zeros(sample.shape[:2], bool), window=101)
    assert synthesis.total == 0 and synthesis.step() is False
    np.testing.assert_array_equal(synthesis.canvas.image, sample)


def test_only_what_may_be_copied_is():
    sample = grains((26, 26))
    may = np.zeros((26, 26), bool)
    may[8:, :12] = True
    synthesis = EfrosLeung(material(sample, copied=[may]), (14, 14), 5)
    run(synthesis)
    _, y, x = synthesis.canvas.material.sources(synthesis.canvas.source)
    assert may[y, x].all()


def test_no_window_to_copy_from():
    with pytest.raises(ArgumentError, match="smaller window"):
        EfrosLeung(material(grains((8, 30))), (10, 10), 9)


def test_no_window_across_two_samples():
    stuff = material(grains((9, 12)), grains((8, 14)))
    usable = may_be_centre(stuff, 5)
    assert usable.sum() == 5 * 8 + 4 * 10
    assert not usable[5:10].any()


def test_a_guide_says_which_part_goes_where():
    """Texture by numbers: a dark and a light texture, and a map of where each is to be."""
    labels = np.zeros((30, 40, 1), np.float32)
    labels[:, 20:] = 1
    sample = (grains((30, 40)) * 0.4 + 0.6 * labels).astype(np.float32)
    wanted = np.zeros((24, 24, 1), np.float32)
    wanted[6:18, 6:18] = 1
    synthesis = EfrosLeung(material(sample, guides=[labels]), (24, 24), 5, guide=wanted)
    run(synthesis)
    _, y, x = synthesis.canvas.material.sources(synthesis.canvas.source)
    assert (labels[y, x] == wanted).mean() > 0.97


def test_tiles_fit_together():
    """Across the border neighbours differ as they do inside; without tileable they do not fit."""
    smooth = grains((44, 44))
    for _ in range(3):  # alike over several pixels
        smooth = (smooth[1:] + smooth[:-1])[:, 1:] + (smooth[1:] + smooth[:-1])[:, :-1]
    smooth = (smooth - smooth.min()) / (smooth.max() - smooth.min())

    def across(tileable):
        image = run(EfrosLeung(material(smooth), (26, 26), 7, seed=1, tileable=tileable))
        border = np.abs(image[0] - image[-1]).mean() + np.abs(image[:, 0] - image[:, -1]).mean()
        inside = np.abs(np.diff(image, axis=0)).mean() + np.abs(np.diff(image, axis=1)).mean()
        return border / inside

    assert across(True) < 1.7 and across(False) > 2.5


# --- going on later -----------------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 7, 40])
def test_goes_on_where_it_stopped(after):
    def fresh():
        return EfrosLeung(material(grains()), (18, 18), 5, seed=6, tileable=True)

    synthesis, other = fresh(), fresh()
    for _ in range(after):
        synthesis.step()
    other.load_state(synthesis.state())
    assert other.done == synthesis.done
    np.testing.assert_array_equal(run(other), run(synthesis))
