"""A bad network between two nodes: drops, doubles, delays, reorders, cuts and changes messages.

    with Proxy(server.listen(TCP), Faults(drop=0.1, flip=0.1), seed=3) as proxy:
        worker.connect("server0", proxy.address)

It speaks tcp without keys (Node(..., insecure=True)): with keys a changed byte ends the connection,
and ipc is taken for a part of the machine, whose bits do not change.
"""

from __future__ import annotations

import heapq
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import zmq

Frames = list[bytes]
TCP = "tcp://127.0.0.1:*"


@dataclass
class Faults:
    """The chance of each fault for a message, in either direction.

    Attributes:
        drop: it vanishes.
        double: it comes twice, the second time later.
        delay: it comes up to `seconds` later, and so after others.
        cut: a frame loses its end.
        flip: a bit of a frame changes.
        seconds: the longest delay.
    """

    drop: float = 0.0
    double: float = 0.0
    delay: float = 0.0
    cut: float = 0.0
    flip: float = 0.0
    seconds: float = 0.05


class Proxy:
    """Listens, and connects to `back` once for each that connects.

    Args:
        back: address of a node.
        faults: may be replaced while it runs; Faults() passes everything on as it is.
        seed: of the faults.

    Attributes:
        address: to connect to.
        counts: how often each fault happened, and "passed".
        is_cut: set it to drop everything, as a cut cable does.
    """

    def __init__(self, back: str, faults: Faults | None = None, seed: int = 0):
        self.back, self.faults = back, faults or Faults()
        self.random, self.counts = random.Random(seed), Counter()
        self.is_cut = self.is_over = False
        self.context = zmq.Context()
        self.front = self.context.socket(zmq.ROUTER)
        self.front.bind(TCP)
        self.address = self.front.getsockopt_string(zmq.LAST_ENDPOINT)
        self.backs: dict[bytes, zmq.Socket] = {}
        self.later: list[tuple[float, int, Callable[[Frames], None], Frames]] = []
        self.thread = threading.Thread(target=self.run, daemon=True)

    def __enter__(self) -> Proxy:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self.thread.join()
        self.context.destroy(linger=0)

    def run(self) -> None:
        while not self.is_over:
            sockets = [(socket, zmq.POLLIN) for socket in (self.front, *self.backs.values())]
            ready = dict(zmq.zmq_poll(sockets, 2))
            if self.front in ready:
                identity, *frames = self.front.recv_multipart()
                if identity not in self.backs:
                    self.backs[identity] = self.context.socket(zmq.DEALER)
                    self.backs[identity].connect(self.back)
                self.take(frames, self.backs[identity].send_multipart)
            for identity, socket in self.backs.items():
                if socket in ready:
                    self.take(socket.recv_multipart(), self.to_front(identity))
            while self.later and self.later[0][0] <= time.monotonic():
                _, _, send, frames = heapq.heappop(self.later)
                send(frames)

    def to_front(self, identity: bytes) -> Callable[[Frames], None]:
        return lambda frames: self.front.send_multipart([identity, *frames])

    def take(self, frames: Frames, send: Callable[[Frames], None]) -> None:
        """Do to a message what its luck says."""
        if self.is_cut or self.happens("drop"):
            return
        if self.happens("cut"):
            place = self.random.randrange(len(frames))
            frames[place] = frames[place][: self.random.randrange(len(frames[place]))]
        if self.happens("flip"):
            place = self.random.randrange(len(frames))
            frames[place] = self.flipped(frames[place])
        if self.happens("double"):
            self.send_later(send, frames)
        if self.happens("delay"):
            self.send_later(send, frames)
        else:
            self.counts["passed"] += 1
            send(frames)

    def happens(self, fault: str) -> bool:
        happens = self.random.random() < getattr(self.faults, fault)
        self.counts[fault] += happens
        return happens

    def send_later(self, send: Callable[[Frames], None], frames: Frames) -> None:
        when = time.monotonic() + self.random.uniform(0, self.faults.seconds)
        self.counts["later"] += 1
        heapq.heappush(self.later, (when, self.counts["later"], send, list(frames)))

    def flipped(self, frame: bytes) -> bytes:
        if not frame:
            return frame
        changed = bytearray(frame)
        changed[self.random.randrange(len(changed))] ^= 1 << self.random.randrange(8)
        return bytes(changed)
