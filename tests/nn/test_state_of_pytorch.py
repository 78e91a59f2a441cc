"""load_state_dict takes the tensors of PyTorch, or says which one it cannot take."""

import numpy as np
import pytest

from minidl import nn
from minidl.errors import CheckpointError

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytestmark = pytest.mark.torch


def test_a_state_dict_of_pytorch():
    theirs, ours = torch.nn.Linear(3, 2), nn.Linear(3, 2)
    ours.load_state_dict(theirs.state_dict())
    for name, value in theirs.state_dict().items():
        assert np.array_equal(ours.state_dict()[name].numpy(), value.numpy())


@pytest.mark.parametrize(
    "change, says",
    [
        (lambda state: dict(torch.nn.Linear(3, 2).named_parameters()), "requires grad"),
        (lambda state: state | {"weight": state["weight"].bfloat16()}, "BFloat16"),
        (lambda state: state | {"weight": state["weight"].to("meta")}, "meta"),
    ],
)
def test_tensors_that_numpy_cannot_read(change, says):
    ours = nn.Linear(3, 2)
    before = {name: value.numpy().copy() for name, value in ours.state_dict().items()}
    with pytest.raises(CheckpointError, match=f"weight cannot be read: .*{says}"):
        ours.load_state_dict(change(torch.nn.Linear(3, 2).state_dict()))
    for name, value in ours.state_dict().items():
        assert np.array_equal(value.numpy(), before[name])
