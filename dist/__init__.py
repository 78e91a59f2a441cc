"""minidl_dist: training with several processes, on one machine or several, that loses nothing.

The folder is called dist; it is installed, and imported, as minidl_dist. Where to find what:

    vocabulary and rules       messages events plan modes
        gradients to weights   aggregate (drops duplicates) chunk_state
                               contradiction compress
    pure machines              server
                               worker requests run_states window
                               coordinator decisions saving members steps manifest
                               peer (what server and worker share)
        tried out              simulate schedules faults trainer toy checked
        how fast it would be   forecast scenario rehearse hardware costs calibrate
    bytes, keys, disks         wire checksum keys gate inbox intake links queued
                               checkpoint store archive references
    sockets and a clock        node
    training in a worker       client script batches tensors reports state checks fingerprint
    processes                  member work serve here record
        that start others      launch/{spec,child,output,supervisor,keyring}
        engines                launch/{engines,local,ssh,reach,slurm,sbatch,ray}
    commands                   commands answering run submit status remote job folder
                               timeline results ending
                               measuring bench transfers bare other_process

Where something is decided (a file, and a function in it):

    a duplicate is dropped     aggregate:Aggregate.take
    a slot is summed in turn   aggregate:Aggregate.has_turn
    who computes which slot    decisions:Decisions.choose_workers
    what is wanted of whom     decisions:Decisions.wanted
    a worker is silent, stuck  members:Members.silent members:Members.stuck
    a loss is dealt with       decisions:Decisions.lose coordinator:Coordinator.roll_back
    a request is repeated      window:Window.due
    how stale weights may be   modes:Mode.weights_of
    a checkpoint is complete   manifest:Checkpoints.complete
    a coordinator is fenced    checkpoint:Disk.store_manifest
    a message is let in        gate:Gate.take
    a key is revoked           launch.supervisor:Supervisor.revoke_key; each message: gate:owner_of
    a process starts again     launch.supervisor:Supervisor.keep
"""

from minidl_dist.here import is_chief, life, worker_name
from minidl_dist.script import connect

__all__ = ["connect", "is_chief", "life", "worker_name"]
