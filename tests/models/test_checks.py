"""What the checks that the networks share say."""

import pytest

import minidl
from minidl.errors import ShapeError
from models.checks import check_pictures


@pytest.mark.parametrize(
    "ends, says",
    [
        ((8, 16), "(N, 3, H, W) with H and W from 8 to 16"),
        ((8,), "(N, 3, H, W) with H and W at least 8"),
        ((8, 8), "(N, 3, 8, 8)"),
    ],
)
def test_both_ends_of_the_sizes_are_said(ends, says):
    for side in (7, 17 if len(ends) == 2 else 6):
        with pytest.raises(ShapeError) as caught:
            check_pictures("Net", minidl.zeros(2, 3, 8, side), 3, *ends)
        assert caught.value.rule == f"expects pictures as {says}"
        nearest = ends[0] if side < ends[0] else ends[-1]
        assert caught.value.hint == f"resize the pictures in preprocessing: size={nearest}"
    for side in ends:
        check_pictures("Net", minidl.zeros(2, 3, side, side), 3, *ends)
