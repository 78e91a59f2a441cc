import numpy as np

from minidl.creation import arange, ones, tensor
from minidl.errors import ArgumentError, BoundsError, DtypeError, GraphError, ShapeError
from minidl.ops import gather, index_select, setitem
from tests.op_cases.case import BadCase, normal, twin
from tests.oracles import onnx

x = normal(4, 3, 5)
repeated = np.array([2, 0, 2, -1])
mask = np.array([True, False, True, True])

CASES = [
    twin("getitem", "int", lambda lib, x: x[-2], x),
    twin("getitem", "all-ints", lambda lib, x: x[1, 2, 3], x),
    twin("getitem", "slices", lambda lib, x: x[1:3, :, ::2], x,
         oracle=onnx("Slice", constants=([1, 0], [3, 5], [0, 2], [1, 2]))),
    twin("getitem", "new-axis-ellipsis", lambda lib, x: x[..., None, 1], x),
    twin("getitem", "empty-slice", lambda lib, x: x[3:1], x),
    twin("getitem", "indices-repeated", lambda lib, x, i: x[i], x, repeated),
    twin("getitem", "list", lambda lib, x: x[:, [0, 0, 2]], x),
    twin("getitem", "two-arrays", lambda lib, x, i: x[i, :, i + 1], x, repeated),
    twin("getitem", "grid", lambda lib, x, i: x[i[:, None], i[None, :-1] % 3], x, repeated),
    twin("getitem", "array-after-int", lambda lib, x, i: x[0, :, i], x, repeated),
    twin("getitem", "empty-ellipsis", lambda lib, x, i: x[0, None, i[:2], ..., i[:2]], x, repeated),
    twin("getitem", "true-and-int", lambda lib, x: x[0, 0][True, 2], x),
    twin("getitem", "mask", lambda lib, x, m: x[m], x, mask),
    twin("getitem", "mask-elements", lambda lib, x: x[x > 0.3], x),
    twin("getitem", "mask-and-slice", lambda lib, x, m: x[m, 1:], x, mask),
    twin("getitem", "0d-index", lambda lib, x, i: x[i], x, np.array(2)),
    twin("getitem", "used-twice", lambda lib, x: x[1:] * x[:-1], x),
    twin("index_select", "repeated", lambda lib, x, i: lib.index_select(x, 0, i), x,
         np.array([3, 0, 3]), oracle=onnx("Gather", axis=0)),
    twin("index_select", "last", lambda lib, x, i: x.index_select(-1, i), x, np.array([1, 1])),
    twin("gather", "middle", lambda lib, x, i: lib.gather(x, 1, i), x,
         np.random.default_rng(0).integers(0, 3, (4, 2, 5)), oracle=onnx("GatherElements", axis=1)),
    twin("gather", "smaller", lambda lib, x, i: x.gather(2, i), x, np.array([[[4, 4]], [[0, 1]]])),
]  # fmt: skip

m = arange(12).reshape(3, 4)
BAD_CASES = [
    BadCase("getitem", "int", lambda: m[3], BoundsError,
            ["index 3 is outside of dimension 0, which has size 3", "from -3 to 2", "(3, 4)"]),
    BadCase("getitem", "second", lambda: m[0, -5], BoundsError, ["-5", "dimension 1"]),
    BadCase("getitem", "after-ellipsis", lambda: m[..., 4], BoundsError, ["dimension 1"]),
    BadCase("getitem", "too-many", lambda: m[0, 0, 0], ShapeError, ["3 indices for 2"]),
    BadCase("getitem", "0d", lambda: tensor(1.0)[0], ShapeError, ["1 indices for 0"]),
    BadCase("getitem", "array", lambda: m[:, tensor([0, 7])], BoundsError, ["index 7"]),
    BadCase("getitem", "arrays", lambda: m[[0, 1], [0, 1, 2]], ShapeError, ["broadcast"]),
    BadCase("getitem", "mask", lambda: m[tensor([True, False])], ShapeError, ["mask", "(2,)"]),
    BadCase("getitem", "float", lambda: m[1.0], DtypeError, ["index  1.0"]),
    BadCase("getitem", "float-array", lambda: m[tensor([1.0])], DtypeError, [".long()"]),
    BadCase("getitem", "text", lambda: m["a"], DtypeError, ["'a'"]),
    BadCase("getitem", "slice-float", lambda: m[0.5:], DtypeError, ["bounds of a slice"]),
    BadCase("getitem", "slice-step-0", lambda: m[::0], DtypeError, ["step is not 0"]),
    BadCase("getitem", "two-ellipses", lambda: m[..., ...], ShapeError, ["at most one"]),
    BadCase("setitem", "int", lambda: setitem(m, 3, 0), BoundsError, ["index 3"]),
    BadCase("setitem", "shape", lambda: setitem(m, 0, ones(3)), ShapeError, ["(3,)", "(4,)"]),
    BadCase("setitem", "more-dims", lambda: setitem(m, 0, ones(2, 4)), ShapeError, ["(2, 4)"]),
    BadCase("setitem", "text", lambda: setitem(m, 0, "a"), DtypeError, ["'a'"]),
    BadCase("setitem", "too-large", lambda: setitem(m, 0, 2**70), ArgumentError, ["int64"]),
    BadCase("setitem", "nan", lambda: setitem(m, 0, float("nan")), ArgumentError, ["int64", "nan"]),
    BadCase("setitem", "recorded", lambda: setitem(ones(2, requires_grad=True), 0, 1), GraphError,
            ["no_grad"]),
    BadCase("index_select", "bounds", lambda: index_select(m, 1, tensor([4])), BoundsError, ["4"]),
    BadCase("index_select", "2d", lambda: index_select(m, 1, m), ShapeError, ["1 dimension"]),
    BadCase("gather", "floats", lambda: gather(m, 0, ones(1, 1)), DtypeError, ["ints"]),
    BadCase("gather", "shape", lambda: gather(m, 0, tensor([0])), ShapeError, ["(1,)"]),
    BadCase("gather", "bounds", lambda: gather(m, 0, tensor([[3]])), BoundsError,
            ["index 3 is outside of the dimension, which has size 3", "from 0 to 2"]),
    BadCase("gather", "negative", lambda: gather(m, 0, tensor([[-1]])), BoundsError, ["index -1"]),
]  # fmt: skip
