"""Module: parameters, buffers and submodules under names, and how to call them.

A network is a tree of Modules. Assigning a Parameter or a Module to an attribute registers it
under that name, in order of assignment; names joined by dots address the whole tree
("features.0.weight"), in checkpoints, in errors and in summaries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, CheckpointError, MinidlError, nearest
from minidl.tensor import HookHandle, Tensor


class Parameter(Tensor):
    """A Tensor that a Module learns. Requires a gradient unless frozen."""

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        super().__init__(data.data if isinstance(data, Tensor) else data, requires_grad)

    def __reduce__(self):
        return Parameter, (self.data, self.requires_grad)


class Module:
    """Base class of layers and networks. A subclass defines __init__ and forward.

    Attributes:
        training: True in training (dropout drops, batch norm uses the batch); see train, eval.
    """

    def __init__(self):
        # Written into __dict__ directly: __setattr__ below looks into these three.
        self.__dict__["parameters_here"] = {}
        self.__dict__["buffers_here"] = {}
        self.__dict__["modules_here"] = {}
        self.__dict__["hooks_here"] = {}
        self.__dict__["training"] = True

    def forward(self, *inputs):
        raise NotImplementedError(f"{type(self).__name__}.forward")

    def __call__(self, *inputs, **options):
        try:
            y = self.forward(*inputs, **options)
        except MinidlError as error:
            error.modules.append(self)  # the message names the path to the failing layer
            raise
        if self.hooks_here:
            for hook in list(self.hooks_here.values()):
                replaced = hook(self, inputs, y)
                y = y if replaced is None else replaced
        return y

    # --- attributes -----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        registries = self.__dict__
        if "parameters_here" not in registries:
            raise AttributeError(f"{type(self).__name__}: call super().__init__() first")
        if isinstance(value, Parameter):
            self.forget(name)
            registries["parameters_here"][name] = value
        elif isinstance(value, Module):
            self.forget(name)
            registries["modules_here"][name] = value
        elif name in registries["buffers_here"] and (value is None or isinstance(value, Tensor)):
            registries["buffers_here"][name] = value
        elif value is None and name in registries["parameters_here"]:
            registries["parameters_here"][name] = None
        else:
            self.forget(name)
            registries[name] = value

    def __getattr__(self, name: str) -> Any:
        # Only called when __dict__ has no such name.
        registries = self.__dict__
        for registry in ("parameters_here", "buffers_here", "modules_here"):
            if name in registries.get(registry, ()):
                return registries[registry][name]
        raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def __delattr__(self, name: str) -> None:
        if not self.forget(name):
            raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")

    def forget(self, name: str) -> bool:
        """Remove whatever is registered under a name; whether there was something."""
        found = False
        for registry in (self.parameters_here, self.buffers_here, self.modules_here, self.__dict__):
            if name in registry:
                del registry[name]
                found = True
        return found

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Register a parameter, or None to say that the layer goes without it (bias=False)."""
        self.forget(name)
        self.parameters_here[name] = parameter

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Register a Tensor that is saved with the module but not learned."""
        self.forget(name)
        self.buffers_here[name] = tensor

    def register_forward_hook(self, hook: Callable) -> HookHandle:
        """Call hook(module, inputs, output) after forward; a returned value replaces the output."""
        return HookHandle(self.hooks_here, hook)

    def __getstate__(self) -> dict:
        return {**self.__dict__, "hooks_here": {}}  # hooks are not part of a copy

    # --- the tree -------------------------------------------------------------------------------

    def children(self) -> Iterator[Module]:
        return iter(self.modules_here.values())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        return iter(self.modules_here.items())

    def named_modules(self, prefix: str = "") -> Iterator[tuple[str, Module]]:
        """self (named "") and every module below, parents before children, each once."""
        seen = set()
        stack = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if module in seen:
                continue
            seen.add(module)
            yield name, module
            below = [(join(name, key), child) for key, child in module.named_children()]
            stack.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        return (module for _, module in self.named_modules())

    def named_parameters(self, prefix: str = "") -> Iterator[tuple[str, Parameter]]:
        """Dotted name and parameter, in order of definition; a shared one once."""
        seen = set()
        for path, module in self.named_modules(prefix):
            for name, parameter in module.parameters_here.items():
                if parameter is not None and parameter not in seen:
                    seen.add(parameter)
                    yield join(path, name), parameter

    def parameters(self) -> Iterator[Parameter]:
        return (parameter for _, parameter in self.named_parameters())

    def named_buffers(self, prefix: str = "") -> Iterator[tuple[str, Tensor]]:
        for path, module in self.named_modules(prefix):
            for name, buffer in module.buffers_here.items():
                if buffer is not None:
                    yield join(path, name), buffer

    def buffers(self) -> Iterator[Tensor]:
        return (buffer for _, buffer in self.named_buffers())

    def get_submodule(self, path: str) -> Module:
        """The module at a dotted path, "" being self.

        Raises:
            ArgumentError: there is none; names the nearest.
        """
        module = self
        for name in path.split(".") if path else []:
            if name not in module.modules_here:
                names = [known for known, _ in self.named_modules() if known]
                raise ArgumentError(
                    "get_submodule", "no such module", {"path": path}, nearest(path, names)
                )
            module = module.modules_here[name]
        return module

    def apply(self, function: Callable[[Module], Any]) -> Module:
        """Call function on every module, children before parents, and return self."""
        for child in self.children():
            child.apply(function)
        function(self)
        return self

    # --- mode -----------------------------------------------------------------------------------

    def train(self, mode: bool = True) -> Module:
        """Switch this module and all below to training (or evaluation), and return self."""
        for module in self.modules():
            module.__dict__["training"] = bool(mode)
        return self

    def eval(self) -> Module:
        return self.train(False)

    def freeze(self) -> Module:
        """Stop learning the parameters here and below. Gradients still pass to the input."""
        return self.requires_grad_(False)

    def unfreeze(self) -> Module:
        return self.requires_grad_(True)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        for parameter in self.parameters():
            parameter.requires_grad = bool(requires_grad)
        return self

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, target: Any) -> Module:
        """Convert parameters and floating-point buffers to a dtype or device, in place."""
        for module in self.modules():
            for registry in (module.parameters_here, module.buffers_here):
                for tensor in registry.values():
                    if tensor is None:
                        continue
                    if isinstance(target, str) and target.split(":")[0] in ("cpu", "cuda"):
                        tensor.data = tensor.to(target).data
                    elif tensor.data.dtype.kind == "f":
                        tensor.data = tensor.data.astype(np.dtype(target))
                    if tensor.grad is not None:
                        tensor.grad = None
        return self

    # --- state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Name -> Tensor of all parameters and buffers, sharing memory with the module."""
        state = {}
        for path, module in self.named_modules():
            for registry in (module.parameters_here, module.buffers_here):
                for name, tensor in registry.items():
                    if tensor is not None:
                        state[join(path, name)] = tensor.detach()
        return state

    def load_state_dict(self, state: dict[str, Any], strict: bool = True) -> tuple[list, list]:
        """Copy values into the parameters and buffers of the same names.

        Args:
            state: name -> Tensor or array.
            strict: raise when names are missing or left over; otherwise load those that match.

        Returns:
            (missing, unexpected): names that state lacks, names that only state has.

        Raises:
            CheckpointError: a shape differs, or names differ under strict. Nothing was changed.
        """
        own = self.state_dict()
        missing = [name for name in own if name not in state]
        unexpected = [name for name in state if name not in own]
        wrong = {
            name: f"expects {own[name].shape}, received {tuple(state[name].shape)}"
            for name in own
            if name in state and tuple(state[name].shape) != own[name].shape
        }
        if wrong:
            raise CheckpointError("load_state_dict", "shapes differ", wrong)
        if strict and (missing or unexpected):
            raise CheckpointError(
                "load_state_dict",
                f"{len(missing)} names are missing and {len(unexpected)} unexpected",
                {"missing": missing, "unexpected": unexpected},
                "strict=False loads the names that match",
            )
        for name, tensor in own.items():
            if name in state:
                value = state[name]
                value = value.data if isinstance(value, Tensor) else np.asarray(value)
                tensor.data[...] = value  # in place: keeps dtype and memory layout
        return missing, unexpected

    # --- display --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What a layer shows of its settings."""
        return ""

    def __repr__(self) -> str:
        lines = [
            f"  ({name}): " + repr(child).replace("\n", "\n  ")
            for name, child in self.named_children()
        ]
        if not lines:
            return f"{type(self).__name__}({self.extra_repr()})"
        return "\n".join([f"{type(self).__name__}({self.extra_repr()}", *lines, ")"])


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
