from minidl.creation import arange, ones, tensor
from minidl.errors import DtypeError, ShapeError
from tests.op_cases.case import BadCase, normal, twin
from tests.oracles import onnx


def case(name, a, b):
    return twin("matmul", name, lambda lib, a, b: a @ b, normal(*a), normal(*b, seed=1),
                oracle=onnx("MatMul"))  # fmt: skip


CASES = [
    case("2d", (3, 4), (4, 2)),
    case("dot", (4,), (4,)),
    case("row", (4,), (4, 3)),
    case("column", (3, 4), (4,)),
    case("batch", (5, 2, 3), (5, 3, 4)),
    case("batch-of-rows-one-matrix", (2, 5, 3), (3, 4)),
    case("one-matrix-batch", (2, 3), (4, 3, 5)),
    case("batches-stretch", (2, 1, 3, 2), (4, 2, 5)),
    case("batch-vector", (2, 3, 4), (4,)),
    case("vector-batch", (3,), (2, 3, 4)),
    case("inner-zero", (2, 0), (0, 3)),
    case("rows-zero", (0, 3), (3, 2)),
]
for empty in CASES[-2:]:
    empty.oracle = None  # ONNX Runtime and NumPy differ on empty products only in refusing them

BAD_CASES = [
    BadCase("matmul", "inner", lambda: ones(2, 3) @ ones(4, 5), ShapeError,
            ["inner sizes differ: 3 and 4", "(2, 3)", "(4, 5)"]),
    BadCase("matmul", "transposed", lambda: ones(2, 3) @ ones(5, 3), ShapeError, ["transpose"]),
    BadCase("matmul", "batch", lambda: ones(2, 3, 4) @ ones(3, 4, 5), ShapeError, ["2 and 3"]),
    BadCase("matmul", "0d", lambda: ones(2) @ tensor(1.0), ShapeError, ["use *"]),
    BadCase("matmul", "dtypes", lambda: ones(2) @ arange(2), DtypeError, ["float32", "int64"]),
    BadCase("matmul", "number", lambda: ones(2) @ 3, DtypeError, ["must be a Tensor"]),
]  # fmt: skip
