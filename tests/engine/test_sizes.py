"""A number in a call that asks for more memory than there is gets an answer, not a MemoryError.

One digit too many in a padding or a scale factor is a slip like any other: the error names the
function and the size.
"""

import pytest

import minidl
from minidl import shapes
from minidl.errors import ShapeError
from minidl.nn import functional as F

x = minidl.ones(1, 2, 4, 4)
w = minidl.ones(2, 2, 3, 3)
CALLS = {
    "zeros": lambda n: minidl.zeros(n, 3),
    "ones": lambda n: minidl.ones((n, 3), dtype="float64"),
    "empty": lambda n: minidl.empty(n),
    "full": lambda n: minidl.full((n,), 1),
    "rand": lambda n: minidl.rand(n),
    "randn": lambda n: minidl.randn(n),
    "arange": lambda n: minidl.arange(n),
    "repeat": lambda n: minidl.ones(2).repeat(n),
    "conv2d": lambda n: F.conv2d(x, w, padding=n),
    "conv_transpose2d": lambda n: F.conv_transpose2d(x, w, stride=n),
    "adaptive_avg_pool2d": lambda n: F.adaptive_avg_pool2d(x, n),
    "interpolate": lambda n: F.interpolate(x, scale_factor=float(n)),
    "interpolate ": lambda n: F.interpolate(minidl.ones(0, 2, 4, 4), size=n),
    "pad": lambda n: F.pad(x, (n, 0)),
    "pad ": lambda n: F.pad(x, (n, n, 1, 1), mode="replicate"),
    "unfold": lambda n: F.unfold(x, 3, padding=n),
}


@pytest.mark.parametrize("n", [10**12, 10**30])
@pytest.mark.parametrize("name", CALLS)
def test_a_result_larger_than_memory(name, n):
    with pytest.raises(ShapeError, match=f"^{name.strip()}: the result .*memory"):
        CALLS[name](n)


def test_the_memory_of_this_machine_is_the_limit(monkeypatch):
    monkeypatch.setattr(shapes, "memory_bytes", lambda: 400)
    assert minidl.zeros(100).shape == (100,)
    with pytest.raises(ShapeError, match="the result would take"):
        minidl.zeros(101)


def test_a_stretched_view_needs_no_memory():
    assert minidl.ones(1).expand(10**12).shape == (10**12,)
    with pytest.raises(ShapeError, match="no array is that large"):
        minidl.ones(1).expand(10**30)


def test_more_dimensions_than_an_array_has():
    with pytest.raises(ShapeError, match="64 dimensions"):
        minidl.zeros((1,) * 65)
