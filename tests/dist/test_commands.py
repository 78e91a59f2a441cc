"""`minidl dist`: what is answered before any process starts, and what stands in --help."""

import errno
import fcntl
import json
import subprocess
import sys
import threading
import time

import pytest
import typer
from typer.testing import CliRunner

from minidl_dist import folder as job_folder
from minidl_dist.checkpoint import Disk
from minidl_dist.commands import app
from minidl_dist.launch.spec import Launch, check_launch
from minidl_dist.launch.ssh import Host, Ssh, parse_hosts
from minidl_dist.plan import Plan, TensorSpec
from minidl_dist.run import completed, counted
from minidl_dist.status import as_prometheus, as_text, show_logs, what_is_saved


def minidl_dist(*arguments):
    """Exit code, and all that was printed."""
    result = CliRunner().invoke(app, ["dist", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "arguments, text",
    [
        (["run"], "Missing argument"),
        (["run", "none.py"], "there is no such script"),
        (["run", "--workers", "0", "--", "train", "lenet"], "--workers must be at least 1"),
        (["run", "--on-nan", "ignore", "--", "train", "lenet"], "--on-nan is stop or skip"),
        (
            ["run", "--computing-limit", "0", "--", "train", "lenet"],
            "--computing-limit must be at least 1",
        ),
        (["run", "--mode", "sinc", "--", "train", "lenet"], "mode is sync"),
        (["run", "--mode", "backup:2", "--", "train", "lenet"], "1 <= K < S"),
        (["run", "--hosts", ",", "--", "train", "lenet"], "at least one machine"),
        (["status", "nothing"], "there is no such job"),
        (["cancel", "nothing"], "there is no such job"),
        (["resume", "nothing"], "there is no such job"),
        (["scale", "nothing", "--workers", "3"], "there is no such job"),
        (["test", "nothing"], "holds no job.toml"),
        (["submit", "nothing"], "holds no job.toml"),
        (["bench", "--size", "many"], "a size is a number and a unit"),
    ],
)
def test_a_mistake_is_answered_in_a_few_lines(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, output = minidl_dist(*arguments)
    assert code == 2 and text in output and "Traceback" not in output
    assert not list(tmp_path.rglob("status.json"))


def test_a_folder_in_use(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "used").mkdir()
    launch = completed(Launch(["train", "lenet"]))
    job_folder.write_job(tmp_path / "used", launch, "minidl dist run")
    code, output = minidl_dist("run", "-o", "used", "--", "train", "lenet")
    assert code == 2 and "minidl dist resume used" in output


def test_options_of_the_command_are_not_ours(tmp_path):
    code, output = minidl_dist("run", "--workers", "2", tmp_path / "none.py", "--workers", "x")
    assert code == 2 and "there is no such script" in output


def test_the_nearest_job_is_proposed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "runs" / "dist-lenet").mkdir(parents=True)
    job_folder.write_job(tmp_path / "runs" / "dist-lenet", Launch(["train", "lenet"]), "")
    assert "did you mean dist-lenet?" in minidl_dist("status", "dist-lennet")[1]
    code, output = minidl_dist("cancel", "dist-lenet")
    assert code == 2 and "the job does not run" in output


def test_init_makes_a_job(tmp_path):
    code, output = minidl_dist("init", tmp_path / "flowers")
    assert code == 0 and "minidl dist test" in output
    assert 'name = "flowers"' in (tmp_path / "flowers" / "job.toml").read_text()


def test_every_command_has_help():
    group = typer.main.get_group(app).commands["dist"]
    for name, command in group.commands.items():
        assert command.help and command.help.split("\n")[0].endswith("."), name


def test_help_does_not_import_the_machines():
    code = (
        "import json, sys\nfrom apps.cli import main\nsys.argv = ['minidl', '--help']\n"
        "try: main()\nexcept SystemExit: pass\nprint(json.dumps(sorted(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    modules = json.loads(done.stdout.splitlines()[-1])
    assert "dist" in done.stdout and not {"minidl_dist", "zmq"} & set(modules)


# --- numbers and names --------------------------------------------------------------------------


def test_cores_are_divided_among_the_workers_of_a_machine(monkeypatch):
    monkeypatch.setattr("minidl_dist.run.cores", lambda: 8)
    assert completed(Launch(["x"], workers=2)).threads == 4
    assert completed(Launch(["x"], workers=3)).threads == 2
    assert completed(Launch(["x"], workers=16)).threads == 1
    assert completed(Launch(["x"], workers=4, hosts="a,b")).threads == 4
    assert completed(Launch(["x"], workers=4, threads=3, slots=2)).slots == 2


def test_names_of_jobs(tmp_path):
    assert Launch(["train", "lenet", "--data", "mnist"]).name == "lenet"
    assert Launch(["a/b/script.py", "x"]).name == "script"
    assert Launch([str(tmp_path / "flowers" / "job.toml")]).name == "flowers"
    assert Launch(["draw", "train"]).name == "train"
    check_launch(Launch(["train", "lenet"]))


def test_hosts():
    hosts = parse_hosts("a=10.0.0.1,me@b=10.0.0.2")
    assert hosts == [Host("a", "10.0.0.1"), Host("me@b", "10.0.0.2")]
    engine = Ssh(hosts)
    assert [engine.host_of(name).name for name in ("coordinator", "server1", "worker2")] == [
        "a", "me@b", "a",
    ]  # fmt: skip
    assert engine.address("worker1", 0) == "tcp://10.0.0.2:*"
    assert engine.was_lost(255) and engine.was_lost(-9) and not engine.was_lost(1)
    assert counted(1, "worker") == "1 worker" and counted(2, "worker") == "2 workers"


def test_status_of_a_job_that_was_killed_says_how_to_go_on():
    members = [{"name": "worker0", "state": "gone", "restarts": 2, "pid": None}]
    found = {"job": "runs/a", "running": False, "step": 7, "total_steps": 9, "members": members}
    text = as_text(found)
    assert text.startswith("runs/a: was killed at step 7 of 9; minidl dist resume goes on")
    assert "restarted 2 times" in text
    assert 'minidl_dist_restarts{job="a",process="worker0"} 2' in as_prometheus(found)


def running(**facts):
    members = [
        {"name": "server0", "state": "running", "restarts": 0, "pid": 7, "alarms": [
            {"time": 1e9, "text": "cannot save: the disk is full"}]},
        {"name": "worker0", "state": "running", "restarts": 1, "pid": 8, "alarms": []},
    ]  # fmt: skip
    return {
        "job": "runs/a", "running": True, "step": 7, "total_steps": 9, "members": members,
        "doing": {"worker0": "computing"}, "steps": {"worker0": 8, "server0": 7},
        "messages": {"worker0": {"lost": 2, "repeated": 3}}, "checkpoint_step": 5,
        "examples_per_second": 1234.0, "staleness": {"mean": 1.5, "most": 4}, **facts,
    }  # fmt: skip


def test_status_of_a_job_that_runs():
    lines = as_text(running()).splitlines()
    assert lines[0] == "runs/a: runs at step 7 of 9"
    assert lines[1].split(", ") == [
        "  1,234 examples/s", "gradients 1.5 others late", "at most 4",
        "last checkpoint of step 5",
    ]  # fmt: skip
    assert lines[2].split() == ["server0", "running,", "step", "7,", "process", "7"]
    assert "warning at" in lines[3] and lines[3].endswith("cannot save: the disk is full")
    assert lines[4].split(", ")[1:] == [
        "step 8", "process 8", "restarted once", "2 messages lost", "3 messages repeated",
    ]  # fmt: skip


def test_status_for_prometheus():
    found = set(as_prometheus(running()).splitlines())
    assert {
        'minidl_dist_examples_per_second{job="a"} 1234.0',
        'minidl_dist_staleness_mean{job="a"} 1.5',
        'minidl_dist_staleness_most{job="a"} 4',
        'minidl_dist_process_step{job="a",process="worker0"} 8',
        'minidl_dist_messages_lost{job="a",process="worker0"} 2',
        'minidl_dist_messages_repeated{job="a",process="worker0"} 3',
        'minidl_dist_alarms{job="a",process="server0"} 1',
    } <= found


def test_an_old_status_says_so():
    assert "as of" not in as_text(running(time=time.time()))
    assert "as of 60 s ago: nothing was written" in as_text(running(time=time.time() - 60))


@pytest.mark.parametrize(
    "found, line",
    [
        ({"url": "s3://a/b", "files": 3}, "3 files uploaded to s3://a/b"),
        ({"url": "s3://a/b", "error": "no\n more"}, "not uploaded to s3://a/b: no"),
    ],
)
def test_where_the_results_are(found, line):
    assert f"  {line}" in as_text(running(uploaded=found)).splitlines()


def test_a_status_on_a_full_disk_is_written_into_its_old_blocks(tmp_path, monkeypatch):
    facts = {"step": 1, "members": ["x" * 40] * 30}
    writer = job_folder.StatusWriter(tmp_path, lambda: facts)
    writer.write_now()
    monkeypatch.setattr(job_folder.Path, "write_text", full)
    facts["step"] = 2
    writer.write_now()
    assert job_folder.read_status(tmp_path) == facts
    facts["members"] *= 99  # more than there are blocks: what is there stays whole
    writer.write_now()
    assert job_folder.read_status(tmp_path)["step"] == 2
    assert [path.name for path in tmp_path.iterdir()] == ["status.json"]


def full(*arguments, **options):
    raise OSError(errno.ENOSPC, "no space left on device")


# --- resume -------------------------------------------------------------------------------------


def test_resume_with_more_servers_than_the_model_has_chunks(tmp_path):
    folder = tmp_path / "job"
    job_folder.write_job(job_folder.make_folder(str(folder), "x"), Launch(["train", "lenet"]), "")
    plan = Plan((TensorSpec("w", (10,), "float32"),), "SGD", 1, 1, 1)
    content = {"token": 1, "plan": plan.to_dict(), "checkpoints": []}
    Disk(folder / job_folder.CHECKPOINTS).store("manifest", content)
    code, output = minidl_dist("resume", folder, "--servers", "2")
    assert code == 2 and "at least one chunk" in output and "use at most 1 servers" in output
    code, output = minidl_dist("resume", folder, "--servers", "0")
    assert code == 2 and "--servers must be at least 1" in output
    assert job_folder.read_job(folder)["launch"].servers == 1


@pytest.mark.parametrize(
    "facts, text",
    [
        ({}, "no checkpoint is saved"),
        ({"step": 4, "checkpoint_step": -1}, "no checkpoint is saved"),
        ({"step": 15, "checkpoint_step": 15}, "of step 15 is saved, no step is lost"),
        ({"step": -1, "checkpoint_step": 15}, "of step 15 is saved, no step is lost"),
        ({"step": 16, "checkpoint_step": 15}, "of step 15 is saved, 1 step after it is lost"),
        ({"step": 19, "checkpoint_step": 15}, "of step 15 is saved, 4 steps after it are lost"),
        ({"step": 0, "reached": 8, "checkpoint_step": 0}, "is saved, 8 steps after it are lost"),
    ],
)
def test_what_a_job_that_was_stopped_says(facts, text):
    assert what_is_saved(facts).endswith(text)


def test_logs_of_one_process_and_of_all(tmp_path, capsys):
    job_folder.write_job(tmp_path, Launch(["train", "lenet"]), "")
    for name in ("worker10", "worker2", "launcher"):
        (tmp_path / job_folder.LOGS).mkdir(exist_ok=True)
        (tmp_path / job_folder.LOGS / f"{name}.log").write_text(f"I am {name}\n")
    show_logs(str(tmp_path), "worker2", False)
    assert capsys.readouterr().out == "I am worker2\n"
    show_logs(str(tmp_path), None, False)
    assert capsys.readouterr().out.splitlines() == [
        "worker2     | I am worker2", "worker10    | I am worker10",
    ]  # fmt: skip


def test_one_launcher_at_a_time(tmp_path):
    assert job_folder.launcher_of(tmp_path) is None
    with job_folder.held(tmp_path):
        assert job_folder.launcher_of(tmp_path) is not None
    assert job_folder.launcher_of(tmp_path) is None


def test_a_look_at_the_status_does_not_keep_a_job_from_starting(tmp_path):
    (tmp_path / job_folder.PID).touch()
    with open(tmp_path / job_folder.PID) as looking:
        fcntl.flock(looking, fcntl.LOCK_SH)
        threading.Timer(0.1, fcntl.flock, (looking, fcntl.LOCK_UN)).start()
        with job_folder.held(tmp_path):
            assert job_folder.launcher_of(tmp_path) is not None
