"""Tools that look at a computation: gradient check, summary."""

from minidl.debug.gradcheck import GradientError, gradcheck

__all__ = ["GradientError", "gradcheck"]
