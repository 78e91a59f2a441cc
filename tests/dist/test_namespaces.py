"""Jobs on two machines that are network namespaces: TCP, keys, and a cable that is pulled out.

`ip netns exec` stands in for ssh. The first machine has the coordinator, a server and a worker, the
second the other worker.
"""

import functools
import os
import shutil
import subprocess
import time

import pytest

from tests.dist.jobs import Job, alone

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("ip") is None,
        reason="making network namespaces needs root and ip (Debian: iproute2)",
    ),
]


def ip(*words, check=True):
    return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)


class Machines:
    """Two namespaces, and a cable between them."""

    def __init__(self):
        number = os.getpid()
        self.names = [f"minidl-{number}-a", f"minidl-{number}-b"]
        self.cables = [f"ml{number % 100_000}a", f"ml{number % 100_000}b"]
        self.addresses = ["10.177.0.1", "10.177.0.2"]

    def __enter__(self):
        for name in self.names:
            if ip("netns", "add", name, check=False).returncode:
                pytest.skip("this kernel or container makes no network namespaces")
        ip("link", "add", self.cables[0], "type", "veth", "peer", "name", self.cables[1])
        for name, cable, address in zip(self.names, self.cables, self.addresses):
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "addr", "add", f"{address}/24", "dev", cable)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", cable, "up")
        return self

    def __exit__(self, *_):
        for name in self.names:
            ip("netns", "delete", name, check=False)

    @property
    def hosts(self):
        return ",".join(f"{n}={a}" for n, a in zip(self.names, self.addresses))

    def pull_out(self):
        ip("-n", self.names[1], "link", "set", self.cables[1], "down")

    def put_in(self):
        ip("-n", self.names[1], "link", "set", self.cables[1], "up")


@functools.cache
def expected():
    return alone("--slots=2")


@pytest.fixture
def machines():
    with Machines() as made:
        yield made


@pytest.fixture
def start(tmp_path, machines):
    jobs = []

    def begin(*script, **options):
        options = {"hosts": machines.hosts, "shell": "ip netns exec"} | options
        jobs.append(Job(tmp_path, script, **options))
        return jobs[-1]

    yield begin
    for job in jobs:
        job.remove()


def test_two_machines_give_the_bits_of_one_process(start):
    job = start()
    assert job.finish() == expected()
    assert {event["node"] for event in job.events("worker1")} == {"worker1"}


def test_a_server_on_the_other_machine_is_killed(start):
    job = start("--slow=0.02", servers=2).wait_for_step(14).kill("server1")
    assert job.finish() == expected()


def test_the_cable_is_pulled_out_for_a_while(start, machines):
    job = start("--slow=0.05").wait_for_step(8)
    machines.pull_out()
    time.sleep(3)
    machines.put_in()
    assert job.finish() == expected()


def test_the_cable_is_pulled_out_for_good(start, machines):
    """The worker behind it is lost; the other one computes its slots, too."""
    job = start("--slow=0.05").wait_for_step(8)
    machines.pull_out()
    assert job.finish() == expected()


def test_a_machine_without_the_others_address(start):
    """The first thing that goes wrong is said, with the address."""
    job = start(hosts="nobody=10.177.0.9")
    job.finish(code=1)
    assert "nobody" in job.output
