"""What the bits of a result depend on, beside the program: compared between workers."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version


def fingerprint() -> dict[str, str]:
    """Name -> text, of this process as it is now: kernels can be chosen by a program.

    Two workers with the same entries compute the same bits. Where they differ, so may the last
    bits of what they compute; `minidl dist run --strict` refuses that.
    """
    import numba
    from llvmlite.binding import get_host_cpu_name
    from threadpoolctl import threadpool_info

    import minidl
    from minidl import kernels
    from minidl.kernels import settings
    from minidl.kernels.cpu.vector.instructions import WIDTH

    blas = [info for info in threadpool_info() if info["user_api"] == "blas"]
    return {
        "minidl": minidl.__version__,
        "python": platform.python_version(),
        "numpy": package("numpy"),
        "numba": package("numba"),
        "processor": numba.config.CPU_NAME or get_host_cpu_name(),
        "blas": ", ".join(f"{info['internal_api']} {info.get('architecture')}" for info in blas),
        "threads": str(numba.config.NUMBA_NUM_THREADS),
        "kernels": kernels.cpu_kernels(),
        "vectors": f"{WIDTH} numbers",
        "exact_conv": str(settings.exact_conv),
    }


def package(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "unknown"
