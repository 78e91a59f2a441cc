"""HDF5 files, decoded by h5py in a process of its own.

The HDF5 library was not written for hostile files: a few changed bits can crash it, which would
take the whole training or notebook along. hdf5_child.py says what happens in the process.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from minidl.io.weights.file import Refused, from_bytes, parsing, short
from minidl.io.weights.hdf5_child import REFUSED, cpu_seconds
from minidl.io.weights.safetensors_file import CODES

PATIENCE = 10  # times the time that the process may compute: the machine may be busy
COMMAND = "from minidl.io.weights.hdf5_child import main; main()"
LIBRARY = Path(__file__).parents[2]  # the folder minidl


@dataclass
class Hdf5:
    """What is in a file, by path ("layers/conv2d/vars/0", "" for the root).

    Attributes:
        arrays: the data sets of numbers.
        references: shape and targets of the data sets of references.
        attributes: those of each group and data set.
    """

    arrays: dict[str, np.ndarray]
    references: dict[str, tuple[list[int], list[str]]]
    attributes: dict[str, dict[str, Any]]

    def array(self, path: str) -> np.ndarray:
        """A data set.

        Raises:
            Refused: there is none of that path, or it has no numbers.
        """
        if path not in self.arrays:
            raise Refused("a data set that the file names is missing", {"data set": short(path)})
        return self.arrays[path]


def read_hdf5(data: bytes, file_bytes: int | None = None) -> Hdf5:
    """Everything in an HDF5 file.

    Args:
        data: the file.
        file_bytes: the size of the archive that it was unpacked from, which says how much it may
            unpack to; None if it is from none.

    Raises:
        Refused: it is damaged or refers to another file.
    """
    from safetensors import deserialize

    output = run_child(data, len(data) if file_bytes is None else file_bytes)
    with parsing("HDF5"):
        entries = deserialize(output)
        header = json.loads(output[8 : 8 + int.from_bytes(output[:8], "little")])
        content = json.loads(header["__metadata__"]["content"])
    arrays = {
        name: from_bytes(entry["data"], CODES[entry["dtype"]], entry["shape"], name)
        for name, entry in sorted(entries, key=lambda item: item[0])
    }
    return Hdf5(arrays, content["references"], content["attributes"])


def run_child(data: bytes, file_bytes: int) -> bytes:
    """What the process makes of the file.

    Raises:
        Refused: it refused the file, crashed, or did not come to an end.
    """
    # The process imports from where this one does. The folder minidl is in comes first; without
    # that, the current folder would.
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "OPENBLAS_NUM_THREADS": "1",  # each thread would count as memory
    }
    try:
        done = subprocess.run(
            [sys.executable, "-c", COMMAND, str(file_bytes)],
            input=data, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment,
            cwd=LIBRARY.parent, timeout=PATIENCE * cpu_seconds(len(data)),
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise Refused("damaged: the HDF5 library did not come to an end with it") from None
    except OSError as error:
        raise Refused(f"cannot start Python to read it: {error.strerror}") from None
    if done.returncode == REFUSED:
        rule, received, hint = json.loads(done.stdout)
        raise Refused(rule, received, hint)
    if done.returncode:
        raise Refused("damaged: the HDF5 library crashed on it, or did not come to an end",
                      {"status": done.returncode})  # fmt: skip
    return done.stdout
