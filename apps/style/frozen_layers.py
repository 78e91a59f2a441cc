"""Layers of a network whose weights stay, put together so that less goes through memory.

They compute what the network's own layers compute, up to rounding:

    Rectified    a convolution with the ReLU behind it (minidl/ops/conv2d_relu.py)
    FrozenFire   of SqueezeNet's Fire, both expansions as one convolution: a 1x1 kernel is a 3x3
                 kernel with zeros around its middle. Winograd's algorithm computes it nearly for
                 nothing, and the two halves need not be joined, nor their gradients summed.

In training this would not do: the zeros would learn.
"""

from __future__ import annotations

from minidl import nn
from minidl.function import no_grad
from minidl.nn.functional import conv2d_relu
from minidl.tensor import Tensor
from models.squeezenet import Fire


class Rectified(nn.Module):
    """relu(conv(x)).

    Args:
        conv: the convolution.
    """

    def __init__(self, conv: nn.Conv2d):
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        conv = self.conv
        return conv2d_relu(
            x, conv.weight, conv.bias, conv.stride, conv.padding, conv.dilation, conv.groups
        )


class FrozenFire(nn.Module):
    """A Fire module in two convolutions.

    Args:
        fire: the module with the weights. Those of the squeezing layer are shared, the others
            copied.
    """

    def __init__(self, fire: Fire):
        super().__init__()
        self.squeeze = Rectified(fire.squeeze1x1)
        self.expand = Rectified(both_expansions(fire))

    def forward(self, x: Tensor) -> Tensor:
        return self.expand(self.squeeze(x))


@no_grad()
def both_expansions(fire: Fire) -> nn.Conv2d:
    """A 3x3 convolution whose first outputs are those of expand1x1, the others of expand3x3."""
    small, large = fire.expand1x1, fire.expand3x3
    n = small.out_channels
    conv = nn.Conv2d(small.in_channels, n + large.out_channels, 3, padding=1)
    nn.init.zeros_(conv.weight)
    conv.weight[:n, :, 1:2, 1:2] = small.weight
    conv.weight[n:] = large.weight
    assert conv.bias is not None
    conv.bias[:n], conv.bias[n:] = small.bias, large.bias
    return conv


def frozen(features: nn.Sequential) -> dict[str, nn.Module]:
    """The layers of a network in order, without gradients of their weights.

    A convolution has the name of the ReLU behind it, which is part of it here; what stands in
    between, such as a batch norm, is not known.

    Args:
        features: convolutions with a ReLU behind each, pooling layers, Fire modules.
    """
    chain: dict[str, nn.Module] = {}
    conv = None
    for name, layer in features.named_children():
        if isinstance(layer, nn.Conv2d):
            conv = layer
            continue
        if isinstance(layer, nn.ReLU):
            assert conv is not None
            layer = Rectified(conv)
        elif isinstance(layer, Fire):
            layer = FrozenFire(layer)
        for parameter in layer.parameters():
            parameter.requires_grad = False
        chain[name] = layer
    return chain
