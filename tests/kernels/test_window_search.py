"""Window search: the same candidates as a naive loop, and nothing read or written elsewhere."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minidl
from minidl import Tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.kernels.cpu import window_search as compiled
from minidl.ops.window_search import WindowSearch
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    run_in_python,
)


@st.composite
def searches(draw):
    """(sample, weights, allowed, picture, known, places), of any small sizes."""
    P, R, S = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 6))
    H, W = R + draw(st.integers(0, 12)), S + draw(st.integers(0, 70))
    h, w = R + draw(st.integers(0, 6)), S + draw(st.integers(0, 6))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    # Few grey levels make many ties, which rounding must not decide.
    levels = draw(st.sampled_from([1, 2, 4, 256]))
    sample = (random.integers(0, levels, (P, H, W)) / 255).astype(np.float32)
    picture = (random.integers(0, levels, (P, h, w)) / 255).astype(np.float32)
    known = random.random((P, h, w)) < draw(st.sampled_from([0, 0.3, 1]))
    allowed = random.random((H, W)) < draw(st.sampled_from([0.2, 1]))
    allowed[draw(st.integers(0, H - R)), draw(st.integers(0, W - S))] = True
    places = [(draw(st.integers(0, h - R)), draw(st.integers(0, w - S))) for _ in range(3)]
    return sample, random.random((P, R, S)).astype(np.float32), allowed, picture, known, places


def naive(sample, weights, allowed, picture, known, place, tolerance=0.1):
    """Position by position, in float64: the error of each, and the limit."""
    _, R, S = weights.shape
    _, H, W = sample.shape
    y, x = place
    counted = weights.astype(np.float64) * known[:, y : y + R, x : x + S]
    window, total = picture[:, y : y + R, x : x + S].astype(np.float64), counted.sum() or 1.0
    errors = {}
    for i, j in np.argwhere(allowed[: H - R + 1, : W - S + 1]).tolist():
        difference = sample[:, i : i + R, j : j + S] - window
        errors[i * W + j] = (counted * difference**2).sum() / total
    return errors, min(errors.values()) * (1 + tolerance)


def searched(case, kernels):
    sample, weights, allowed, picture, known, places = case
    with minidl.use_cpu_kernels(kernels):
        search = WindowSearch(Tensor(sample), Tensor(weights), Tensor(allowed))
        return search.candidates(picture, known, places)


@settings(deadline=None, max_examples=40)
@given(searches())
def test_candidates_are_those_of_a_naive_loop(case):
    """All that are clearly within the limit, and none that is clearly not."""
    for place, (positions, errors) in zip(case[-1], searched(case, "numba")):
        expected, limit = naive(*case[:-1], place)
        within = {q for q, e in expected.items() if e <= limit * (1 - 1e-5)}
        maybe = {q for q, e in expected.items() if e <= limit * (1 + 1e-5)}
        assert within <= set(positions.tolist()) <= maybe
        np.testing.assert_allclose(errors, [expected[q] for q in positions], rtol=1e-5, atol=1e-12)


@settings(deadline=None, max_examples=60)
@given(searches())
def test_compiled_kernel_finds_the_same_bits_as_the_reference(case):
    for ours, theirs in zip(searched(case, "numba"), searched(case, "reference")):
        np.testing.assert_array_equal(ours[0], theirs[0])
        np.testing.assert_array_equal(ours[1], theirs[1])


@settings(deadline=None, max_examples=30)
@given(searches())
def test_stays_inside_its_memory(case):
    """NaN lies around what is read, sentinels around what is written.

    The sample's row has LANES numbers behind it, which may be read and must not count.
    """
    sample, weights, allowed, picture, known, places = case
    plain = searched(case, "numba")
    with pytest.MonkeyPatch.context() as patch, minidl.use_cpu_kernels("numba"):
        guarded = GuardedNumpy()
        patch.setattr(compiled, "np", guarded)
        search = WindowSearch(Tensor(sample), Tensor(between_nans(weights)), Tensor(allowed))
        search.sample[sample.size :] = np.nan
        search.sample = between_nans(search.sample)
        found = search.candidates(between_nans(picture), known, places)
        guarded.check()
    for (positions, errors), (expected, expected_errors) in zip(found, plain):
        np.testing.assert_array_equal(positions, expected)
        np.testing.assert_array_equal(errors, expected_errors)


def test_numba_checks_every_index():
    """The loops as plain Python, in which an index that is too large is an error."""
    code = """
import numpy as np
from minidl import Tensor
from minidl.ops.window_search import WindowSearch
random = np.random.default_rng(0)
for size, window in (((1, 1), (1, 1)), ((5, 40), (3, 3)), ((3, 33), (3, 2)), ((4, 4), (4, 4))):
    sample = random.random((2, *size), np.float32)
    picture = random.random((2, 6, 6), np.float32)
    search = WindowSearch(Tensor(sample), Tensor(np.ones((2, *window), np.float32)))
    edge = 6 - window[0], 6 - window[1]
    for positions, _ in search.candidates(picture, picture > 0.5, [(0, 0), edge]):
        assert len(positions) >= 1
print("inside")
"""
    assert run_in_python(code, {}).strip() == "inside"


def test_one_place_of_a_large_sample_is_divided_among_threads():
    random = np.random.default_rng(1)
    sample = random.random((1, 600, 600), np.float32)
    picture = random.random((1, 11, 11), np.float32)
    search = WindowSearch(Tensor(sample), Tensor(np.ones((1, 11, 11), np.float32)))
    known = random.random(picture.shape) < 0.5
    assert compiled.shares_for(1, sample.size * 121) > 1 or minidl.get_num_threads() == 1

    def compute():
        return search.candidates(picture, known, [(0, 0)])[0]

    assert_same_bits_with_any_number_of_threads(compute)


def test_float64_and_slices():
    random = np.random.default_rng(2)
    sample = random.random((2, 20, 30))[:, ::2, ::-1]
    picture = random.random((4, 10, 9))[::2]
    weights = random.random((2, 3, 3))
    known = np.ones(picture.shape, bool)
    case = (sample, weights, np.ones((10, 30), bool), picture, known, [(0, 0), (7, 6)])
    for (ours, errors), (theirs, expected) in zip(
        searched(case, "numba"), searched(case, "reference")
    ):
        np.testing.assert_array_equal(ours, theirs)
        np.testing.assert_array_equal(errors, expected)
        assert errors.dtype == np.float64


def test_a_window_of_the_sample_finds_itself():
    sample = np.random.default_rng(3).random((3, 30, 40), np.float32)
    known = np.ones(sample.shape, bool)
    search = WindowSearch(Tensor(sample), Tensor(np.ones((3, 7, 7), np.float32)))
    for y, x in ((0, 0), (23, 33), (11, 5)):
        ((positions, errors),) = search.candidates(sample, known, [(y, x)])
        assert positions.tolist() == [y * 40 + x] and errors.tolist() == [0]


# --- numbers that are not finite ----------------------------------------------------------------


def one_allowed(rows=6, columns=40):
    """(sample, weights, allowed, picture, known): one position may be found."""
    random = np.random.default_rng(4)
    sample, picture = random.random((1, rows, columns), np.float32), random.random((1, 3, 3))
    allowed = np.zeros((rows, columns), bool)
    allowed[2, 35] = True
    weights = np.ones((1, 3, 3), np.float32)
    return sample, weights, allowed, picture.astype(np.float32), np.ones((1, 3, 3), bool)


@pytest.mark.parametrize("kernels", ["numba", "reference"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e25])
def test_no_finite_error_is_an_error(bad, kernels):
    sample, weights, allowed, picture, known = one_allowed()
    picture[0, 1, 1] = bad
    with pytest.raises(ArgumentError, match="finite"):
        searched((sample, weights, allowed, picture, known, [(0, 0)]), kernels)
    known[0, 1, 1] = False  # what is not known may be anything
    ((positions, errors),) = searched((sample, weights, allowed, picture, known, [(0, 0)]), kernels)
    assert positions.tolist() == [2 * 40 + 35] and np.isfinite(errors).all()


@pytest.mark.parametrize("kernels", ["numba", "reference"])
def test_a_sample_whose_squares_overflow_somewhere(kernels):
    """Those positions are not found; a weight of 0 makes their errors NaN."""
    sample, weights, _, picture, known = one_allowed()
    sample[0, :, :36] = 1e25
    weights[0, 0, 0] = 0
    allowed = np.ones(sample.shape[1:], bool)
    ((positions, _),) = searched((sample, weights, allowed, picture, known, [(0, 0)]), kernels)
    assert len(positions) and (positions % 40 >= 36).all()
    sample[:] = 1e25
    with pytest.raises(ArgumentError, match="finite"):
        searched((sample, weights, allowed, picture, known, [(0, 0)]), kernels)


def test_overflow_finds_the_same_bits_as_the_reference():
    """Also where the smallest error is finite and the limit is not."""
    sample, weights, allowed, picture, known = one_allowed()
    sample = (1.8e19 + 4e17 * sample).astype(np.float32)  # squares are just below the largest
    weights[:] = np.random.default_rng(5).random(weights.shape)
    weights /= weights.sum()
    allowed[:] = True
    case = (sample, weights, allowed, np.zeros_like(picture), known, [(0, 0)])
    ((ours, errors),), ((theirs, expected),) = searched(case, "numba"), searched(case, "reference")
    np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(errors, expected)
    assert np.isfinite(errors).all()


SAMPLE, WEIGHTS = Tensor(np.ones((1, 5, 5), np.float32)), Tensor(np.ones((1, 3, 3), np.float32))


@pytest.mark.parametrize(
    "error, words, arguments",
    [
        (ShapeError, "as many planes", {"weights": Tensor(np.ones((2, 3, 3), np.float32))}),
        (ShapeError, "window of the sample", {"weights": Tensor(np.ones((1, 6, 3), np.float32))}),
        (ArgumentError, "at least 0", {"weights": Tensor(np.full((1, 3, 3), -1, np.float32))}),
        (ArgumentError, "finite", {"weights": Tensor(np.full((1, 3, 3), np.inf, np.float32))}),
        (ArgumentError, "at least 0", {"tolerance": -0.1}),
        (ArgumentError, "at least 0", {"tolerance": float("nan")}),
        (ArgumentError, "finite", {"sample": Tensor(np.full((1, 5, 5), np.nan, np.float32))}),
        (ArgumentError, "no window", {"allowed": Tensor(np.zeros((5, 5), bool))}),
        (ShapeError, "allowed is bool", {"allowed": Tensor(np.ones((4, 5), bool))}),
        (DtypeError, "one dtype", {"weights": Tensor(np.ones((1, 3, 3)))}),
    ],
)
def test_refuses(error, words, arguments):
    with pytest.raises(error, match=words):
        WindowSearch(**{"sample": SAMPLE, "weights": WEIGHTS, **arguments})


ONES, KNOWN = np.ones((1, 4, 4), np.float32), np.ones((1, 4, 4), bool)


@pytest.mark.parametrize(
    "error, words, picture, known, place",
    [
        (ShapeError, "1 planes", np.ones((2, 4, 4), np.float32), np.ones((2, 4, 4), bool), (0, 0)),
        (ShapeError, "same size", ONES, np.ones((1, 4, 5), bool), (0, 0)),
        (DtypeError, "float32", np.ones((1, 4, 4)), KNOWN, (0, 0)),
        (DtypeError, "bool", ONES, np.ones((1, 4, 4)), (0, 0)),
        (ArgumentError, "lies in", ONES, KNOWN, (2, 0)),
        (ArgumentError, "lies in", ONES, KNOWN, (0, 2)),
        (ArgumentError, "lies in", ONES, KNOWN, (0, -1)),
        (ArgumentError, "pairs of ints", ONES, KNOWN, (0, 0.5)),
    ],
)
def test_refuses_a_picture(error, words, picture, known, place):
    search = WindowSearch(SAMPLE, WEIGHTS)
    with pytest.raises(error, match=words):
        search.candidates(picture, known, [place])
