"""A job whose processes are started by ssh, with a real sshd on this machine."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.dist.jobs import Job, alone

SSHD = shutil.which("sshd") or "/usr/sbin/sshd"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not (Path(SSHD).exists() and shutil.which("ssh") and shutil.which("ssh-keygen")),
        reason="needs ssh and sshd (Debian: openssh-client, openssh-server)",
    ),
]


@pytest.fixture
def shell(tmp_path):
    """An sshd of our own; the ssh command that reaches it."""
    for name in ("host", "user"):
        key = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    (tmp_path / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {tmp_path}/host\nStrictModes no\n"
        f"AuthorizedKeysFile {tmp_path}/user.pub\nUsePAM no\nPidFile none\n"
        "PermitRootLogin prohibit-password\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)
    with open(tmp_path / "sshd.log", "wb") as log:
        server = subprocess.Popen([SSHD, "-D", "-e", "-f", tmp_path / "config"], stderr=log)
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with socket.socket() as one:
            if one.connect_ex(("127.0.0.1", port)) == 0:
                break
        time.sleep(0.05)
    yield (
        f"ssh -p {port} -i {tmp_path}/user -o BatchMode=yes -o StrictHostKeyChecking=no "
        "-o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
    )
    server.terminate()
    server.wait()


def test_a_job_by_ssh_from_which_a_worker_is_lost(shell, tmp_path):
    job = Job(
        tmp_path, ["--slow=0.02", "--kill=worker1:on_loss:9"], servers=2, shell=shell,
        hosts=f"{getpass.getuser()}@127.0.0.1",
    )  # fmt: skip
    try:
        assert job.finish() == alone("--slots=2")
        assert "worker1     | (was lost: exit code 255" in job.output
    finally:
        job.remove()
