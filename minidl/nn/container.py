"""Modules made of modules: Sequential calls them in order, ModuleList and ModuleDict hold them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from minidl.checks import check_ordered
from minidl.errors import ArgumentError, DtypeError, nearest
from minidl.nn.module import Module


class Sequential(Module):
    """A chain: the output of each module is the input of the next.

    Args:
        modules: the modules in order, named "0", "1", ...; or one dict name -> module.

    Indexing with a number, a slice (a new Sequential of the same modules) or a name;
    len, iteration and append.

    >>> net = minidl.nn.Sequential(minidl.nn.Linear(3, 4), minidl.nn.ReLU())
    >>> net(minidl.ones(2, 3)).shape, len(net[:1])
    ((2, 4), 1)
    """

    def __init__(self, *modules: Module | dict[str, Module]):
        super().__init__()
        if len(modules) == 1 and isinstance(modules[0], dict):
            named = modules[0].items()
        else:
            named = [(str(i), module) for i, module in enumerate(modules)]
        for name, module in named:
            self.add_module(name, module)

    def forward(self, x: Any) -> Any:
        for module in self.modules_here.values():
            x = module(x)
        return x

    def append(self, module: Module) -> Sequential:
        """Add a module at the end and return self."""
        number = len(self)
        while str(number) in self.modules_here:  # the names of a slice start above 0
            number += 1
        self.add_module(str(number), module)
        return self

    def __len__(self) -> int:
        return len(self.modules_here)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules_here.values())

    def __getitem__(self, index: int | slice | str) -> Module:
        if isinstance(index, slice):
            return type(self)(dict(list(self.modules_here.items())[index]))
        return self.modules_here[key_at(self, index)]

    def __setitem__(self, index: int | str, module: Module) -> None:
        self.add_module(key_at(self, index), module)


class ModuleList(Module):
    """A list of modules whose parameters count as the owner's. It cannot be called itself.

    Args:
        modules: any number of modules; None for none yet.

    >>> layers = minidl.nn.ModuleList([minidl.nn.Linear(2, 2) for _ in range(3)])
    >>> len(layers), len(list(layers.parameters()))
    (3, 6)
    """

    def __init__(self, modules: Iterable[Module] | None = None):
        super().__init__()
        self.extend(modules or ())

    def append(self, module: Module) -> ModuleList:
        """Add a module at the end and return self."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self, modules: Iterable[Module]) -> ModuleList:
        """Add modules at the end and return self."""
        check_ordered("ModuleList", "modules", modules)
        for module in modules:
            self.append(module)
        return self

    def __len__(self) -> int:
        return len(self.modules_here)

    def __iter__(self) -> Iterator[Module]:
        return iter(self.modules_here.values())

    def __getitem__(self, index: int | slice) -> Module:
        if isinstance(index, slice):
            return ModuleList(list(self.modules_here.values())[index])
        return self.modules_here[key_at(self, index)]

    def __setitem__(self, index: int, module: Module) -> None:
        self.add_module(key_at(self, index), module)

    def forward(self, *inputs: Any) -> Any:
        raise ArgumentError(
            "ModuleList",
            "is a list, not a layer, and cannot be called",
            hint="call its modules one by one, or use nn.Sequential",
        )


class ModuleDict(Module):
    """Modules under names whose parameters count as the owner's. It cannot be called itself.

    Args:
        modules: dict name -> module, or pairs of them; None for none yet.

    >>> heads = minidl.nn.ModuleDict({"digit": minidl.nn.Linear(4, 10)})
    >>> heads["digit"].out_features
    10
    """

    def __init__(self, modules: dict[str, Module] | Iterable[tuple] | None = None):
        super().__init__()
        check_ordered("ModuleDict", "modules", modules, "pass a dict")
        for name, module in dict(modules or {}).items():
            self[name] = module

    def keys(self) -> Iterable[str]:
        return self.modules_here.keys()

    def values(self) -> Iterable[Module]:
        return self.modules_here.values()

    def items(self) -> Iterable[tuple[str, Module]]:
        return self.modules_here.items()

    def __len__(self) -> int:
        return len(self.modules_here)

    def __iter__(self) -> Iterator[str]:
        return iter(self.modules_here)

    def __contains__(self, name: str) -> bool:
        return name in self.modules_here

    def __getitem__(self, name: str) -> Module:
        return self.modules_here[key_at(self, name)]

    def __setitem__(self, name: str, module: Module) -> None:
        self.add_module(name, module)

    def forward(self, *inputs: Any) -> Any:
        raise ArgumentError(
            "ModuleDict",
            "is a dict, not a layer, and cannot be called",
            hint="call its modules one by one",
        )


def key_at(owner: Module, index: Any) -> str:
    """The name of a module from its name or its position.

    IndexError outside of the range, as for a list, so that Python's own loops end.
    """
    op, names = type(owner).__name__, list(owner.modules_here)
    if isinstance(index, str):
        if index not in names:
            raise ArgumentError(op, "no such module", {"name": index}, nearest(index, names))
        return index
    if not isinstance(index, int | np.integer):
        raise DtypeError(op, "an index is an int, a slice or a name", {"index": index})
    if not -len(names) <= index < len(names):
        raise IndexError(f"{op}: index {index} of {len(names)} modules")
    return names[index]
