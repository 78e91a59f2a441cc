"""A job in the hands of Slurm: a real slurmctld, and two slurmd that are two machines to it."""

import getpass
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pytest

from minidl_dist.launch import sbatch
from tests.dist.job_folder import WATCHDOG, JobFolder

os.environ["PATH"] += ":/usr/sbin"
PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not all(map(shutil.which, PROGRAMS)), reason="needs Slurm (Debian: slurm-wlm, munge)"
    ),
]

CONF = """\
ClusterName=minidl
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
ReturnToService=2
KillWait=30
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=2
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=2
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE
"""


def free_ports(count):
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class Cluster:
    """Daemons of our own, in a folder that goes with them."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="minidl-slurm-", dir="/tmp"))
        self.folder.chmod(0o711)  # munge wants its socket to be reached by all
        (self.folder / "state").mkdir()
        (self.folder / "munge.key").write_bytes(os.urandom(128))
        (self.folder / "munge.key").chmod(0o400)
        conf = self.folder / "slurm.conf"
        conf.write_text(
            CONF.format(
                host=socket.gethostname(), ports=free_ports(3), user=getpass.getuser(),
                folder=self.folder,
            )
        )  # fmt: skip
        self.variables = {"SLURM_CONF": str(conf)}
        self.daemons = []

    def __enter__(self):
        names = ("key-file", "socket", "pid-file", "log-file", "seed-file")
        files = [f"--{name}={self.folder}/munge.{name.removesuffix('-file')}" for name in names]
        self.start("munged", "--foreground", *files)
        self.wait_for(lambda: (self.folder / "munge.socket").exists(), "munged")
        self.start("slurmctld", "-D", "-c")
        for node in ("node1", "node2"):
            self.start("slurmd", "-D", "-N", node)
        self.wait_for(lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D") == "2", "slurmd")
        return self

    def __exit__(self, *_):
        self.ask("scancel", "--user", getpass.getuser())
        deadline = time.monotonic() + 20
        while self.ask("squeue", "-h") and time.monotonic() < deadline:
            time.sleep(0.2)
        for daemon in reversed(self.daemons):
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *command):
        with open(self.folder / f"{len(self.daemons)}-{command[0]}.out", "wb") as out:
            self.daemons.append(
                subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                    env=os.environ | self.variables, start_new_session=True,
                )
            )  # fmt: skip

    def ask(self, *command):
        done = subprocess.run(
            command, capture_output=True, text=True, env=os.environ | self.variables
        )
        return done.stdout.strip()

    def wait_for(self, ready, what):
        deadline = time.monotonic() + 30
        while not ready():
            if time.monotonic() > deadline:
                said = [path.read_text() for path in self.folder.glob("*.out")]
                raise AssertionError(f"{what} does not start: {said}")
            time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster():
    with Cluster() as made:
        yield made


@pytest.fixture
def job(cluster, tmp_path):
    return JobFolder(tmp_path, **cluster.variables)


def until(job, ready):
    """Wait for a job to be so far."""
    deadline = time.monotonic() + WATCHDOG
    while not ready():
        assert time.monotonic() < deadline, job.minidl("status", job.output) + job.log()
        time.sleep(0.2)


def is_over(job):
    return job.status().get("finished", False)


def test_the_time_limit_ends_a_job_in_order_and_it_goes_on(job, cluster):
    """Slurm's warning comes within half a minute, as the limit is shorter than it is early."""
    job.wait.touch()
    said = job.submit("--engine=slurm", "--sbatch=--nodes=2", SBATCH_TIMELIMIT="1")
    assert "of Slurm" in said and "waits for machines" in said
    until(job, lambda: "terminated; the checkpoint of step" in job.log())
    until(job, lambda: not cluster.ask("squeue", "-h"))
    text = job.minidl("status", job.output)
    assert "terminated at step" in text and "minidl dist resume" in text
    job.wait.unlink()
    job.minidl("resume", job.output)
    until(job, lambda: is_over(job))
    assert job.weights() == job.alone()
    assert "done at step" in job.minidl("status", job.output)


def test_a_job_that_waits_in_the_queue(job):
    job.submit("--engine=slurm", "--sbatch=--hold")
    assert "PENDING (JobHeldUser)" in job.minidl("status", job.output)
    assert "in Slurm's hands already" in job.minidl("resume", job.output, code=2)
    assert "out of Slurm's queue" in job.minidl("cancel", job.output)
    assert "does not run" in job.minidl("cancel", job.output, code=2)


def test_a_lost_worker_and_the_commands_on_a_job_that_runs(job, cluster):
    """srun says by its exit code that a worker was killed; it is started again."""
    job.wait.touch()
    job.submit("--engine=slurm", "--sbatch=--nodes=2")
    until(job, lambda: job.status().get("step", -1) >= 8)
    shown = cluster.ask("squeue", "-h", "-s", "-o", "%j %N %i").splitlines()
    steps = {name: (node, number) for name, node, number in map(str.split, shown)}
    assert [steps[name][0] for name in ("server0", "worker0", "worker1")] == [
        "node1", "node1", "node2",
    ]  # fmt: skip
    cluster.ask("scancel", "--signal=KILL", steps["worker1"][1])
    until(job, lambda: "worker1     | (was lost: exit code 137" in job.log())
    job.minidl("scale", job.output, "--workers=3")
    until(job, lambda: any(m["name"] == "worker2" for m in job.status()["members"]))
    assert "launcher" not in job.minidl("logs", job.output)
    assert "the checkpoint of step" in job.minidl("cancel", job.output)
    assert cluster.ask("squeue", "-h") == ""
    before = job.status()["checkpoint_step"]
    job.minidl("resume", job.output)
    until(job, lambda: job.status().get("step", -1) >= before + 2)
    cluster.ask("scancel", sbatch.job_of(job.output))  # it does not end servers before the rest
    until(job, lambda: not cluster.ask("squeue", "-h"))
    assert job.status()["checkpoint_step"] > before
    job.wait.unlink()
    job.minidl("resume", job.output)
    until(job, lambda: is_over(job))
    assert job.weights() == job.alone()


def test_what_slurm_refuses_is_said(job):
    said = job.submit("--engine=slurm", "--sbatch=--partition=nowhere", code=2)
    assert "sbatch refused" in said and "Traceback" not in said
