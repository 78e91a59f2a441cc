"""The one recorder: which operations and which modules run in a block of code, in order.

    with record(lines=True) as recording:
        loss = functional.cross_entropy(net(x), labels)

    recording.calls                 every Function that was applied: inputs, outputs, module, line
    recording.module_calls          every Module that was called: path, inputs, output, line

Whatever looks into a network stands on it: summary, the ONNX export, the folding of batch norms,
the search for the first NaN. It sees each operation when it has run, whether autograd records it
or not: on integers, on constants, under no_grad. It cannot see what is not an operation: NumPy
code, detach(), changes in place.

Recorder hands over the calls as they happen, for code that must not keep every array; Recording
keeps them.

While a recorder is active, `Function.apply` and `Module.__call__` are replaced by the two functions
at the end of this file, which call the originals. Otherwise they are untouched, so that an
operation costs what it always does, and a debugger steps through what stands in function.py. This
is the lowest file that knows both Functions and Modules; debug and io, which import nn, use it.
"""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any, NamedTuple

from minidl.errors import GraphError
from minidl.function import Function, grad_mode
from minidl.graph import tensors_in
from minidl.nn.module import Module
from minidl.tensor import Tensor

LIBRARY = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")


class Line(NamedTuple):
    """A line of the user's code.

    Attributes:
        file: its path, as in a traceback.
        number: of the line, from 1.
        function: the name of the function that it is in; "<module>" outside of any.
    """

    file: str
    number: int
    function: str


@dataclass(eq=False, repr=False)
class ModuleCall:
    """One call of a Module.

    Attributes:
        module: the one that was called.
        path: its dotted name in the outermost module that was running; "" for that one.
        inputs: its positional arguments.
        options: its keyword arguments.
        parent: the call of the module around it; None for the outermost.
        line: where the user's code called it or a module around it; None unless asked for.
        output: what it returned, of any structure; None as long as it runs.
    """

    module: Module
    path: str
    inputs: tuple
    options: dict[str, Any]
    parent: ModuleCall | None = None
    line: Line | None = None
    output: Any = None

    def __repr__(self) -> str:
        return described(self, type(self.module).__name__, self.inputs, self.output)


@dataclass(eq=False, repr=False)
class Call:
    """One operation: a Function that was applied.

    Attributes:
        function: the one that was applied.
        inputs: the Tensors that it was applied to.
        outputs: the Tensors that it made, in order.
        needs_grad: for each input, whether its gradient will be wanted.
        grad_enabled: False if it ran under no_grad.
        within: the innermost module call that was running; None outside of any.
        line: where the user's code called it, or what it is part of; None unless asked for.
    """

    function: Function
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    needs_grad: list[bool]
    grad_enabled: bool = True
    within: ModuleCall | None = None
    line: Line | None = None

    @property
    def path(self) -> str:
        """The dotted name of the module that ran it; "" in the outermost one and outside of any."""
        return self.within.path if self.within else ""

    @property
    def multiply_accumulates(self) -> int:
        """How many products the operation summed up."""
        shapes = [x.shape for x in (*self.outputs[:1], *self.inputs)]
        return self.function.multiply_accumulates(*shapes) if self.outputs else 0

    def __repr__(self) -> str:
        return described(self, type(self.function).__name__, self.inputs, self.outputs)


def described(call: Call | ModuleCall, name: str, inputs: Any, outputs: Any) -> str:
    """'<Linear fc.0: (1, 3), (2, 3) -> (1, 2) at net.py:6>'."""
    shapes = [", ".join(str(x.shape) for x in tensors_in(value)) for value in (inputs, outputs)]
    where = f" at {os.path.basename(call.line.file)}:{call.line.number}" if call.line else ""
    return f"<{name} {call.path}".rstrip() + f": {' -> '.join(shapes)}{where}>"


class Recorder:
    """Sees what its thread runs inside `with`. Subclasses override what they want to be told.

    What they compute themselves they compute with arrays: an operation on Tensors would be seen as
    well, and what they compute about it, without end.

    A module outside the tree of the outermost one, such as one hidden in a tuple, has no name: what
    it runs counts as run by the module around it.

    Args:
        lines: find the user's line of each call. It costs a walk up the stack each time.
    """

    def __init__(self, lines: bool = False):
        self.lines = lines
        self.thread: int | None = None  # the one whose calls it sees; None outside of `with`
        self.running: list[ModuleCall] = []
        self.paths: dict[Module, str] = {}  # names in the tree of the outermost module

    def operation_done(self, call: Call) -> None:
        """A Function was applied."""

    def module_starts(self, call: ModuleCall) -> None:
        """A Module is about to run."""

    def module_done(self, call: ModuleCall) -> None:
        """A Module returned, after those inside it."""

    def __enter__(self) -> Any:
        global active
        with lock:
            if self in active:
                name = type(self).__name__
                raise GraphError(name, "it is recording already", None, "make another one")
            if not active:
                Function.apply, Module.__call__ = watched_apply, watched_call  # type: ignore
            self.thread = threading.get_ident()
            active = (*active, self)
        return self

    def __exit__(self, *exception: Any) -> None:
        global active
        with lock:
            self.thread = None
            active = tuple(recorder for recorder in active if recorder is not self)
            if not active:
                Function.apply, Module.__call__ = APPLY, CALL  # type: ignore

    # --- called while it is active --------------------------------------------------------------

    def after_apply(self, function: Function, inputs: tuple, y: Any) -> None:
        outputs = y if isinstance(y, tuple) else (y,)
        within = self.running[-1] if self.running else None
        line = users_line() if self.lines else None
        needs_grad = list(function.needs_grad)
        self.operation_done(
            Call(function, inputs, outputs, needs_grad, grad_mode.enabled, within, line)
        )

    def before_module(self, module: Module, inputs: tuple, options: dict) -> ModuleCall | None:
        """The call that begins, or None for a module without a name."""
        parent = self.running[-1] if self.running else None
        if parent is None:
            self.paths = {part: name for name, part in module.named_modules()}
        path = self.paths.get(module)
        if path is None:
            return None
        line = users_line() if self.lines else None
        call = ModuleCall(module, path, inputs, options, parent, line)
        self.module_starts(call)
        self.running.append(call)
        return call

    def after_module(self, call: ModuleCall, y: Any) -> None:
        call.output = y
        self.module_done(call)


class Recording(Recorder):
    """All that ran: see record.

    Attributes:
        calls: the operations, in the order in which they ran.
        module_calls: the calls of modules, in the order in which they began.
    """

    def __init__(self, lines: bool = False):
        super().__init__(lines)
        self.calls: list[Call] = []
        self.module_calls: list[ModuleCall] = []

    def operation_done(self, call: Call) -> None:
        self.calls.append(call)

    def module_starts(self, call: ModuleCall) -> None:
        self.module_calls.append(call)


def record(lines: bool = False) -> Recording:
    """`with record() as recording:` keeps every operation and every call of a module inside.

    Only those of this thread. The Tensors in it stay in memory as long as the recording does.

    Args:
        lines: find the line of the user's code for each call, too.

    Returns:
        A Recording, to be used as a context manager.

    >>> net = minidl.nn.Sequential(minidl.nn.Linear(3, 2), minidl.nn.ReLU())
    >>> with minidl.debug.record() as recording:
    ...     y = net(minidl.ones(1, 3)) > 0
    >>> [(type(call.function).__name__, call.path) for call in recording.calls]
    [('Linear', '0'), ('ReLU', '1'), ('Compare', '')]
    >>> [call.path for call in recording.module_calls]
    ['', '0', '1']
    """
    return Recording(lines)


def users_line() -> Line | None:
    """The innermost line on the stack that is not the library's; None if all are."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(LIBRARY):
        frame = frame.f_back
    return frame and Line(frame.f_code.co_filename, frame.f_lineno, frame.f_code.co_name)


# --- what stands in for apply and __call__ ------------------------------------------------------

APPLY, CALL = Function.apply, Module.__call__
lock = threading.Lock()  # for `active`, and the exchange of the two methods
active: tuple[Recorder, ...] = ()  # of all threads


def recorders_here() -> list[Recorder]:
    """Those of this thread: what another one runs is none of their business."""
    thread = threading.get_ident()
    return [recorder for recorder in active if recorder.thread == thread]


def watched_apply(function: Function, *inputs: Tensor) -> Any:
    """Function.apply while something records."""
    y = APPLY(function, *inputs)
    for recorder in recorders_here():
        recorder.after_apply(function, inputs, y)
    return y


def watched_call(module: Module, *inputs: Any, **options: Any) -> Any:
    """Module.__call__ while something records."""
    calls = []
    try:
        for recorder in recorders_here():
            if (call := recorder.before_module(module, inputs, options)) is not None:
                calls.append((recorder, call))
        y = CALL(module, *inputs, **options)
        for recorder, call in calls:
            recorder.after_module(call, y)
        return y
    finally:
        for recorder, _ in calls:
            recorder.running.pop()
