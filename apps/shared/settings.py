"""Groups of options that all applications that train have in common: data, steps, the run.

The options of the optimizer and of the schedule are in the files that make these: optimizer.py and
schedule.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from apps.shared import parse
from apps.shared.options import (
    FREE,
    MORE,
    Option,
    OptionError,
    at_least,
    below,
    between,
    one_of,
    option,
)
from minidl.data.fetch import SOURCES
from minidl.kernels import CPU_SETS

DATA, STEPS, RUN = "Data", "Steps", "Run"


def data_set(option: Option, text: str) -> str:
    """The name of a data set as it is; an existing path made absolute."""
    return text if text in SOURCES else parse.path_or_name(option, text)


@dataclass(kw_only=True)
class DataOptions:
    """Which data, and how they are read.

    An application with data sets of its own declares `data` anew, with its own text; the option
    keeps its place in --help.
    """

    data: str = option(
        DATA,
        "digits, mnist, fashion-mnist, cifar10, or the path of a folder with a folder per class, "
        "a list file of `path label` lines, or an archive of these. Default: digits.",
        parse=data_set,
    )
    data_dir: str | None = option(
        DATA, "Folder in which to look for data first.", default=None, parse=parse.path_or_name,
        resume=FREE,
    )  # fmt: skip
    test_share: float | None = option(
        DATA,
        "Share held out for testing when the data set has no test split (by hash of the file "
        "name). Default 0.2.",
        default=None,
        check=between(0, 1),
    )
    val_share: float | None = option(
        DATA,
        "Share of the training pictures held out for validation; 0: all of them train. Default "
        "0.1, at most 5,000 pictures.",
        default=None,
        check=(at_least(0), below(1)),
    )
    size: int | None = option(
        DATA, "Height and width of the network's pictures.", default=None, metavar="PIXELS",
        check=at_least(1),
    )  # fmt: skip
    workers: int = option(
        DATA, "Threads that prepare batches; 0: none.", check=at_least(0), resume=FREE
    )


@dataclass(kw_only=True)
class StepOptions:
    """How many steps, of how many pictures each."""

    epochs: int = option(STEPS, "Passes over the data.", check=at_least(1), resume=MORE)
    batch_size: int = option(STEPS, "Pictures per batch.", check=at_least(1))
    accumulate: int = option(
        STEPS, "Batches per step: trains as with a batch K times as large.", default=1, metavar="K",
        check=at_least(1),
    )  # fmt: skip
    slots: int = option(
        STEPS, "Cut each batch into S parts, whose gradients are added up: less memory, and the "
        "same steps as S workers take together (minidl dist). Default: 1; there, one for each "
        "worker.",
        default=1, metavar="S", check=at_least(1),
    )  # fmt: skip

    @property
    def slot_size(self) -> int:
        """Pictures in one part of a batch."""
        return self.batch_size // self.slots

    @property
    def slots_per_step(self) -> int:
        """How many parts make a step."""
        return self.accumulate * self.slots

    def check_slots(self) -> None:
        """A batch can be cut into its slots.

        Raises:
            OptionError
        """
        if self.slots > 1 and self.accumulate > 1:
            raise OptionError(
                "--slots cuts a step into parts and --accumulate puts one together",
                {"--slots": self.slots, "--accumulate": self.accumulate}, "give one of them",
            )  # fmt: skip
        if self.batch_size % self.slots:
            less = self.slot_size * self.slots
            nearest = " or ".join(str(n) for n in (less, less + self.slots) if n)
            raise OptionError(
                f"a batch cannot be cut into {self.slots} equal slots",
                {"--batch-size": self.batch_size, "--slots": self.slots}, f"--batch-size {nearest}",
            )  # fmt: skip


@dataclass(kw_only=True)
class RunOptions:
    """The run as a whole: random numbers, kernels, when it ends, what it keeps."""

    seed: int = option(
        RUN, "Seed of all random numbers; default 0.", check=(at_least(0), below(2**63, "2^63"))
    )
    cpu_kernels: str = option(RUN, "numba (the default) or reference.", check=one_of(CPU_SETS))
    early_stopping: int | None = option(
        RUN,
        "Stop after N epochs without a better validation loss. A run that stopped goes on with "
        "--resume and a larger N.",
        metavar="N",
        check=at_least(1),
        resume=MORE,
    )
    keep: str = option(
        RUN,
        "Which epoch's network is evaluated, by train and later commands: best (lowest "
        "validation loss) or last. Default: last; with --early-stopping best.",
        default="last",
        check=one_of(("best", "last")),
    )
