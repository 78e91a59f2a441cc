"""A job that listens by TCP on this machine: its address, its keys, and an operator elsewhere."""

import json
import os
import shutil
import socket
import stat
import subprocess

import pytest
from typer.testing import CliRunner

from minidl_dist.commands import app
from minidl_dist.keys import KeyPair, to_hex
from tests.dist.jobs import COMMAND, alone
from tests.dist.test_namespaces import Machines

pytestmark = pytest.mark.slow


def minidl_dist(*arguments):
    """Exit code, and all that was printed."""
    result = CliRunner().invoke(app, ["dist", *map(str, arguments)])
    return result.exit_code, result.output


def loopback():
    """The interface of 127.0.0.1, by whatever name."""
    return next(name for _, name in socket.if_nameindex() if name.startswith("lo"))


def test_a_job_on_an_interface_from_which_a_worker_and_a_server_are_lost(start):
    """With keys: the next lives have others, which those who listen must know."""
    job = start("--slow=0.02", "--kill=worker1:on_loss:9", servers=2, address=loopback())
    job.wait_for_step(14).kill("server1")
    assert job.finish() == alone("--slots=2")
    assert "tcp://127.0.0.1:" in job.text("worker0")
    assert {m["restarts"] for m in job.status()["members"]} == {0, 1}


def test_an_operator_asks_scales_and_cancels(start, tmp_path):
    code, public = minidl_dist("keygen", tmp_path / "me.key")
    assert code == 0 and stat.S_IMODE((tmp_path / "me.key").stat().st_mode) == 0o600
    assert minidl_dist("keygen", tmp_path / "me.key")[0] == 2  # not over another
    keys = "--keys", tmp_path / "me.key"
    job = start("--slow=0.5", address="127.0.0.1", operator=public.strip())
    door = job.wait_for_step(2).status()["door"]
    code, text = minidl_dist("status", door, *keys, "--json")
    found = json.loads(text)
    assert code == 0 and found["step"] >= 2
    assert {m["name"] for m in found["members"]} == {"server0", "worker0", "worker1"}
    assert door in minidl_dist("status", job.folder)[1]
    assert minidl_dist("scale", door, "--workers", "3", *keys)[0] == 0
    job.wait_until(lambda: job.member("worker2"), "a third worker")
    strangers(door, tmp_path)
    assert minidl_dist("cancel", door, *keys) == (0, "it ends after a last checkpoint\n")
    job.finish(code=143)
    assert "cancelled; the checkpoint of step" in job.output
    code, text = minidl_dist("status", door, *keys)
    assert code == 2 and "nobody listens there" in text


def strangers(door, tmp_path):
    """Who has another key, or expects another, is told so."""
    minidl_dist("keygen", tmp_path / "other.key")
    code, text = minidl_dist("status", door, "--keys", tmp_path / "other.key")
    assert code == 2 and "does not accept our key" in text
    wrong = f"{door.rpartition('/')[0]}/{to_hex(KeyPair.new().public)}"
    code, text = minidl_dist("status", wrong, "--keys", tmp_path / "me.key")
    assert code == 2 and "is not the one we know" in text


def test_an_interface_that_is_not_there(start):
    job = start(address="eth99")
    job.finish(code=2)
    assert "cannot listen" in job.output and loopback() in job.output.split("hint: ")[1]


def test_a_port_in_use(start):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        job = start(address=f"127.0.0.1:{taken.getsockname()[1]}")
        job.finish(code=2)
    assert "another process uses this port" in job.output


# --- machines that must reach each other --------------------------------------------------------

SHELL = """\
#!/bin/sh
host=$1; shift
if [ "$host" = nowhere ]; then echo "Could not resolve hostname nowhere" >&2; exit 255; fi
echo "Welcome to $host"
exec "$@"
"""


@pytest.fixture
def shell(tmp_path):
    """Stands in for ssh: all machines are this one."""
    path = tmp_path / "shell"
    path.write_text(SHELL)
    path.chmod(0o755)
    return path


def reach(tmp_path, shell, hosts):
    """What `minidl dist test --hosts` says, up to the job itself."""
    if not (tmp_path / "bars").exists():
        minidl_dist("init", tmp_path / "bars")
        (tmp_path / "bars" / "train.py").write_text(
            "def build_model(): ...\ndef run_model(): ...\n"
        )
    done = subprocess.run(
        [*COMMAND, "dist", "test", tmp_path / "bars", f"--hosts={hosts}", f"--shell={shell}"],
        capture_output=True, text=True, cwd=tmp_path,
    )  # fmt: skip
    return done.stderr


def test_machines_that_reach_each_other(shell, tmp_path):
    text = reach(tmp_path, shell, "a=127.0.0.1,b=127.0.0.1")
    assert "each reaches the others, and has minidl" in text


@pytest.mark.parametrize(
    "hosts, cause",
    [
        ("a=127.0.0.1,b=198.51.100.7", "\n  b: it has no address 198.51.100.7: "),
        ("a=127.0.0.1,nowhere=127.0.0.1", "\n  nowhere: Could not resolve hostname"),
        ("a=127.0.0.1,no-such-name.invalid", "has no address that can be found"),
    ],
)
def test_machines_that_do_not(shell, tmp_path, hosts, cause):
    text = reach(tmp_path, shell, hosts)
    assert cause in text and "Traceback" not in text and "Unknown child" not in text


def test_a_cable_that_is_pulled_out(tmp_path):
    if os.geteuid() or not shutil.which("ip"):
        pytest.skip("making network namespaces needs root and ip (Debian: iproute2)")
    with Machines() as machines:
        a, b = machines.names
        words = "ip netns exec", machines.hosts
        assert "each reaches the others" in reach(tmp_path, *words)
        machines.pull_out()
        text = reach(tmp_path, *words)
    assert f"\n  {a} -> {b} at 10.177.0.2: " in text and f"\n  {b} -> {a} at 10.177.0.1: " in text
    assert f"{a} -> {a}" not in text
