"""A job folder: job.toml says what to run, train.py holds build_model() and run_model().

    minidl dist init flowers        makes one, which runs as it is
    minidl dist test flowers        tries it here
    minidl dist submit flowers      packs its code, and starts it

build_model() returns (model, optimizer); every worker builds the same. run_model(model, optimizer,
job) trains: minidl.fit in it is shared by all workers of the job without a further word.
"""

from __future__ import annotations

import ast
import importlib
import sys
import tempfile
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, DataError, nearest
from minidl_dist.archive import MAX_BYTES, unpack
from minidl_dist.launch.spec import Launch
from minidl_dist.store import get_bytes

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FILE = "job.toml"

TOML = """\
# What `minidl dist submit` starts; `minidl dist test {name}` tries it on this machine.

name = "{name}"
entry = "train:build_model"   # module:function that returns (model, optimizer)
run = "train:run_model"       # module:function that trains

# data = "file:///path"       # a URL or path; job.data is where run_model finds it
# store = "file:///path"      # where code travels and results go; s3://bucket/folder works, too

servers = 1                   # processes that hold the weights
workers = 2                   # processes that compute gradients
mode = "sync"
seed = 0
# slots = 2                   # parts of each batch; by default one for each worker
# threads = 1                 # of each worker; by default cores / workers, in a cluster 1
# sbatch = "--time=2:00:00"   # for submit --engine slurm: further options of sbatch
# checkpoint_every = 100      # steps
# on_nan = "stop"             # or "skip"
# computing_limit = 300       # seconds for a batch, after which its worker counts as stuck
# evaluating_limit = 3600     # seconds for a batch of validation
# compress = "none"           # or "bf16", "1bit", "topk:0.01": for a slow network

[settings]                    # yours: job.settings in train.py
epochs = 5
learning_rate = 0.1
"""

TRAIN = '''\
"""What this job trains: handwritten digits. Everything in here is yours to change."""

import minidl
from minidl import nn
from minidl.data import DataLoader, load_digits


def build_model():
    """The network and its optimizer. Each worker builds its own, all of them the same."""
    model = nn.Sequential(
        nn.Conv2d(1, 8, 5, stride=2), nn.ReLU(), nn.Conv2d(8, 16, 5, stride=2), nn.ReLU(),
        nn.Flatten(), nn.Linear(16 * 5 * 5, 10),
    )
    return model, minidl.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


def run_model(model, optimizer, job):
    """Train. The workers of the job share the steps of minidl.fit."""
    batch = 64 // job.slots  # a step takes one of these for each slot
    train = DataLoader(load_digits("train"), batch, shuffle=True, seed=job.seed, drop_last=True)
    test = DataLoader(load_digits("test"), 100)
    optimizer.param_groups[0]["lr"] = job.settings["learning_rate"]
    history = minidl.fit(
        model, train, nn.CrossEntropyLoss(), optimizer, job.settings["epochs"], test,
        accumulate=job.slots,
    )
    if job.is_chief:
        print(f"accuracy on the test set: {history[-1]['val_accuracy']:.1%}")
        minidl.io.save_checkpoint(job.output / "model.safetensors", model)
'''


@dataclass(frozen=True)
class JobFile:
    """What job.toml says; see TOML above."""

    name: str
    entry: str = "train:build_model"
    run: str = "train:run_model"
    data: str | None = None
    store: str | None = None
    servers: int = 1
    workers: int = 2
    mode: str = "sync"
    seed: int = 0
    slots: int | None = None
    threads: int | None = None
    checkpoint_every: int = 100
    on_nan: str = "stop"
    computing_limit: int = 300
    evaluating_limit: int = 3600
    sbatch: str | None = None
    compress: str = "none"
    settings: dict[str, Any] = field(default_factory=dict)


def write_template(folder: Path) -> None:
    """A new job folder.

    Raises:
        ArgumentError: there is something of this name.
    """
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ArgumentError(
            "dist", "something of this name exists already", {"folder": str(folder)},
            "choose another name",
        ) from None  # fmt: skip
    (folder / FILE).write_text(TOML.format(name=folder.name))
    (folder / "train.py").write_text(TRAIN)


def read_job_file(folder: Path) -> JobFile:
    """job.toml of a folder, checked.

    Raises:
        DataError: it is missing, is not TOML, lacks a key or has one that means nothing.
    """
    path = folder / FILE
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise DataError(
            "dist", f"the folder holds no {FILE}", {"job": str(folder)}, "minidl dist init NAME"
        ) from None
    except (ValueError, OSError) as error:
        raise DataError("dist", f"{FILE} cannot be read: {error}", {"file": str(path)}) from None
    known = {f.name: f for f in fields(JobFile)}
    for key, value in values.items():
        if key not in known:
            raise DataError(
                "dist", f"{FILE} has a key that means nothing: {key}", {"file": str(path)},
                nearest(key, known) + "; what is yours belongs under [settings]",
            )  # fmt: skip
        wanted = known[key].type.removesuffix(" | None")
        if type(value).__name__ != wanted.split("[")[0]:
            words = {"str": "a text", "int": "a whole number", "dict[str, Any]": "a table"}
            raise DataError("dist", f"{FILE}: {key} is {words[wanted]}", {key: value})
    for name, one in known.items():
        if one.default is MISSING and one.default_factory is MISSING and name not in values:
            raise DataError("dist", f"{FILE} lacks the key {name}", {"file": str(path)})
    return JobFile(**values)


def launch_of(folder: Path, job: JobFile, **changed: Any) -> Launch:
    """What job.toml asks for, with what the command line says otherwise."""
    given = {name: value for name, value in changed.items() if value is not None}
    return Launch(
        command=[str(folder / FILE)],
        **{
            "servers": job.servers, "workers": job.workers, "mode": job.mode,
            "slots": job.slots or 0, "threads": job.threads or 0, "on_nan": job.on_nan,
            "checkpoint_every": job.checkpoint_every, "store": job.store or "",
            "computing_limit": job.computing_limit, "evaluating_limit": job.evaluating_limit,
            "sbatch": (job.sbatch or "") if changed.get("engine") == "slurm" else "",
            "compress": job.compress, **given,
        },
    )  # fmt: skip


def check_functions(folder: Path, job: JobFile) -> None:
    """Refuse a job whose functions are not in its files, before anything starts.

    The files are read, not run.

    Raises:
        DataError
    """
    for key in ("entry", "run"):
        words = getattr(job, key)
        module, _, name = words.partition(":")
        if not module or not name:
            raise DataError("dist", f"{key} in {FILE} is module:function", {key: words})
        path = folder.joinpath(*module.split(".")).with_suffix(".py")
        if not path.is_file():
            files = [path.stem for path in folder.glob("*.py")]
            hint = nearest(module, files) if files else "the folder holds no Python file"
            raise DataError("dist", f"there is no {path.name} in the job", {key: words}, hint)
        try:
            tree = ast.parse(path.read_text(encoding="utf-8"), str(path))
        except (SyntaxError, ValueError) as error:
            raise DataError("dist", f"{path.name} is not Python: {error}", {key: words}) from None
        names = [n.name for n in tree.body if isinstance(n, ast.FunctionDef | ast.ClassDef)]
        names += [a.asname or a.name for n in tree.body if isinstance(n, ast.ImportFrom)
                  for a in n.names]  # fmt: skip
        if name not in names:
            hint = nearest(name, names) if names else f"write {name}()"
            raise DataError("dist", f"{path.name} has no function {name}", {key: words}, hint)


# --- in a worker --------------------------------------------------------------------------------


@dataclass
class Running:
    """What run_model is told.

    Attributes:
        data: where the data are that job.toml names: a path, or a URL where they are too large to
            fetch; None where it names none.
        output: a folder; what the chief writes there is kept, and uploaded to the store.
        seed, settings: of job.toml.
        slots: parts of each batch.
        name: of this worker.
    """

    data: str | None
    output: Path
    seed: int
    settings: dict[str, Any]
    slots: int
    name: str

    @property
    def is_chief(self) -> bool:
        """Whether this worker is the one that writes results."""
        import minidl_dist

        return minidl_dist.is_chief()


def fetch_code(code: dict[str, str], place: Path) -> Path:
    """The code of a submitted job, unpacked; workers that share a folder share it.

    Args:
        code: {"url", "sha256"}, as the launcher says.
        place: folder in which to unpack it.
    """
    folder = place / code["sha256"][:16]
    if folder.is_dir():
        return folder
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place) as temporary:
        unpacked = Path(temporary) / "code"
        unpack(get_bytes(code["url"], MAX_BYTES), code["sha256"], unpacked)
        try:
            unpacked.rename(folder)
        except OSError:  # another worker was faster
            if not folder.is_dir():
                raise
    return folder


def load_function(words: str) -> Any:
    """The function that "module:function" names."""
    module, _, name = words.partition(":")
    return getattr(importlib.import_module(module), name)


def run_in_worker(folder: Path, running: Running) -> None:
    """build_model and run_model of a job whose code is in a folder."""
    import minidl

    job = read_job_file(folder)
    check_functions(folder, job)
    sys.path.insert(0, str(folder))
    build, run = load_function(job.entry), load_function(job.run)
    minidl.manual_seed(job.seed)
    built = build()
    if not isinstance(built, tuple) or len(built) != 2:
        raise DataError(
            "dist", f"{job.entry} returns (model, optimizer)", {"returned": type(built).__name__}
        )
    run(*built, running)
