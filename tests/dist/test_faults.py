"""Jobs of real processes that are killed, stopped, interrupted: the weights stay those of one.

The oracle is small_job.py alone, with as many slots. Every case ends with no process and no socket
left. simulate.py tries the combinations; here is one of each kind, with what only a real process
can show.
"""

import functools
import json
import os
import signal
import time

import pytest

from tests.dist.jobs import alone

pytestmark = pytest.mark.slow

SLOW = "--slow=0.02"  # seconds for each slot: time to hit any step


@functools.cache
def expected(slots=2, *script):
    """The hash of the weights that one process ends with."""
    return alone(f"--slots={slots}", *script)


# --- without faults -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "workers, servers, slots", [(1, 1, 2), (2, 1, 2), (2, 3, 3), (3, 2, 2), (4, 1, 3)]
)
def test_any_number_of_processes_gives_the_bits_of_one(start, workers, servers, slots):
    job = start(workers=workers, servers=servers, slots=slots)
    assert job.finish() == expected(slots)


def test_a_script_with_a_loop_of_its_own(start):
    job = start(SLOW, "--own-loop", "--kill=worker1:on_step_start:13")
    assert job.finish() == expected(2, "--own-loop")


# --- a worker -----------------------------------------------------------------------------------

MOMENTS = {
    "before its gradient": "on_step_start",
    "between forward and backward": "on_loss",
    "after its push, at the end of a step": "on_step_end",
    "at the end of an epoch": "on_epoch_end",
}


@pytest.mark.parametrize("moment", MOMENTS.values(), ids=MOMENTS)
@pytest.mark.parametrize("worker", ["worker0", "worker1"])
def test_a_worker_is_killed(start, worker, moment):
    step = 18 if moment == "on_epoch_end" else 13
    job = start(SLOW, f"--kill={worker}:{moment}:{step}")
    assert job.finish() == expected()
    assert job.member(worker)["restarts"] == 1
    assert f"{worker:<11} | (killed by SIGKILL; starts again" in job.output


def test_a_worker_is_killed_at_any_moment_of_its_pushes(start):
    """From outside, so that it can be in the middle of anything, its other thread included."""
    job = start(SLOW, "--epochs=6", workers=3, slots=3, restarts=6)
    for step in (5, 11, 17, 23):
        job.wait_for_step(step).kill(f"worker{step % 3}")
    assert job.finish() == expected(3, "--epochs=6")


def test_the_only_worker_is_killed(start):
    job = start(SLOW, "--kill=worker0:on_loss:15", workers=1)
    assert job.finish() == expected()


def test_a_worker_that_comes_back_takes_part_again(start):
    job = start("--slow=0.2", "--kill=worker1:on_loss:3")
    assert job.finish() == expected()
    steps = [event["step"] for event in job.events("worker1") if event["what"] == "compute"]
    assert min(steps) < 3 and max(steps) > 20


def test_all_workers_are_killed_at_once(start):
    job = start(SLOW, "--kill=worker0:on_loss:15", "--kill=worker1:on_loss:15")
    assert job.finish() == expected()


def test_the_chief_is_killed_after_the_training(start):
    """It had the results to write: another life gets the last weights, and writes them."""
    job = start("--kill-chief-afterwards")
    assert job.finish() == expected()
    assert job.output.count("weights") == 2
    assert sum(m["restarts"] for m in job.status()["members"]) >= 3


def test_the_only_worker_that_always_dies_ends_the_job_with_its_name(start):
    job = start("--kill=worker0:on_loss:3", workers=1, restarts=0)
    assert job.finish(code=1) is None
    last = job.output.split("error: ")[-1]
    assert last.startswith("worker0: killed by SIGKILL")
    assert "logs/worker0.log" in last


def test_a_worker_that_always_dies_is_left_out_where_others_live(start):
    job = start(SLOW, "--kill=worker1:on_loss:3", restarts=0)
    assert job.finish() == expected()
    assert job.member("worker1")["state"] == "left"


def test_a_worker_that_is_stopped_for_a_while(start):
    job = start(SLOW).wait_for_step(8).kill("worker1", signal.SIGSTOP)
    time.sleep(2.5)
    assert job.kill("worker1", signal.SIGCONT).finish() == expected()


def test_a_worker_that_is_stopped_for_good_is_replaced_by_the_others(start):
    job = start(SLOW, "--epochs=2").wait_for_step(8).kill("worker1", signal.SIGSTOP)
    job.wait_for_step(15)
    job.kill("worker1")
    assert job.finish() == expected(2, "--epochs=2")


# --- servers and the coordinator ----------------------------------------------------------------


@pytest.mark.parametrize("step", [3, 14], ids=["before a checkpoint", "after one"])
def test_a_server_is_killed(start, step):
    job = start(SLOW, servers=2).wait_for_step(step).kill("server1")
    assert job.finish() == expected()
    assert job.member("server1")["restarts"] == 1


def test_a_server_is_killed_while_it_saves(start):
    """It saves after each step, so a kill at any moment hits it in the middle of that."""
    job = start(SLOW, checkpoint_every=1, restarts=9)
    for step in (6, 12, 20):
        job.wait_for_step(step).kill("server0")
    assert job.finish() == expected()


@pytest.mark.parametrize("options", [{}, {"address": "127.0.0.1"}], ids=["ipc", "tcp with keys"])
def test_the_coordinator_is_killed(start, options):
    job = start(SLOW, **options).wait_for_step(14).kill("coordinator")
    assert job.finish() == expected()
    assert job.member("coordinator")["restarts"] == 1


def test_everything_but_the_launcher_is_killed(start):
    job = start(SLOW).wait_for_step(14)
    for name in ("coordinator", "server0", "worker0", "worker1"):
        job.kill(name)
    assert job.finish() == expected()


def test_the_launcher_is_killed_and_the_job_resumed(start):
    job = start(SLOW).wait_for_step(14)
    job.process.kill()
    job.process.communicate()
    job.check_nothing_is_left()
    assert job.resume().finish() == expected()


def test_a_torn_manifest_is_passed_over(start):
    """A kill -9 never leaves one, but a broken disk may."""
    job = start(SLOW, checkpoint_every=5).wait_for_step(14)
    job.process.kill()
    job.process.communicate()
    job.check_nothing_is_left()
    newest = max((job.folder / "checkpoints").glob("manifest-*.json"), key=os.path.getmtime)
    newest.write_bytes(newest.read_bytes()[:-20])
    assert job.resume().finish() == expected()


def test_a_damaged_shard_is_passed_over(start):
    job = start(SLOW, checkpoint_every=5).wait_for_step(14)
    job.process.kill()
    job.process.communicate()
    job.check_nothing_is_left()
    shards = sorted((job.folder / "checkpoints").glob("shard-*"), key=os.path.getmtime)
    broken = bytearray(shards[-1].read_bytes())
    broken[len(broken) // 2] ^= 1
    shards[-1].write_bytes(broken)
    assert job.resume().finish() == expected()


# --- stopped on purpose -------------------------------------------------------------------------


@pytest.mark.parametrize(
    "number, code, word", [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")]
)
def test_interrupted_and_resumed(start, number, code, word):
    job = start(SLOW).wait_for_step(14).interrupt(number)
    assert job.finish(code) is None
    step = job.status()["checkpoint_step"]
    assert f"{word}; the checkpoint of step {step} is saved, no step is lost; go on" in job.output
    assert step >= 14  # saved where it stopped, not at the checkpoint before
    assert job.resume().finish() == expected()


def test_interrupted_before_the_first_step(start):
    job = start(SLOW)
    job.wait_until(lambda: job.member("worker1").get("pid"), "the start")
    assert job.interrupt().finish(130) is None
    assert job.resume().finish() == expected()


def test_interrupted_twice_ends_at_once(start):
    job = start("--stall=worker0:on_loss:5").wait_for_step(5)
    time.sleep(0.5)
    job.interrupt()
    time.sleep(0.5)
    job.interrupt()
    job.finish(130)


def test_a_job_that_is_done_is_not_trained_again(start):
    job = start()
    assert job.finish() == expected()
    before = sum(event["what"] == "compute" for event in job.events("worker0"))
    assert job.resume().finish() == expected()
    assert sum(event["what"] == "compute" for event in job.events("worker0")) == before > 0


# --- joining and leaving ------------------------------------------------------------------------


def test_workers_join_and_leave(start):
    job = start("--slow=0.2", "--epochs=6", workers=1, slots=3).wait_for_step(3)
    job.scale(3)
    job.wait_until(lambda: '"computed"' in job.text("worker2"), "joining")
    job.scale(2)
    job.wait_until(lambda: job.member("worker2")["state"] == "left", "leaving")
    assert job.finish() == expected(3, "--epochs=6")


# --- errors that end a job ----------------------------------------------------------------------


def test_an_error_in_a_worker_comes_last_with_its_name(start):
    job = start(SLOW, "--crash=worker1:on_loss:6")
    job.finish(code=1)
    last = job.output.split("error: ")[-1]
    assert last.startswith("worker1: exit code 1")
    assert "RuntimeError: the cat is on the keyboard" in last


def test_another_model_in_one_worker(start):
    job = start("--other-model=worker1")
    job.finish(code=2)
    last = job.output.split("error: ")[-1]
    assert "the model of worker" in last and "tensor 1.weight: shape is" in last


def test_more_servers_than_chunks(start):
    job = start(servers=9)
    job.finish(code=2)
    assert "servers  9" in job.output and "chunks   3" in job.output


def test_a_gradient_that_is_not_finite_is_named(start):
    job = start("--nan=worker1:on_step_start:6")
    job.finish(code=1)
    last = job.output.split("error: ")[-1]
    assert "a gradient is not finite: worker1, step 6" in last


def test_a_step_with_such_a_gradient_can_be_left_out(start):
    """The worker's weights are wrong in one step alone: it gets new ones from the servers."""
    job = start("--nan=worker1:on_step_start:6", on_nan="skip")
    assert job.finish() == expected(2, "--leave-out=6") != expected()


def test_a_script_that_does_not_train(start, tmp_path):
    script = tmp_path / "script.py"
    script.write_text("import minidl_dist\nprint('I am', minidl_dist.worker_name())\n")
    job = start(command=[script])
    job.finish(2)
    assert "worker0     | I am worker0" in job.output
    assert "error: the command has ended and did not train" in job.output.split("error: worker")[-1]


# --- what is seen from outside ------------------------------------------------------------------


def test_status_and_cancel(start, capsys):
    from minidl_dist import status

    job = start(SLOW, "--epochs=40").wait_for_step(5)
    status.show_status(str(job.folder), "text", False)
    text = capsys.readouterr().out
    assert "runs at step" in text and "worker1" in text
    status.show_status(str(job.folder), "json", False)
    assert json.loads(capsys.readouterr().out)["running"]
    status.show_status(str(job.folder), "prometheus", False)
    assert 'minidl_dist_up{job="job",process="worker1"} 1' in capsys.readouterr().out
    status.cancel_job(str(job.folder))
    saved = job.status()["checkpoint_step"]
    text = capsys.readouterr().out
    assert f"ended; the checkpoint of step {saved} is saved, no step is lost" in text
    job.finish(143)
    status.show_status(str(job.folder), "text", False)
    assert "terminated at step" in capsys.readouterr().out


def test_one_job_is_not_launched_twice(start):
    from minidl.errors import CheckpointError
    from minidl_dist import folder

    job = start(SLOW).wait_for_step(2)
    with pytest.raises(CheckpointError, match="already running"), folder.held(job.folder):
        pass
    assert job.finish() == expected()


# --- another number of servers ------------------------------------------------------------------


@pytest.mark.parametrize("before, after", [(1, 3), (3, 1), (2, 3)])
def test_resumed_with_another_number_of_servers(start, before, after):
    """On one disk: each server takes from the shards the chunks that are its own now."""
    job = start(SLOW, servers=before).wait_for_step(14).interrupt()
    assert job.finish(130) is None
    step = job.status()["checkpoint_step"]
    assert job.resume(servers=after).finish() == expected()
    assert len([m for m in job.status()["members"] if m["role"] == "server"]) == after
    begun = [event["step"] for event in job.events("worker0") if event["what"] == "rewind"]
    assert begun[-1] == step >= 14
    assert owners(job) == {f"server{number}" for number in range(after)}


def owners(job):
    """The servers that wrote the shards in a job's folder."""
    return {path.stem.rpartition("-")[2] for path in (job.folder / "checkpoints").glob("shard-*")}
