"""minidl_dist: training with several processes, on one machine or several, that loses nothing.

The folder is called dist; it is installed, and imported, as minidl_dist. Where to find what:

    vocabulary and rules       messages events plan modes
        gradients to weights   aggregate (drops duplicates) chunk_state
                               contradiction compress
    pure machines              server
                               worker run_states window
                               coordinator decisions members steps manifest
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
"""

from minidl_dist.here import is_chief, life, worker_name
from minidl_dist.script import connect

__all__ = ["connect", "is_chief", "life", "worker_name"]
