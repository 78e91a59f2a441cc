"""Files of a job on disk: shards of servers, states of the run, and the manifest above them.

    FOLDER/shard-NAME.safetensors    a Shard: arrays, and numbers in the metadata
    FOLDER/run-NAME.bin              the state of the run at the start of a step
    FOLDER/manifest-TOKEN.json       of the coordinator with this fencing token; written last
    FOLDER/manifest-TOKEN.json.old   the one before

Which checkpoints there are, and which are kept, is the coordinator's knowledge (coordinator.py): it
stands in the manifest, each file with its SHA-256. Here is how a file comes to be there as a whole
or not at all: it goes to a temporary name and to the disk (fsync), then to its own name (rename).
What is read must have the hash that was asked for, or it counts as not there; a manifest carries
its own. A torn or changed manifest is skipped for an older one.

A coordinator's first manifest creates the file of its token, and the file system lets exactly one
process do that (link fails where the name exists). So of two that started at the same time one is
told that it is fenced; and one that was replaced, because it seemed dead, finds a file with a
higher token and is told so, too.

That first manifest is only a claim of the token. Claims never push a manifest with content out,
however often a job is started without coming to its next checkpoint. And where checkpoints lie
about but no manifest names one, the job does not begin at step 0 as if it were new.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np

from minidl.errors import CheckpointError
from minidl.io.atomic import reason, sync_folder
from minidl_dist.checksum import sha256, sha256_of
from minidl_dist.manifest import unneeded
from minidl_dist.messages import (
    CLAIM,
    FENCED,
    Load,
    Loaded,
    Note,
    Remove,
    Shard,
    Store,
    Stored,
    Sweep,
)

NAME = re.compile(r"(manifest|(shard|run)-[\w.-]{1,100})\Z", re.ASCII)
MANIFEST = re.compile(r"manifest-(\d{1,12})\.json(\.old)?\Z")
TEMPORARY = re.compile(r"\.[0-9a-f]{8}\.tmp\Z")
OF_STEP = re.compile(r"(shard|run)-\d+-(\d+)[-.]")  # as server.py and manifest.py name them
SUFFIX = {"shard": ".safetensors", "run": ".bin"}
DTYPES = {"float16": "F16", "float32": "F32", "float64": "F64", "int64": "I64"}
KEEP_MANIFESTS = 3  # with content
MAX_MANIFEST = 64 << 20  # bytes


class Fenced(CheckpointError):
    """Another coordinator has taken over; this one must end."""


class Disk:
    """The folder of a job's checkpoints, as the effects Store, Load, Remove and Sweep use it.

    Args:
        folder: made if it is not there.

    Attributes:
        skipped: what was found damaged, in words, since it was last looked at.
    """

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.token = -1  # of the manifests that this process writes
        self.skipped: list[str] = []

    # --- writing --------------------------------------------------------------------------------

    def store(self, name: str, value: Any) -> str:
        """Write a file, surviving a kill at any time.

        Args:
            name: "manifest", "shard-..." or "run-...".
            value: a dict with "token", a Shard, bytes.

        Returns:
            The SHA-256 of the file.

        Raises:
            Fenced: a manifest, and its token is another coordinator's or a later one is there.
            CheckpointError: the disk is full or cannot be written to. What was there is intact.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if name == "manifest":
                return self.store_manifest(value)
            parts = shard_parts(value) if isinstance(value, Shard) else [value]
            return write_parts(self.path(name), parts)
        except OSError as error:
            raise CheckpointError(
                "checkpoint", f"cannot write the file: {reason(error)}",
                {"file": str(self.folder / name)},
                "training goes on; the older checkpoints are intact",
            ) from error  # fmt: skip

    def store_manifest(self, value: dict) -> str:
        token = value["token"]
        path = self.folder / f"manifest-{token}.json"
        self.check_not_fenced(token)
        content = json.dumps(value)
        whole = {"sha256": sha256(content.encode()), "content": content}
        parts = [json.dumps(whole).encode()]
        if self.token != token:
            try:
                digest = write_parts(path, parts, new=True)
            except FileExistsError:
                raise self.fenced(token, token) from None
            self.token = token
        else:
            older = path.with_name(path.name + ".old.tmp")
            older.unlink(missing_ok=True)
            os.link(path, older)
            os.replace(older, path.with_name(path.name + ".old"))
            digest = write_parts(path, parts)
        self.check_not_fenced(token)
        self.remove_old_manifests()
        return digest

    def remove_old_manifests(self) -> None:
        """Keep the newest file, which holds the token, and the newest manifests with content."""
        kept = 0
        for place, (_, path) in enumerate(self.manifests()):
            value = read_manifest(path)
            is_claim = value is not None and CLAIM in value
            if place > 0 and (is_claim or kept == KEEP_MANIFESTS):
                path.unlink(missing_ok=True)
            elif value is not None and not is_claim:
                kept += 1

    def check_not_fenced(self, token: int) -> None:
        newest = max((found for (found, _), _ in self.manifests()), default=-1)
        if newest > token:
            raise self.fenced(token, newest)

    def fenced(self, token: int, newest: int) -> Fenced:
        return Fenced(
            "checkpoint", "another coordinator has taken over: this one ends",
            {"own token": token, "newest token": newest, "folder": str(self.folder)},
            "was the job started twice?",
        )  # fmt: skip

    def remove(self, names: Iterable[str]) -> None:
        """Delete files that no checkpoint needs, and what was left of attempts to write them."""
        for name in names:
            path = self.path(name)
            path.unlink(missing_ok=True)
            for left in self.folder.glob(f"{path.name}.*.tmp"):
                left.unlink(missing_ok=True)

    def sweep(self, order: Sweep) -> None:
        """Delete shards that no checkpoint needs; see Sweep."""
        files = os.listdir(self.folder) if self.folder.is_dir() else []
        whole = {file.removesuffix(SUFFIX["shard"]) for file in files}
        for name in unneeded(whole, order):
            self.path(name).unlink(missing_ok=True)
        for file in filter(TEMPORARY.search, files):
            name = TEMPORARY.sub("", file).removesuffix(SUFFIX["shard"])
            if unneeded([name], replace(order, keep=[])):
                (self.folder / file).unlink(missing_ok=True)

    # --- reading --------------------------------------------------------------------------------

    def load(self, name: str, digest: str = "") -> Any:
        """What `store` wrote under this name; None where it is not there.

        Args:
            name: as for store.
            digest: the SHA-256 that the file must have; "" takes what is there.

        Raises:
            CheckpointError: it cannot be read, or is not what was written.
        """
        if name == "manifest":
            return self.load_manifest()
        path = self.path(name)
        try:
            if digest and sha256_of(path) != digest:
                raise damaged(path, "its SHA-256 is another than the manifest's")
            return read_shard(path) if name.startswith("shard") else path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise damaged(path, reason(error)) from None

    def load_manifest(self) -> dict | None:
        """The newest manifest that is whole, with the highest token that was ever used as its
        token: the next coordinator's is higher.

        Raises:
            CheckpointError: no manifest is whole, or none has content although there was a
                checkpoint. To begin again from nothing is not for a program to decide.

        Returns:
            It; the token alone, where nobody has written more than a claim; None for nothing.
        """
        found, torn = self.manifests(), []
        for _, path in found:
            value = read_manifest(path)
            if value is not None and CLAIM in value:
                continue  # nothing was written under this token yet
            if value is not None:
                return {**value, "token": max(value["token"], found[0][0][0])}
            self.skipped.append(f"{path.name} is torn or was changed")
            torn.append(path)
        if torn:
            raise damaged(torn[0], "it and all older manifests are torn or were changed")
        self.check_for_orphans()
        return {"token": found[0][0][0]} if found else None

    def check_for_orphans(self) -> None:
        """No manifest has content: is this a job without a checkpoint, or was it lost?

        The state of the run is written when all shards are there, just before the manifest. At
        step 0 a job that was killed in between loses nothing.

        Raises:
            CheckpointError: there is a run's state of a later step.
        """
        names = sorted(os.listdir(self.folder)) if self.folder.is_dir() else []
        steps = {name: int(found[2]) for name in names if (found := OF_STEP.match(name))}
        later = [name for name, step in steps.items() if step > 0]
        runs = [name for name in later if name.startswith("run")]
        if runs:
            raise CheckpointError(
                "checkpoint", "there are checkpoints, but no manifest that names them",
                {"folder": str(self.folder), "for example": runs[-1]},
                "bring manifest-*.json back from a copy, or begin in a new folder",
            )  # fmt: skip
        if later:
            self.skipped.append(
                f"shards of no whole checkpoint ({later[-1]}); the job begins at step 0"
            )

    def manifests(self) -> list[tuple[tuple[int, bool], Path]]:
        """((token, is not .old), path), newest first."""
        names = os.listdir(self.folder) if self.folder.is_dir() else []
        found = [(match, self.folder / name) for name in names if (match := MANIFEST.match(name))]
        keyed = [((int(match[1]), match[2] is None), path) for match, path in found]
        return sorted(keyed, reverse=True)

    def path(self, name: str) -> Path:
        """Where a file is.

        Raises:
            CheckpointError: it is no name of a file here.
        """
        if not NAME.match(name) or name == "manifest" or ".." in name:
            raise CheckpointError("checkpoint", "no file of a job has such a name", {"name": name})
        return self.folder / (name + SUFFIX[name.partition("-")[0]])


class DiskThread:
    """Does what Store, Load, Remove and Sweep say, one after the other, while the node goes on.

    Args:
        disk: None answers each with an error.
        post: takes the answers Stored and Loaded.
        note: takes Notes about what was found damaged.
    """

    def __init__(
        self, disk: Disk | None, post: Callable[[Any], None], note: Callable[[Note], None]
    ):
        self.disk, self.post, self.note = disk, post, note
        self.jobs: SimpleQueue[Store | Load | Remove | Sweep | None] = SimpleQueue()
        self.thread = threading.Thread(target=self.serve, name="disk", daemon=True)

    def start(self) -> None:
        self.thread.start()

    def finish(self, seconds: float = 60.0) -> None:
        """Wait until all is done that was asked for."""
        self.jobs.put(None)
        if self.thread.is_alive():
            self.thread.join(seconds)

    def serve(self) -> None:
        while (job := self.jobs.get()) is not None:
            try:
                self.do(job)
            except Exception as error:
                self.answer(job, error)
            while self.disk is not None and self.disk.skipped:
                self.note(Note({"what": "skipped", "alarm": self.disk.skipped.pop(0)}))

    def do(self, job: Store | Load | Remove | Sweep) -> None:
        if self.disk is None:
            raise CheckpointError("checkpoint", "this process has no disk")
        if isinstance(job, Store):
            self.post(Stored(job.name, job.tag, self.disk.store(job.name, job.value)))
        elif isinstance(job, Load):
            self.post(Loaded(job.name, self.disk.load(job.name, job.sha256), job.tag))
        elif isinstance(job, Sweep):
            self.disk.sweep(job)
        else:
            self.disk.remove(job.names)

    def answer(self, job: Store | Load | Remove | Sweep, error: Exception) -> None:
        """Say what went wrong; whoever asked decides what that means."""
        text = FENCED if isinstance(error, Fenced) else str(error) or repr(error)
        if isinstance(job, Store):
            self.post(Stored(job.name, job.tag, error=text))
        elif isinstance(job, Load):
            self.post(Loaded(job.name, None, job.tag, error=text))
        else:
            self.note(Note({"what": "not removed", "why": text}))


# --- the files ----------------------------------------------------------------------------------


def write_parts(path: Path, parts: Iterable[Any], new: bool = False) -> str:
    """Write a file in one step as others see it, and return the SHA-256 of its bytes.

    Raises:
        FileExistsError: `new` is set and the file is there.
    """
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}.tmp")
    digest = hashlib.sha256()
    try:
        with open(temporary, "wb") as file:
            for part in parts:
                file.write(part)
                digest.update(part)
            file.flush()
            os.fsync(file.fileno())
        if new:
            os.link(temporary, path)
            temporary.unlink()
        else:
            os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return digest.hexdigest()


def shard_parts(shard: Shard) -> list[Any]:
    """The bytes of a safetensors file without a second copy of the arrays: length of the header,
    header, arrays. Larger elements come first, so that all are aligned."""
    facts = json.dumps({"step": shard.step, "numbers": shard.numbers})
    header: dict[str, Any] = {"__metadata__": {"minidl": facts}}
    parts, place = [], 0
    order = sorted(shard.arrays, key=lambda name: (-shard.arrays[name].dtype.itemsize, name))
    for name in order:
        array = np.ascontiguousarray(shard.arrays[name])
        header[name] = {
            "dtype": DTYPES[str(array.dtype)],
            "shape": list(array.shape),
            "data_offsets": [place, place + array.nbytes],
        }
        place += array.nbytes
        parts.append(array.reshape(-1).view(np.uint8).data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return [len(text).to_bytes(8, "little"), text, *parts]


def read_shard(path: Path) -> Shard:
    """The Shard in a file; its arrays are the caller's own."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="np") as file:
            facts = json.loads((file.metadata() or {})["minidl"])
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Shard(facts["step"], arrays, facts["numbers"])
    except FileNotFoundError:
        raise
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise damaged(path, f"not a shard: {error}") from None


def read_manifest(path: Path) -> dict | None:
    """The content of a manifest; None where it is not what a coordinator wrote."""
    try:
        with open(path, "rb") as file:
            whole = json.loads(file.read(MAX_MANIFEST))
        if sha256(whole["content"].encode()) != whole["sha256"]:
            return None
        value = json.loads(whole["content"])
        return value if type(value["token"]) is int else None
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def damaged(path: Path, why: str) -> CheckpointError:
    return CheckpointError("checkpoint", f"the file cannot be used: {why}", {"file": str(path)})
