"""The keys of a job: a pair for each life of each process, made here and handed over by stdin."""

from __future__ import annotations

from typing import Any

from minidl_dist.keys import AllowList, Bundle, KeyPair
from minidl_dist.launch.spec import SERVER, WORKER
from minidl_dist.messages import COORDINATOR

OPERATOR = "operator"


class Keyring:
    """The pairs of those that live, or are about to.

    The coordinator keeps its pair for all its lives: the others know it by its key. Any other
    process gets a new one each time, and what its last life knew opens nothing any more.

    Args:
        names: those that begin.
        operator: public key of who may look and cancel from elsewhere; "" for nobody.

    >>> keys = Keyring(["coordinator", "server0", "worker0"])
    >>> bundle = keys.bundle("server0")
    >>> sorted(bundle["allowed"]), sorted(bundle["pinned"])
    (['worker0'], ['coordinator'])
    >>> keys.remove("worker0")
    >>> sorted(keys.bundle("server0")["allowed"])
    []
    """

    def __init__(self, names: list[str], operator: str = ""):
        self.operator = operator
        self.pairs = {name: KeyPair.new() for name in names}

    def renew(self, name: str) -> dict[str, str]:
        """Another life begins: name -> its public key, for those who listen."""
        self.pairs[name] = KeyPair.new()
        return {name: self.pairs[name].public}

    def remove(self, name: str) -> None:
        """A life is over."""
        self.pairs.pop(name, None)

    @staticmethod
    def lets_in(name: str, other: str) -> bool:
        """Whether a process listens to another."""
        roles = {COORDINATOR: (SERVER, WORKER)}.get(name, (WORKER,))
        return not name.startswith(WORKER) and other.startswith(roles)

    def bundle(self, name: str) -> dict[str, Any]:
        """What a process needs: its pair, the coordinator's key, and whom it lets in."""
        allowed = AllowList()
        for other, pair in self.pairs.items():
            if self.lets_in(name, other):
                allowed.allow(other, pair.public)
        pinned = {COORDINATOR: self.pairs[COORDINATOR].public}
        if name == COORDINATOR:
            pinned = {}
            if self.operator:
                allowed.allow(OPERATOR, self.operator)
        return Bundle(name, self.pairs[name], pinned, allowed).to_json()
