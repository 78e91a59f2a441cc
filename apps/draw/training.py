"""Train a generator to draw sentences: from settings to a run folder.

settings -> pictures and captions -> phase 1, text encoder -> embeddings -> phase 2, both networks
-> what the oracle says -> report
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.draw.alarm import troubles
from apps.draw.batches import PlayingBatches, check_enough, middle
from apps.draw.data import Pairs, held_out_pairs, open_pairs
from apps.draw.diversity import RealSpread, spread_of_all, spread_within_classes
from apps.draw.embeddings import embed, made_comparable
from apps.draw.encoder import Encoders, take_over_encoders, train_encoder
from apps.draw.networks import DISCRIMINATOR, GENERATOR, TEXT, count, make_networks
from apps.draw.presets import completed
from apps.draw.results import report_so_far, write_results
from apps.draw.run import ENCODER, RUN_KIND
from apps.draw.samples import FixedSamples, Samples
from apps.draw.schedule import schedules
from apps.draw.settings import Settings
from apps.draw.step import GanStep
from apps.shared.alarm import Alarm
from apps.shared.callbacks import standard_callbacks
from apps.shared.captioned import DRAWN
from apps.shared.live_report import LiveReport
from apps.shared.options import OptionError, to_dict
from apps.shared.run_folder import CHECKPOINT
from apps.shared.same_data import check_same_data
from minidl import callbacks, optim
from minidl.data import flowers
from minidl.nn import Module, ModuleDict
from minidl.training import slots

SHOWN = 8  # captions that are drawn again and again


class Training:
    """A run.

    Args:
        settings: everything that decides the result; numbers of epochs may be left to the data.
        folder: the run folder, there already.
        command: what the user typed, for the report.
        log: called with each line of text for the user.

    Raises:
        MinidlError: bad data, options that do not fit them, a full disk, ...
    """

    def __init__(self, settings: Settings, folder: Path, command: str, log: Callable[[str], None]):
        if slots.in_use is not None:
            raise OptionError(
                "draw train takes the steps of two networks itself, and servers cannot", {},
                "run it in one process, without minidl dist",
            )  # fmt: skip
        self.folder, self.command, self.log = folder, command, log
        minidl.use_cpu_kernels(settings.cpu_kernels)
        self.pairs = open_pairs(settings, "train", settings.needs_classes, log)
        self.settings = completed(settings, len(self.pairs))
        check_enough(self.pairs, self.settings.batch_size)  # before phase 1 takes its time
        self.held_out = self.open_held_out()
        self.real_spread = real_spread(self.pairs, settings.size)
        self.encoders: Encoders | None = None
        self.text: Module | None = None
        self.embeddings = np.zeros((0, 0), np.float32)

    def open_held_out(self) -> Pairs | None:
        """What the run is judged by at its end: opened now, when a damaged file costs no hours."""
        if not self.settings.is_conditional and self.settings.data not in DRAWN:
            return None  # nothing is measured then
        found = held_out_pairs(self.settings)
        if found is None:
            self.log("no pictures are held out: those of the training take their place at the end")
        return found

    def run(self) -> dict[str, Any]:
        """Both phases and the report; the figures of the run.

        Raises:
            KeyboardInterrupt: after the state was saved.
        """
        for begun in (self.folder / ENCODER / CHECKPOINT, self.folder / CHECKPOINT):
            if begun.exists():
                check_same_data(self.pairs.facts, minidl.io.load_checkpoint(begun).meta)
        if self.settings.is_conditional:
            self.first_phase()
        history, model = self.second_phase()
        return write_results(self, model, history)

    # --- phase 1 --------------------------------------------------------------------------------

    def first_phase(self) -> None:
        """The text encoder, and the embeddings of all captions."""
        settings = self.settings
        if settings.text_encoder:
            other = Path(settings.text_encoder)
            encoders = take_over_encoders(other, settings, self.folder, self.pairs)
            reader = encoders.reader
            self.settings = settings = replace(
                settings, encoder=reader.kind, embedding=encoders.matching.text.out_features
            )
            unknown = dict.fromkeys(p for text in self.pairs.texts for p in reader.unknown(text))
            if unknown:
                self.log(f"not known to the text encoder, read as <unk>: {shortened(unknown)}")
        else:
            encoders = train_encoder(settings, self.pairs, self.folder, self.log)
        encoder, reader = encoders.matching.text, encoders.reader
        raw = embed(encoder, reader, self.pairs.texts)
        groups = self.pairs.caption_groups() if settings.discriminant else None
        text = made_comparable(encoder, raw, groups)
        self.take_stored(text)
        self.encoders, self.text = encoders, text
        self.embeddings = embed(text, reader, self.pairs.texts)

    def take_stored(self, text: Module) -> None:
        """Give the text encoder of a run that goes on the weights that its networks learned with.

        On another machine the eigenvectors of the same captions may have other signs, or be turned
        within a plane: embeddings computed anew would not be those of the run.
        """
        checkpoint = self.folder / CHECKPOINT
        if checkpoint.exists():
            stored, start = minidl.io.load_checkpoint(checkpoint).model, f"{TEXT}."
            text.load_state_dict(
                {k.removeprefix(start): v for k, v in stored.items() if k.startswith(start)}
            )

    # --- phase 2 --------------------------------------------------------------------------------

    def second_phase(self) -> tuple[list[dict], ModuleDict]:
        """The two networks; the history, and the networks."""
        settings = self.settings
        minidl.manual_seed(settings.seed)
        model = make_networks(settings, self.text)
        loader = PlayingBatches(self.pairs, self.embeddings, settings)
        optimizers: dict[str, optim.Optimizer] = {
            name: optim.Adam(model[name].parameters(), lr, (settings.beta1, settings.beta2))
            for name, lr in (
                (GENERATOR, settings.lr_generator), (DISCRIMINATOR, settings.lr_discriminator)
            )
        }  # fmt: skip
        checkpoint = self.folder / CHECKPOINT
        assert settings.epochs is not None, "the settings are completed"
        self.log(self.introduction(model, len(loader)))
        chosen = self.callbacks(model, optimizers, len(loader))
        history = minidl.fit(
            model, loader, None, optimizers, settings.epochs, callbacks=chosen, metrics={},
            resume=checkpoint if checkpoint.exists() else None, step=GanStep(settings),
        )  # fmt: skip
        return history, model

    def callbacks(
        self, model: ModuleDict, optimizers: dict[str, optim.Optimizer], steps: int
    ) -> list[callbacks.Callback]:
        """Those of every run, the average, schedules, samples, the alarm."""
        settings, every = self.settings, self.settings.sample_every
        assert settings.epochs is not None and every is not None, "the settings are completed"
        chosen = standard_callbacks(self.folder, self.meta(), None)
        chosen += schedules(optimizers, settings.schedule, settings.epochs, steps)
        self.average = callbacks.AverageWeights(settings.average, GENERATOR)
        self.average.order = Samples.order - 1  # what is drawn includes the last step
        self.alarm = Alarm(troubles(settings, self.real_spread), self.log)
        self.fixed = self.fixed_samples()
        samples = Samples(self.folder, self.fixed, every, self.average, self.real_spread)
        return [*chosen, self.average, samples, self.alarm, LiveReport(self.report)]

    def fixed_samples(self) -> FixedSamples:
        """Captions that are drawn again and again: of Oxford-102, and of classes far apart."""
        settings, pairs = self.settings, self.pairs
        if self.encoders is None or self.text is None:  # a plain GAN
            return FixedSamples([""] * SHOWN, None, settings.noise)
        texts = list(flowers.OXFORD_SENTENCES) if settings.data in DRAWN else []
        texts = list(dict.fromkeys([*texts, *far_apart(pairs, SHOWN - len(texts))]))
        return FixedSamples(texts, embed(self.text, self.encoders.reader, texts), settings.noise)

    def report(self, run: Any) -> None:
        """What a run that goes on shows."""
        report_so_far(self, run)

    # --- words ----------------------------------------------------------------------------------

    def meta(self) -> dict[str, Any]:
        """What the checkpoint holds beside the weights."""
        reader = None if self.encoders is None else self.encoders.reader.config()
        return {
            "kind": RUN_KIND, "reader": reader, "settings": to_dict(self.settings),
            **self.pairs.facts,
        }  # fmt: skip

    def introduction(self, model: ModuleDict, steps: int) -> str:
        """What is about to happen, in one line."""
        settings, pairs = self.settings, self.pairs
        classes = "" if len(pairs.members) == len(pairs) else f" of {len(pairs.members):,} classes"
        return (
            f"{settings.preset}, {settings.gan}: generator {count(model[GENERATOR]):,} and "
            f"discriminator {count(model[DISCRIMINATOR]):,} parameters; {len(pairs):,} pictures"
            f"{classes} with {len(pairs.texts):,} captions; {settings.epochs} epochs of {steps:,} "
            "steps"
        )


def real_spread(pairs: Pairs, size: int) -> RealSpread:
    """How different real pictures are, of as many pixels as are drawn."""
    pictures = middle(pairs.pictures, size)
    return RealSpread(spread_within_classes(pictures, pairs.members), spread_of_all(pictures))


def far_apart(pairs: Pairs, count: int) -> list[str]:
    """Captions of classes far apart; where there are fewer classes, several of each."""
    if len(pairs.members) < count + 2:
        numbers = [(i % len(pairs.members), i // len(pairs.members)) for i in range(count)]
    else:  # the first and the last class are left out
        places = np.linspace(0, len(pairs.members) - 1, count + 2).astype(int)[1:-1]
        numbers = [(place, 0) for place in places]
    rows = [(pairs.captions[pairs.members[c][0]], caption) for c, caption in numbers]
    return [pairs.texts[row[caption % len(row)]] for row, caption in rows]


def shortened(names: Any, at_most: int = 12) -> str:
    """Names in one line, the first ones if they are many."""
    names = list(names)
    more = f", ... ({len(names)})" if len(names) > at_most else ""
    return ", ".join(names[:at_most]) + more
