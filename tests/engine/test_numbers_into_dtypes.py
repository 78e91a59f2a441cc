"""Numbers on their way into a dtype: rounded once, refused where integers cannot hold them."""

from types import SimpleNamespace

import numpy as np
import pytest

import minidl
from minidl.data.pictures import PictureDataset
from minidl.errors import ArgumentError, DataError, DtypeError, GraphError, MinidlError

inf, nan = float("inf"), float("nan")
WIDE = minidl.tensor([1.0, 2.0], dtype="float64")  # beside which a number keeps all of its digits
CHOICE = minidl.tensor([True, False])

# --- rounded once -------------------------------------------------------------------------------


def written(write):
    """What write(x) leaves in a tensor of float64."""
    x = WIDE.clone()
    write(x)
    return x


TENTH = {
    "tensor": lambda: minidl.tensor(0.1, dtype="float64"),
    "tensor-list": lambda: minidl.tensor([1, 0.1], dtype="float64")[1],
    "tensor-nested": lambda: minidl.tensor([[1.0], [0.1]], dtype=np.float64)[1],
    "tensor-of-tensors": lambda: minidl.tensor([minidl.tensor(1.0), 0.1], dtype="float64")[1],
    "tensor-numpy": lambda: minidl.tensor([0.5, np.float64(0.1)])[1],
    "tensor-numpy-deep": lambda: minidl.tensor([[0.5], [np.float64(0.1)]])[1],
    "full": lambda: minidl.full((2,), 0.1, dtype="float64")[0],
    "full_like": lambda: minidl.full_like(WIDE, 0.1)[0],
    "fill_": lambda: written(lambda x: x.fill_(0.1))[0],
    "copy_": lambda: written(lambda x: x.copy_([0.5, 0.1]))[1],
    "setitem": lambda: written(lambda x: x.__setitem__(0, 0.1))[0],
    "setitem-list": lambda: written(lambda x: x.__setitem__(slice(None), [0.5, 0.1]))[1],
    "setitem-mask": lambda: written(lambda x: x.__setitem__(CHOICE, [0.1]))[0],
    "linspace": lambda: minidl.linspace(0, 0.1, 2, dtype="float64")[1],
    "arange": lambda: minidl.arange(0.1, 1, dtype="float64")[0],
    "add": lambda: (0 * WIDE + 0.1)[0],
    "add-list": lambda: (0 * WIDE + [0.5, 0.1])[1],
    "radd-list": lambda: ([0.5, 0.1] + 0 * WIDE)[1],
    "mul-nested": lambda: (WIDE * [[0.1], [1.0]])[0, 0],
    "add_": lambda: written(lambda x: x.zero_().add_([0.5, 0.1]))[1],
    "sub-list": lambda: ([0.1, 0.5] - 0 * WIDE)[0],
    "div-list": lambda: ([0.1, 0.5] / WIDE)[0],
    "pow-list": lambda: (minidl.tensor([2.0, 0.1], dtype="float64") ** [0.5, 1.0])[1],
    "remainder": lambda: (WIDE % 1 + 0.3) % [0.2, 0.2] - 0.3 % 0.2 + 0.1,
    "maximum": lambda: minidl.maximum(-WIDE, [0.1, 0.5])[0],
    "minimum": lambda: minidl.minimum(WIDE, 0.1)[0],
    "clamp": lambda: WIDE.clamp(max=0.1)[0],
    "clamp-numpy": lambda: WIDE.clamp(max=np.float64(0.1))[0],
    "where": lambda: minidl.where(CHOICE, 0.1, WIDE)[0],
    "where-list": lambda: minidl.where(CHOICE, [0.1, 0.5], WIDE)[0],
    "where-array": lambda: minidl.where(CHOICE, 0.1, WIDE.data)[0],
    "masked_fill": lambda: WIDE.masked_fill(CHOICE, 0.1)[0],
    "pad": lambda: minidl.nn.functional.pad(WIDE, (1, 0), value=0.1)[0],
    "backward": lambda: gradient_of(0.1),
}  # fmt: skip


def gradient_of(upstream):
    x = minidl.tensor(1.0, dtype="float64", requires_grad=True)
    (x * 1).backward(upstream)
    return x.grad


@pytest.mark.parametrize("name", TENTH)
def test_a_tenth_in_float64_has_all_of_its_digits(name):
    x = TENTH[name]()
    assert x.dtype == np.float64
    np.testing.assert_array_equal(x.data, 0.1 if name != "remainder" else x.data)
    np.testing.assert_allclose(x.data, 0.1, rtol=1e-14)


def test_comparisons_with_a_tenth_in_float64():
    x = minidl.tensor([0.1, 0.1], dtype="float64")
    assert (x == 0.1).all() and (x == [0.1, 0.1]).all() and not (x < 0.1).any()
    assert (0.1 == x).all() and 0.1 in x


LARGE = 2**24 + 1  # no float32


@pytest.mark.parametrize("number", [LARGE, float(LARGE)])
def test_whole_numbers_beyond_float32(number):
    x = minidl.zeros(2, dtype="int64")
    assert minidl.tensor(number, dtype="int64").item() == LARGE
    assert minidl.full((), number, dtype="int32").item() == LARGE
    assert minidl.full_like(x, number).tolist() == [LARGE, LARGE]
    assert minidl.arange(number - 1, number + 1, dtype="int64").tolist() == [LARGE - 1, LARGE]
    assert minidl.linspace(0, number, 2, dtype="int64").tolist() == [0, LARGE]
    x[0] = number
    x[1:] = [number]
    assert x.tolist() == [LARGE, LARGE]
    assert x.zero_().copy_([number, 1]).tolist() == [LARGE, 1]


def test_without_a_dtype_floats_stay_float32():
    for x in (minidl.tensor(0.1), minidl.tensor([0.1]), minidl.full((1,), 0.1),
              minidl.tensor([minidl.ones(1).sum(), 0.1]), minidl.ones(2) + [0.1, 0.5],
              minidl.tensor(1.0, dtype="float64") + [0.1],  # a 0-d tensor does not widen
              minidl.where(CHOICE, 0.1, 0.5), minidl.where(CHOICE, [0.1, 0.2], 0.5)):  # fmt: skip
        assert x.dtype == np.float32
    assert minidl.tensor([[1, 2], [3, 0.5]]).dtype == np.float32
    assert minidl.tensor([]).dtype == np.float32 and minidl.tensor([[], []]).shape == (2, 0)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_rand_never_rounds_to_1(dtype, monkeypatch):
    minidl.manual_seed(0)
    assert minidl.rand(20_000, dtype=dtype).max().item() < 1  # in float16 one of 4096 would be 1

    class Highest:
        def random(self, shape):
            return np.full(shape, 1 - 2.0**-53)

    monkeypatch.setattr(minidl.creation, "generator", Highest)
    eps = np.finfo(dtype).epsneg
    assert minidl.rand(3, dtype=dtype).tolist() == [1 - eps] * 3


# --- refused ------------------------------------------------------------------------------------


def out_of_range(dtype):
    limits = np.iinfo(dtype)
    above = float(limits.max + 1)  # 2^63 exactly, which float(2^63 - 1) would be, too
    return [limits.max + 1, limits.min - 1, above, -2 * above, 1e30, inf, -inf, nan]


INTO = {
    "tensor": lambda value, dtype: minidl.tensor(value, dtype=dtype),
    "tensor-list": lambda value, dtype: minidl.tensor([1, value], dtype=dtype),
    "full": lambda value, dtype: minidl.full((2,), value, dtype=dtype),
    "full_like": lambda value, dtype: minidl.full_like(minidl.zeros(2, dtype=dtype), value),
    "fill_": lambda value, dtype: minidl.zeros(2, dtype=dtype).fill_(value),
    "copy_": lambda value, dtype: minidl.zeros(2, dtype=dtype).copy_([0, value]),
    "setitem": lambda value, dtype: minidl.zeros(2, dtype=dtype).__setitem__(0, value),
    "setitem-list": lambda value, dtype: minidl.zeros(2, dtype=dtype).__setitem__(..., [0, value]),
    "pad": lambda value, dtype: minidl.nn.functional.pad(
        minidl.zeros(2, dtype=dtype), (1, 1), value=value
    ),
    "arange": lambda value, dtype: minidl.arange(value, value + 2, dtype=dtype),
    "linspace": lambda value, dtype: minidl.linspace(0, value, 3, dtype=dtype),
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "int64", "uint16", "uint64"])
@pytest.mark.parametrize("name", INTO)
def test_numbers_that_integers_cannot_be_are_refused(name, dtype):
    for value in out_of_range(dtype):
        if name == "arange" and abs(value) > 2**60 and abs(value) < inf:
            continue  # value + 2 is value again, and there is nothing between them
        with pytest.raises(MinidlError):
            INTO[name](value, dtype)
    for value in (np.iinfo(dtype).min, np.iinfo(dtype).max):
        # NumPy makes floats of a list with 1 and 2^64 - 1; linspace computes in floats.
        if name != "arange" and "64" not in dtype or name in ("tensor", "full", "fill_", "setitem"):
            INTO[name](value, dtype)


@pytest.mark.parametrize("name", ["tensor", "full", "copy_", "setitem-list"])
def test_the_error_names_the_number_and_the_dtype(name):
    with pytest.raises(ArgumentError, match=r"-?nan does not fit into int64"):
        INTO[name](nan, "int64")
    with pytest.raises(ArgumentError, match=r"300.0 does not fit into uint8, 0 to 255"):
        INTO[name](300.0, "uint8")


def test_the_error_names_the_operation_that_was_called():
    x = minidl.zeros(2, dtype="uint8")
    for name, call in {
        "copy_": lambda: x.copy_([0, 300]),
        "fill_": lambda: x.fill_(300),
        "full_like": lambda: minidl.full_like(x, nan),
        "full": lambda: minidl.full((2,), 300, "uint8"),
        "setitem": lambda: x.__setitem__(0, -1),
    }.items():
        with pytest.raises(ArgumentError, match="does not fit into uint8") as caught:
            call()
        assert caught.value.op == name
    for name in ("copy_", "fill_", "zero_"):
        with pytest.raises(GraphError) as caught:
            getattr(minidl.ones(2).requires_grad_(), name)(*[0] * (name != "zero_"))
        assert caught.value.op == name


def test_tensors_into_integers_that_do_not_hold_them():
    for array, dtype in (
        (np.array([1, 300]), "uint8"), (np.array([-1]), "uint8"), (np.array([2**31]), "int32"),
        (np.array([0.0, nan]), "int64"), (np.array([inf], "float32"), "int64"),
        (np.array([9.3e18]), "int64"), (np.array([2**63], "uint64"), "int64"),
        (np.array([-1], "int8"), "uint64"), (np.array([-1.0], "float16"), "uint8"),
    ):  # fmt: skip
        x = minidl.tensor(array)
        into = minidl.zeros(len(array), dtype=dtype)
        for convert in (
            lambda: x.to(dtype), lambda: x.to(into), lambda: x.type_as(into),  # noqa: B023
            lambda: minidl.tensor(x, dtype=dtype), lambda: into.copy_(x),  # noqa: B023
            lambda: minidl.tensor(array, dtype=dtype), lambda: into.__setitem__(..., x),  # noqa: B023
        ):  # fmt: skip
            with pytest.raises(ArgumentError, match=f"does not fit into {dtype}"):
                convert()
        assert not into.data.any()
    for method, value in (("long", 1e19), ("int", 2.0**31), ("long", nan)):
        with pytest.raises(ArgumentError, match="does not fit"):
            getattr(minidl.tensor([value], dtype="float64"), method)()


def test_fractions_are_cut_off_and_the_last_numbers_fit():
    assert minidl.tensor([255.9, -0.9], dtype="uint8").tolist() == [255, 0]
    assert minidl.tensor([-1.7, 1.7]).to("int64").tolist() == [-1, 1]
    for dtype in ("int8", "int32", "int64", "uint8"):
        limits = [np.iinfo(dtype).min, np.iinfo(dtype).max]
        assert minidl.tensor(limits, dtype=dtype).tolist() == limits
    assert minidl.tensor(-(2.0**63), dtype="int64").item() == -(2**63)
    assert minidl.zeros(0).to("uint8").shape == (0,)
    assert minidl.tensor([nan, inf, 0.0, 0.5]).bool().tolist() == [True, True, False, True]


def test_floats_become_infinite_beyond_their_range_as_in_pytorch():
    with np.errstate(over="ignore"):
        assert (
            minidl.tensor(1e300).item() == inf and minidl.tensor(1e6, dtype="float16").item() == inf
        )
        assert minidl.tensor([-1e300], dtype="float64").float().item() == -inf


@pytest.mark.parametrize("name", ["rand", "randn"])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "bool"])
def test_random_fractions_are_no_integers(name, dtype):
    with pytest.raises(DtypeError, match=f"{name}: makes fractions"):
        getattr(minidl, name)(3, dtype=dtype)


def test_random_integers_fit_into_their_dtype():
    assert minidl.randint(0, 256, (100,), dtype="uint8").dtype == np.uint8
    for low, high, dtype in ((0, 257, "uint8"), (-1, 2, "uint8"), (0, 2**31 + 1, "int32")):
        with pytest.raises(ArgumentError, match=f"randint: .* does not fit into {dtype}"):
            minidl.randint(low, high, (3,), dtype=dtype)


def test_a_result_of_larger_integers_does_not_go_in_place_into_smaller():
    x = minidl.zeros(2, dtype="uint8")
    for change in (x.add_, x.sub_, x.mul_):
        with pytest.raises(DtypeError, match="int64 does not fit into uint8"):
            change(minidl.tensor([1, 300]))


@pytest.mark.parametrize("ints", [[2**63, -1], [[1], [2**64 - 1]]])
@pytest.mark.parametrize("dtype", [None, "int64", "uint64"])
def test_ints_that_numpy_makes_floats_of_are_refused(ints, dtype):
    with pytest.raises(DtypeError, match="no common type"):
        minidl.tensor(ints, dtype=dtype)
    assert minidl.tensor([2.0**63, -1]).dtype == np.float32
    assert minidl.tensor(np.array([2**64 - 1, 1], np.uint64)).tolist() == [2**64 - 1, 1]


@pytest.mark.parametrize("dtype", ["float32", "float64", "bool"])
def test_floats_hold_such_ints(dtype):
    x = minidl.tensor([2**63, -1], dtype=dtype)
    assert x.dtype == dtype and x.tolist() == np.array([2.0**63, -1]).astype(dtype).tolist()
    y = minidl.zeros(2, dtype=dtype).copy_([2**63, -1])
    assert y.tolist() == x.tolist()
    y[:] = [-1, 2**63]
    assert y.tolist() == x.tolist()[::-1]


def test_integers_are_not_clamped_to_what_they_cannot_be():
    x = minidl.tensor([0, 7, 255], dtype="uint8")
    assert x.clamp(-1, 300).tolist() == x.clamp(min=-1).tolist() == x.tolist()
    for low, high in ((300, None), (256, 400), (None, -1)):
        with pytest.raises(ArgumentError, match="does not fit into uint8"):
            x.clamp(low, high)


def test_labels_of_pictures_are_not_cut_to_integers():
    with pytest.raises(DataError, match="labels are integers"):
        minidl.data.ArrayDataset(np.zeros((2, 4, 4, 1), np.uint8), [0, 0.7], ["a", "b"])
    files = SimpleNamespace(location="here")
    with pytest.raises(DataError, match="labels are integers"):
        PictureDataset(files, ["a.png", "b.png"], [0, 0.7], ["a", "b"])
