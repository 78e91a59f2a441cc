"""The four ways to give a picture a style, each as its own command has it, with its defaults."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.shared.photo import Photo, fitted_size, size_text
from apps.style import needs
from apps.style.compare.settings import SIZE, Settings
from apps.style.fingerprint import fingerprint
from apps.style.resume import Order

Note = Callable[[str], None]
# Of the features of an evaluation, and what goes with it; measured, and rounded up.
BYTES_PER_PIXEL = {"squeezenet": 1500, "vgg16": 12_000, "vgg19": 14_000}


class Job:
    """A pair of pictures, of the size that all ways get, in a folder for what they make.

    Args:
        settings: of the command.
        folder: is there.

    Attributes:
        content, style: the pictures; their files are content.png and style.png in the folder.
        fingerprint: of the pictures that were read.
    """

    def __init__(self, settings: Settings, folder: Path):
        self.settings, self.folder = settings, folder
        content, style = (
            Photo.read(path).over_white() for path in (settings.content, settings.style)
        )
        side = settings.size or min(SIZE, max(content.size))
        sizes = [fitted_size(photo.size, side) for photo in (content, style)]
        check_size(max(sizes, key=math.prod), settings.net)
        self.content = content.resized(*fitted_size(content.size, side))
        self.style = style.fitted(side)
        self.fingerprint = fingerprint(content, style)

    def write_pictures(self) -> None:
        self.content.save(self.file("content"), "compare")
        self.style.save(self.file("style"), "compare")

    def file(self, name: str, ending: str = ".png") -> Path:
        return self.folder / f"{name}{ending}"

    def network(self) -> dict[str, Any]:
        """The options of the loss network, and the seed, as the commands take them."""
        settings = self.settings
        found = {"net": settings.net, "pool": settings.pool, "seed": settings.seed}
        return found | ({"weights": settings.weights} if settings.weights else {})


def check_size(size: tuple[int, int], net: str) -> None:
    """Refuse a size whose features do not fit into memory.

    Raises:
        OptionError: it does not; says what does.
    """
    needs.check_memory(
        size[0] * size[1] * BYTES_PER_PIXEL[net] / 1e6,
        "pictures of this size need more memory than there is", {"size": size_text(size)},
        lambda share: f"--size {needs.side_that_fits(size, share)} fits",
    )  # fmt: skip


@dataclass(frozen=True)
class Way:
    """One of the four.

    Args:
        name: of its picture's file.
        title: for people.
        paper: whose idea it is.
        make: (job, resume, note) -> seconds, whether Ctrl-C ended it; it writes the picture.
    """

    name: str
    title: str
    paper: str
    make: Callable[[Job, bool, Note], tuple[float, bool]]


def by_quilting(job: Job, resume: bool, note: Note) -> tuple[float, bool]:
    from apps.style.texture.make import make_texture
    from apps.style.texture.settings import checked

    content, style = (str(job.file(name)) for name in ("content", "style"))
    settings = checked({"method": "quilting", "guide": content, "seed": job.settings.seed})
    order = Order({}, job.file("mrf"), True, resume, note, command="")
    figures = make_texture([style], settings, order)
    return figures["seconds"], figures["interrupted"]


def by_gatys(job: Job, resume: bool, note: Note) -> tuple[float, bool]:
    from apps.style.gatys.transfer import transfer

    given = {"content": str(job.file("content")), "styles": [str(job.file("style"))]}
    given |= job.network() | {"size": max(job.content.size)}
    figures = transfer(Order(given, job.file("gatys"), True, resume, note, command=""))
    return figures["seconds"], figures["interrupted"]


def by_cnnmrf(job: Job, resume: bool, note: Note) -> tuple[float, bool]:
    from apps.style.cnnmrf.synthesis import synthesise

    given = {"pictures": [str(job.file("content")), str(job.file("style"))]}
    given |= job.network() | {"size": max(job.content.size)}
    figures = synthesise(Order(given, job.file("cnnmrf"), True, resume, note, command=""))
    return figures["seconds"], figures["interrupted"]


def by_fast_network(job: Job, resume: bool, note: Note) -> tuple[float, bool]:
    from apps.shared.trained_transform import load_fast
    from apps.style.fast.stylize import stylized

    net = load_fast(model_for(job.settings)).net
    stylized(net, job.content)  # compiles
    start = time.perf_counter()
    made = stylized(net, job.content)
    seconds = time.perf_counter() - start
    made.save(job.file("fast"), "compare")
    return seconds, False


def model_for(settings: Settings) -> str:
    """The network for a style: the one that was named, or one with the name of the style's file;
    "" if there is none."""
    from apps.shared.trained_transform import trained_names

    if settings.fast:
        return settings.fast
    name = Path(settings.style).stem.lower().replace("_", "-").replace(" ", "-")
    return name if name in trained_names() else ""


WAYS = (
    Way("mrf", "MRF: image quilting", "Efros and Freeman 2001", by_quilting),
    Way("gatys", "CNN: Gatys", "Gatys, Ecker and Bethge 2016", by_gatys),
    Way("cnnmrf", "MRF and CNN: CNNMRF", "Li and Wand 2016", by_cnnmrf),
    Way("fast", "Fast: one pass of a network", "Johnson, Alahi and Fei-Fei 2016", by_fast_network),
)


def ways_for(settings: Settings, note: Note) -> list[Way]:
    """Those that can be had: the fast one needs a network that was trained for the style.

    Raises:
        CheckpointError: --fast names no such network.
    """
    from apps.shared.trained_transform import load_fast

    if model := model_for(settings):
        load_fast(model)  # so that a mistake shows now
        return list(WAYS)
    note(
        "no network was trained for this style, so the fast way is left out; "
        f"minidl style fast-train {settings.style} makes one, for --fast"
    )
    return [way for way in WAYS if way.name != "fast"]
