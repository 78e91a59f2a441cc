"""The machines of a job on real sockets: over tcp with keys, and across a bad network.

simulate.py tries the combinations in its own world; here is one job at a time in the real one, with
the same toy training, and the same oracle.
"""

import json
import random
from types import SimpleNamespace

import pytest

from minidl_dist import messages as m
from minidl_dist.checked import check_bits
from minidl_dist.checkpoint import Disk
from minidl_dist.coordinator import Coordinator
from minidl_dist.keys import AllowList, Bundle, KeyPair
from minidl_dist.modes import parse
from minidl_dist.node import Node
from minidl_dist.plan import Job
from minidl_dist.server import Server
from minidl_dist.toy import final_arrays, oracle, toy
from minidl_dist.trainer import Trainer
from minidl_dist.worker import Worker
from tests.dist.nodes import running, wait_for
from tests.dist.proxy import TCP, Faults, Proxy

SERVERS, WORKERS = ("server0", "server1"), ("worker0", "worker1")


class Trained:
    """A worker's machine with its training thread (trainer.py) in the node's thread."""

    def __init__(self, name, training):
        self.machine = Worker(name, 1)
        world = SimpleNamespace(
            toy=training, random=random.Random(name), now=0.0, pace=1.0, at=self.at,
            mode=parse("sync"),
            check_weights=lambda step, found: check_bits(
                step, oracle(training).weights[step], found
            ),
        )  # fmt: skip
        self.trainer = Trainer(world)
        self.trainer.process = SimpleNamespace(last_event=0.0)
        self.node = None

    def __getattr__(self, name):
        return getattr(self.machine, name)

    def at(self, after, process, what):
        """At once: the order is that of a queue."""
        self.node.post(what)

    def handle(self, event, now):
        if not isinstance(event, tuple):
            return self.machine.handle(event, now)
        function, task, *arguments = event
        if task == self.trainer.task:
            function(*arguments)
        return []


def two_chunks():
    """A toy of two slots, some steps, and enough chunks for two servers."""
    plans = (toy(number) for number in range(300))
    return next(
        t for t in plans
        if t.plan.slots == 2 and len(t.plan.chunks) > 2 and 3 <= t.plan.total_steps <= 4
        and t.clip and not t.nan and t.last_epoch > t.plan.epochs
    )  # fmt: skip


class Made:
    """The nodes of a job; `through` gives the address by which others reach a server."""

    def __init__(self, tmp_path, bundles=None, through=lambda name, address: address):
        self.toy, self.folder = two_chunks(), tmp_path / "checkpoints"
        # Where one message in eight is lost, requests can be in vain for 10 s: nobody is stuck.
        job = Job(
            SERVERS, save_every=2, beat=0.1, dead=25.0, missing=30.0,
            limits=dict.fromkeys(("compiling", "computing", "evaluating", "saving"), 20.0),
        )  # fmt: skip
        bundles = bundles or {}

        def node(name, machine, **options):
            return Node(machine, name, bundles.get(name), insecure=not bundles, **options)

        self.coordinator = node(m.COORDINATOR, Coordinator(job), disk=Disk(self.folder))
        place = self.coordinator.listen(TCP)
        key = bundles[m.COORDINATOR].pair.public if bundles else ""
        self.nodes = [self.coordinator]
        for name in SERVERS:
            pair = bundles[name].pair.public if bundles else ""
            server = node(name, Server(name, 1, key=pair), disk=Disk(self.folder))
            server.machine.address = through(name, server.listen(TCP))
            self.nodes.append(server)
        for name in WORKERS:
            machine = Trained(name, self.toy)
            worker = node(name, machine, to_client=machine.trainer.take)
            machine.node = worker
            self.nodes.append(worker)
        for one in self.nodes[1:]:
            one.connect(m.COORDINATOR, place, key)

    def run(self):
        with running(*self.nodes):
            machine = self.coordinator.machine  # without one of the workers the job would be over
            wait_for(lambda: len(machine.members.workers) == len(WORKERS), seconds=60)
            for worker in self.nodes[-2:]:
                worker.post(self.toy.begin())
            wait_for(lambda: all(node.ended for node in self.nodes), seconds=60)
        assert [(node.name, node.ended.code) for node in self.nodes if node.ended.code] == []
        disk, right = Disk(self.folder), oracle(self.toy)
        entry = disk.load("manifest")["checkpoints"][-1]
        shards = [disk.load(name, facts["sha256"]) for name, facts in entry["files"].items()]
        assert entry["step"] == right.last
        check_bits(right.last, right.weights[right.last], final_arrays(self.toy.plan, shards))
        assert json.loads(disk.load(entry["run"], entry["run_sha256"])) == right.runs[right.last]


def test_a_job_over_tcp_with_keys(tmp_path):
    pairs = {name: KeyPair.new() for name in (m.COORDINATOR, *SERVERS, *WORKERS)}
    allowed = {
        m.COORDINATOR: (*SERVERS, *WORKERS), **dict.fromkeys(SERVERS, WORKERS),
        **dict.fromkeys(WORKERS, ()),
    }  # fmt: skip
    bundles = {
        name: Bundle(
            name, pair, {m.COORDINATOR: pairs[m.COORDINATOR].public},
            AllowList({other: pairs[other].public for other in allowed[name]}),
        )
        for name, pair in pairs.items()
    }  # fmt: skip
    made = Made(tmp_path, bundles)
    made.run()
    for node in made.nodes:  # values that come before the plan are dropped, and come again
        dropped = {name for name in node.counts if name.startswith("dropped")}
        assert dropped <= {"dropped: plan"}, (node.name, node.counts)


SLOW = [pytest.param(seed, marks=pytest.mark.slow) for seed in (1, 2)]


@pytest.mark.parametrize("seed", [0, *SLOW])
def test_a_job_across_a_bad_network(tmp_path, seed):
    """Between workers and servers messages vanish, come twice, late, cut and with other bits."""
    faults = Faults(drop=0.05, double=0.1, delay=0.1, cut=0.03, flip=0.05, seconds=0.02)
    proxies = []

    def through(name, address):
        proxies.append(Proxy(address, faults, seed + len(proxies)))
        return proxies[-1].address

    made = Made(tmp_path, through=through)
    first, second = proxies
    with first, second:
        made.run()
    counts = first.counts + second.counts
    assert all(counts[fault] for fault in ("drop", "double", "delay"))
    assert any(name.startswith("dropped") for node in made.nodes for name in node.counts)
