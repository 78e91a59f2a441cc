"""Where a network is cut behind its frozen part, and the network behind the cut."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from apps.shared.chain import Call
from minidl.nn import Dropout, Dropout2d, Module
from minidl.tensor import Tensor
from minidl.training import slots


class NotCached(Exception):
    """The features of a frozen part cannot be cached; the message tells the user why."""


def check_alone() -> None:
    """No other process trains with this one: they would write the same files.

    Raises:
        NotCached
    """
    if slots.in_use is not None:
        raise NotCached("several processes train together")


def find_cut(chain: list[Call], model: Module, x: Tensor) -> int:
    """The position in the chain of the first layer that has to run in every epoch.

    That is the first one that learns; or before it the first one that drops at random, behind the
    last one with frozen weights. Where nothing learns, it is the end of the chain.

    Raises:
        NotCached: layers that learn are not behind one cut, or nothing is before it.
    """
    if not chain or chain[0].x is not x:
        raise NotCached("the network is no chain of layers that begins with the picture")
    learns = [any(p.requires_grad for p in call.module.parameters()) for call in chain]
    first = learns.index(True) if True in learns else len(chain)
    behind = {id(p) for call in chain[first:] for p in call.module.parameters()}
    for name, p in model.named_parameters():
        if p.requires_grad and id(p) not in behind:
            raise NotCached(f"{name} learns and is not behind the frozen layers")
    weighted = [i for i in range(first) if next(chain[i].module.parameters(), None) is not None]
    if not weighted:
        raise NotCached("the first layer learns")
    for i in range(weighted[-1] + 1, first):
        if drops_at_random(chain[i].module):
            return i
    return first


def drops_at_random(module: Module) -> bool:
    """Whether a module drops something at random in training."""
    return any(isinstance(part, Dropout | Dropout2d) and part.p > 0 for part in module.modules())


class BehindFrozenPart(Module):
    """A network that can take the features of its frozen part in place of pictures.

    It is saved and loaded as the whole network, so checkpoints are the same with and without a
    feature cache.

    Args:
        model: the whole network.
        layers: those behind the cut, which run one after the other.

    Attributes:
        takes_features: whether the input is features; else the whole network runs on pictures.
    """

    def __init__(self, model: Module, layers: list[Module]):
        super().__init__()
        self.model = model
        self.layers = tuple(layers)  # in a tuple: they are modules of the network already
        self.takes_features = False

    def forward(self, x: Tensor) -> Tensor:
        return run_layers(self.layers, x) if self.takes_features else self.model(x)

    def state_dict(self) -> dict[str, Tensor]:
        return self.model.state_dict()

    def load_state_dict(self, state: Any, strict: bool = True) -> Any:
        return self.model.load_state_dict(state, strict)


def run_layers(layers: Iterable[Module], x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x
