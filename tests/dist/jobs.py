"""Jobs of real processes, for the tests of faults: started, disturbed, and looked at afterwards."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from minidl_dist.status import scale_job

SCRIPT = Path(__file__).with_name("small_job.py")
WATCHDOG = 120.0  # seconds; nothing is asserted about time
COMMAND = [sys.executable, "-c", "from apps.cli import main; main()"]
ONE_THREAD = dict.fromkeys(
    ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"
)


class Job:
    """`minidl dist run` of small_job.py, in a folder of its own.

    Args:
        tmp_path: where the folder is made.
        arguments: of small_job.py.
        command: another script than that, or a command of minidl after "--".
        options: of `minidl dist run`.
    """

    def __init__(self, tmp_path, arguments=(), command=None, **options):
        self.folder = tmp_path / "job"
        self.sockets = Path(tempfile.mkdtemp(prefix="t-", dir="/tmp"))
        options = {"workers": 2, "threads": 1, "checkpoint_every": 10, "slots": 2} | options
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        slots = f"--slots={options['slots']}"
        together = f"--together={options['workers']}"
        what = command or [SCRIPT, slots, together, *arguments]
        self.start(["run", *flags, "-o", self.folder, *what])

    def start(self, arguments):
        self.process = subprocess.Popen(
            [*COMMAND, "dist", *map(str, arguments)],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            env=os.environ | {"TMPDIR": str(self.sockets)}, start_new_session=True,
        )  # fmt: skip

    def resume(self, **options):
        """Go on with the job, as its user would."""
        flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
        self.start(["resume", self.folder, *flags])
        return self

    # --- looking on -----------------------------------------------------------------------------

    def status(self):
        try:
            return json.loads((self.folder / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def member(self, name):
        found = [m for m in self.status().get("members", []) if m["name"] == name]
        return found[0] if found else {}

    def wait_until(self, ready, what):
        deadline = time.monotonic() + WATCHDOG
        while not ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.process.kill()
                raise AssertionError(f"{what} did not happen:\n{self.process.communicate()[0]}")
            time.sleep(0.01)

    def wait_for_step(self, step):
        """Until a worker has begun the step: its events tell sooner than status.json."""

        def begun():
            for path in (self.folder / "events").glob("worker*.jsonl"):
                for line in path.read_text().splitlines():
                    found = re.search(r'"compute", "step": (\d+)', line)
                    if found and int(found[1]) >= step:
                        return True
            return False

        self.wait_until(begun, f"step {step}")
        return self

    def events(self, name):
        """What a process noted, in all its lives."""
        return [json.loads(line) for line in self.text(name).splitlines() if line.endswith("}")]

    def text(self, name):
        path = self.folder / "events" / f"{name}.jsonl"
        return path.read_text() if path.exists() else ""

    def wait_for_checkpoint(self, step=1):
        self.wait_until(lambda: self.status().get("checkpoint_step", -1) >= step, "a checkpoint")
        return self

    def pid(self, name):
        return self.member(name).get("pid")

    # --- disturbing -----------------------------------------------------------------------------

    def kill(self, name, number=signal.SIGKILL):
        """Send a signal to a process, which may just be starting again."""

        def sent():
            pid = self.pid(name)
            try:
                return pid is not None and os.kill(pid, number) is None
            except ProcessLookupError:  # status.json is a moment behind
                return False

        self.wait_until(sent, f"the start of {name}")
        return self

    def interrupt(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return self

    def scale(self, workers):
        scale_job(str(self.folder), workers)

    # --- the end --------------------------------------------------------------------------------

    def finish(self, code=0):
        """Wait for the end; the hash of the weights that all workers printed, or None."""
        try:
            self.output, _ = self.process.communicate(timeout=WATCHDOG)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGTERM)
            time.sleep(5)
            self.process.kill()
            raise AssertionError("the job hangs:\n" + self.process.communicate()[0]) from None
        assert self.process.returncode == code, self.output
        self.check_nothing_is_left()
        hashes = set(re.findall(r"\| weights (\w+)", self.output))
        assert len(hashes) <= 1, self.output
        return hashes.pop() if hashes else None

    def check_nothing_is_left(self):
        """No process of the job lives, and no socket is left."""
        deadline = time.monotonic() + 5
        while (left := processes_of(self.sockets)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not left, left
        assert not list(self.sockets.iterdir())

    def remove(self):
        """After the test, however it ended."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()
        shutil.rmtree(self.sockets, ignore_errors=True)


def processes_of(sockets):
    """Processes that a job with this folder for sockets has left, its launcher included."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if f"TMPDIR={sockets}".encode() in (place / "environ").read_bytes():
                found.append((int(place.name), (place / "cmdline").read_bytes()))
        except OSError:  # it ended meanwhile
            continue
    return found


def alone(*script):
    """The hash of the weights that one process alone ends with: the oracle."""
    done = subprocess.run(
        [sys.executable, SCRIPT, *map(str, script)],
        capture_output=True, text=True, env=os.environ | ONE_THREAD, timeout=WATCHDOG,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]
