"""`minidl train` by several processes: the run folder is that of one process."""

import os
import subprocess

import pytest

from minidl.io import load_checkpoint
from tests.apps.killing import assert_same_metrics, assert_same_weights
from tests.dist.jobs import COMMAND, ONE_THREAD, Job

pytestmark = pytest.mark.slow

TRAIN = ["train", "lenet", "--epochs", "3", "--augment", "shift", "--clip-grad", "1"]


def test_a_run_whose_chief_is_killed(tmp_path):
    """The next chief goes on with its metrics, its best network and its report."""
    job = Job(tmp_path, command=["--", *TRAIN])
    try:
        job.wait_for_step(50)
        job.kill(chief_of(job))
        job.finish()
    finally:
        job.remove()
    alone = [*COMMAND, *TRAIN, "--slots", "2", "--output", tmp_path / "alone"]
    subprocess.run(alone, check=True, env=os.environ | ONE_THREAD, capture_output=True)
    found, wanted = job.folder / "run", tmp_path / "alone"
    for name in ("checkpoint.safetensors", "best.safetensors"):
        ours, theirs = load_checkpoint(found / name), load_checkpoint(wanted / name)
        assert_same_weights(ours.model, theirs.model)
    assert_same_metrics(found, wanted)
    assert (found / "report.html").exists()


def chief_of(job):
    """The worker that printed the first epoch."""
    logs = [path for path in (job.folder / "logs").glob("worker*") if "epoch 1" in path.read_text()]
    return logs[0].stem


def test_a_mistake_in_the_command_is_said_once_and_last(tmp_path):
    job = Job(tmp_path, command=["--", "train", "lennet"])
    job.finish(code=2)
    assert "did you mean lenet" in job.output.split("error: worker")[-1]
    assert not job.folder.exists()
