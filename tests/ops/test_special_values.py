"""Every differentiable function of numbers at 0, infinity, NaN and the ends of the range, beside
PyTorch: values and gradients agree, or the table DIFFERENCES says where they do not, and why."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

import minidl

inf, nan = np.inf, np.nan


def special(dtype):
    limits = np.finfo(dtype)
    far = [1e25, -1e25, 1e-25, limits.max, -limits.max, limits.tiny]
    return np.array([0, -0.0, 1, -1, 0.5, 2, 3, -2.5, inf, -inf, nan, *far], dtype)


@dataclass(frozen=True)
class Library:
    """What a function below calls: minidl or PyTorch, and how each makes a tensor of an array."""

    lib: object
    F: object
    tensor: Callable

    def like(self, x, row):
        """Rows of these constants, of x's shape and dtype."""
        dtype = str(x.dtype).removeprefix("torch.")
        return self.tensor(np.broadcast_to(np.array(row, dtype), tuple(x.shape)).copy())

    def labels(self, x, label):
        return self.tensor(np.full(len(x), label))


def named(*names):
    return {name: lambda m, x, name=name: getattr(m.lib, name)(x) for name in names}


OF_ONE = {
    **named("exp", "expm1", "log", "log1p", "sqrt", "rsqrt", "sin", "cos", "square", "abs", "sign",
            "floor", "ceil", "round", "neg", "sigmoid", "tanh", "relu"),
    "relu6": lambda m, x: m.F.relu6(x),
    **{f"x ** {p}": lambda m, x, p=p: x**p
       for p in (0, 0.5, 1, 1.5, 2, 3, -1, -2, -0.5, inf, -inf, nan)},
    **{f"{b} ** x": lambda m, x, b=b: b**x for b in (0.0, 1.0, -1.0, 2.0, 0.5, inf, nan)},
    "2 / x": lambda m, x: 2 / x,
    "0 / x": lambda m, x: 0 / x,
    "x / 0": lambda m, x: x / 0,
    "x * 0": lambda m, x: x * 0,
    "x - x": lambda m, x: x - x,
    "x % 0.7": lambda m, x: x % 0.7,
    "clamp(-1, 1)": lambda m, x: m.lib.clamp(x, -1, 1),
    "clamp(0)": lambda m, x: m.lib.clamp(x, min=0),
    "clamp(nan)": lambda m, x: m.lib.clamp(x, min=nan),
    "clamp(-inf, inf)": lambda m, x: m.lib.clamp(x, -inf, inf),
    "masked_fill": lambda m, x: x.masked_fill(m.lib.isnan(x), 0.0),
    "where": lambda m, x: m.lib.where(x > 0, x, -x),
    "where sqrt": lambda m, x: m.lib.where(x > 0, m.lib.sqrt(x), x * 0),
    "where log": lambda m, x: m.lib.where(x > 1, m.lib.log(x), x / 2),
    "leaky_relu": lambda m, x: m.F.leaky_relu(x),
    "leaky_relu 0": lambda m, x: m.F.leaky_relu(x, 0.0),
    "softplus": lambda m, x: m.F.softplus(x),
    "softplus 3": lambda m, x: m.F.softplus(x, 3.0, 10),
}  # fmt: skip

OF_TWO = {
    "x + y": lambda m, x, y: x + y,
    "x - y": lambda m, x, y: x - y,
    "x * y": lambda m, x, y: x * y,
    "x / y": lambda m, x, y: x / y,
    "x ** y": lambda m, x, y: x**y,
    "x % y": lambda m, x, y: x % y,
    "maximum": lambda m, x, y: m.lib.maximum(x, y),
    "minimum": lambda m, x, y: m.lib.minimum(x, y),
    "clamp(min)": lambda m, x, y: m.lib.clamp(x, min=y),
    "clamp(max)": lambda m, x, y: m.lib.clamp(x, max=y),
    "clamp(min, max)": lambda m, x, y: m.lib.clamp(x, min=y, max=y * 0 + 1),
    "mse_loss": lambda m, x, y: m.F.mse_loss(x, y, reduction="none"),
    "l1_loss": lambda m, x, y: m.F.l1_loss(x, y, reduction="none"),
    "pairwise_distance": lambda m, x, y: m.F.pairwise_distance(x[:, None], y[:, None]),
    "cosine_similarity": lambda m, x, y: m.F.cosine_similarity(x[:, None], y[:, None]),
}

OF_ROWS = {
    "sum": lambda m, x: x.sum(1),
    "mean": lambda m, x: x.mean(1),
    "prod": lambda m, x: x.prod(1),
    "cumsum": lambda m, x: x.cumsum(1),
    "logsumexp": lambda m, x: x.logsumexp(1),
    "max": lambda m, x: x.max(1)[0],
    "amax": lambda m, x: x.amax(1),
    "amin": lambda m, x: x.amin(1),
    **{f"norm {p}": lambda m, x, p=p: x.norm(p, 1) for p in (1, 1.5, 2, 3, inf)},
    **{f"normalize {p}": lambda m, x, p=p: m.F.normalize(x, p) for p in (1, 2, 3)},
    "softmax": lambda m, x: x.softmax(1),
    "log_softmax": lambda m, x: x.log_softmax(1),
    "cross_entropy": lambda m, x: m.F.cross_entropy(x, m.labels(x, 0), reduction="none"),
    "cross_entropy smooth": lambda m, x: m.F.cross_entropy(
        x, m.labels(x, 1), reduction="none", label_smoothing=0.1
    ),
    "cross_entropy weight": lambda m, x: m.F.cross_entropy(
        x, m.labels(x, 0), m.like(x, [0, 1])[0], reduction="none"
    ),
    "cross_entropy ignored": lambda m, x: m.F.cross_entropy(
        x, m.labels(x, -100), reduction="none"
    ),
    **{f"cross_entropy {t}": lambda m, x, t=t: m.F.cross_entropy(x, m.like(x, t), reduction="none")
       for t in ((1, 0), (0.3, 0.7), (0, 0))},
    "nll_loss weight": lambda m, x: m.F.nll_loss(
        x, m.labels(x, 0), m.like(x, [0, 1])[0], reduction="none"
    ),
    **{f"binary_cross_entropy {t}": lambda m, x, t=t: m.F.binary_cross_entropy_with_logits(
        x, m.like(x, t), reduction="none") for t in ((1, 0), (0.3, 0.7))},
    "binary_cross_entropy weights": lambda m, x: m.F.binary_cross_entropy_with_logits(
        x, m.like(x, [1, 0.5]), m.like(x, [1, 0]), pos_weight=m.like(x, [0, 1]), reduction="none"
    ),
    "multi_margin_loss": lambda m, x: m.F.multi_margin_loss(x, m.labels(x, 0), reduction="none"),
    "multi_margin_loss 2": lambda m, x: m.F.multi_margin_loss(
        x, m.labels(x, 0), 2, weight=m.like(x, [0.5, 1])[0], reduction="none"
    ),
    "hinge_embedding_loss": lambda m, x: m.F.hinge_embedding_loss(
        x, m.like(x, [1, -1]), reduction="none"
    ),
    "dropout of all": lambda m, x: m.F.dropout(x, 1.0),
    "max_pool2d": lambda m, x: m.F.max_pool2d(x[:, None, None, :], (1, 2)),
    "avg_pool2d": lambda m, x: m.F.avg_pool2d(x[:, None, None, :], (1, 2)),
    "local_response_norm": lambda m, x: m.F.local_response_norm(x[:, :, None, None], 2),
    "pad": lambda m, x: m.F.pad(x, (1, 1), mode="replicate"),
}  # fmt: skip


# --- where they differ, and why -------------------------------------------------------------------


def a_limit(mine, theirs):
    return np.isnan(theirs) & ~np.isnan(mine)


def visible_nan(mine, theirs):
    return np.isnan(mine)


def in_range(mine, theirs):
    return np.isfinite(mine) & ((theirs == 0) | ~np.isfinite(theirs))


def roundings(mine, theirs):
    return np.abs(mine - theirs) < 16 * np.finfo(mine.dtype).eps


def anything(mine, theirs):
    return np.ones(np.shape(mine), bool)


LIMIT = "0 times infinity: mathematics has a limit, PyTorch NaN", a_limit
NAN = "NaN goes in, so NaN comes out; PyTorch makes 0 of it", visible_nan
RANGE = "the result is in range, what PyTorch computes on the way is not", in_range
ROUNDING = "a difference of nearly equal terms, each rounded", roundings
ROOT = "a power by IEEE 754; PyTorch takes the root, which differs at -0 and -inf", anything
SHARED = "infinite numbers share the gradient as equal large ones do; PyTorch's is NaN", a_limit
DIFFERENCES = {
    "abs": [NAN],
    "sign": [NAN],
    "l1_loss": [NAN],
    "norm 1": [NAN],
    "norm inf": [NAN, ("the NaN is the largest, the rest has no gradient; PyTorch makes NaN of all",
                       lambda mine, theirs: (mine == 0) & np.isnan(theirs))],
    "multi_margin_loss": [NAN],
    "multi_margin_loss 2": [NAN],
    "x ** 0.5": [ROOT],
    "x ** -0.5": [ROOT],
    "x ** inf": [LIMIT],
    "x ** -inf": [LIMIT],
    "inf ** x": [LIMIT],
    "x ** y": [LIMIT],
    "0 / x": [LIMIT],
    "where sqrt": [LIMIT],
    "where log": [LIMIT],
    "leaky_relu 0": [LIMIT, ("as relu does, it passes the gradient to NaN", anything)],
    "relu6": [("as relu does, it passes the gradient to NaN; PyTorch does at the end of an array",
               lambda mine, theirs: (mine == 1) & (theirs == 0))],
    "x % 0.7": [RANGE],
    "x % y": [RANGE],
    "clamp(min, max)": [("where min = max, the bound that x is beyond gets the gradient; PyTorch "
                         "gives it to nobody", lambda mine, theirs: (mine == 1) & (theirs == 0))],
    "pairwise_distance": [NAN, SHARED],
    "amax": [("the NaN is the largest and gets the gradient; PyTorch makes NaN of all", a_limit)],
    "amin": [("the NaN is the smallest and gets the gradient; PyTorch makes NaN of all", a_limit)],
    "logsumexp": [LIMIT, ("e^(x - y) of a large y, rounded: 1 for each of two equal numbers",
                          lambda mine, theirs: (mine == 0.5) & (theirs == 1))],
    **{f"norm {p}": [RANGE, SHARED] for p in (1.5, 2, 3)},
    **{f"normalize {p}": [RANGE, ROUNDING] for p in (1, 2, 3)},
    "cosine_similarity": [ROUNDING],
    **{name: [RANGE] for name in ("sum", "mean", "cumsum", "avg_pool2d", "local_response_norm")},
    **{name: [LIMIT] for name in OF_ROWS if name.startswith(("cross_", "binary_", "nll_"))},
    "dropout of all": [("what is dropped is 0", a_limit)],
}  # fmt: skip


def run(m, function, arrays):
    """The value and the gradients, for a gradient of 1 everywhere."""
    inputs = [m.tensor(array.copy()) for array in arrays]
    for x in inputs:
        x.requires_grad_()
    y = function(m, *inputs)
    y.backward(m.tensor(np.ones(tuple(y.shape), arrays[0].dtype)))
    return [np.asarray(x.detach().numpy()) for x in (y, *(x.grad for x in inputs))]


def differs(mine, theirs):
    """By more than some roundings of a number of this size or of 1, what a gradient is made of."""
    eps = np.finfo(mine.dtype).eps
    size = np.maximum(np.abs(theirs), np.abs(mine))
    tolerance = 16 * eps * np.where(size < 1e-3, np.minimum(size * 1e6, 1), np.maximum(size, 1))
    close = np.abs(mine - theirs) <= tolerance + 4 * np.finfo(mine.dtype).tiny
    return ~((mine == theirs) | close | (np.isnan(mine) & np.isnan(theirs)))


@pytest.mark.torch
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", [*OF_ONE, *OF_TWO, *OF_ROWS])
def test_special_values(name, dtype):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    ours = Library(minidl, minidl.nn.functional, minidl.Tensor)
    others = Library(torch, torch.nn.functional, torch.from_numpy)
    values = special(dtype)
    grid = np.array(list(itertools.product(values, values)))
    function = {**OF_ONE, **OF_TWO, **OF_ROWS}[name]
    arrays = [values] if name in OF_ONE else [grid] if name in OF_ROWS else list(grid.T)
    expected = run(others, function, arrays)
    for kernels in ("reference", "numba"):
        with minidl.use_cpu_kernels(kernels):
            compare(name, arrays, run(ours, function, arrays), expected)


def compare(name, arrays, received, expected):
    for what, mine, theirs in zip(("value", "gradient", "second gradient"), received, expected):
        wrong = differs(mine, theirs)
        for _, explains in DIFFERENCES.get(name, []):
            wrong &= ~explains(mine, theirs)
        at = [tuple(array[place[0]] for array in arrays) for place in np.argwhere(wrong)]
        shown = list(zip(at, mine[wrong], theirs[wrong]))[:9]
        assert not wrong.any(), f"{what}: at, minidl's, PyTorch's {shown}"
