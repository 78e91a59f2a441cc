"""Files of a job: whole or not at all, the hash that was asked for, one coordinator in office."""

import errno
import os
import threading

import numpy as np
import pytest

from minidl.errors import CheckpointError
from minidl_dist import messages as m
from minidl_dist.checkpoint import Disk, DiskThread, Fenced


@pytest.fixture
def disk(tmp_path):
    return Disk(tmp_path / "checkpoints")


def shard(step=4):
    rng = np.random.default_rng(step)
    arrays = {
        "0": rng.random(1000).astype(np.float32),
        "0/0/velocity": rng.random(1000).astype(np.float32),
        "1": rng.random(7),
        "2": np.arange(3),
        "3": np.zeros(0, np.float16),
    }
    return m.Shard(step, arrays, {"0/0/steps": 17, "1/0/rate": 0.1})


def manifest(token, step=4):
    return {"token": token, "step": step, "files": {}}


def damage(path, place):
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)


def test_a_shard_comes_back_bit_for_bit(disk):
    saved = shard()
    digest = disk.store("shard-4-1-server0", saved)
    found = disk.load("shard-4-1-server0", digest)
    assert (found.step, found.numbers) == (4, saved.numbers)
    assert list(found.arrays) == sorted(saved.arrays)
    for name, array in saved.arrays.items():
        assert found.arrays[name].dtype == array.dtype
        assert found.arrays[name].tobytes() == array.tobytes()
        found.arrays[name][...] = 0  # its own memory


def test_a_shard_is_a_safetensors_file(disk):
    from safetensors.numpy import load_file

    disk.store("shard-a", shard())
    assert load_file(disk.folder / "shard-a.safetensors")["1"].tobytes() == (
        shard().arrays["1"].tobytes()
    )


@pytest.mark.parametrize("place", [0, 9, 100, -1], ids=["length", "header", "middle", "end"])
def test_a_changed_shard_is_an_error(disk, place):
    digest = disk.store("shard-a", shard())
    damage(disk.folder / "shard-a.safetensors", place)
    with pytest.raises(CheckpointError, match="SHA-256"):
        disk.load("shard-a", digest)


def test_a_torn_shard_is_an_error_even_without_a_hash(disk):
    disk.store("shard-a", shard())
    path = disk.folder / "shard-a.safetensors"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(CheckpointError, match="not a shard"):
        disk.load("shard-a")


def test_what_is_not_there_is_none(disk):
    assert disk.load("manifest") is None
    assert disk.load("shard-a", "00") is None
    assert disk.load("run-4") is None


def test_run_state_is_bytes(disk):
    digest = disk.store("run-4", b"state")
    assert disk.load("run-4", digest) == b"state"


@pytest.mark.parametrize(
    "name", ["shard-../x", "run-/etc/passwd", "x", "shard-a/b", "shard-..", ""]
)
def test_no_name_leads_out_of_the_folder(disk, name):
    for act in (
        lambda: disk.store(name, b""),
        lambda: disk.load(name),
        lambda: disk.remove([name]),
    ):
        with pytest.raises(CheckpointError, match="no file of a job"):
            act()


def test_remove(disk):
    disk.store("run-4", b"x")
    (disk.folder / "run-4.bin.123.tmp").write_bytes(b"left by a killed process")
    disk.remove(["run-4", "run-5"])
    assert os.listdir(disk.folder) == []


# --- manifests ----------------------------------------------------------------------------------


def test_the_newest_manifest_counts(disk):
    for step in range(5):
        disk.store("manifest", manifest(1, step))
    assert disk.load("manifest") == manifest(1, 4)
    assert len(os.listdir(disk.folder)) == 2


@pytest.mark.parametrize("how", ["torn", "changed", "empty", "no JSON"])
def test_a_damaged_manifest_is_skipped_for_the_older_one(disk, how):
    disk.store("manifest", manifest(1, 3))
    disk.store("manifest", manifest(1, 4))
    path = disk.folder / "manifest-1.json"
    whole = path.read_bytes()
    changed = whole.replace(b"4", b"5", 1)
    path.write_bytes({"torn": whole[:-5], "changed": changed, "empty": b"", "no JSON": b"[1"}[how])
    assert disk.load("manifest") == manifest(1, 3)
    assert disk.skipped == ["manifest-1.json is torn or was changed"]


def test_an_older_life_is_used_but_its_token_is_not(disk):
    disk.store("manifest", manifest(1, 3))
    Disk(disk.folder).store("manifest", manifest(2, 4))
    (disk.folder / "manifest-2.json").write_bytes(b"")
    assert disk.load("manifest") == {**manifest(2, 3)}  # so the next coordinator takes token 3


def claim(folder, token):
    Disk(folder).store("manifest", {"token": token, m.CLAIM: True})


def test_claims_never_push_the_newest_manifest_out(disk):
    life = Disk(disk.folder)
    life.store("manifest", {"token": 1, m.CLAIM: True})
    for step in (3, 4):
        life.store("manifest", manifest(1, step))
    for token in range(2, 8):
        claim(disk.folder, token)
        assert disk.load("manifest") == manifest(token, 4)
    assert sorted(os.listdir(disk.folder)) == [
        "manifest-1.json", "manifest-1.json.old", "manifest-7.json"
    ]  # fmt: skip
    (disk.folder / "manifest-1.json").write_bytes(b"torn")
    assert disk.load("manifest") == manifest(7, 3)


def test_old_manifests_with_content_are_removed(disk):
    for token in range(1, 9):
        life = Disk(disk.folder)
        life.store("manifest", {"token": token, m.CLAIM: True})
        life.store("manifest", manifest(token))
    assert [token for (token, _), _ in disk.manifests()] == [8, 7, 6]


@pytest.mark.parametrize("claims", [0, 2])
def test_checkpoints_without_a_manifest_are_an_error(disk, claims):
    disk.store("shard-1000001-100-server0", shard(100))
    disk.store("run-1000001-100", b"state")
    for token in range(1, claims + 1):
        claim(disk.folder, token)
    with pytest.raises(CheckpointError, match="no manifest that names them"):
        disk.load("manifest")


def test_a_job_killed_before_its_first_checkpoint_begins_anew(disk):
    claim(disk.folder, 1)
    disk.store("shard-1000001-0-server0", shard(0))
    disk.store("run-1000001-0", b"state")
    assert disk.load("manifest") == {"token": 1} and disk.skipped == []
    disk.store("shard-1000001-100-server0", shard(100))
    assert disk.load("manifest") == {"token": 1}
    assert "no whole checkpoint" in disk.skipped[0]


def test_with_no_whole_manifest_a_job_does_not_begin_anew(disk):
    disk.store("manifest", manifest(1))
    (disk.folder / "manifest-1.json").write_bytes(b"")
    with pytest.raises(CheckpointError, match="all older manifests"):
        disk.load("manifest")


def test_the_older_coordinator_is_fenced(disk):
    older, newer = Disk(disk.folder), Disk(disk.folder)
    older.store("manifest", manifest(1))
    newer.store("manifest", manifest(2))
    with pytest.raises(Fenced, match="taken over"):
        older.store("manifest", manifest(1))
    newer.store("manifest", manifest(2, 8))
    assert disk.load("manifest")["step"] == 8


def test_of_many_that_start_at_once_one_is_in_office(disk):
    disk.folder.mkdir()
    outcomes, start = [], threading.Barrier(8)

    def take_office():
        start.wait()
        try:
            Disk(disk.folder).store("manifest", manifest(7))
            outcomes.append("in office")
        except Fenced:
            outcomes.append("fenced")

    threads = [threading.Thread(target=take_office) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["fenced"] * 7 + ["in office"]


# --- the disk's thread --------------------------------------------------------------------------


def run_jobs(disk, *jobs):
    answers, notes = [], []
    thread = DiskThread(disk, answers.append, notes.append)
    for job in jobs:
        thread.jobs.put(job)
    thread.start()
    thread.finish()
    return answers, notes


def test_a_full_disk_is_reported_and_older_files_stay(disk, monkeypatch):
    digest = disk.store("run-4", b"older")

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answers, _ = run_jobs(disk, m.Store("run-8", b"x", "a"), m.Store("run-4", b"y", "b"))
    assert [answer.tag for answer in answers] == ["a", "b"]
    assert all("the disk is full" in answer.error for answer in answers)
    assert disk.load("run-4", digest) == b"older"
    assert os.listdir(disk.folder) == ["run-4.bin"]


def test_answers_in_order(disk):
    digest = disk.store("run-4", b"x")
    answers, notes = run_jobs(
        disk,
        m.Store("run-8", b"y", 1),
        m.Load("run-4", 2, digest),
        m.Load("run-4", 3, "00"),
        m.Load("run-9", 4),
        m.Store("manifest", manifest(1), 5),
        m.Remove(["run-4"]),
    )
    assert [answer.tag for answer in answers] == [1, 2, 3, 4, 5]
    assert answers[1].value == b"x" and answers[3] == m.Loaded("run-9", None, 4)
    assert "SHA-256" in answers[2].error
    assert notes == []


def test_fenced_is_a_word_of_its_own(disk):
    Disk(disk.folder).store("manifest", manifest(3))
    answers, _ = run_jobs(disk, m.Store("manifest", manifest(3), "fence"))
    assert answers == [m.Stored("manifest", "fence", error=m.FENCED)]


def test_without_a_disk_every_answer_is_an_error():
    answers, _ = run_jobs(None, m.Load("manifest", 1))
    assert "no disk" in answers[0].error


# --- what is no longer needed -------------------------------------------------------------------

OLD, NEW = "shard-1000001-2-server0", "shard-1000002-4-server0"


def sweep(disk, *keep, others=("server1",), generation=1_000_002):
    disk.sweep(m.Sweep(list(keep), list(others), generation))
    return sorted(path.name.partition(".")[0] for path in disk.folder.iterdir())


def test_a_server_deletes_its_shards_but_for_those_that_are_needed(disk):
    others = ["shard-1000001-2-server1", "run-1000001-2"]
    for name in (OLD, NEW, *others):
        disk.store(name, shard() if name.startswith("shard") else b"x")
    disk.store("manifest", manifest(1))
    stay = sorted([*others, "manifest-1"])
    assert sweep(disk, OLD, NEW) == sorted([OLD, NEW, *stay])
    assert sweep(disk, NEW) == sorted([NEW, *stay])
    assert sweep(disk) == stay


def test_shards_of_a_server_that_is_no_more_are_deleted_too(disk):
    for server in ("server1", "server7"):
        disk.store(f"shard-1000001-2-{server}", shard())
    assert sweep(disk) == ["shard-1000001-2-server1"]


def test_what_a_later_life_has_written_stays(disk):
    disk.store(NEW, shard())
    assert sweep(disk, generation=1_000_001) == [NEW]


def test_what_a_killed_life_left_half_written_is_deleted(disk):
    disk.store(NEW, shard())
    for name in (NEW, OLD, "shard-1000001-2-server1", "shard-1000003-9-server0"):
        (disk.folder / f"{name}.safetensors.0123abcd.tmp").write_bytes(b"x")
    assert sweep(disk, NEW) == ["shard-1000001-2-server1", NEW, "shard-1000003-9-server0"]
    assert sum(path.suffix == ".tmp" for path in disk.folder.iterdir()) == 2
