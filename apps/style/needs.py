"""What a command needs, told before it starts: seconds and megabytes; and whether there are so
many. Of the memory that is free a tenth is left alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.shared.options import OptionError
from apps.shared.page import duration

ALLOWED = 0.9  # of the memory that is free
CONTAINER = "/sys/fs/cgroup"


@dataclass
class Estimate:
    """What a run needs.

    Args:
        seconds: of all of it.
        megabytes: at most at one time, beside what the program has already.
    """

    seconds: float
    megabytes: float

    def __str__(self) -> str:
        memory = f"{max(1, self.megabytes):,.0f} MB"
        if self.megabytes >= 1e4:
            memory = f"{self.megabytes / 1000:,.1f} GB"
        time = "less than 1 s" if self.seconds < 1 else f"about {duration(self.seconds)}"
        return f"{time} and {memory}"


def check_memory(
    needed: float, rule: str, received: dict[str, Any], hint: Callable[[float], str]
) -> None:
    """Refuse what does not fit into memory.

    Args:
        needed: megabytes.
        rule: what is wrong if they are not there.
        received: what they are needed for.
        hint: what to do, from the share of `needed` that there is.

    Raises:
        OptionError: there is less memory than that.
    """
    free = free_megabytes()
    if free is None or needed <= ALLOWED * free:
        return
    told = {"needed": f"{needed:,.0f} MB", "free": f"{free:,.0f} MB"}
    raise OptionError(rule, received | told, hint(ALLOWED * free / needed))


def side_that_fits(size: tuple[int, int], share: float) -> int:
    """The longer side of a picture with that share of the pixels."""
    return max(1, int(max(size) * share**0.5))


# --- what the system says -----------------------------------------------------------------------


class PeakMemory:
    """`with PeakMemory() as peak:` peak.bytes afterwards is by how much the process grew inside.

    Linux alone tells; elsewhere it is 0.
    """

    bytes = 0

    def __enter__(self) -> PeakMemory:
        try:
            Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
        except OSError:
            pass
        self.before = status_bytes("VmRSS")
        return self

    def __exit__(self, *exception: object) -> None:
        self.bytes = max(status_bytes("VmHWM") - self.before, 0)


def status_bytes(name: str) -> int:
    """A line of /proc/self/status, 0 where there is none."""
    return kilobytes("/proc/self/status", name) * 1024


def kilobytes(file: str, name: str) -> int:
    try:
        lines = Path(file).read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith(f"{name}:")), 0)


def free_megabytes() -> float | None:
    """Memory that the process may still take: what is free, or less in a container; None where
    that is not known. Files that were read count as free: they stay until memory is needed."""
    found = (
        [kilobytes("/proc/meminfo", "MemAvailable") / 1000]
        if Path("/proc/meminfo").exists()
        else []
    )
    group = Path(CONTAINER)
    try:
        limit = (group / "memory.max").read_text().strip()
        used = int((group / "memory.current").read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        used -= next((int(n) for k, n in map(str.split, lines) if k == "inactive_file"), 0)
        found += [] if limit == "max" else [(int(limit) - used) / 1e6]
    except (OSError, ValueError):
        pass
    return min(found) if found else None
