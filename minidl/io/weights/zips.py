"""Zip archives in memory: the container of .npz, PyTorch's .pth and Keras' .keras."""

from __future__ import annotations

import io
import zipfile

from minidl.io.weights.file import Budget, Refused, parsing, short

KNOWN_COMPRESSION = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


class Zip:
    """The members of a zip archive; nothing is unpacked onto the disk.

    Args:
        data: the archive.
        budget: counts what is unpacked. It looks at the sizes that the archive declares, and the
            zipfile module never unpacks more than these.

    Raises:
        Refused: damaged, encrypted, or with two members of one name.
    """

    def __init__(self, data: bytes, budget: Budget):
        self.budget, self.nbytes = budget, len(data)
        with parsing("zip archive"):
            self.zip = zipfile.ZipFile(io.BytesIO(data))
        self.members: dict[str, zipfile.ZipInfo] = {}
        for info in self.zip.infolist():
            if info.filename in self.members:
                raise Refused("two members have the same name", {"member": short(info.filename)})
            if info.flag_bits & 1 or info.compress_type not in KNOWN_COMPRESSION:
                raise Refused(
                    "a member is encrypted or compressed in an unusual way",
                    {"member": short(info.filename)},
                )
            self.members[info.filename] = info

    def read(self, name: str) -> bytes:
        """The content of a member; its checksum is compared.

        Raises:
            Refused: there is no such member, it is damaged, or larger than the budget.
        """
        if name not in self.members:
            raise Refused("a member of the archive is missing", {"member": short(name)})
        info = self.members[name]
        self.budget.take(info.file_size, name)
        with parsing("zip archive"):
            return self.zip.read(info)
