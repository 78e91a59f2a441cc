"""4x4 convolutions with stride 2, phase by phase: the numbers, the edges, the memory around."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
from minidl.kernels.cpu import conv2d
from minidl.kernels.cpu.convolution import halving, im2col
from minidl.kernels.cpu.convolution.winograd import transforms, views
from minidl.kernels.reference import conv2d as reference
from tests.kernels import test_winograd
from tests.kernels.guards import (
    GuardedNumpy,
    assert_same_bits_with_any_number_of_threads,
    between_nans,
    each_processor,
    guarded_scratch,
    paddings,
    run_in_python,
)
from tests.kernels.test_winograd import matrix, outputs_of_relu, pictures

WIDTH = halving.WIDTH
STRIDE, REST = (2, 2), ((1, 1), 1)  # and dilation, groups
PADDED = STRIDE, (1, 1), *REST
divided = test_winograd.divided  # a fixture, which pytest looks for here


def problem(seed, N, C, K, H, W, padding):
    rng = np.random.default_rng(seed)
    x, w = pictures(rng, N, C, H, W), pictures(rng, K, C, 4, 4)
    b = rng.standard_normal(K, dtype=np.float32)
    return x, w, b, pictures(rng, N, K, *halving.output_size((H, W), padding))


def all_of(x, w, b, gy, padding, memory=lambda array: array):
    """y, gx and gw; y with a ReLU and with a leaky one behind it, and gx with a ReLU."""
    geometry = STRIDE, padding, *REST
    mask = memory(outputs_of_relu(gy))
    return (
        halving.forward(x, w, b, *geometry),
        halving.backward_input(gy, w, x.shape, *geometry),
        halving.backward_weight(gy, x, w.shape, *geometry),
        halving.forward(x, w, b, *geometry, least=0.0),
        halving.forward(x, w, b, *geometry, slope=0.2),
        halving.backward_input(gy, w, x.shape, *geometry, mask=mask),
    )


def assert_right(x, w, b, gy, padding):
    """Within 2e-5 of the largest value, against plain sums in float64."""
    x64, w64, b64, gy64 = (array.astype(np.float64) for array in (x, w, b, gy))
    geometry = STRIDE, padding, *REST
    expected = (
        reference.forward(x64, w64, b64, *geometry),
        reference.backward_input(gy64, w64, x.shape, *geometry),
        reference.backward_weight(gy64, x64, w.shape, *geometry),
        reference.forward(x64, w64, b64, *geometry, slope=0.0),
        reference.forward(x64, w64, b64, *geometry, slope=0.2),
        reference.backward_input(gy64, w64, x.shape, *geometry, mask=outputs_of_relu(gy)),
    )
    for actual, right in zip(all_of(x, w, b, gy, padding), expected):
        assert actual.shape == right.shape and actual.dtype == np.float32
        largest = np.abs(right).max(initial=0)
        np.testing.assert_allclose(actual, right, rtol=0, atol=2e-5 * largest)


def test_five_products_are_enough():
    """A^T [(G g) o (B^T d)] is the correlation of d with g, for every d and g."""
    A_T, G = matrix(transforms.outputs_line_of_two, 5), matrix(transforms.kernel_line_2, 2)
    B_T = matrix(transforms.inputs_line_of_two, 5)
    for d in np.eye(5):
        for g in np.eye(2):
            y = A_T @ ((G @ g) * (B_T @ d))
            np.testing.assert_allclose(y, np.correlate(d, g, "valid"), atol=1e-14)


def test_lines_of_the_gradients_are_transposes():
    for line, size, transposed, transposed_size in (
        (transforms.outputs_line_of_two, 5, transforms.output_gradient_line_of_two, 4),
        (transforms.kernel_line_2, 2, transforms.kernel_gradient_line_2, 5),
    ):
        gradient = matrix(transposed, transposed_size)
        np.testing.assert_allclose(gradient, matrix(line, size).T, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3),
    st.integers(1, 19), st.integers(1, 19), paddings(0, 3),
)  # fmt: skip
def test_any_shape(seed, N, C, K, H, W, padding):
    """Odd sizes, sides that differ, pictures of one row that has no second phase."""
    assume(H + padding[0] + padding[-2] >= 4 and W + padding[1] + padding[-1] >= 4)
    assert_right(*problem(seed, N, C * WIDTH, K * WIDTH, H, W, padding), padding)


@pytest.mark.parametrize(
    "shape",
    [(32, 64, 128, 8, 8), (40, 32, 64, 16, 16), (3, 256, 256, 24, 24), (2, 32, 272, 16, 8)],
    ids=["one-tile-a-picture", "many-tiles", "many-of-both", "odd-panel"],
)
def test_layers_of_gans(shape):
    """More tiles than one block, and each way to divide the work as it is chosen."""
    assert_right(*problem(0, *shape, (1, 1)), (1, 1))


def test_without_bias():
    x, w, b, _ = problem(5, 2, WIDTH, WIDTH, 8, 8, (1, 1))
    without = halving.forward(x, w, None, *PADDED)
    np.testing.assert_array_equal(without, halving.forward(x, w, np.zeros_like(b), *PADDED))
    assert np.abs(without - halving.forward(x, w, b, *PADDED)).max() > 0.1


def test_views_are_every_second_pixel():
    """Row h of the picture is row m of phase i with h = 2 m + i - p, from the first one inside."""
    H, W, C = 5, 6, 3
    x = np.arange(2 * H * W * C).reshape(2, H, W, C)
    for padding in ((0, 0), (1, 1), (2, 3), (3, 1)):
        for number, view in enumerate(views.phases_of(x, padding)):
            i, j = divmod(number, 2)
            rows = [h for h in range(H) if (h + padding[0] - i) % 2 == 0]
            columns = [v for v in range(W) if (v + padding[1] - j) % 2 == 0]
            assert (view[views.ROWS], view[views.COLUMNS]) == (len(rows), len(columns))
            assert 2 * view[views.TOP] + i - padding[0] == rows[0]
            assert 2 * view[views.LEFT] + j - padding[1] == columns[0]
            for n in range(2):
                for m, h in enumerate(rows):
                    for k, v in enumerate(columns):
                        start = views.pixel_at(view, n, m, k)
                        np.testing.assert_array_equal(x.reshape(-1)[start : start + C], x[n, h, v])


def test_the_same_bits_every_time_and_with_any_number_of_threads():
    arrays = problem(1, 16, 32, 64, 16, 24, (1, 1))
    assert_same_bits_with_any_number_of_threads(lambda: all_of(*arrays, (1, 1)))


def test_what_is_not_finite_stays_in_its_tile():
    x, w, b, _ = problem(6, 1, WIDTH, WIDTH, 32, 32, (1, 1))
    clean = halving.forward(x, w, b, *PADDED)
    x[0, 3, 11, 12] = np.nan  # read by the tile of rows and columns 4 to 7 alone
    y = halving.forward(x, w, b, *PADDED)
    assert np.isnan(y[:, :, 4:8, 4:8]).all()
    y[:, :, 4:8, 4:8] = clean[:, :, 4:8, 4:8]
    np.testing.assert_array_equal(y, clean)


# --- memory -------------------------------------------------------------------------------------


SHAPES = [(1, 1, 1, 4, 4), (2, 3, 1, 9, 6), (3, 1, 3, 8, 13), (1, 2, 2, 1, 16)]
DRAWN = np.random.default_rng(0).integers([1, 1, 1, 4, 4], [4, 5, 5, 20, 20], (8, 5)).tolist()


@pytest.mark.parametrize(
    "shape, padding",
    [((1, 1, 1, 10, 10), (1, 1)), ((1, 2, 2, 1, 16), (2, 1))],
    ids=["a-whole-tile-inside", "one-row"],
)
def test_stays_inside_its_memory(monkeypatch, shape, padding, divided):
    """Small enough for Python itself."""
    assert_stays_inside(monkeypatch, shape, padding)


@pytest.mark.parametrize("shape", [*SHAPES, *DRAWN])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (3, 2), (0, 2, 1, 3)])
def test_stays_inside_whatever_the_shape(monkeypatch, shape, padding, divided):
    assert_stays_inside(monkeypatch, shape, padding)


def assert_stays_inside(monkeypatch, shape, padding):
    """Between NaN and sentinels, with working memory that begins as NaN."""
    N, C, K, H, W = shape
    if H + padding[0] + padding[-2] < 4:
        H = 4
    arrays = problem(2, N, C * WIDTH, K * WIDTH, H, W, padding)
    expected = all_of(*arrays, padding)
    between = [between_nans(array) for array in arrays]
    scratch = guarded_scratch(monkeypatch)
    for actual, before in zip(all_of(*between, padding, between_nans), expected):
        assert np.array_equal(actual, before)
    assert len(scratch.buffers) >= 3
    scratch.check()


@pytest.mark.parametrize("padding", [(1, 1), (2, 0)])
def test_outputs_lie_between_sentinels(monkeypatch, padding, divided):
    """y, gx and gw are written inside only, and all of them."""
    arrays = problem(3, 2, 2 * WIDTH, 3 * WIDTH, 13, 10, padding)
    expected = all_of(*arrays, padding)
    guarded = GuardedNumpy()
    monkeypatch.setattr(halving, "np", guarded)
    monkeypatch.setattr(halving, "aligned", guarded.empty)
    for actual, before in zip(all_of(*arrays, padding), expected):
        assert np.array_equal(actual, before)
    assert len(guarded.buffers) >= 3
    guarded.check()


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
from tests.kernels import test_halving as t
assert t.WIDTH == {width}
for division in t.test_winograd.DIVISIONS.values():
    for (module, name), value in division.items():
        setattr(module, name, value)
    for shape, padding in [((2, 16, 32, 8, 8), (1, 1)), ((1, 32, 16, 5, 11), (0, 2))]:
        t.assert_right(*t.problem(0, *shape, padding), padding)
print("right")
"""
    assert run_in_python(code, processor) == "right\n"


# --- when it is used ----------------------------------------------------------------------------


def chosen(N, C, K, H, W, geometry=PADDED, dtype=np.float32):
    problem = (N, C, H, W), (K, C, 4, 4), *geometry
    x, gy = np.empty((N, C, H, W), dtype), np.empty((N, K, H // 2, W // 2), dtype)
    return [
        conv2d.choose(result, array, *problem) is halving
        for result, array in (("y", x), ("gx", gy), ("gw", gy))
    ]


def test_where_it_is_used():
    size = 2, 2 * WIDTH, WIDTH, 16, 16
    assert all(chosen(*size))
    assert all(chosen(2, 2 * WIDTH, WIDTH, 12, 16))  # a quarter of the tiles is beside the picture
    assert not any(chosen(2, 2 * WIDTH, WIDTH, 4, 4))  # three quarters are
    assert not any(chosen(2, 3, WIDTH, 16, 16))
    assert not any(chosen(*size, dtype=np.float64))
    assert not any(chosen(1, 1024, 512, 8, 8))  # few tiles, many weights
    for geometry in (
        ((1, 1), (1, 1), (1, 1), 1), ((2, 2), (4, 1), (1, 1), 1), ((2, 2), (1, 1), (2, 2), 1)
    ):  # fmt: skip
        assert not any(chosen(*size, geometry))
    with minidl.use_exact_conv(True):
        assert not any(chosen(*size))


@pytest.mark.parametrize("layer", ["Conv2d", "ConvTranspose2d"])
def test_a_layer_learns_as_with_plain_sums(layer):
    minidl.manual_seed(0)
    net = getattr(minidl.nn, layer)(2 * WIDTH, WIDTH, 4, stride=2, padding=1)
    x = np.random.default_rng(0).standard_normal((3, 2 * WIDTH, 8, 8), dtype=np.float32)

    def step():
        inputs = minidl.tensor(x, requires_grad=True)
        net.zero_grad()
        y = net(inputs)
        (y * y).sum().backward()
        return y.detach().numpy(), inputs.grad.numpy(), net.weight.grad.numpy()

    with minidl.use_cpu_kernels("numba"):
        fast = step()
        with minidl.use_exact_conv(True):
            exact = step()
    for a, e in zip(fast, exact):
        assert not np.array_equal(a, e)
        np.testing.assert_allclose(a, e, rtol=0, atol=2e-5 * np.abs(e).max())
    assert im2col.output_size((3, 8, 8, 1), 4, 4, (2, 2), (1, 1), (1, 1)) == (4, 4)
