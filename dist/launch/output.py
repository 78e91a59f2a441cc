"""What processes print, and how it is shown: each line with the name of who printed it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TextIO

from minidl_dist.launch.child import Child
from minidl_dist.launch.spec import WORKER
from minidl_dist.messages import COORDINATOR
from minidl_dist.record import Lines

WIDTH = len(COORDINATOR)
LONGEST = 1 << 20  # bytes of a line; what is longer is shown in parts


class Output:
    """Where lines go.

    Args:
        streams: for what processes print to stdout and to stderr.

    Attributes:
        is_said_once: workers all say the same before they train: it is shown once.
    """

    def __init__(self, streams: tuple[TextIO, TextIO]):
        self.streams = streams
        self.is_said_once = True
        self.first_said: dict[str, str] = {}  # line -> worker

    def show(self, child: Child, text: str, number: int) -> None:
        write_line(self.streams[number], f"{child.name:<{WIDTH}} | {text}")

    def note(self, text: str) -> None:
        """The launcher's own words."""
        write_line(self.streams[1], text)

    async def pass_on(
        self,
        child: Child,
        stream: Any,
        log: Lines,
        number: int,
        heard: Callable[[Child, dict[str, Any]], None],
    ) -> None:
        """Show and log what a process prints to one of its streams, to the end.

        Args:
            child, stream, log: whose, which, and where it is kept.
            number: 0 for stdout, 1 for stderr.
            heard: is given what is not for people.
        """
        rest = bytearray()
        while True:
            data = await stream.read(1 << 16)
            *lines, last = data.split(b"\n")
            if lines:
                lines[0] = bytes(rest) + lines[0]
                rest.clear()
            rest += last
            if (not data and rest) or len(rest) >= LONGEST:
                lines.append(bytes(rest))
                rest.clear()
            for line in lines:
                text = line.decode(errors="backslashreplace").rstrip("\r")
                text, message = child.read(text)
                if message is not None:
                    heard(child, message)
                    if not text:
                        continue
                child.last_lines.append(text)
                log.write(text)
                if not self.is_said_by_all(child, text):
                    self.show(child, text, number)
            if not data:
                return

    def is_said_by_all(self, child: Child, text: str) -> bool:
        """Whether another worker said so before."""
        if not self.is_said_once or child.role != WORKER:
            return False
        return self.first_said.setdefault(text, child.name) != child.name


def write_line(stream: TextIO, text: str) -> None:
    """Print a line. A full disk, a closed terminal or pipe end no training."""
    try:
        print(text, file=stream, flush=True)
    except (OSError, ValueError):
        pass
