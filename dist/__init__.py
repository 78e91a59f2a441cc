"""minidl_dist: training with several processes, on one machine or several, that loses nothing.

The folder is called dist; it is installed, and imported, as minidl_dist.
"""

from minidl_dist.here import is_chief, life, worker_name
from minidl_dist.script import connect

__all__ = ["connect", "is_chief", "life", "worker_name"]
