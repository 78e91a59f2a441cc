"""A job folder for the tests of engines: a training of some seconds, that one process can do, too.

It is slow from step 8 on as long as a file is there, so that a test can meet it in the middle.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

JOB = """\
name = "bars"
servers = 1
workers = 2
slots = 2
threads = 1
checkpoint_every = 10
[settings]
wait = "{wait}"
"""

TRAIN = """
import hashlib, time
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import minidl
from minidl import nn
from minidl.data import DataLoader
from minidl.training.callback import Callback


class Bars:
    classes = ["first", "second", "third", "fourth"]

    def __len__(self):
        return 128

    def __getitem__(self, i):
        picture = np.random.default_rng(i).integers(0, 200, (4, 4, 1), np.uint8)
        picture[i % 4] += 55
        return picture, i % 4


class Wait(Callback):
    def __init__(self, file):
        self.file = Path(file)

    def on_step_start(self, run):
        time.sleep(0.02)
        if run.step >= 8 and self.file.exists():
            time.sleep(1.0)


def build_model():
    model = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.BatchNorm1d(8), nn.Linear(8, 4))
    return model, minidl.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)


def run_model(model, optimizer, job):
    loader = DataLoader(Bars(), 8, shuffle=True, seed=job.seed)
    minidl.fit(
        model, loader, nn.CrossEntropyLoss(), optimizer, 4, accumulate=job.slots,
        callbacks=[Wait(job.settings["wait"])],
    )
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode() + np.ascontiguousarray(tensor.data).tobytes())
    print("weights", digest.hexdigest(), flush=True)


if __name__ == "__main__":
    minidl.manual_seed(0)
    run_model(*build_model(), SimpleNamespace(seed=0, slots=2, settings={"wait": "/nowhere"}))
"""

MINIDL = [sys.executable, "-c", "from apps.cli import main; main()"]
WATCHDOG = 150.0  # seconds; nothing is asserted about time


class JobFolder:
    """A job folder in a temporary one.

    Attributes:
        wait: the file that makes the training slow.
        output: folder of the submitted job.
        variables: of the environment, for all commands.
    """

    def __init__(self, tmp_path, **variables):
        self.folder, self.output = tmp_path / "bars", tmp_path / "out"
        self.wait = tmp_path / "wait"
        self.folder.mkdir()
        (self.folder / "job.toml").write_text(JOB.format(wait=self.wait))
        (self.folder / "train.py").write_text(TRAIN)
        threads = dict.fromkeys(("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"), "1")
        self.variables = os.environ | threads | variables

    def minidl(self, *words, code=0, **variables):
        """What `minidl dist WORDS` prints."""
        done = subprocess.run(
            [*MINIDL, "dist", *map(str, words)], capture_output=True, text=True,
            timeout=WATCHDOG, env=self.variables | variables,
        )  # fmt: skip
        assert done.returncode == code, done.stdout + done.stderr + self.log()
        return done.stdout + done.stderr

    def submit(self, *words, code=0, **variables):
        return self.minidl("submit", self.folder, "-o", self.output, *words, code=code, **variables)

    def log(self):
        path = self.output / "logs" / "launcher.log"
        return path.read_text() if path.exists() else ""

    def status(self):
        try:
            return json.loads((self.output / "status.json").read_text())
        except (OSError, ValueError):
            return {}

    def weights(self):
        """The hash that all workers printed."""
        (found,) = set(re.findall(r"\| weights (\w+)", self.log()))
        return found

    def alone(self):
        """The hash of one process."""
        done = subprocess.run(
            [sys.executable, Path(self.folder, "train.py")], capture_output=True, text=True,
            timeout=WATCHDOG, env=self.variables,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout.split()[-1]
