"""Where an array lives, and the array module (NumPy or CuPy) that works on it.

The array decides: an operation on a NumPy array runs on the CPU, one on a CuPy array on the GPU.
CuPy is imported only when a GPU is asked for.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

import numpy as np

from minidl.errors import ArgumentError, DeviceError


def array_module(array: Any) -> ModuleType:
    """NumPy for a NumPy array, CuPy for a CuPy array. Bound to the name `xp` where it is used."""
    if isinstance(array, np.ndarray | np.generic):  # a scalar is what NumPy makes of a 0-d result
        return np
    return sys.modules["cupy"]


def device_of(array: Any) -> str:
    """ "cpu", or "cuda:0" and so on."""
    if isinstance(array, np.ndarray):
        return "cpu"
    return f"cuda:{array.device.id}"


def to_device(array: Any, device: str) -> Any:
    """The array on `device` ("cpu", "cuda", "cuda:1"): itself where it is there already.

    Raises:
        DeviceError: CuPy is not installed or finds no GPU.
        ArgumentError: the name is neither "cpu" nor "cuda[:index]".
    """
    if device == "cpu":
        return array if isinstance(array, np.ndarray) else array.get()
    name, _, index = str(device).partition(":")
    if name != "cuda" or (index and not index.isdigit()):
        raise ArgumentError("to", "no such device", {"device": device}, 'use "cpu" or "cuda"')
    cupy = import_cupy()
    if index and int(index) >= cupy.cuda.runtime.getDeviceCount():
        raise DeviceError("to", "no such GPU", {"device": device})
    with cupy.cuda.Device(int(index or 0)):
        return cupy.asarray(array)


def import_cupy() -> ModuleType:
    """The cupy module, or a DeviceError that says what is missing."""
    try:
        import cupy
    except ImportError:
        raise DeviceError(
            "to",
            "CuPy is not installed, so tensors can only live on the CPU",
            hint="on a machine with an NVIDIA GPU: pip install cupy-cuda13x",
        ) from None
    if not cupy.is_available():
        raise DeviceError("to", "CuPy is installed but finds no usable GPU or driver")
    return cupy
