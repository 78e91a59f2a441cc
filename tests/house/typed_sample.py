"""A user's program with types: mypy, as configured in pyproject.toml, must find no fault in it.

Tensor gets its methods and operators when minidl is loaded. This file holds that an editor knows
them all the same, with their arguments and what they return. It is checked, never run.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from typing_extensions import assert_type

import minidl
from minidl import Tensor, nn, optim
from minidl.nn import functional


def operators(x: Tensor, y: Tensor) -> None:
    assert_type(x + y, Tensor)
    assert_type(2 - x, Tensor)
    assert_type(2 / x**2 // 3 % 4, Tensor)
    assert_type(-x @ y, Tensor)
    assert_type(abs(x), Tensor)
    assert_type(x == y, Tensor)
    assert_type(x != 1, Tensor)
    assert_type((x < y) & ~(x >= 1) | (y > 2), Tensor)
    assert_type(x[0, ..., None], Tensor)
    assert_type(iter(x), Iterator[Tensor])
    x[1:] = 0
    x += y
    x /= 2


def methods(x: Tensor, y: Tensor) -> None:
    assert_type(x.exp().clamp(min=0.0).clip(max=1.0), Tensor)
    assert_type(x.sum(dim=(0, 1), keepdim=True).mean(), Tensor)
    assert_type(x.view(2, -1).T.flatten(start_dim=0), Tensor)
    assert_type(x.where(x > 0, y), Tensor)
    assert_type(x.split([1, 2], dim=1), tuple[Tensor, ...])
    assert_type(x.split(split_size=2), tuple[Tensor, ...])
    assert_type(x.float().to("cpu").type_as(y).bool(), Tensor)
    assert_type(x.var(0, correction=0), Tensor)
    assert_type(x.equal(y), bool)
    assert_type(x.zero_().add_(1), Tensor)
    x.sum().backward(retain_graph=True)


def what_a_tensor_is(x: Tensor) -> None:
    assert_type(x.ndim, int)
    assert_type(x.numel(), int)
    assert_type(len(x), int)
    assert_type(x.device, str)
    assert_type(float(x), float)
    assert_type(x.detach().requires_grad_(), Tensor)
    array: np.ndarray[Any, Any] = x.numpy()
    del array


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 6, kernel_size=5, padding=2)
        self.scale = nn.Parameter(minidl.ones(1))

    def forward(self, x: Tensor) -> Tensor:
        y = functional.max_pool2d(self.conv(x).relu(), 2)
        return y * self.scale


def training(net: Net, x: Tensor, labels: Tensor) -> float:
    optimizer = optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
    schedule = optim.StepLR(optimizer, step_size=2)
    loss = functional.cross_entropy(net(x), labels)
    assert_type(loss, Tensor)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    schedule.step()
    with minidl.no_grad():
        net.scale.mul_(0.5)
    return float(loss)


def mistakes(x: Tensor) -> None:
    """Each of these lines must be an error: mypy reports an ignored error that is none."""
    x.expp()  # type: ignore[attr-defined]
    x.exp(3)  # type: ignore[call-arg]
    x.softmax()  # type: ignore[call-arg]
    x.sum(axis=0)  # type: ignore[call-arg]
    x.split(split_size_or_sections=2)  # type: ignore[call-arg]
    x.transpose("N", "C")  # type: ignore[arg-type]
    x @ "weights"  # type: ignore[arg-type]
    x.T()  # type: ignore[operator]
