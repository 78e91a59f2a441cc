"""Engines: what is refused before anything starts, and where their processes listen."""

import importlib.util
import subprocess

import pytest
from typer.testing import CliRunner

from minidl.errors import ArgumentError, MinidlError
from minidl_dist.commands import app
from minidl_dist.keys import KeyPair, from_hex, to_hex
from minidl_dist.launch import sbatch
from minidl_dist.launch.engines import engine_of
from minidl_dist.launch.local import Local, tcp_address
from minidl_dist.launch.ray import Ray
from minidl_dist.launch.slurm import Slurm, tasks_of
from minidl_dist.launch.spec import Launch
from minidl_dist.launch.ssh import Host, Ssh
from minidl_dist.run import completed

NODES = "NodeName=a Arch=x NodeAddr=10.0.0.1 Port=1\nNodeName=b Arch=x NodeAddr=10.0.0.2 Port=1"


def minidl_dist(*arguments):
    """Exit code, and all that was printed."""
    result = CliRunner().invoke(app, ["dist", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    minidl_dist("init", "digits")
    return "digits"


@pytest.mark.parametrize(
    "options, text",
    [
        (["--engine", "slrum"], "did you mean slurm?"),
        (["--engine", "kubernetes"], "there is no such engine"),
        (["--engine", "ssh"], "--hosts names at least one machine"),
        (["--engine", "slurm"], "no sbatch"),
        (["--engine", "ray"], "pip install 'minidl[ray]'"),
        (["--engine", "local", "--hosts", "a,b"], "--hosts is for --engine ssh"),
        (["--engine", "ray", "--sbatch", "--time=1"], "--sbatch is for --engine slurm"),
        (["--address", "0.0.0.0"], "one that others can connect to"),
        (["--operator", "0" * 64], "reached from here alone"),
        (["--operator", "mine"], "64 hexadecimal digits"),
    ],
)
def test_what_is_refused(job, options, text, tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")  # without Slurm
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda n: None if n == "ray" else find(n))
    code, output = minidl_dist("submit", job, *options)
    assert code == 2 and text in output and "Traceback" not in output
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "words, text",
    [
        (["status", "tcp://10.0.0.1:5/00"], "asked with a key"),
        (["status", "tcp://10.0.0.1:5", "--keys", "me"], "a door is tcp://ADDRESS:PORT/KEY"),
        (["cancel", "tcp://10.0.0.1:5/00", "--keys", "me"], "no such file of keys"),
        (["keygen", "none/me.key"], "the folder for the keys is not there"),
    ],
)
def test_what_is_refused_of_an_operator(words, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output = minidl_dist(*words)
    assert code == 2 and text in output and "Traceback" not in output


def test_keys_of_others_are_not_an_operators(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    minidl_dist("keygen", "me.key")
    door = ["tcp://127.0.0.1:5/00", "--keys", "me.key"]
    assert "64 hexadecimal digits" in minidl_dist("status", *door)[1]
    (tmp_path / "me.key").chmod(0o644)
    assert "mode 0600" in minidl_dist("status", *door)[1]
    text = (tmp_path / "me.key").read_text().replace('"operator"', '"worker0"')
    (tmp_path / "me.key").write_text(text)
    (tmp_path / "me.key").chmod(0o600)
    assert "not the keys of an operator" in minidl_dist("status", *door)[1]


def test_a_public_key_in_digits():
    key = KeyPair.new().public
    assert from_hex("test", to_hex(key)) == key
    for text in ("", "zz" * 32, "00" * 31):
        with pytest.raises(MinidlError):
            from_hex("test", text)


@pytest.mark.parametrize(
    "place, coordinator, server",
    [
        ("eth0", "tcp://eth0:*", "tcp://eth0:*"),
        ("eth0:5555", "tcp://eth0:5555", "tcp://eth0:*"),
        ("10.0.0.1:5555", "tcp://10.0.0.1:5555", "tcp://10.0.0.1:*"),
        ("fe80::1", "tcp://[fe80::1]:*", "tcp://[fe80::1]:*"),
        ("[fe80::1]:5555", "tcp://[fe80::1]:5555", "tcp://[fe80::1]:*"),
    ],
)
def test_an_interface_or_address_and_the_coordinators_port(place, coordinator, server):
    assert tcp_address(place, "coordinator") == coordinator
    assert tcp_address(place, "server0") == server
    assert Local(place).address("server0", 3) == server and Local(place).is_secure
    assert Ssh([Host("a", "10.0.0.9")], listen=place).address("server0", 0) == server


@pytest.mark.parametrize("place", ["", "*", "0.0.0.0:1", "::", "[::]:1", "a/b", "a b"])
def test_an_address_to_which_nobody_can_connect(place):
    with pytest.raises(ArgumentError):
        tcp_address(place, "server0")


# --- Slurm and Ray ------------------------------------------------------------------------------


def test_processes_take_turns_over_the_tasks_of_an_allocation():
    engine = Slurm(tasks_of(NODES, "2,1"))
    names = ("coordinator", "server0", "worker0", "worker1", "worker2", "worker3")
    assert [engine.host_of(name).name for name in names] == ["a", "a", "a", "a", "b", "a"]
    assert engine.address("worker2", 0) == "tcp://10.0.0.2:*"
    assert [host.name for host in tasks_of(NODES, "1(x2)")] == ["a", "b"]
    codes = {137: True, 143: True, 255: True, -9: True, 0: False, 1: False, 2: False, 128: False}
    assert {code: engine.was_lost(code) for code in codes} == codes


def test_outside_of_an_allocation(monkeypatch):
    monkeypatch.delenv("SLURM_JOB_NODELIST", raising=False)
    monkeypatch.setattr("minidl_dist.launch.engines.shutil.which", lambda name: name)
    with pytest.raises(ArgumentError, match="runs in an allocation"):
        engine_of(Launch(["x"], engine="slurm"))


def test_what_is_handed_to_slurm(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(sbatch, "ask", lambda *words: asked.append(words) or "17;cluster\n")
    launch = completed(Launch(["x"], engine="slurm", workers=3, sbatch="--time=5 -p 'a b'"))
    assert sbatch.submit(tmp_path, launch, tmp_path / "a log") == "17"
    assert asked == [("sbatch", "--parsable", "--time=5", "-p", "a b", f"{tmp_path}/slurm.sh")]
    text = (tmp_path / "slurm.sh").read_text()
    assert "--ntasks=3 --cpus-per-task=1\n" in text and f"-m minidl_dist.run {tmp_path}" in text
    assert f"--output='{tmp_path}/a log'" in text and "TERM@" in text
    assert sbatch.job_of(tmp_path) == "17"


@pytest.mark.parametrize(
    "code, out, error, state",
    [
        (0, "RUNNING None\n", "", "RUNNING"),
        (0, "PENDING Resources\n", "", "PENDING (Resources)"),
        (0, "", "", ""),
        (1, "", "slurm_load_jobs error: Invalid job id specified", ""),
    ],
)
def test_where_a_job_is(monkeypatch, code, out, error, state):
    done = subprocess.CompletedProcess([], code, out, error)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: done)
    assert sbatch.state_of("17") == state


def test_slurm_that_does_not_answer_is_no_end_of_a_job(monkeypatch):
    error = "slurm_load_jobs error: Unable to contact slurm controller"
    done = subprocess.CompletedProcess([], 1, "", error)
    monkeypatch.setattr(subprocess, "run", lambda *a, **k: done)
    with pytest.raises(MinidlError, match="Unable to contact"):
        sbatch.state_of("17")


def test_the_warning_before_the_time_limit_is_long_enough():
    from minidl_dist.launch.supervisor import DRAIN

    assert sbatch.WARNING > DRAIN


def test_a_process_on_ray_listens_on_its_node():
    assert Ray().address("server1", 0) == "tcp://ray-node:*"
    assert Ray("ib0").address("coordinator", 0) == "tcp://ib0:*"
    assert Ray().was_lost(255) and not Ray().was_lost(1)
    assert completed(Launch(["x"], engine="ray", workers=2)).threads == 1
