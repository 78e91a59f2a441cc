"""The same work as in transfers.py without a node: what no node on these sockets can do better.

Headers are numbers in a fixed place that nobody checks, and nobody polls.
"""

from __future__ import annotations

import socket
import statistics
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np
import zmq

from minidl.kernels.memory import keep_freed_memory
from minidl_dist import messages as m
from minidl_dist.checksum import checksum
from minidl_dist.transfers import CHUNK, PULL, PUSH, RATE, SMALL, Holder, check

WINDOW = m.WINDOW
RAW_HEADER = struct.Struct("<iiq")  # what, chunk, checksum

# --- by ZeroMQ alone -----------------------------------------------------------------------------


def serve_bare(chunks: int) -> None:
    socket = zmq.Context().socket(zmq.ROUTER)
    socket.bind("tcp://127.0.0.1:*")
    print(socket.getsockopt_string(zmq.LAST_ENDPOINT).rstrip("\0"), flush=True)
    holder = Holder(chunks)
    while True:
        identity, header = socket.recv(), socket.recv()
        what, chunk, crc = RAW_HEADER.unpack(header)
        socket.send(identity, zmq.SNDMORE)
        if what == PUSH:
            gradient = np.frombuffer(socket.recv(copy=False), np.float32)
            holder.handle(m.Received("worker0", m.Push(1, 0, 0, chunk, crc, [], gradient)), 0.0)
            socket.send(header)
        else:
            values = holder.values[chunk]
            head = RAW_HEADER.pack(PULL, chunk, holder.crcs[chunk])
            if chunk == chunks:
                socket.send(head + values.tobytes())
            else:
                socket.send(head, zmq.SNDMORE)
                socket.send(values, copy=False)


class BareClient:
    """The work of transfers.py by sockets of ZeroMQ."""

    def __init__(self, address: str, chunks: int):
        keep_freed_memory()
        self.context = zmq.Context()
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.connect(address)
        self.chunks = chunks
        self.gradient = np.full(CHUNK, 0.5, np.float32)

    def transfer(self) -> float:
        start = time.perf_counter()
        for answer in range(-WINDOW, self.chunks):
            if answer + WINDOW < self.chunks:
                header = RAW_HEADER.pack(PUSH, answer + WINDOW, checksum(self.gradient))
                self.socket.send(header, zmq.SNDMORE)
                self.socket.send(self.gradient, copy=False)
            if answer >= 0:
                self.socket.recv()
        for answer in range(-WINDOW, self.chunks):
            if answer + WINDOW < self.chunks:
                self.socket.send(RAW_HEADER.pack(PULL, answer + WINDOW, 0))
            if answer >= 0:
                crc = RAW_HEADER.unpack(self.socket.recv())[2]
                check(np.frombuffer(self.socket.recv(copy=False), np.float32), crc)
        return time.perf_counter() - start

    def ping(self, times: int) -> float:
        found = []
        for _ in range(times):
            start = time.perf_counter()
            self.socket.send(RAW_HEADER.pack(PULL, self.chunks, 0))
            place = self.socket.recv()
            crc = RAW_HEADER.unpack_from(place)[2]
            check(np.frombuffer(place, np.float32, offset=RAW_HEADER.size), crc)
            found.append(time.perf_counter() - start)
        return statistics.median(found)

    def close(self) -> None:
        self.context.destroy(linger=0)


# --- by raw sockets -----------------------------------------------------------------------------


def serve_raw(way: str, folder: Path, chunks: int) -> None:
    if way == "raw unix":
        path = str(folder / "raw")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(path)
        listener.listen()
        print(path, flush=True)
    else:
        listener = socket.create_server(("127.0.0.1", 0))
        print("%s:%d" % listener.getsockname(), flush=True)  # noqa: UP031
    peer, _ = listener.accept()
    plain(peer)
    values = [np.ones(CHUNK, np.float32) for _ in range(chunks)]
    values.append(np.zeros(SMALL, np.float32))
    crcs = [checksum(one) for one in values]
    header = bytearray(RAW_HEADER.size)
    gradient = np.empty(CHUNK, np.float32)
    while receive(peer, header):
        what, chunk, crc = RAW_HEADER.unpack(header)
        if what == PUSH:
            receive(peer, gradient.view(np.uint8).data)
            check(gradient, crc)
            gradient *= -RATE
            values[chunk] += gradient
            crcs[chunk] = checksum(values[chunk])
            peer.sendall(header)
        else:
            head = RAW_HEADER.pack(PULL, chunk, crcs[chunk])
            if chunk == chunks:
                peer.sendall(head + values[chunk].tobytes())
            else:
                peer.sendall(head)
                peer.sendall(values[chunk].view(np.uint8).data)


def plain(one: socket.socket) -> None:
    if one.family == socket.AF_INET:
        one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def receive(one: socket.socket, place: Any) -> bool:
    """Fill `place`; False at the end of the connection."""
    view, got = memoryview(place), 0
    while got < len(view):
        count = one.recv_into(view[got:])
        if not count:
            return False
        got += count
    return True


class RawClient:
    """The work of transfers.py by sockets of the system."""

    def __init__(self, way: str, address: str, chunks: int):
        if way == "raw unix":
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.connect(address)
        else:
            host, port = address.split(":")
            self.socket = socket.create_connection((host, int(port)))
        plain(self.socket)
        self.chunks = chunks
        self.gradients = [np.full(CHUNK, 0.5, np.float32) for _ in range(chunks)]
        self.weights = [np.zeros(CHUNK, np.float32) for _ in range(chunks)]
        self.header = bytearray(RAW_HEADER.size)

    def transfer(self) -> float:
        start = time.perf_counter()
        for answer in range(-WINDOW, self.chunks):
            ask = answer + WINDOW
            if ask < self.chunks:
                crc = checksum(self.gradients[ask])
                self.socket.sendall(RAW_HEADER.pack(PUSH, ask, crc))
                self.socket.sendall(self.gradients[ask].view(np.uint8).data)
            if answer >= 0:
                receive(self.socket, self.header)
        for answer in range(-WINDOW, self.chunks):
            if answer + WINDOW < self.chunks:
                self.socket.sendall(RAW_HEADER.pack(PULL, answer + WINDOW, 0))
            if answer >= 0:
                receive(self.socket, self.header)
                receive(self.socket, self.weights[answer].view(np.uint8).data)
                check(self.weights[answer], RAW_HEADER.unpack(self.header)[2])
        return time.perf_counter() - start

    def ping(self, times: int) -> float:
        found, place = [], bytearray(RAW_HEADER.size + 4 * SMALL)
        for _ in range(times):
            start = time.perf_counter()
            self.socket.sendall(RAW_HEADER.pack(PULL, self.chunks, 0))
            receive(self.socket, place)
            crc = RAW_HEADER.unpack_from(place)[2]
            check(np.frombuffer(place, np.float32, offset=RAW_HEADER.size), crc)
            found.append(time.perf_counter() - start)
        return statistics.median(found)

    def close(self) -> None:
        self.socket.close()
