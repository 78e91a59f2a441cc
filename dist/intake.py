"""Closes connections that bring bytes without end, and never a message.

libzmq limits the size of each part of a message, but not how many parts one has, and shows none
before the last is there. So the memory for one that never ends is nowhere to be seen, but its
connection is: the kernel counts the bytes that it has brought (TCP_INFO, tcp(7)), and each message
says by which connection it came. Only a process with a key of this job can get so far.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import time

MOST = 64 << 20  # bytes without a message; a peer has at most 8 MiB on the way
LOOK, SHARE = 0.1, 50  # seconds between two looks, or so many times what one takes
RECEIVED = 128  # where tcpi_bytes_received stands in struct tcp_info
INFO = getattr(socket, "TCP_INFO", None)  # of Linux


class Intake:
    """The connections of a listener.

    Args:
        port: on which it listens.

    Attributes:
        heard: file descriptors of connections that a message came from since the last look.
    """

    def __init__(self, port: int):
        self.port = port
        self.next_look = 0.0
        self.heard: set[int] = set()
        self.since: dict[tuple[int, str], int] = {}  # connection -> its bytes at its last message

    def look(self, now: float) -> list[str]:
        """If it is time: close what brings no message. The addresses of the peers."""
        if now < self.next_look:
            return []
        began = time.perf_counter()
        closed = self.close_endless()
        self.next_look = now + max(LOOK, SHARE * (time.perf_counter() - began))
        return closed

    def close_endless(self) -> list[str]:
        heard, self.heard = self.heard, set()
        before, self.since, closed = self.since, {}, []
        for descriptor, connection in self.connections():
            with connection:
                try:
                    peer = str(connection.getpeername())
                    received = bytes_received(connection)
                except (OSError, struct.error):
                    continue
                key = descriptor, peer
                last = received if descriptor in heard else before.get(key, 0)
                self.since[key] = last
                if received - last > MOST:
                    closed.append(peer)
                    self.since[key] = sys.maxsize  # once: libzmq needs a moment to see it
                    connection.shutdown(socket.SHUT_RDWR)
        return closed

    def connections(self) -> list[tuple[int, socket.socket]]:
        """(descriptor, a copy of it as a socket) of each."""
        found = []
        for descriptor in sockets() if INFO is not None else ():
            try:
                connection = socket.socket(fileno=os.dup(descriptor))
            except OSError:  # it was closed meanwhile
                continue
            if self.is_ours(connection):
                found.append((descriptor, connection))
            else:
                connection.close()
        return found

    def is_ours(self, connection: socket.socket) -> bool:
        try:
            is_tcp = connection.family in (socket.AF_INET, socket.AF_INET6)
            return is_tcp and connection.getsockname()[1] == self.port
        except OSError:
            return False


def sockets() -> list[int]:
    """The descriptors of this process that are sockets.

    All of them are known before the first is copied: a copy must not be taken for one of them.
    """
    found = []
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("socket:"):
                found.append(int(name))
        except OSError:  # the one that listed them
            continue
    return found


def bytes_received(connection: socket.socket) -> int:
    """What a TCP connection has brought since it was made."""
    facts = connection.getsockopt(socket.IPPROTO_TCP, INFO, 256)
    return struct.unpack_from("Q", facts, RECEIVED)[0]
