"""The process that decodes HDF5 files (hdf5.py starts it): the file in, safetensors out.

A few changed bits in an HDF5 file can crash the HDF5 library, keep it busy for minutes or make it
take gigabytes. Here that ends this process only, whose memory and time are limited.

What a file can use to reach another one (links by name, virtual data sets, external storage) or to
load code (filters that are plugins) is refused.
"""

from __future__ import annotations

import io
import json
import math
import sys
from typing import Any

import numpy as np

from minidl.io.weights.file import Budget, Refused, count, from_bfloat16, parsing, short

MAX_DEPTH = 32
MAX_OBJECTS = 200_000
MAX_ATTRIBUTE = 1 << 20  # elements
MAX_REFERENCES = 1 << 20
BUILT_IN_FILTERS = {1, 2, 3, 4, 5, 6, 32000}  # deflate, shuffle, checksum, szip, ..., lzf
SPARE_MEMORY = 1 << 30
CPU_SECONDS = 5  # and one more
BYTES_PER_SECOND = 10 << 20  # for each of these
REFUSED = 3  # exit status: the output says why, as JSON


def main() -> None:
    """Decode standard input, and exit. The argument is the size of the file that it came in."""
    data = sys.stdin.buffer.read()
    limit(SPARE_MEMORY + 8 * len(data), cpu_seconds(len(data)))
    try:
        output, status = decode(data, int(sys.argv[1])), 0
    except Refused as error:
        output, status = json.dumps([error.rule, error.received, error.hint]).encode(), REFUSED
    sys.stdout.buffer.write(output)
    sys.stdout.buffer.flush()
    sys.exit(status)


def cpu_seconds(nbytes: int) -> int:
    """How long reading a file of this size may take; a real one takes a tenth of that."""
    return CPU_SECONDS + nbytes // BYTES_PER_SECOND


def limit(nbytes: int, seconds: int) -> None:
    """Let this process take so much more memory and time, where the system offers that."""
    try:
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
        with open("/proc/self/statm") as file:
            now = int(file.read().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (now + nbytes, now + nbytes))
    except (ImportError, OSError, ValueError):
        pass  # not Linux, or a lower limit is set already


def decode(data: bytes, file_bytes: int) -> bytes:
    """The data sets of an HDF5 file as safetensors; the rest is JSON in its metadata."""
    import h5py
    from safetensors.numpy import save

    reader = Reader(file_bytes)
    with parsing("HDF5"), h5py.File(io.BytesIO(data), "r") as file:
        reader.walk(file, "", 0)
        content = {"attributes": reader.attributes, "references": reader.references}
        return save(reader.arrays, {"content": json.dumps(content)})


class Reader:
    """Collects what is in a file.

    Attributes:
        arrays: path -> numbers of a data set. Data sets of text are left out.
        references: path -> (shape, the paths it points to) of a data set of object references.
        attributes: path -> name -> text, number or list of these, of groups and data sets.
    """

    def __init__(self, file_bytes: int):
        self.budget = Budget(file_bytes)
        self.objects = 0
        self.arrays: dict[str, np.ndarray] = {}
        self.references: dict[str, Any] = {}
        self.attributes: dict[str, dict[str, Any]] = {}

    def walk(self, group: Any, path: str, depth: int) -> None:
        """Read what is in a group. Links can lead in circles: only so deep, and so much."""
        import h5py

        self.read_attributes(group, path)
        for name in group:
            inner = f"{path}/{name}" if path else name
            self.objects += 1
            if depth > MAX_DEPTH or self.objects > MAX_OBJECTS:
                raise Refused(f"more than {MAX_OBJECTS:,} groups, or more than {MAX_DEPTH} deep")
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise Refused(
                    "a link by name, which can lead out of the file", {"link": short(inner)}
                )
            found = group[name]
            if isinstance(found, h5py.Group):
                self.walk(found, inner, depth + 1)
            elif isinstance(found, h5py.Dataset):
                self.read_attributes(found, inner)
                self.read_dataset(found, inner)

    def read_dataset(self, dataset: Any, path: str) -> None:
        """The numbers or references of a data set."""
        import h5py

        created = dataset.id.get_create_plist()
        if dataset.is_virtual or created.get_external_count():
            raise Refused("a data set is kept in another file", {"data set": short(path)})
        filters = {created.get_filter(i)[0] for i in range(created.get_nfilters())}
        if filters - BUILT_IN_FILTERS:
            raise Refused("a data set is compressed by a plugin", {"data set": short(path)})
        if dataset.shape is None:
            return
        size = count(dataset.shape, path)
        if h5py.check_ref_dtype(dataset.dtype) is h5py.Reference and size <= MAX_REFERENCES:
            targets = [dataset.file[ref].name if ref else "" for ref in dataset[()].ravel()]
            self.references[path] = [dataset.shape, [target.lstrip("/") for target in targets]]
        elif dataset.dtype.kind in "biuf" and dataset.dtype.itemsize <= 8:
            self.budget.take(size * dataset.dtype.itemsize, path)
            array = np.asarray(dataset[()])
            self.arrays[path] = np.array(array, array.dtype.newbyteorder("="), order="C")
        elif told := self.attributes[path].get("dtype"):  # Keras 3 writes it beside the bits
            if told != "bfloat16" or dataset.dtype != np.dtype("V2"):
                raise Refused("a data set has a type that is not known", {short(path): short(told)})
            self.budget.take(size * 4, path)
            self.arrays[path] = from_bfloat16(np.asarray(dataset[()]).view(np.uint16))

    def read_attributes(self, found: Any, path: str) -> None:
        """The attributes of a group or data set that JSON can hold; bytes are text."""
        values = self.attributes[path] = {}
        for name in found.attrs:
            shape = found.attrs.get_id(name).shape
            if shape is None or math.prod(shape) > MAX_ATTRIBUTE:
                continue
            value = found.attrs[name]
            value = value.tolist() if isinstance(value, np.ndarray | np.generic) else value
            value = [text(v) for v in value] if isinstance(value, list) else text(value)
            items = value if isinstance(value, list) else [value]
            if all(isinstance(item, str | int | float) for item in items):
                values[name] = value


def text(value: Any) -> Any:
    """Bytes as text, anything else as it is."""
    return value.decode("utf-8") if isinstance(value, bytes) else value


if __name__ == "__main__":
    main()
