"""The launcher with processes that are no part of minidl: small programs that do as told."""

import asyncio
import io
import json
import os
import signal
import sys
import time
from contextlib import contextmanager
from pathlib import Path

import pytest

from minidl_dist.launch import output
from minidl_dist.launch import supervisor as module
from minidl_dist.launch.child import ended
from minidl_dist.launch.spec import MARK, WORKER, Launch
from minidl_dist.launch.supervisor import Supervisor

WAITS = module.DRAIN

# Reads its instructions, runs the code of its role, and ends when stdin closes or "stop" comes.
PROGRAM = """
import json, os, signal, sys, threading, time
told = json.loads(sys.stdin.readline())
name, life = told["name"], told["life"]
heard = []
def listen():
    for line in sys.stdin:
        heard.append(json.loads(line))
threading.Thread(target=listen, daemon=True).start()
def wait(key, seconds=20):
    deadline = time.monotonic() + seconds
    while not any(key in line for line in heard):
        if time.monotonic() > deadline:
            os._exit(9)
        time.sleep(0.005)
    return next(line[key] for line in heard if key in line)
"""
SERVE = "wait('stop')\n"


class Engine:
    """Starts PROGRAM with the code of a role; counts the starts."""

    is_secure = False

    def __init__(self, folder, worker, coordinator=SERVE, server=SERVE):
        self.folder = folder
        self.code = {"worker": worker, "coordinator": coordinator, "server": server}
        self.place_is_there = False

    @contextmanager
    def place(self):
        self.place_is_there = True
        yield self.folder
        self.place_is_there = False

    def address(self, name, life):
        return f"ipc://{self.folder}/{name}"

    async def start(self, name, role, threads):
        return await asyncio.create_subprocess_exec(
            sys.executable, "-S", "-c", PROGRAM + self.code[role], stdin=-1, stdout=-1, stderr=-1,
            start_new_session=True,
        )  # fmt: skip

    def was_lost(self, code):
        return code < 0


@pytest.fixture(autouse=True)
def hurry(monkeypatch):
    monkeypatch.setattr(module, "BACKOFF", 0.01)
    monkeypatch.setattr(module, "GOODBYE", 1.0)
    monkeypatch.setattr(module, "DRAIN", 2.0)


def run(tmp_path, worker, workers=1, restarts=2, meanwhile=None, servers=1, engine=Engine, **code):
    """The Supervisor after its job, with what it printed in .out and .err."""
    (tmp_path / "logs").mkdir()
    launch = Launch(
        ["x"], servers=servers, workers=workers, restarts=restarts, slots=workers, threads=1
    )
    out, err = io.StringIO(), io.StringIO()
    found = Supervisor(launch, tmp_path, engine(tmp_path, worker, **code), (out, err))
    if meanwhile:
        found.watchers.append(lambda: meanwhile(found))
    asyncio.run(asyncio.wait_for(found.run(), 60))
    found.out, found.err = out.getvalue(), err.getvalue()
    assert not found.engine.place_is_there
    assert not any(is_alive(m.process.pid) for m in found.children.values() if m.process)
    return found


def is_alive(pid):
    try:
        os.kill(pid, 0)
        return True
    except ProcessLookupError:
        return False


def restarts(found):
    return {m.name: m.restarts for m in found.children.values()}


def test_lines_come_with_the_name_of_who_printed_them(tmp_path):
    found = run(tmp_path, "print('hello', name); print('no', file=sys.stderr)", workers=2)
    assert sorted(found.out.splitlines()) == [
        "worker0     | hello worker0", "worker1     | hello worker1",
    ]  # fmt: skip
    assert found.err.splitlines() in (["worker0     | no"], ["worker1     | no"])
    assert (tmp_path / "logs" / "worker1.log").read_text().split() == ["hello", "worker1", "no"]
    assert found.failure is None


def test_what_all_workers_say_before_they_train_is_shown_once(tmp_path):
    found = run(tmp_path, "print('ready'); time.sleep(1); print('ready')", workers=2)
    assert found.out.count("ready") == 2  # twice by the first
    (tmp_path / "other").mkdir()
    step = f"print({MARK!r} + json.dumps({{'step': 0}}), flush=True); wait('stop')"
    found = run(tmp_path / "other", "time.sleep(1); print('ready')", workers=2, coordinator=step)
    assert found.out.count("ready") == 2


def test_long_and_unfinished_lines_are_whole(tmp_path):
    found = run(tmp_path, "sys.stdout.write('x' * 200_000 + '\\nend')")
    assert found.out == f"worker0     | {'x' * 200_000}\nworker0     | end\n"


def test_a_line_without_an_end_is_shown_in_parts(tmp_path, monkeypatch):
    """A progress bar of \\r may write for days: the launcher must not keep all of it."""
    monkeypatch.setattr(output, "LONGEST", 1000)
    found = run(tmp_path, "os.write(1, b'x' * 2500); time.sleep(0.5); os.write(1, b'y\\n')")
    parts = [line.removeprefix("worker0     | ") for line in found.out.splitlines()]
    assert "".join(parts) == "x" * 2500 + "y" and len(parts) > 1


def test_a_line_that_looks_like_a_message_to_the_launcher_ends_no_job(tmp_path):
    found = run(tmp_path, "print('\\x1e not for you')")
    assert found.failure is None and "not for you" in found.out


def test_a_killed_process_starts_again_and_the_coordinator_hears_of_it_at_once(tmp_path):
    found = run(
        tmp_path,
        "if life == 0: os.kill(os.getpid(), signal.SIGKILL)\n",
        coordinator="print(wait('left')); wait('stop')",
    )
    assert found.failure is None
    assert restarts(found) == {"coordinator": 0, "server0": 0, "worker0": 1}
    assert "(killed by SIGKILL; starts again in 0.01 s: 1 of 2 restarts)" in found.err
    assert "coordinator | worker0" in found.out


HOLDS_THE_PIPES = """
import subprocess
if life == 0:
    child = subprocess.Popen(["sleep", "60"], start_new_session=%s)
    print("child", child.pid, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_process_is_noticed_though_its_child_holds_its_pipes(tmp_path):
    started = time.monotonic()
    found = run(tmp_path, HOLDS_THE_PIPES % False)
    assert restarts(found)["worker0"] == 1 and found.failure is None
    assert time.monotonic() - started < 30  # the child would live for 60
    child = int(found.out.split("child ")[1].split()[0])
    assert not is_alive(child) or is_zombie(child)


def test_a_child_that_left_the_group_does_not_hold_up_the_job(tmp_path):
    started = time.monotonic()
    found = run(tmp_path, HOLDS_THE_PIPES % True)
    assert restarts(found)["worker0"] == 1 and found.failure is None
    assert time.monotonic() - started < 30
    os.kill(int(found.out.split("child ")[1].split()[0]), signal.SIGKILL)


def is_zombie(pid):
    """Whether it has ended, and only its new parent has not looked yet."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_restarts_have_a_limit(tmp_path):
    found = run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)")
    assert found.failure.how == "killed by SIGKILL, after 2 restarts"
    assert restarts(found)["worker0"] == 2


def test_a_worker_that_dies_too_often_is_left_out_while_others_live(tmp_path):
    code = "if name == 'worker1': os.kill(os.getpid(), signal.SIGKILL)\n"
    code += "while not os.path.exists(told['folder'] + '/left'): time.sleep(0.01)"

    def meanwhile(found):
        if "worker1" in found.children and found.children["worker1"].state == "left":
            (tmp_path / "left").touch()

    found = run(tmp_path, code, workers=2, restarts=1, meanwhile=meanwhile)
    assert found.failure is None and found.status()["finished"]
    assert "(killed by SIGKILL, after 1 restart: left out, the other workers go on)" in found.err


def test_the_key_of_a_worker_that_is_left_out_is_revoked(tmp_path, monkeypatch):
    code = "if name == 'worker1': os.kill(os.getpid(), signal.SIGKILL)\n"
    code += "while not os.path.exists(told['folder'] + '/revoked'): time.sleep(0.01)"
    listening = f"print({MARK!r} + json.dumps({{'listening': 'tcp://x'}}), flush=True)\n"
    revoked = "assert wait('revoke') == 'worker1'\n"
    monkeypatch.setattr(Engine, "is_secure", True)
    found = run(
        tmp_path, code, workers=2, restarts=0, coordinator=listening + revoked + SERVE,
        server=f"{revoked}open(told['folder'] + '/revoked', 'w')\n{SERVE}",
    )  # fmt: skip
    assert found.failure is None
    assert set(found.keys.bundle("coordinator")["allowed"]) == {"worker0"}


def test_each_life_has_a_key_of_its_own(tmp_path, monkeypatch):
    """The key of the life that is over is revoked, and those who listen hear of the next one."""
    code = "print('key', told['keys']['public'])\n"
    code += "if life == 0: os.kill(os.getpid(), signal.SIGKILL)\nwait('nothing', 1)"
    listening = f"print({MARK!r} + json.dumps({{'listening': 'tcp://x'}}), flush=True)\n"
    hearing = "print('revoked', wait('revoke')); print('allowed', wait('allow')['worker0'])\n"
    monkeypatch.setattr(Engine, "is_secure", True)
    found = run(
        tmp_path, code, coordinator=listening + hearing + SERVE, server=hearing + SERVE,
    )  # fmt: skip
    first, second = [line.split()[-1] for line in found.out.splitlines() if "| key" in line]
    assert first != second
    for name in ("coordinator", "server0"):
        assert f"{name:<11} | revoked worker0\n" in found.out
        assert f"{name:<11} | allowed {second}\n" in found.out


def test_the_coordinator_has_one_key_in_all_its_lives(tmp_path, monkeypatch):
    """Those that live know it by this key, and nobody gives them another."""
    coordinator = f"print({MARK!r} + json.dumps({{'listening': 'tcp://x'}}), flush=True)\n"
    coordinator += "print('key', told['keys']['public'], flush=True)\n"
    coordinator += "if life == 0: time.sleep(0.3); os.kill(os.getpid(), signal.SIGKILL)\n"
    monkeypatch.setattr(Engine, "is_secure", True)
    found = run(tmp_path, "time.sleep(2)", coordinator=coordinator + SERVE)
    assert found.failure is None and restarts(found)["coordinator"] == 1
    first, second = [line.split()[-1] for line in found.out.splitlines() if "| key" in line]
    assert first == second


def test_a_key_is_told_to_those_alone_whom_it_opens(tmp_path, monkeypatch):
    """A server that comes back is let in by the coordinator, and by no other server."""
    listening = f"print({MARK!r} + json.dumps({{'listening': 'tcp://x'}}), flush=True)\n"
    server = "if name == 'server0' and life == 0: os.kill(os.getpid(), signal.SIGKILL)\n"
    server += "time.sleep(0.7); print('heard', [line for line in heard if 'allow' in line])\n"
    monkeypatch.setattr(Engine, "is_secure", True)
    found = run(
        tmp_path, "time.sleep(1)", servers=2,
        coordinator=listening + "print('allowed', *wait('allow'))\n" + SERVE, server=server + SERVE,
    )  # fmt: skip
    assert "coordinator | allowed server0\n" in found.out
    assert "server1     | heard []\n" in found.out


def test_all_workers_that_die_too_often_end_the_job(tmp_path):
    found = run(tmp_path, "os.kill(os.getpid(), signal.SIGKILL)", workers=2, restarts=1)
    assert found.failure.how == "killed by SIGKILL, after 1 restart"


def test_a_stop_takes_no_longer_than_the_launcher_waits():
    from minidl_dist import decisions

    assert WAITS > decisions.DRAIN + decisions.LINGER


def test_each_wait_is_twice_as_long(tmp_path):
    found = run(tmp_path, "os.abort()", restarts=3)
    waits = [line.split("again in ")[1].split(" s")[0] for line in found.err.splitlines()
             if "again in" in line]  # fmt: skip
    assert waits == ["0.01", "0.02", "0.04"]


def test_a_process_that_ends_with_an_error_is_not_started_again(tmp_path):
    found = run(tmp_path, "raise ValueError('no such picture')")
    assert restarts(found)["worker0"] == 0
    assert found.failure.name == "worker0" and found.failure.how == "exit code 1"
    assert found.failure.lines[-1] == "ValueError: no such picture"


def test_the_first_failure_counts_and_not_its_consequences(tmp_path):
    found = run(
        tmp_path,
        "if name == 'worker1': time.sleep(0.3); print('the cause'); sys.exit(4)\n"
        "time.sleep(0.1)\n"
        f"print({MARK!r} + json.dumps({{'victim': True}}))\n"
        "print('a consequence'); sys.exit(1)\n",
        workers=3,
    )
    assert (found.failure.name, found.failure.code) == ("worker1", 4)
    assert found.failure.lines == ["the cause"]


def test_the_coordinator_is_told_why_the_job_ends(tmp_path):
    found = run(tmp_path, "sys.exit(2)", coordinator="print('because', wait('stop'))")
    assert "coordinator | because worker0: exit code 2" in found.out


def test_a_worker_that_does_not_end_is_killed_with_the_job(tmp_path):
    code = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile name != 'worker0': time.sleep(1)"
    started = time.monotonic()
    found = run(tmp_path, code + "\ntime.sleep(0.5); sys.exit(7)", workers=2)
    assert found.failure.code == 7 and time.monotonic() - started < 20


def test_what_the_coordinator_says_is_in_the_status(tmp_path):
    line = f"print({MARK!r} + json.dumps({{'step': 7}})); wait('stop')"
    found = run(tmp_path, "time.sleep(0.3)", coordinator=line)
    assert found.out == ""
    assert found.status()["step"] == 7 and found.status()["finished"]
    assert json.dumps(found.status())


def interrupting(number):
    """Sends the launcher a signal as soon as all processes run."""
    sent = []

    def meanwhile(found):
        children = found.children.values()
        if len(children) == 3 and all(c.state == "running" for c in children) and not sent:
            sent.append(number)
            os.kill(os.getpid(), number)

    return meanwhile


def test_ctrl_c_ends_the_job_in_order(tmp_path):
    found = run(
        tmp_path,
        "time.sleep(1)",
        coordinator="print('stopping:', wait('stop')); time.sleep(0.2); print('saved')",
        meanwhile=interrupting(signal.SIGINT),
    )
    assert found.interrupted == "interrupted" and found.failure is None
    assert "coordinator | stopping: interrupted\ncoordinator | saved" in found.out


def test_sigterm_is_another_word_for_it(tmp_path):
    found = run(tmp_path, "time.sleep(1)", meanwhile=interrupting(signal.SIGTERM))
    assert found.interrupted == "terminated"


def test_the_coordinator_starts_again_during_the_end_no_more(tmp_path):
    found = run(
        tmp_path, "time.sleep(1)", coordinator="wait('stop'); os.abort()",
        meanwhile=interrupting(signal.SIGINT),
    )  # fmt: skip
    assert restarts(found)["coordinator"] == 0


def test_those_that_come_too_late_hear_that_the_coordinator_has_gone(tmp_path):
    """Nobody else can tell them: they never reached it."""
    found = run(
        tmp_path,
        "print('heard', wait('finished')); sys.exit(5)",
        server="print('heard', wait('finished'))",
        meanwhile=interrupting(signal.SIGINT),
    )
    assert "server0     | heard True\n" in found.out and "worker0     | heard True\n" in found.out
    assert found.failure is None


def test_servers_hear_it_where_no_worker_is_left_either(tmp_path):
    heard = "print('heard', wait('finished'))"
    found = run(tmp_path, "sys.exit(0)", coordinator="sys.exit(0)", server=heard)
    assert "server0     | heard True\n" in found.out and found.failure is None


class SlowEngine(Engine):
    """Starts a server when that is allowed."""

    is_allowed = False

    async def start(self, name, role, threads):
        while role == "server" and not self.is_allowed:
            await asyncio.sleep(0.01)
        return await super().start(name, role, threads)


def test_a_process_that_starts_when_the_coordinator_has_gone_hears_it_at_once(tmp_path):
    def meanwhile(found):
        state = found.children["coordinator"].state
        found.engine.is_allowed = state == "done"
        if state == "running" and not found.interrupted:
            found.interrupt("interrupted")

    found = run(
        tmp_path, "wait('finished'); sys.exit(5)", engine=SlowEngine,
        server="print('heard', wait('finished'))", meanwhile=meanwhile,
    )  # fmt: skip
    assert "server0     | heard True\n" in found.out and found.failure is None


def test_a_server_that_fails_is_no_late_one(tmp_path):
    found = run(
        tmp_path, "wait('finished'); sys.exit(5)",
        server="wait('finished'); time.sleep(0.2); sys.exit(1)",
        meanwhile=interrupting(signal.SIGINT),
    )  # fmt: skip
    assert (found.failure.name, found.failure.code) == ("server0", 1)


def test_a_server_that_is_killed_after_the_training_is_not_missed(tmp_path):
    found = run(
        tmp_path, "time.sleep(1)", coordinator="sys.exit(0)", restarts=0,
        server="wait('finished'); os.kill(os.getpid(), signal.SIGKILL)",
    )  # fmt: skip
    assert found.failure is None, found.failure
    assert restarts(found) == {"coordinator": 0, "server0": 0, "worker0": 0}


def test_a_server_that_waits_for_its_restart_stays_down_when_the_job_has_ended(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(module, "BACKOFF", 0.7)

    def meanwhile(found):
        children = found.children
        if len(children) == 3 and children["server0"].state == "waiting" and not found.interrupted:
            found.interrupt("interrupted")

    found = run(
        tmp_path, "wait('finished'); sys.exit(5)",
        server="print('life', life); os.kill(os.getpid(), signal.SIGKILL)", meanwhile=meanwhile,
    )  # fmt: skip
    assert restarts(found)["coordinator"] == 0 and "life 1" not in found.out
    assert found.failure is None


def test_scale_adds_workers_and_lets_some_go(tmp_path):
    wanted, states = iter([3, 1]), []

    def meanwhile(found):
        here = [m for m in found.children.values() if m.role == WORKER and m.state == "running"]
        if len(here) == (1, 3)[len(states) % 2] and len(states) < 2:
            states.append(len(here))
            (tmp_path / "scale.json").write_text(json.dumps({WORKER: next(wanted)}))
            os.kill(os.getpid(), signal.SIGUSR1)

    found = run(tmp_path, "time.sleep(1.5)", meanwhile=meanwhile)
    assert {m.name: m.state for m in found.children.values() if m.role == WORKER} == {
        "worker0": "done", "worker1": "left", "worker2": "left",
    }  # fmt: skip
    assert found.failure is None and set(restarts(found).values()) == {0}


def test_scale_adds_nobody_to_a_job_that_ends(tmp_path):
    """Nobody would end what is started while all others are being ended."""
    found = run(tmp_path, "print('trained')", workers=1)
    found.ending = True
    found.scale_to(3)
    assert "worker1" not in found.children


def test_those_that_serve_come_back_for_a_worker_that_died_after_the_training(tmp_path):
    found = run(
        tmp_path,
        "if life == 0: time.sleep(0.5); os.kill(os.getpid(), signal.SIGKILL)\n",
        coordinator="if life == 0: sys.exit(0)\nprint('again'); wait('stop')",
    )
    assert restarts(found)["coordinator"] == 1 and "coordinator | again" in found.out
    assert found.failure is None


def test_a_server_that_is_slow_to_end_comes_back_for_it_too(tmp_path):
    found = run(
        tmp_path,
        "if life == 0: time.sleep(0.5); os.kill(os.getpid(), signal.SIGKILL)\n"
        f"while not os.path.exists('{tmp_path}/again'): time.sleep(0.01)\n",
        coordinator="if life == 0: sys.exit(0)\nwait('stop')",
        server=f"if life == 0: time.sleep(2); sys.exit(0)\nopen('{tmp_path}/again', 'w')\n",
    )
    assert restarts(found)["server0"] == 1 and found.failure is None


def test_exit_codes_in_words():
    assert ended(2, lost=False) == "exit code 2"
    assert ended(255, lost=True) == "was lost: exit code 255 of what started it"
    assert ended(-9, lost=True) == "killed by SIGKILL"
    assert ended(-64, lost=True) in ("killed by SIGRTMAX", "killed by signal 64")
