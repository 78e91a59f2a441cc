"""The layers with windows: each passes all of its arguments on, under PyTorch's names and order."""

import numpy as np
import pytest

import minidl
from minidl import nn
from minidl.errors import ArgumentError, ShapeError

# Arguments by position, chosen so that every one changes the result.
LAYERS = [
    ("Conv2d", (4, 6, (3, 2), (2, 1), (1, 2), (1, 2), 2, True)),
    ("Conv2d", (4, 6, 3, 1, "same", 2, 1, False)),
    ("Conv2d", (4, 6, (4, 2), 1, "same", 1, 2)),
    ("ConvTranspose2d", (4, 6, (3, 2), (2, 3), (1, 0), (1, 2), 2, True, (2, 1))),
    ("ConvTranspose2d", (4, 3, 4, 2, 1, 0, 1, False)),
    ("MaxPool2d", ((3, 2), (2, 1), (1, 0), (1, 2), False, True)),
    ("MaxPool2d", (2,)),
    ("AvgPool2d", ((3, 2), (2, 3), (1, 1), True, False)),
    ("AvgPool2d", (3, None, 1, False, True, 5)),
    ("AdaptiveAvgPool2d", ((3, 4),)),
    ("ConstantPad2d", ((1, 2, 0, 3), 0.5)),
    ("ZeroPad2d", ((1, 2, 0, 3),)),
    ("ReflectionPad2d", ((1, 2, 0, 3),)),
    ("ReplicationPad2d", (2,)),
    ("Upsample", ((9, 11), None, "bilinear", True)),
    ("Upsample", (None, (1.5, 2.2), "nearest")),
    ("Unfold", ((3, 2), (1, 2), (1, 0), (2, 1))),
]


@pytest.mark.torch
@pytest.mark.parametrize("name, arguments", LAYERS, ids=lambda value: str(value).replace(" ", ""))
def test_equals_pytorch(name, arguments):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    theirs = getattr(torch.nn, name)(*arguments)
    ours = getattr(nn, name)(*arguments)
    ours.load_state_dict({key: value.numpy() for key, value in theirs.state_dict().items()})
    x = np.random.default_rng(0).standard_normal((2, 4, 7, 8)).astype(np.float32)
    with torch.no_grad():
        expected = theirs(torch.from_numpy(x)).numpy()
    y = ours(minidl.tensor(x)).detach().numpy()
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-5)


def test_return_indices():
    y, indices = nn.MaxPool2d(2, return_indices=True)(minidl.tensor([[[[1.0, 4.0], [3.0, 2.0]]]]))
    assert (y.item(), indices.item()) == (4.0, 1)


def test_convolutions_start_uniform_within_the_fan_in():
    """Both ends of +-1/sqrt(fan_in) are almost reached by this many values, and never passed."""
    minidl.manual_seed(0)
    for layer, fan_in in [(nn.Conv2d(16, 64, 3), 16 * 9), (nn.ConvTranspose2d(64, 16, 3), 16 * 9)]:
        for parameter in layer.parameters():
            values = parameter.detach().numpy() * np.sqrt(fan_in)
            assert np.abs(values).max() <= 1
        weight = layer.weight.detach().numpy() * np.sqrt(fan_in)
        assert weight.min() < -0.99 and weight.max() > 0.99


def test_repr_shows_what_is_not_default():
    layer = nn.ConvTranspose2d(8, 4, 3, stride=2, output_padding=1, bias=False)
    assert repr(layer) == (
        "ConvTranspose2d(8, 4, kernel_size=(3, 3), stride=2, output_padding=1, bias=False)"
    )
    assert repr(nn.MaxPool2d(3, 2)) == (
        "MaxPool2d(kernel_size=3, stride=2, padding=0, dilation=1, ceil_mode=False)"
    )


def test_bad_arguments():
    with pytest.raises(ArgumentError, match="out_channels"):
        nn.ConvTranspose2d(4, 6, 3, groups=4)
    with pytest.raises(ArgumentError, match="left, right, top, bottom"):
        nn.ReflectionPad2d((1, 2))
    with pytest.raises(ShapeError, match=r"in model: Sequential.1 \(MaxPool2d\)"):
        nn.Sequential(nn.ZeroPad2d(1), nn.MaxPool2d(9))(minidl.ones(1, 1, 4, 4))
