"""What DLPack cannot carry is refused before another library sees it."""

import numpy as np
import pytest

import minidl
from minidl.errors import DtypeError, ShapeError


def test_a_tensor_that_runs_backwards_is_not_exported():
    x = minidl.from_numpy(np.arange(6.0).reshape(2, 3)[:, ::-1])
    with pytest.raises(ShapeError, match=r"runs backwards(.|\n)*contiguous"):
        x.__dlpack__()
    assert np.from_dlpack(x.contiguous()).tolist() == [[2.0, 1.0, 0.0], [5.0, 4.0, 3.0]]


@pytest.mark.torch
def test_pytorch_takes_what_is_exported():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    x = minidl.arange(6.0).reshape(2, 3)
    for view in (x, x.T, x[:, 1:], x[1], x[:, ::2], x[:0], x[1, 2], minidl.ones(1, 3).expand(2, 3)):
        assert torch.from_dlpack(view).tolist() == view.tolist()
    with pytest.raises(ShapeError, match="runs backwards"):
        torch.from_dlpack(x.flip(0))  # PyTorch 2.13 aborts the process on negative strides


@pytest.mark.torch
def test_what_pytorch_cannot_share():
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    with pytest.raises(DtypeError, match="does not share(.|\n)*meta"):
        minidl.from_dlpack(torch.ones(2, device="meta"))
    with pytest.raises(DtypeError, match="complex64"):
        minidl.from_dlpack(torch.ones(2, dtype=torch.complex64))
