"""Module: parameters, buffers and submodules under names, and how to call them.

A network is a tree of Modules. Assigning a Parameter or a Module to an attribute registers it
under that name, in order of assignment; names joined by dots address the whole tree
("features.0.weight"), in checkpoints, in errors and in summaries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from minidl.dtypes import resolve_dtype
from minidl.errors import ArgumentError, DtypeError, MinidlError, ModuleError, nearest
from minidl.nn.state import IncompatibleKeys, load_values
from minidl.shapes import check_flag
from minidl.tensor import HookHandle, Tensor


class Parameter(Tensor):
    """A Tensor that a Module learns. Requires a gradient unless frozen.

    Args:
        data: a floating-point array or Tensor, kept without a copy.
        requires_grad: False for a frozen parameter.

    >>> minidl.nn.Parameter(minidl.ones(2)).requires_grad
    True
    """

    __slots__ = ()

    def __init__(self, data: Any, requires_grad: bool = True):
        array = data.data if isinstance(data, Tensor) else data
        if not hasattr(array, "dtype"):
            raise DtypeError(
                "Parameter", "data is an array or a Tensor", {"data": data}, "minidl.tensor(data)"
            )
        super().__init__(array)
        if requires_grad:
            self.requires_grad_()  # refuses integers

    def __reduce__(self):
        return Parameter, (self.data, self.requires_grad)


class Module:
    """Base class of layers and networks. A subclass defines __init__ and forward.

    In __init__, call super().__init__() first; then assigned Parameters and Modules are learned.
    A plain Tensor is an ordinary attribute, learned by nobody; register_buffer saves it.

    Attributes:
        training: True in training (dropout drops, batch norm uses the batch); see train, eval.
    """

    def __init__(self):
        # Not assigned one by one: __setattr__ below looks into the first three, so they must be
        # there before the first assignment.
        self.__dict__.update(
            parameters_here={}, buffers_here={}, modules_here={},
            hooks_before={}, hooks_after={}, training=True,
        )  # fmt: skip

    def forward(self, *inputs: Any, **options: Any) -> Any:
        raise NotImplementedError(f"{type(self).__name__} has no forward(self, ...): define one")

    def __call__(self, *inputs: Any, **options: Any) -> Any:
        if self.hooks_before:
            inputs = run_hooks_before(self, inputs)
        try:
            y = self.forward(*inputs, **options)
        except MinidlError as error:
            error.modules.append(self)  # the message names the path to the failing layer
            raise
        if self.hooks_after:
            for hook in list(self.hooks_after.values()):
                replaced = hook(self, inputs, y)
                y = y if replaced is None else replaced
        return y

    # --- attributes -----------------------------------------------------------------------------

    def __setattr__(self, name: str, value: Any) -> None:
        if "parameters_here" not in self.__dict__:
            raise init_missing(self)
        if isinstance(value, Parameter):
            self.register_parameter(name, value)
        elif isinstance(value, Module):
            self.add_module(name, value)
        elif name in self.buffers_here:
            self.register_buffer(name, value)
        elif name in self.parameters_here:
            self.register_parameter(name, value)
        elif isinstance(value, list | set | frozenset) and any(
            isinstance(v, Module | Parameter) for v in value
        ):
            kind = type(value).__name__
            raise ModuleError(
                type(self).__name__,
                f"a {kind} of modules or parameters as {name!r} would not be learned or saved",
                hint="use nn.ModuleList; to hide modules on purpose, a tuple",
            )
        elif name in self.modules_here and value is not None:
            raise ModuleError(
                type(self).__name__,
                f"{name!r} is a module and can only become another module or None",
                {name: value},
                f"del the attribute first: del model.{name}",
            )
        else:
            self.modules_here.pop(name, None)
            self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        # Only called when __dict__ has no such name, and what is registered is in it.
        if name.startswith("__"):
            raise AttributeError(name)  # copy and pickle probe for these
        if "parameters_here" not in self.__dict__:
            raise init_missing(self)
        hint = nearest(name, [known for known in dir(self) if not known.startswith("_")])
        raise ModuleError(
            type(self).__name__,
            f"has no attribute {name!r}",
            hint=hint if hint.startswith("did you mean") else "",
        )

    def __delattr__(self, name: str) -> None:
        if not self.forget(name):
            raise ModuleError(type(self).__name__, f"has no attribute {name!r} to delete")

    def register_parameter(self, name: str, parameter: Parameter | None) -> None:
        """Register a parameter, or None to say that the layer goes without it (bias=False)."""
        if parameter is not None and not isinstance(parameter, Parameter):
            raise DtypeError(
                type(self).__name__,
                f"the parameter {name!r} can only be an nn.Parameter or None",
                {name: parameter},
                "wrap it in nn.Parameter, or change the values: parameter.copy_(x) in no_grad()",
            )
        self.register("parameters_here", name, parameter)

    def register_buffer(self, name: str, tensor: Tensor | None) -> None:
        """Register a Tensor that is saved with the module but not learned."""
        if tensor is not None and not isinstance(tensor, Tensor):
            raise DtypeError(
                type(self).__name__,
                f"the buffer {name!r} can only be a Tensor or None",
                {name: tensor},
                "wrap it: minidl.tensor(...)",
            )
        self.register("buffers_here", name, tensor)

    def add_module(self, name: str, module: Module) -> None:
        """Register a submodule; for a name that is computed, else assign the attribute."""
        if not isinstance(module, Module):
            hint = f"an instance: {module.__name__}(...)" if isinstance(module, type) else ""
            raise DtypeError(type(self).__name__, "expects modules", {str(name): module}, hint)
        self.register("modules_here", name, module)

    def register(self, registry: str, name: str, value: Any) -> None:
        """Put a value under a name into one of the registries, and out of the others.

        A name that is there already keeps its place in the order.
        """
        if registry not in self.__dict__:
            raise init_missing(self)
        if not isinstance(name, str) or not name or "." in name:
            raise ArgumentError(
                type(self).__name__, "a name is a non-empty str without dots", {"name": name}
            )
        if hasattr(type(self), name):
            raise ModuleError(
                type(self).__name__,
                f"{name!r} is taken by a method or attribute of the class",
                hint="choose another name",
            )
        if name not in self.__dict__[registry]:
            self.forget(name)
        self.__dict__[registry][name] = value
        self.__dict__[name] = value  # where Python finds it by itself, in a fifth of the time

    def forget(self, name: str) -> bool:
        """Remove whatever is registered under a name; whether there was something."""
        found = False
        for registry in (self.parameters_here, self.buffers_here, self.modules_here, self.__dict__):
            if name in registry:
                del registry[name]
                found = True
        return found

    # --- hooks ----------------------------------------------------------------------------------

    def register_forward_hook(self, hook: Callable) -> HookHandle:
        """Call hook(module, inputs, output) after forward; a returned value replaces the output."""
        check_hook("register_forward_hook", hook)
        return HookHandle(self.hooks_after, hook)

    def register_forward_pre_hook(self, hook: Callable) -> HookHandle:
        """Call hook(module, inputs) before forward; a returned value replaces the inputs."""
        check_hook("register_forward_pre_hook", hook)
        return HookHandle(self.hooks_before, hook)

    def __getstate__(self) -> dict:
        # Hooks are not part of a copy: they belong to whoever registered them.
        return {**self.__dict__, "hooks_before": {}, "hooks_after": {}}

    # --- the tree -------------------------------------------------------------------------------

    def children(self) -> Iterator[Module]:
        """The modules directly below."""
        return (module for _, module in self.named_children())

    def named_children(self) -> Iterator[tuple[str, Module]]:
        """Name and module of those directly below, in order of definition."""
        return iter(self.modules_here.items())

    def named_modules(
        self, prefix: str = "", remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Module]]:
        """self (named "") and every module below, parents before children.

        A module shared by several owners comes once, or once per owner without
        remove_duplicate.
        """
        seen = set()
        stack = [(prefix, self)]
        while stack:
            name, module = stack.pop()
            if module in seen:
                continue
            if remove_duplicate:
                seen.add(module)
            yield name, module
            below = [(join(name, key), child) for key, child in module.named_children()]
            stack.extend(reversed(below))

    def modules(self) -> Iterator[Module]:
        """self and every module below, each once."""
        seen, stack = set(), [self]
        while stack:
            module = stack.pop()
            if module not in seen:
                seen.add(module)
                yield module
                stack.extend(reversed(module.modules_here.values()))

    def named_parameters(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Dotted name and parameter, in order of definition; a shared one once."""
        return self.named_tensors("parameters_here", prefix, recurse)

    def parameters(self, recurse: bool = True) -> Iterator[Parameter]:
        """What an optimizer takes: every parameter once."""
        return (parameter for _, parameter in self.named_parameters(recurse=recurse))

    def named_buffers(self, prefix: str = "", recurse: bool = True) -> Iterator[tuple[str, Tensor]]:
        """Dotted name and buffer, in order of definition; a shared one once."""
        return self.named_tensors("buffers_here", prefix, recurse)

    def buffers(self, recurse: bool = True) -> Iterator[Tensor]:
        return (buffer for _, buffer in self.named_buffers(recurse=recurse))

    def named_tensors(self, registry: str, prefix: str, recurse: bool) -> Iterator:
        """Those of one registry, each once, here and (if recurse) below."""
        seen = set()
        for path, module in self.named_modules(prefix) if recurse else [(prefix, self)]:
            for name, tensor in module.__dict__[registry].items():
                if tensor is not None and tensor not in seen:
                    seen.add(tensor)
                    yield join(path, name), tensor

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
        check_flag("train", "mode", mode)
        for module in self.modules():
            module.training = bool(mode)
        return self

    def eval(self) -> Module:
        """Switch to evaluation: train(False)."""
        return self.train(False)

    def freeze(self) -> Module:
        """Stop learning the parameters here and below. Gradients still pass to the input.

        Norms use their running averages then, and leave them as they are, in training as well.
        """
        return self.requires_grad_(False)

    def unfreeze(self) -> Module:
        """Learn all parameters here and below again."""
        return self.requires_grad_(True)

    def requires_grad_(self, requires_grad: bool = True) -> Module:
        """Freeze or unfreeze. Frozen parameters forget their gradient, so that an optimizer that
        still has them leaves them alone."""
        check_flag("requires_grad_", "requires_grad", requires_grad)
        for module in self.modules():
            module.learn_here(bool(requires_grad))
        return self

    def learn_here(self, learns: bool) -> None:
        """Freeze or unfreeze what this module has itself. A layer overrides it that changes
        something in training which is no parameter, such as running averages."""
        for parameter in self.parameters_here.values():
            if parameter is not None:
                parameter.requires_grad = learns
                if not learns:
                    parameter.grad = None

    def zero_grad(self) -> None:
        """Forget the gradients of all parameters."""
        for parameter in self.parameters():
            parameter.grad = None

    def to(self, *targets: Any, dtype: Any = None, device: str | None = None) -> Module:
        """Move parameters and buffers to a device, convert the floating-point ones, in place.

        Args:
            targets: floating-point dtype ("float64", np.float64), device ("cpu", "cuda") or both.
            dtype, device: the same by keyword.

        Gradients are dropped; an optimizer that has made its state needs to be made again.
        """
        given = [target for target in (*targets, dtype, device) if target is not None]
        devices = [target for target in given if is_device(target)]
        dtypes = [target for target in given if not is_device(target)]
        for target in dtypes:
            if resolve_dtype("Module.to", target).kind != "f":
                raise DtypeError(
                    "Module.to", "parameters are floating point", {"dtype": target},
                    "float32, float64",
                )  # fmt: skip
        for tensor in [*self.parameters(), *self.buffers()]:
            wanted = given if tensor.data.dtype.kind == "f" else devices
            tensor.data = tensor.detach().to(*wanted).data
            tensor.grad = None
        return self

    # --- state ----------------------------------------------------------------------------------

    def state_dict(self) -> dict[str, Tensor]:
        """Name -> Tensor of all parameters and buffers, sharing memory with the module.

        A shared one appears under each of its names.
        """
        found = {}
        for path, owner in self.named_modules(remove_duplicate=False):
            for name, tensor in (owner.parameters_here | owner.buffers_here).items():
                if tensor is not None:
                    found[join(path, name)] = tensor.detach()
        return found

    def load_state_dict(self, state_dict: dict[str, Any], strict: bool = True) -> IncompatibleKeys:
        """Copy values into the parameters and buffers of the same names.

        Args:
            state_dict: name -> Tensor or array.
            strict: raise when names are missing or left over; otherwise load those that match.

        Returns:
            (missing_keys, unexpected_keys): names that only the module, only state_dict has.

        Raises:
            CheckpointError: a shape differs, names differ under strict, or a number does not fit
                into integers. Nothing was changed.
        """
        check_flag("load_state_dict", "strict", strict)
        return load_values(self.state_dict(), state_dict, strict)

    # --- display --------------------------------------------------------------------------------

    def extra_repr(self) -> str:
        """What a layer shows of its settings."""
        return ""

    def __repr__(self) -> str:
        name, settings = type(self).__name__, self.extra_repr()
        if not self.modules_here and "\n" not in settings:
            return f"{name}({settings})"
        lines = settings.split("\n") if settings else []
        lines += [f"({key}): {child!r}" for key, child in self.named_children()]
        body = "\n".join(lines).replace("\n", "\n  ")
        return f"{name}(\n  {body}\n)"


def check_hook(op: str, hook: Any) -> None:
    if not callable(hook):
        raise DtypeError(op, "a hook is a function", {"hook": hook})


def run_hooks_before(module: Module, inputs: tuple) -> tuple:
    """Pass the inputs through the pre-hooks; one that returns a value replaces them."""
    for hook in list(module.hooks_before.values()):
        replaced = hook(module, inputs)
        if replaced is not None:
            inputs = replaced if isinstance(replaced, tuple) else (replaced,)
    return inputs


def is_device(target: Any) -> bool:
    return isinstance(target, str) and target.split(":")[0] in ("cpu", "cuda")


def init_missing(module: Module) -> ModuleError:
    name = type(module).__name__
    return ModuleError(name, "super().__init__() has to be called first in its __init__")


def join(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
