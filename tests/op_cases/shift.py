import numpy as np

from minidl.creation import ones, tensor
from minidl.errors import DtypeError, ShapeError
from minidl.nn.functional import shift
from tests.op_cases.case import BadCase, Case, normal


def case(name, x, offsets, **options):
    def in_torch(torch, x):
        """Rolled, with what came in at the other side set to 0."""
        pictures = []
        for picture, (down, right) in zip(x, offsets):
            rows, columns = (torch.arange(n) for n in picture.shape[1:])
            kept = (rows - down >= 0) & (rows - down < len(rows))
            kept = kept[:, None] & (columns - right >= 0) & (columns - right < len(columns))
            pictures.append(picture.roll((down, right), (1, 2)) * kept)
        return torch.stack(pictures)

    return Case("shift", name, lambda x: shift(x, tensor(offsets)), [x], torch=in_torch, **options)


CASES = [
    case("each-way", normal(4, 3, 5, 6), [[1, 2], [-2, 1], [0, -3], [-1, -1]]),
    case("nothing", normal(2, 1, 3, 2), [[0, 0], [0, 0]]),
    case("one-pixel-left", normal(2, 2, 4, 3), [[3, -2], [-3, 2]]),
    case("all-leaves", normal(3, 2, 2, 3), [[2, 0], [0, -9], [-7, 8]]),
]

x = ones(2, 3, 4, 5)
BAD_CASES = [
    BadCase("shift", "3d", lambda: shift(ones(3, 4, 5), tensor([[0, 0]])), ShapeError,
            ["(3, 4, 5)"]),
    BadCase("shift", "offsets", lambda: shift(x, tensor([[0, 0]])), ShapeError, ["(1, 2)"]),
    BadCase("shift", "floats", lambda: shift(x, ones(2, 2)), DtypeError, ["float32"]),
    BadCase("shift", "array", lambda: shift(x, np.zeros((2, 2), int)), DtypeError, ["a Tensor"]),
]  # fmt: skip
