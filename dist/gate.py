"""What of all that arrives is let in: the one place that a message must pass.

    frames -> at most two -> wire.decode -> the sender's key -> the sender's role -> the machine

Whatever does not pass is a WireError. The node counts it by its cause and goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import zmq

from minidl_dist.intake import Intake
from minidl_dist.keys import MAY_SEND, AllowList, KeyProblem, role_of
from minidl_dist.wire import WireError, decode

NOW = int(zmq.DONTWAIT)  # numbers, as the enum takes microseconds to combine
TOO_MANY = object()  # frames


class Gate:
    """Lets messages in.

    Args:
        role: ours.
        values_of: message without its values -> their dtype and size by the plan, see wire.decode.

    Attributes:
        bytes_in: of all frames.
        intake: of the node's TCP listener, if it has one.
    """

    intake: Intake | None = None

    def __init__(self, role: str, values_of: Callable[[Any], tuple[str, int] | None]):
        self.role, self.values_of = role, values_of
        self.bytes_in = 0
        self.may_send: dict[str, tuple[type, ...]] = {}  # by sender

    def take(
        self,
        socket: zmq.Socket,
        allowed: AllowList | None = None,
        expected: str | None = None,
    ) -> tuple[str, Any]:
        """Take a message from a socket that has one; a ROUTER's first frame is taken already.

        Args:
            socket: of a Link or Listener.
            allowed: whose keys count, where libzmq verified them.
            expected: who is at the other end.

        Returns:
            (name of the sender, the message).

        Raises:
            WireError: it is not let in, and has been taken nevertheless.
        """
        header = socket.recv(NOW, copy=False)
        values = rest(socket) if header.more else None
        self.bytes_in += len(header)
        if self.intake is not None:
            self.intake.heard.add(header.get(zmq.SRCFD))
        if values is not None:
            if values is TOO_MANY:
                raise WireError("frames", "a message has at most two frames")
            self.bytes_in += len(values)
        sender, message = decode(header.bytes, values, self.values_of)
        if allowed is not None:
            expected = owner_of(str(header.get("User-Id")), allowed, sender)
        if expected is not None and sender != expected:
            raise WireError("sender", f"{expected} calls itself {sender}")
        if type(message) not in self.may_send.get(sender, ()):
            self.check_role(sender, message)
        return sender, message

    def check_role(self, sender: str, message: Any) -> None:
        """
        Raises:
            WireError: a process by this name may not send this to us.
        """
        may = self.may_send.get(sender)
        if may is None:
            try:
                role = role_of(sender)
            except KeyProblem:
                rule = "no process has such a name"
                raise WireError("sender", rule, {"sender": sender}) from None
            may = self.may_send[sender] = MAY_SEND.get((role, self.role), ())
        if type(message) not in may:
            kind = type(message).__name__
            raise WireError("role", f"{sender} sends no {kind} to a {self.role}")


def rest(socket: zmq.Socket) -> Any:
    """The second frame; TOO_MANY if there are more, which are taken, too."""
    values = socket.recv(NOW, copy=False)
    if not values.more:
        return values
    while values.more:
        values = socket.recv(NOW, copy=False)
    return TOO_MANY


def owner_of(key: str, allowed: AllowList, sender: str) -> str:
    """Whose key it is that libzmq verified. It asked once; here it is asked for each message.

    Raises:
        WireError: nobody's, any more.
    """
    owner = allowed.owner(key)
    if owner is None:
        raise WireError("revoked", f"the key of {allowed.revoked.get(key, sender)} was revoked")
    return owner
