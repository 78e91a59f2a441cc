"""The keys of a job: a pair for each process, made here and handed over by stdin."""

from __future__ import annotations

from typing import Any

from minidl_dist.keys import AllowList, Bundle, KeyPair
from minidl_dist.launch.spec import SERVER, WORKER
from minidl_dist.messages import COORDINATOR


class Keyring:
    """Makes a pair for each name when it is first asked for; all lives of a process have the same.

    >>> keys = Keyring(["coordinator", "server0", "worker0"])
    >>> bundle = keys.bundle("server0")
    >>> sorted(bundle["allowed"]), sorted(bundle["pinned"])
    (['worker0'], ['coordinator'])
    >>> keys.remove("worker0")
    >>> sorted(keys.bundle("server0")["allowed"])
    []
    """

    def __init__(self, names: list[str]):
        self.pairs = {name: KeyPair.new() for name in names}

    def add(self, name: str) -> dict[str, str]:
        """A process that comes later: name -> public key, for those who listen."""
        self.pairs.setdefault(name, KeyPair.new())
        return {name: self.pairs[name].public}

    def remove(self, name: str) -> None:
        """A process that will not come back."""
        self.pairs.pop(name, None)

    def bundle(self, name: str) -> dict[str, Any]:
        """What a process needs: its pair, the coordinator's key, and whom it lets in."""
        roles = {COORDINATOR: (SERVER, WORKER)}.get(name, (WORKER,))
        allowed = AllowList()
        if not name.startswith(WORKER):
            for other, pair in self.pairs.items():
                if other.startswith(roles):
                    allowed.allow(other, pair.public)
        pinned = {} if name == COORDINATOR else {COORDINATOR: self.pairs[COORDINATOR].public}
        return Bundle(name, self.pairs[name], pinned, allowed).to_json()
