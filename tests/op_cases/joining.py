from minidl.creation import ones, tensor
from minidl.errors import ArgumentError, DtypeError, ShapeError
from minidl.ops import cat, chunk, split, stack, unbind
from tests.op_cases.case import BadCase, normal, twin
from tests.oracles import onnx

x, y = normal(2, 3, 4), normal(2, 2, 4, seed=1)

CASES = [
    twin("cat", "middle", lambda lib, *xs: lib.cat(xs, 1), x, y, normal(2, 0, 4),
         oracle=onnx("Concat", axis=1)),
    twin("cat", "last", lambda lib, *xs: lib.cat(xs, dim=-1), x, x + 1),
    twin("cat", "same-twice", lambda lib, x: lib.cat([x, x]), x),
    twin("stack", "front", lambda lib, *xs: lib.stack(xs), x, x + 1),
    twin("stack", "back", lambda lib, *xs: lib.stack(xs, -1), x, x + 1, x * 2),
    twin("split", "size", lambda lib, x: x.split(2, 1), x,
         oracle=onnx("Split", 2, constants=([2, 1],), axis=1)),
    twin("split", "sections", lambda lib, x: lib.split(x, [1, 0, 3], dim=2), x,
         oracle=onnx("Split", 3, constants=([1, 0, 3],), axis=2)),
    twin("split", "part-unused", lambda lib, x: x.split(1, 2)[1] * 2, x),
    twin("chunk", "uneven", lambda lib, x: lib.chunk(x, 3, 2), x,
         oracle=onnx("Split", 2, constants=([2, 2],), axis=2)),
    twin("unbind", "middle", lambda lib, x: x.unbind(1), x),
    twin("unbind", "part-unused", lambda lib, x: x.unbind(-1)[2] * 2, x),
    twin("unbind", "iteration", lambda lib, x: sum(part * part for part in x), x),
]  # fmt: skip

m = ones(2, 3)
BAD_CASES = [
    BadCase("cat", "shapes", lambda: cat([m, ones(2, 4)]), ShapeError, ["tensor 1  (2, 4)"]),
    BadCase("cat", "ndim", lambda: cat([m, ones(3)]), ShapeError, ["(3,)"]),
    BadCase("cat", "0d", lambda: cat([tensor(1.0)]), ShapeError, ["stack()"]),
    BadCase("cat", "nothing", lambda: cat([]), ArgumentError, ["at least one"]),
    BadCase("cat", "array", lambda: cat([m, m.data]), DtypeError, ["tensor_1 must be a Tensor"]),
    BadCase("cat", "not-a-list", lambda: cat(m), DtypeError, ["list or tuple"]),
    BadCase("cat", "dim", lambda: cat([m, m], 2), ArgumentError, ["from -2 to 1"]),
    BadCase("stack", "shapes", lambda: stack([m, ones(3, 2)]), ShapeError, ["(3, 2)"]),
    BadCase("stack", "dim", lambda: stack([m], 3), ArgumentError, ["from -3 to 2"]),
    BadCase("split", "sum", lambda: split(m, [1, 1], 1), ArgumentError, ["add up to 3"]),
    BadCase("split", "zero", lambda: split(m, 0), ArgumentError, ["size >= 1"]),
    BadCase("chunk", "zero", lambda: chunk(m, 0), ArgumentError, ["int >= 1"]),
    BadCase("unbind", "0d", lambda: unbind(tensor(1.0)), ShapeError, ["no parts"]),
    BadCase("unbind", "iteration-0d", lambda: list(tensor(1.0)), ShapeError, ["no parts"]),
]  # fmt: skip
