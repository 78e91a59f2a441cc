"""Jobs of real processes whose gradients are compressed: faults, and what is learned.

The oracle is small_job.py alone, its gradients packed and unpacked as on their way to a server. Of
its 36 steps the first eight, and those before a checkpoint (10, 20, 30), are sent whole.
"""

import functools
import json
import os
import re
import subprocess
import sys

import pytest

from tests.dist.jobs import ONE_THREAD, Job, alone

pytestmark = pytest.mark.slow

SLOW = "--slow=0.02"  # seconds for each slot: time to hit any step
ALL = ["bf16", "1bit", "topk:0.1"]


@functools.cache
def expected(scheme, slots=2):
    """The hash of the weights that one process ends with."""
    return alone(f"--slots={slots}", f"--packed={scheme}")


def rollbacks(job):
    """How often what compression left over was lost with a worker."""
    return job.text("coordinator").count("compression left over")


@pytest.mark.parametrize("scheme", ALL)
def test_the_bits_are_those_of_one_process(start, scheme):
    job = start(compress=scheme, workers=3, servers=2)
    assert job.finish() == expected(scheme)
    assert f"gradients compressed: {scheme}" in job.output
    assert len({expected(one) for one in ALL} | {alone("--slots=2")}) == 4


@pytest.mark.parametrize("scheme", ALL)
def test_a_worker_is_killed(start, scheme):
    job = start(SLOW, "--kill=worker1:on_loss:15", compress=scheme)
    assert job.finish() == expected(scheme)
    assert rollbacks(job) == (scheme != "bf16")


@pytest.mark.parametrize("name", ["server1", "coordinator"])
def test_another_process_is_killed(start, name):
    job = start(SLOW, compress="1bit", servers=2).wait_for_step(14).kill(name)
    assert job.finish() == expected("1bit")


def test_workers_join_and_leave(start):
    job = start("--slow=0.4", compress="1bit", workers=1, slots=3).wait_for_step(3)
    job.scale(3)
    job.wait_until(lambda: '"computed"' in job.text("worker2"), "joining")
    job.scale(2)
    assert job.finish() == expected("1bit", 3)


def test_interrupted_and_resumed(start):
    """Residuals of the step in which it was interrupted are lost: other bits, the same for all."""
    job = start(SLOW, compress="1bit").wait_for_step(14).interrupt()
    assert job.finish(130) is None
    assert job.resume().finish() not in (None, expected("1bit"))


LENET = """
import minidl, minidl_dist
from minidl import nn
from minidl.data import DataLoader, load_digits
from models import lenet5

minidl.manual_seed(0)
model = lenet5()
train = DataLoader(load_digits("train"), 32, shuffle=True, seed=0, drop_last=True)
history = minidl.fit(
    model, train, nn.CrossEntropyLoss(),
    minidl.optim.SGD(model.parameters(), lr=0.02, momentum=0.9), 16,
    DataLoader(load_digits("test"), 100), accumulate=2,
)
if minidl_dist.is_chief() or not minidl_dist.worker_name():
    print("accuracy", history[-1]["val_accuracy"])
"""


def test_lenet_learns_as_well_with_one_bit(tmp_path):
    """On a thousand digits; without compression one process has the same bits as a job."""
    script = tmp_path / "lenet.py"
    script.write_text(LENET)
    plain = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, env=os.environ | ONE_THREAD
    )
    assert plain.returncode == 0, plain.stderr
    job = Job(tmp_path, command=[script], compress="1bit", checkpoint_every=50)
    try:
        job.finish()
    finally:
        job.remove()
    without, with_one_bit = (
        float(re.findall(r"accuracy (\S+)", text)[-1]) for text in (plain.stdout, job.output)
    )
    assert without > 0.95 and with_one_bit > without - 0.03, (without, with_one_bit)


def test_in_job_toml(tmp_path):
    """In job.toml, or on the command line, which comes first."""
    job = Job.__new__(Job)
    job.folder, job.sockets = tmp_path / "tested", tmp_path / "sockets"
    job.sockets.mkdir()
    for arguments in (["init", tmp_path / "digits"],):
        job.start(arguments)
        assert job.process.wait(60) == 0
    toml = tmp_path / "digits" / "job.toml"
    toml.write_text(toml.read_text().replace("epochs = 5", "epochs = 1").replace(
        '# compress = "none"', 'compress = "bf16"'
    ))  # fmt: skip
    for more, scheme in (([], "bf16"), (["--compress", "topk:0.05"], "topk:0.05")):
        folder = tmp_path / f"tested-{scheme[:4]}"
        job.start(["test", tmp_path / "digits", "--output", folder, *more])
        output, _ = job.process.communicate(timeout=120)
        assert job.process.returncode == 0, output
        assert json.loads((folder / "job.json").read_text())["launch"]["compress"] == scheme
        assert os.path.exists(folder / "run" / "model.safetensors")


def test_no_such_compression(tmp_path):
    job = Job(tmp_path, compress="zip")
    assert job.finish(2) is None
    assert "compress is none, bf16, 1bit or topk:SHARE" in job.output
    job.remove()
