"""Machines whose disks are not the coordinator's: who deletes what, and what cannot be read."""

import pytest

from minidl_dist import messages as m
from minidl_dist.manifest import Checkpoint, owner_of, unneeded
from minidl_dist.plan import Job
from minidl_dist.server import Server
from minidl_dist.simulate import World
from tests.dist.small_plan import small_plan
from tests.dist.test_machines import coordinator, hello, offer, sent, two_servers


def found(effects, kind):
    return [effect for effect in effects if isinstance(effect, kind)]


def server(name="server0", servers=("server0", "server1")):
    s = Server(name, 1)
    job, plan = Job(servers).to_dict(), small_plan().to_dict()
    s.handle(m.Received(m.COORDINATOR, m.Welcome(1, job, plan)), 0.0)
    return s


def wanted(number, generation=1, **facts):
    hash = small_plan().hash
    message = m.Wanted(1, generation, number, 0, 6, True, hash, **facts)
    return m.Received(m.COORDINATOR, message)


def shard(step, name="server0", generation=1):
    return f"shard-{generation}-{step}-{name}"


# --- what is deleted ----------------------------------------------------------------------------


def test_a_server_is_told_which_of_its_files_are_needed():
    c = two_servers()
    files = {shard(2, name): {"sha256": "", "chunks": []} for name in c.job.servers}
    gone = {shard(1, "server7"): {"sha256": "", "chunks": []}}
    c.manifest.checkpoints = [
        Checkpoint(1, gone, "run-1-1", ""), Checkpoint(2, files, "run-1-2", ""),
    ]  # fmt: skip
    assert c.wanted("server0").shards == [shard(1, "server7"), shard(2, "server0")]
    assert c.wanted("server1").shards == [shard(1, "server7"), shard(2, "server1")]
    assert c.wanted("worker0").shards == []


def test_files_of_a_checkpoint_that_cannot_be_read_stay_as_long_as_the_disk_names_them():
    c = two_servers()
    entries = [
        vars(Checkpoint(step, {shard(step): {"sha256": "", "chunks": []}}, f"run-1-{step}", ""))
        for step in (1, 2)
    ]
    manifest = {"token": 1, "plan": small_plan().to_dict(), "checkpoints": entries}
    c.handle(m.Loaded("manifest", manifest, "claimed"), 0.2)
    c.handle(m.Loaded("run-1-2", None, ("state", c.generation), "damaged"), 0.3)
    assert c.base.step == 1 and c.wanted("server0").shards == [shard(1), shard(2)]


def test_a_server_deletes_what_is_not_needed_once():
    s = server()
    (sweep,) = found(s.handle(wanted(1, shards=[shard(2)]), 0.1), m.Sweep)
    assert sweep == m.Sweep([shard(2)], ["server1"], 1)
    assert not found(s.handle(wanted(2, shards=[shard(2)]), 0.2), m.Sweep)
    (sweep,) = found(s.handle(wanted(3, shards=[shard(4)]), 0.3), m.Sweep)
    assert sweep.keep == [shard(4)]


def test_what_the_coordinator_does_not_know_yet_is_kept():
    """A shard on its way to the disk, and one of which it was told in vain."""
    s = server()
    s.handle(wanted(1), 0.1)
    s.writing = 1, 4
    (sweep,) = found(s.handle(wanted(2, shards=[shard(2)]), 0.2), m.Sweep)
    assert sweep.keep == [shard(2), shard(4)]
    s.handle(m.Stored(shard(4), (1, 4), "sha"), 0.3)
    assert not found(s.handle(wanted(3, shards=[shard(2)], manifest=2), 0.4), m.Sweep)
    (sweep,) = found(s.handle(wanted(4, shards=[shard(2)], manifest=5), 0.5), m.Sweep)
    assert sweep.keep == [shard(2)]


def test_names_of_shards():
    assert owner_of("shard-1000003-20-server12") == "server12"
    names = [shard(2), shard(3), shard(3, "server1"), shard(3, "server9"), "run-1-2", "manifest"]
    order = m.Sweep([shard(3)], ["server1"], 1)
    assert unneeded(names, order) == [shard(2), shard(3, "server9")]
    assert unneeded([shard(9, generation=2)], order) == []


def test_a_world_in_which_only_servers_delete_shards():
    """As with separate disks: what the coordinator deletes are its own files."""
    world = World(1, "sync", faults=False, servers=2)
    world.job = Job(**{**world.job.to_dict(), "servers": world.server_names, "save_every": 1})
    world.nodes[m.COORDINATOR].machine.job = world.job
    carry_out, most = world.carry_out, 0

    def without_removes(process, effect):
        nonlocal most
        if isinstance(effect, m.Remove):
            effect = m.Remove([name for name in effect.names if name.startswith("run")])
        carry_out(process, effect)
        most = max(most, sum(name.startswith("shard") for name in world.disk))

    world.carry_out = without_removes
    world.run()
    kept = sum(len(entry["files"]) for entry in world.disk["manifest"]["checkpoints"])
    assert sum(name.startswith("shard") for name in world.disk) <= kept + 2
    assert kept <= most <= kept + 6


# --- what cannot be read ------------------------------------------------------------------------


def loading(disk):
    """What a server says that is to load a checkpoint of three from a disk with these files."""
    chunks = {shard(2, "server0"): [0], shard(2, "server1"): [1], shard(2, "server2"): []}
    files = {name: {"sha256": "", "chunks": held} for name, held in chunks.items()}
    s = server(servers=("server0",))
    effects = s.handle(wanted(1, generation=2, load=2, files=files), 0.1)
    loads = found(effects, m.Load)
    assert [load.name for load in loads] == [shard(2, "server0"), shard(2, "server1")]
    said = []
    for load in loads:
        value = m.Shard(2, {}, {}) if load.name in disk else None
        said += s.handle(m.Loaded(load.name, value, load.tag), 0.2)
    assert s.phase == "failed"
    return sent(said, m.Failed)


def test_shards_that_are_on_the_disks_of_others_are_named():
    (failed,) = loading([shard(2, "server0")])
    assert "on disks that are not shared" in failed.rule
    assert failed.received["its disk lacks"] == shard(2, "server1")
    assert (failed.received["servers then"], failed.received["servers now"]) == (3, 1)
    c = coordinator()
    c.handle(hello("server0"), 0.1)
    effects = c.handle(m.Received("server0", failed), 0.2)
    assert c.stop[1] == 1 and shard(2, "server1") in c.stop[0] and effects


def test_one_file_that_is_missing_among_others_is_a_damaged_checkpoint():
    """Its own: an older checkpoint may be whole."""
    assert loading([shard(2, "server1")]) == loading([]) == []


# --- a disk that stays full ---------------------------------------------------------------------

FULL = "no space left on device"


@pytest.mark.parametrize("draining", [False, True], ids=["done", "stopped"])
def test_a_last_checkpoint_that_cannot_be_saved(draining):
    """Where the training is over its results may go elsewhere; else it is an error."""
    c = two_servers()
    c.ended, c.until, c.draining = True, 0, "cancelled" if draining else ""
    notes = []
    for now in (1.0, 100.0):
        file = shard(0, "server0", c.generation)
        saved = m.Saved(c.generation, 0, file, "", [], FULL)
        notes += found(c.handle(m.Received("server0", saved), now), m.Note)
    assert c.stop[1] == (1 if draining else 0)
    assert any(FULL in note.facts["what"] and note.facts.get("alarm") for note in notes)


# --- what machines are --------------------------------------------------------------------------


def test_what_a_worker_is_counts_when_its_training_begins():
    """A script may choose its kernels after the process was started."""
    c = coordinator(strict=True)
    empty = m.Hello("worker", "worker0", 1, 0, "", "", m.VERSION, {}, "")
    for name in ("worker0", "worker1"):
        hello_of = m.Hello(**{**vars(empty), "name": name})
        assert not sent(c.handle(m.Received(name, hello_of), 0.1), m.Refused)
    exact = {"exact_conv": "True"}
    assert not sent(c.handle(hello("worker0", fingerprint=exact), 0.2), m.Refused)
    assert not sent(c.handle(hello("worker0", fingerprint=exact), 0.2), m.Refused)
    other = hello("worker1", fingerprint={"exact_conv": "False"})
    (refused,) = sent(c.handle(other, 0.3), m.Refused)
    assert refused.received == {"exact_conv": "False; worker0: True"}
    assert "worker1" not in c.members.workers
    offer(c)
    assert not sent(c.handle(hello("worker2", fingerprint=exact), 0.4), m.Refused)
