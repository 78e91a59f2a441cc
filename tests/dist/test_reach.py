"""A knock at a door, and what is said where nobody opens."""

import contextlib
import socket
import struct
import threading

from minidl_dist.launch import reach


def open_until_closed(door):
    with contextlib.suppress(OSError):
        reach.open_to_all(door, "token")


def test_the_causes_have_names(monkeypatch):
    monkeypatch.setattr(reach, "ANSWERS_WITHIN", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as door:
        port = door.getsockname()[1]
        assert reach.knock("127.0.0.1", port, "token") == "no answer within 0.2 s"
        guest = socket.create_connection(("127.0.0.1", port))
        guest.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        guest.close()  # a reset: nothing can be sent to it
        threading.Thread(target=open_until_closed, args=(door,), daemon=True).start()
        assert reach.knock("127.0.0.1", port, "token") == ""
        assert reach.knock("127.0.0.1", port, "another") == "another program answers there"
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert reach.knock("127.0.0.1", port, "token") == "refused"
    assert reach.knock("no-such-name.invalid", port, "token") == "its name is not known"
