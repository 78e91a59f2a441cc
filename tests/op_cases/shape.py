from minidl.creation import ones
from minidl.errors import ArgumentError, ShapeError
from tests.op_cases.case import BadCase, normal, twin
from tests.oracles import onnx

x = normal(2, 3, 4)

CASES = [
    twin("reshape", "ints", lambda lib, x: x.reshape(6, 4), x),
    twin("reshape", "tuple", lambda lib, x: lib.reshape(x, (4, -1)), x),
    twin("reshape", "view", lambda lib, x: x.view(-1), x),
    twin("reshape", "empty", lambda lib, x: x.reshape(3, -1), normal(0, 3)),
    twin("flatten", "all", lambda lib, x: x.flatten(), x),
    twin("flatten", "from-1", lambda lib, x: lib.flatten(x, 1), x, oracle=onnx("Flatten", axis=1)),
    twin("flatten", "middle", lambda lib, x: x.flatten(0, -2), x),
    twin("flatten", "0d", lambda lib, x: x.flatten(), x[0, 0, 0]),
    twin("squeeze", "all", lambda lib, x: x.squeeze(), normal(1, 3, 1)),
    twin("squeeze", "one", lambda lib, x: x.squeeze(-1), normal(1, 3, 1)),
    twin("squeeze", "not-1", lambda lib, x: lib.squeeze(x, 1), normal(1, 3, 1)),
    twin("squeeze", "two", lambda lib, x: x.squeeze((0, 2)), normal(1, 3, 1)),
    twin("unsqueeze", "front", lambda lib, x: x.unsqueeze(0), x),
    twin("unsqueeze", "back", lambda lib, x: lib.unsqueeze(x, -1), x),
    twin("permute", "cycle", lambda lib, x: x.permute(2, 0, 1), x,
         oracle=onnx("Transpose", perm=[2, 0, 1])),
    twin("permute", "tuple", lambda lib, x: lib.permute(x, (1, -1, 0)), x),
    twin("transpose", "ends", lambda lib, x: x.transpose(0, -1), x),
    twin("transpose", "T", lambda lib, x: x.T, x[0]),
    twin("transpose", "t", lambda lib, x: x.t(), x[0, 0]),
    twin("expand", "keep", lambda lib, x: x.expand(-1, 4), normal(3, 1)),
    twin("expand", "new-axes", lambda lib, x: x.expand(2, 3, 4), normal(3, 1)),
    twin("expand", "as", lambda lib, x, y: x.expand_as(y) * y, normal(3, 1), x),
    twin("expand", "broadcast_to", lambda lib, x: lib.broadcast_to(x, (2, 3)), normal(3)),
    twin("repeat", "same-ndim", lambda lib, x: x.repeat(2, 1, 3), x),
    twin("repeat", "new-axes", lambda lib, x: x.repeat(2, 2), normal(3)),
    twin("tile", "fewer", lambda lib, x: lib.tile(x, (2,)), normal(2, 3)),
    twin("flip", "one", lambda lib, x: x.flip(1), x),
    twin("flip", "two", lambda lib, x: lib.flip(x, (0, -1)), x),
    twin("roll", "one", lambda lib, x: x.roll(2, 1), x),
    twin("roll", "two", lambda lib, x: lib.roll(x, (1, -1), (0, 2)), x),
    twin("roll", "flat", lambda lib, x: x.roll(5), x),
    twin("contiguous", "transposed", lambda lib, x: x.permute(2, 1, 0).contiguous(), x),
    twin("clone", "3d", lambda lib, x: lib.clone(x), x),
]  # fmt: skip

m = ones(2, 3)
BAD_CASES = [
    BadCase("reshape", "count", lambda: m.reshape(4, 2), ShapeError, ["6 elements", "8"]),
    BadCase("reshape", "rest", lambda: m.reshape(4, -1), ShapeError, ["do not divide by 4"]),
    BadCase("reshape", "two-unknown", lambda: m.reshape(-1, -1), ArgumentError, ["one -1"]),
    BadCase("reshape", "float", lambda: m.reshape(2.0, 3), ArgumentError, ["sequence of ints"]),
    BadCase("flatten", "order", lambda: m.flatten(1, 0), ArgumentError, ["must not come after"]),
    BadCase("flatten", "dim", lambda: m.flatten(2), ArgumentError, ["from -2 to 1"]),
    BadCase("squeeze", "dim", lambda: m.squeeze(2), ArgumentError, ["from -2 to 1"]),
    BadCase("unsqueeze", "dim", lambda: m.unsqueeze(3), ArgumentError, ["from -3 to 2"]),
    BadCase("permute", "missing", lambda: m.permute(0), ArgumentError, ["every dimension once"]),
    BadCase("permute", "twice", lambda: m.permute(0, 0), ArgumentError, ["once"]),
    BadCase("transpose", "dim", lambda: m.transpose(0, 2), ArgumentError, ["from -2 to 1"]),
    BadCase("T", "3d", lambda: ones(2, 3, 4).T, ShapeError, ["at most 2", "permute"]),
    BadCase("expand", "size", lambda: m.expand(2, 4), ShapeError, ["size 1", "(2, 4)"]),
    BadCase("expand", "fewer", lambda: m.expand(3), ShapeError, ["(2, 3)"]),
    BadCase("expand", "new-keep", lambda: m.expand(-1, 2, 3), ShapeError, ["(-1, 2, 3)"]),
    BadCase("repeat", "fewer", lambda: m.repeat(2), ArgumentError, ["one number >= 0"]),
    BadCase("flip", "dim", lambda: m.flip(2), ArgumentError, ["from -2 to 1"]),
    BadCase("roll", "counts", lambda: m.roll((1, 2), (0,)), ArgumentError, ["one shift"]),
]  # fmt: skip
