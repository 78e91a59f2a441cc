"""Convolutions by Winograd's algorithm: the mathematics, the numbers, the memory around."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import minidl
from minidl.kernels.cpu import conv2d
from minidl.kernels.cpu.convolution import winograd
from minidl.kernels.cpu.convolution.winograd import convolve, transforms, weight_gradient
from minidl.kernels.layout import channels_first, channels_last
from minidl.kernels.reference import conv2d as reference
from tests.kernels.guards import (
    GuardedNumpy,
    between_nans,
    calls_of,
    each_processor,
    guarded_scratch,
    paddings,
    read_only,
    run_in_python,
    with_gaps,
)

WIDTH = winograd.WIDTH
PADDED = (1, 1), (1, 1), (1, 1), 1  # stride, padding, dilation, groups


# How the work may be divided: what decides it, so that small problems take every way.
DIVISIONS = {
    "panels-parts": {(weight_gradient, "LEAST_TILES"): 0},
    "tiles-panels": {(convolve, "PANEL_BYTES"): 0, (weight_gradient, "SUMS_SIZE"): 0},
    "tiles-entries": {
        (convolve, "PANEL_BYTES"): 0, (weight_gradient, "SUMS_SIZE"): 0,
        (weight_gradient, "PANEL_BYTES"): 0,
    },
}  # fmt: skip


@pytest.fixture(params=DIVISIONS)
def divided(request, monkeypatch):
    """Each way to divide the work, one after the other."""
    for (module, name), value in DIVISIONS[request.param].items():
        monkeypatch.setattr(module, name, value)


def matrix(line, size):
    """The matrix M of line(x) = M x."""
    return np.array(line(*np.eye(size)), np.float64)


def pictures(rng, *shape):
    """Standard normal, logical (N, C, H, W), channels last in memory."""
    N, C, H, W = shape
    return channels_first(rng.standard_normal((N, H, W, C), dtype=np.float32))


def problem(seed, N, C, K, H, W, padding, R=3, groups=1):
    """C and K are the channels of all groups."""
    rng = np.random.default_rng(seed)
    x, w = pictures(rng, N, C, H, W), pictures(rng, K, C // groups, R, R)
    b = rng.standard_normal(K, dtype=np.float32)
    outputs = H + padding[0] + padding[-2] - R + 1, W + padding[1] + padding[-1] - R + 1
    gy = pictures(rng, N, K, *outputs)
    return x, w, b, gy


def all_of(x, w, b, gy, padding, groups=1, memory=lambda array: array):
    """y, gx and gw; y with a ReLU and with a leaky one behind it, and gx with a ReLU."""
    geometry = (1, 1), padding, (1, 1), groups
    mask = memory(outputs_of_relu(gy))
    return (
        winograd.forward(x, w, b, *geometry),
        winograd.backward_input(gy, w, x.shape, *geometry),
        winograd.backward_weight(gy, x, w.shape, *geometry),
        winograd.forward(x, w, b, *geometry, least=0.0),
        winograd.forward(x, w, b, *geometry, slope=0.2),
        winograd.backward_input(gy, w, x.shape, *geometry, mask=mask),
    )


def outputs_of_relu(gy):
    """Numbers that are 0 in many places, of gy's shape and memory."""
    return channels_first(np.maximum(np.sin(9 * channels_last(gy)), 0))


def assert_right(x, w, b, gy, padding, groups=1):
    """Within 1e-4 of the largest value, against plain sums in float64."""
    exact = [array.astype(np.float64) for array in (x, w, b, gy)]
    rest = ((1, 1), padding, (1, 1), groups)
    expected = (
        reference.forward(*exact[:3], *rest),
        reference.backward_input(exact[3], exact[1], x.shape, *rest),
        reference.backward_weight(exact[3], exact[0], w.shape, *rest),
        reference.forward(*exact[:3], *rest, slope=0.0),
        reference.forward(*exact[:3], *rest, slope=0.2),
        reference.backward_input(exact[3], exact[1], x.shape, *rest, mask=outputs_of_relu(gy)),
    )
    for actual, right in zip(all_of(x, w, b, gy, padding, groups), expected):
        assert actual.shape == right.shape and actual.dtype == np.float32
        largest = np.abs(right).max(initial=0)
        np.testing.assert_allclose(actual, right, rtol=0, atol=1e-4 * largest)


@pytest.mark.parametrize("taps, outputs", [(3, 4), (5, 2)])
def test_six_products_are_enough(taps, outputs):
    """A^T [(G g) o (B^T d)] is the correlation of d with g, for every d and g."""
    A_T = matrix(getattr(transforms, f"outputs_line_{outputs}"), 6)
    G = matrix(getattr(transforms, f"kernel_line_{taps}"), taps)
    B_T = matrix(transforms.inputs_line, 6)
    for d in np.eye(6):
        for g in np.eye(taps):
            y = A_T @ ((G @ g) * (B_T @ d))
            np.testing.assert_allclose(y, np.correlate(d, g, "valid"), atol=1e-14)


@pytest.mark.parametrize(
    "line, size, transposed, transposed_size",
    [
        ("outputs_line_4", 6, "output_gradient_line_4", 4),
        ("outputs_line_2", 6, "output_gradient_line_2", 2),
        ("kernel_line_3", 3, "kernel_gradient_line_3", 6),
        ("kernel_line_5", 5, "kernel_gradient_line_5", 6),
    ],
)
def test_lines_of_the_gradients_are_transposes(line, size, transposed, transposed_size):
    map_ = matrix(getattr(transforms, line), size)
    gradient = matrix(getattr(transforms, transposed), transposed_size)
    np.testing.assert_allclose(gradient, map_.T, atol=1e-15)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(0, 2**31), st.integers(0, 3), st.integers(1, 4), st.integers(1, 4),
    st.integers(1, 14), st.integers(1, 14), paddings(0, 4),
    st.sampled_from([3, 5]), st.integers(1, 3),
)  # fmt: skip
def test_any_shape(seed, N, C, K, H, W, padding, R, groups):
    assume(max(padding) < R)
    assume(H + padding[0] + padding[-2] >= R and W + padding[1] + padding[-1] >= R)
    C, K = C * groups * WIDTH, K * groups * WIDTH
    assert_right(*problem(seed, N, C, K, H, W, padding, R, groups), padding, groups)


@pytest.mark.parametrize(
    "shape, R",
    [
        ((40, 64, 64, 20, 20), 3), ((2, 256, 256, 44, 44), 3), ((1, 256, 272, 9, 6), 3),
        ((4, 32, 64, 28, 28), 5),
    ],
    ids=["many-tiles", "many-of-both", "many-channels", "5x5"],
)  # fmt: skip
def test_several_blocks(shape, R):
    """More tiles than one block, and each way to divide the work as it is chosen."""
    assert_right(*problem(0, *shape, (1, 1), R), (1, 1))


def test_each_division_gives_the_same_bits(monkeypatch):
    arrays = problem(7, 2, 5 * WIDTH, 3 * WIDTH, 13, 10, (1, 1))
    results = []
    for settings_ in DIVISIONS.values():
        with monkeypatch.context() as patch:
            for (module, name), value in settings_.items():
                patch.setattr(module, name, value)
            results.append(all_of(*arrays, (1, 1)))
    for y, gx, backward_weight, *others in results[1:]:
        for actual, before in zip((y, gx, *others), (*results[0][:2], *results[0][3:])):
            np.testing.assert_array_equal(actual, before)
        # Parts of the tiles have sums of their own, which are added up in another order.
        np.testing.assert_allclose(backward_weight, results[0][2], rtol=0, atol=1e-3)
    np.testing.assert_array_equal(results[1][2], results[2][2])


@pytest.mark.slow  # compiles everything once more, for arrays that cannot be written to
def test_any_memory():
    """Read-only, in another order, with gaps: the same bits."""
    arrays = problem(4, 2, 2 * WIDTH, WIDTH, 9, 6, (1, 1))
    expected = all_of(*arrays, (1, 1))
    for change in (read_only, in_logical_order, with_gaps):
        for actual, before in zip(all_of(*map(change, arrays), (1, 1), memory=change), expected):
            assert np.array_equal(actual, before)


def in_logical_order(array):
    return np.ascontiguousarray(array)


def test_without_bias():
    x, w, b, _ = problem(5, 2, WIDTH, WIDTH, 8, 8, (1, 1))
    without = winograd.forward(x, w, None, *PADDED)
    np.testing.assert_array_equal(without, winograd.forward(x, w, np.zeros_like(b), *PADDED))
    assert np.abs(without - winograd.forward(x, w, b, *PADDED)).max() > 0.1


def test_what_is_not_finite_stays_in_its_tile():
    """As the docstring says: NaN in each tile that reads the pixel, and in no other."""
    x, w, b, _ = problem(6, 1, WIDTH, WIDTH, 16, 16, (1, 1))
    clean = winograd.forward(x, w, b, *PADDED)
    for value in (np.nan, np.inf):
        x[0, 3, 5, 6] = value  # read by the tile of rows and columns 4 to 7 alone
        y = winograd.forward(x, w, b, *PADDED)
        assert np.isnan(y[:, :, 4:8, 4:8]).all()
        y[:, :, 4:8, 4:8] = clean[:, :, 4:8, 4:8]
        np.testing.assert_array_equal(y, clean)


def test_the_same_bits_every_time():
    arrays = problem(1, 16, 32, 32, 24, 24, (1, 1))
    first = all_of(*arrays, (1, 1))
    for _ in range(5):
        for again, before in zip(all_of(*arrays, (1, 1)), first):
            assert np.array_equal(again, before)


SHAPES = [(1, 1, 1, 3, 3), (2, 3, 1, 9, 5), (3, 1, 3, 4, 13), (1, 5, 2, 8, 8)]
DRAWN = np.random.default_rng(0).integers([1, 1, 1, 3, 3], [4, 6, 6, 15, 15], (8, 5)).tolist()


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("padding", [(1, 1), (0, 2, 1, 0)])
@pytest.mark.parametrize("R, groups", [(3, 1), (5, 1), (3, 2)])
def test_stays_inside_its_memory(monkeypatch, shape, padding, R, groups, divided):
    """As few as Python itself, without compiling, computes in a minute or two."""
    assert_stays_inside(monkeypatch, shape, padding, R, groups)


@pytest.mark.parametrize("shape", [*SHAPES, *DRAWN])
@pytest.mark.parametrize("padding", [(0, 0), (1, 1), (2, 1)])
@pytest.mark.parametrize("R, groups", [(3, 1), (5, 1), (3, 2)])
def test_stays_inside_whatever_the_shape(monkeypatch, shape, padding, R, groups, divided):
    assert_stays_inside(monkeypatch, shape, padding, R, groups)


def assert_stays_inside(monkeypatch, shape, padding, R, groups):
    """Between NaN and sentinels, with working memory that begins as NaN."""
    N, C, K, H, W = shape
    C, K, H, W = C * groups * WIDTH, K * groups * WIDTH, H + R - 3, W + R - 3
    x, w, b, gy = problem(2, N, C, K, H, W, padding, R, groups)
    expected = all_of(x, w, b, gy, padding, groups)
    between = [between_nans(array) for array in (x, w, b, gy)]
    scratch = guarded_scratch(monkeypatch)
    for actual, before in zip(all_of(*between, padding, groups, between_nans), expected):
        assert np.array_equal(actual, before)
    assert len(scratch.buffers) >= 3
    scratch.check()


@pytest.mark.parametrize("R, groups", [(3, 1), (5, 1), (3, 2)])
def test_outputs_lie_between_sentinels(monkeypatch, R, groups, divided):
    """y, gx and gw are written inside only."""
    arrays = problem(3, 2, 2 * groups * WIDTH, 3 * groups * WIDTH, 7, 10, (1, 0), R, groups)
    expected = all_of(*arrays, (1, 0), groups)
    guarded = GuardedNumpy()
    monkeypatch.setattr(winograd, "np", guarded)
    monkeypatch.setattr(winograd, "aligned", guarded.empty)
    for actual, before in zip(all_of(*arrays, (1, 0), groups), expected):
        assert np.array_equal(actual, before)
    assert len(guarded.buffers) >= 3
    guarded.check()


@each_processor
def test_in_python_the_same_with_checks(width, processor):
    """Without compilation each access is checked, and the numbers are the same."""
    code = f"""
import numpy as np
from minidl.kernels.cpu.vector.moves import copy_vector
from tests.kernels import test_winograd as t
assert t.WIDTH == {width}
for division in t.DIVISIONS.values():
    for (module, name), value in division.items():
        setattr(module, name, value)
    for shape, padding, R, groups in [
        ((2, 16, 32, 9, 5), (1, 1), 3, 1), ((1, 48, 16, 3, 6), (0, 2), 3, 1),
        ((1, 32, 64, 5, 6), (2, 1), 5, 2),
    ]:
        t.assert_right(*t.problem(0, *shape, padding, R, groups), padding, groups)
try:
    copy_vector(np.zeros(20, np.float32), 13, np.zeros(20, np.float32), 0)
except IndexError as error:
    print(error)
"""
    out = run_in_python(code, processor)
    assert out == f"elements 13 to {13 + width} of 20\n"


def convolutions(monkeypatch):
    """Which convolutions were computed here, by name."""
    return calls_of(monkeypatch, winograd, "forward", "backward_input", "backward_weight")


def step(layer, x):
    x = minidl.tensor(x, requires_grad=True)
    layer.weight.grad = None
    (layer(x) ** 2).sum().backward()
    return x.grad.numpy(), layer.weight.grad.numpy()


@pytest.mark.parametrize("R, groups", [(3, 1), (3, 2), (5, 1), (5, 2)])
def test_exact_convolution_is_a_choice(monkeypatch, R, groups):
    called = convolutions(monkeypatch)
    layer = minidl.nn.Conv2d(2 * WIDTH, 2 * WIDTH, R, padding=1, groups=groups)
    x = np.random.default_rng(0).standard_normal((2, 2 * WIDTH, 12, 12), dtype=np.float32)
    with minidl.use_cpu_kernels("numba"):
        fast = step(layer, x)
        assert called == ["forward", "backward_input", "backward_weight"]
        with minidl.use_exact_conv(True):
            exact = step(layer, x)
        assert len(called) == 3
        step(layer, x)
        assert len(called) == 6
    for a, e in zip(fast, exact):
        assert not np.array_equal(a, e)
        np.testing.assert_allclose(a, e, rtol=0, atol=1e-4 * np.abs(e).max())


@pytest.mark.parametrize(
    "shape, w_shape, rest",
    [
        ((4, 16, 16, 16), (16, 16, 4, 4), ((1, 1), (2, 2), (1, 1), 1)),
        ((4, 16, 16, 16), (16, 16, 3, 5), ((1, 1), (2, 2), (1, 1), 1)),
        ((4, 16, 16, 16), (16, 16, 3, 3), ((2, 2), (1, 1), (1, 1), 1)),
        ((4, 16, 16, 16), (16, 16, 3, 3), ((1, 1), (1, 1), (2, 2), 1)),
        ((4, 24, 16, 16), (16, 12, 3, 3), ((1, 1), (1, 1), (1, 1), 2)),
        ((4, 16, 16, 16), (16, 16, 3, 3), ((1, 1), (3, 1), (1, 1), 1)),
        ((4, 3, 16, 16), (16, 3, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((1, 512, 7, 7), (512, 512, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((64, 16, 2, 2), (16, 16, 3, 3), ((1, 1), (1, 1), (1, 1), 1)),
        ((64, 16, 3, 3), (16, 16, 3, 3), ((1, 1), (0, 0), (1, 1), 1)),
        ((64, 16, 5, 5), (16, 16, 5, 5), ((1, 1), (0, 0), (1, 1), 1)),
    ],
    ids=[
        "4x4",
        "3x5",
        "stride",
        "dilation",
        "odd-groups",
        "padding",
        "few-channels",
        "few-tiles",
        "small-maps",
        "one-output",
        "one-output-5x5",
    ],
)
def test_others_are_plain_sums(monkeypatch, shape, w_shape, rest):
    called = convolutions(monkeypatch)
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal(shape, dtype=np.float32), np.ones(w_shape, np.float32)
    y = conv2d.forward(x, w, None, *rest)
    conv2d.backward_input(y, w, shape, *rest)
    conv2d.backward_weight(y, x, w_shape, *rest)
    conv2d.forward(x.astype(np.float64), w.astype(np.float64), None, *rest)
    assert not called


def test_what_is_faster_depends_on_the_map_that_is_tiled():
    """5x5 on 6x6: one tile for the 2x2 outputs, but nine for the gradient of the input."""
    problem = (64, 16, 6, 6), (16, 16, 5, 5), (1, 1), (0, 0), (1, 1), 1
    x, gy = np.empty(problem[0], np.float32), np.empty((64, 16, 2, 2), np.float32)
    assert winograd.is_faster("y", x, *problem)
    assert winograd.is_faster("gw", gy, *problem)
    assert not winograd.is_faster("gx", gy, *problem)


def test_a_network_learns_as_with_plain_sums():
    """Twenty steps of a small residual network: the losses agree to a thousandth."""
    from models import build

    rng = np.random.default_rng(0)
    x = minidl.tensor(rng.standard_normal((16, 3, 16, 16), dtype=np.float32))
    t = minidl.tensor(rng.integers(0, 10, 16))

    def losses(exact):
        minidl.manual_seed(0)
        net = build("resnet20_cifar")
        optimizer = minidl.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
        found = []
        with minidl.use_cpu_kernels("numba"), minidl.use_exact_conv(exact):
            for _ in range(20):
                optimizer.zero_grad()
                loss = minidl.nn.functional.cross_entropy(net(x), t)
                loss.backward()
                optimizer.step()
                found.append(loss.item())
        return found

    exact = losses(True)
    assert exact[-1] < 0.5 * exact[0]
    np.testing.assert_allclose(losses(False), exact, rtol=1e-3, atol=1e-3)
