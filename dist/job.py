"""A job folder: job.toml says what to run, train.py holds build_model() and run_model().

    minidl dist init flowers        makes one, which runs as it is
    minidl dist test flowers        tries it here
    minidl dist submit flowers      packs its code, and starts it

build_model() returns (model, optimizer); every worker builds the same. run_model(model, optimizer,
job) trains: minidl.fit in it is shared by all workers of the job without a further word.
"""

from __future__ import annotations

import importlib
import sys
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from minidl.errors import ArgumentError, DataError, nearest

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

# data = "file:///path"       # a URL or path, handed to run_model as job.data
# store = "file:///path"      # where code travels and results go; s3://bucket/folder works, too

servers = 1                   # processes that hold the weights
workers = 2                   # processes that compute gradients
mode = "sync"
seed = 0
# slots = 2                   # parts of each batch; by default one for each worker
# threads = 1                 # of each worker; by default cores / workers
# checkpoint_every = 100      # steps
# on_nan = "stop"             # or "skip"

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
    train = DataLoader(Digits("train"), batch, shuffle=True, seed=job.seed, drop_last=True)
    test = DataLoader(Digits("test"), 100)
    optimizer.param_groups[0]["lr"] = job.settings["learning_rate"]
    history = minidl.fit(
        model, train, nn.CrossEntropyLoss(), optimizer, job.settings["epochs"], test,
        accumulate=job.slots,
    )
    if job.is_chief:
        print(f"accuracy on the test set: {history[-1]['val_accuracy']:.1%}")
        minidl.io.save_checkpoint(job.output / "model.safetensors", model)


class Digits:
    """The digits that come with scikit-learn, as tensors."""

    def __init__(self, split):
        self.data = load_digits(split)

    def __len__(self):
        return len(self.data)

    def __getitem__(self, i):
        picture, label = self.data[i]
        return (picture.transpose(2, 0, 1) / 255).astype("float32"), label
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
            "dist", "there is something of this name already", {"folder": str(folder)},
            "choose another name",
        ) from None  # fmt: skip
    (folder / FILE).write_text(TOML.format(name=folder.name))
    (folder / "train.py").write_text(TRAIN)


def read_job_file(folder: Path) -> JobFile:
    """job.toml of a folder, checked.

    Raises:
        DataError: it is missing, is no TOML, lacks a key or has one that means nothing.
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


# --- in a worker --------------------------------------------------------------------------------


@dataclass
class Running:
    """What run_model is told.

    Attributes:
        data: the URL or path in job.toml, or None.
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


def load_function(folder: Path, key: str, words: str) -> Any:
    """The function that "module:function" names, from the code of a job.

    Raises:
        DataError: there is no such module or function.
    """
    module_name, _, name = words.partition(":")
    if not module_name or not name:
        raise DataError("dist", f"{key} in {FILE} is module:function", {key: words})
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name != module_name:
            raise
        files = [path.stem for path in folder.glob("*.py")]
        raise DataError(
            "dist", f"{FILE} names a module that is not there", {key: words},
            nearest(module_name, files) if files else "the folder holds no Python file",
        ) from None  # fmt: skip
    function = getattr(module, name, None)
    if not callable(function):
        there = [n for n, thing in vars(module).items() if callable(thing) and n[0] != "_"]
        raise DataError(
            "dist", f"{module_name}.py has no function {name}", {key: words},
            nearest(name, there) if there else f"write {name}()",
        )  # fmt: skip
    return function


def run_in_worker(folder: Path, running: Running) -> None:
    """build_model and run_model of a job whose code is in a folder."""
    import minidl

    job = read_job_file(folder)
    sys.path.insert(0, str(folder))
    build = load_function(folder, "entry", job.entry)
    run = load_function(folder, "run", job.run)
    minidl.manual_seed(job.seed)
    built = build()
    if not isinstance(built, tuple) or len(built) != 2:
        raise DataError(
            "dist", f"{job.entry} returns (model, optimizer)", {"returned": type(built).__name__}
        )
    run(*built, running)
