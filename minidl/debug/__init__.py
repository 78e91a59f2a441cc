"""Tools that look at a computation: gradient check, summary."""

from minidl.debug.gradcheck import GradientError, gradcheck
from minidl.debug.summary import Summary, summary

__all__ = ["GradientError", "Summary", "gradcheck", "summary"]
