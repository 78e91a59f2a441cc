"""Tools that look at a computation: gradient check, recorder, summary."""

from minidl.debug.gradcheck import GradientError, gradcheck
from minidl.debug.summary import Summary, summary
from minidl.nn.record import Call, Line, ModuleCall, Recorder, Recording, record

__all__ = [
    "Call", "GradientError", "Line", "ModuleCall", "Recorder", "Recording", "Summary", "gradcheck",
    "record", "summary",
]  # fmt: skip
