"""Train a network to say what is on pictures: from settings to a run folder.

settings -> CNN -> pictures and captions -> vocabulary, LSTM -> features, where the CNN is frozen
-> fit -> what is right in the sentences -> report
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import minidl
from apps.caption.batches import CaptionLoader, count_words
from apps.caption.captioner import KIND, captioner_of
from apps.caption.data import Part, open_parts
from apps.caption.learning import Learner, LearningLoss, TwoPhases, captions_alone
from apps.caption.network import count, make_network, new_cnn, of_network, stored_cnn
from apps.caption.phrases import Phrases
from apps.caption.recipes import completed
from apps.caption.results import report_so_far, write_results
from apps.caption.samples import PrintSamples, Samples
from apps.caption.settings import Settings
from apps.shared.alarm import Alarm
from apps.shared.batches import evaluation_loader
from apps.shared.callbacks import standard_callbacks
from apps.shared.captioned import DRAWN
from apps.shared.cut import NotCached, check_alone
from apps.shared.feature_cache import FeatureFiles, remove_features
from apps.shared.live_report import LiveReport
from apps.shared.optimizer import OptimizerOptions, make_optimizer
from apps.shared.options import OptionError, group, to_dict
from apps.shared.outcome import seconds_spent, trains_no_further
from apps.shared.run_folder import BEST, CHECKPOINT
from apps.shared.same_data import check_same_data
from apps.shared.schedule import ScheduleOptions, make_schedule
from apps.shared.warm_up import black_pictures
from minidl.callbacks import Callback
from minidl.data import Vocabulary
from minidl.data.loader import split_pipeline
from minidl.data.text import SPECIAL
from minidl.errors import DataError

AT_ONCE = 4096  # pictures whose features are in memory together


class Training:
    """A run.

    Args:
        settings: everything that decides the result.
        folder: the run folder, there already.
        command: what the user typed, for the report.
        log: called with each line of text for the user.
        checkpoint: that of the run in the folder, to go on with; None for a new run.

    Raises:
        MinidlError: bad data, weights that do not fit, ...
    """

    def __init__(
        self, settings: Settings, folder: Path, command: str, log: Callable[[str], None],
        checkpoint: Any = None,
    ):  # fmt: skip
        self.started = time.perf_counter()
        self.folder, self.command, self.log = folder, command, log
        self.begun = {} if checkpoint is None else checkpoint.run
        minidl.use_cpu_kernels(settings.cpu_kernels)
        minidl.manual_seed(settings.seed)
        if checkpoint is None:
            self.cnn = new_cnn(settings, log)
        else:
            self.cnn = stored_cnn(settings, checkpoint.meta)
        self.geometry, self.end = split_pipeline(self.cnn.preprocessing)
        self.parts = open_parts(settings, self.geometry, log)
        if checkpoint is not None:
            check_same_data(self.parts.train.facts, checkpoint.meta)
        if len(self.parts.train) == 1 and not settings.is_frozen:
            raise DataError(
                "data", "there is a single picture to train on, and batch norm needs two",
                {"--data": settings.data}, "more pictures, or a CNN that has --weights",
            )  # fmt: skip
        captions = [text for texts in self.parts.train.captions for text in texts]
        self.settings = completed(settings, len(set(captions)), len(self.parts.train))
        self.vocabulary, self.longest = words_of(self.parts.train, self.settings.min_count)
        self.net = make_network(self.cnn.features, self.settings, len(self.vocabulary))
        if checkpoint is not None:
            self.net.load_state_dict(of_network(checkpoint.model))
        detects = self.settings.phrase_loss > 0
        self.phrases = Phrases(self.parts.train.references) if detects else None
        self.meta = self.description()

    def run(self) -> dict[str, Any]:
        """Train, and write the results; the figures of the run.

        Raises:
            KeyboardInterrupt: after the state was saved.
        """
        settings, folder, monitor = self.settings, self.folder, self.parts.monitor
        finished = trains_no_further(self.begun, settings.epochs, settings.early_stopping, monitor)
        self.log(finished or self.introduction())
        self.files = None if finished else self.feature_files()
        loader, watched, validation = self.loaders()
        learner = Learner(self.net, len(self.phrases or ()), settings.feature_noise)
        factors = rate_factors(learner, settings)
        optimizer = make_optimizer(learner, group(settings, OptimizerOptions), factors)
        steps = -(-len(loader) // settings.slots_per_step)
        schedule = make_schedule(
            optimizer, group(settings, ScheduleOptions), settings.epochs, steps
        )
        chosen = standard_callbacks(
            folder, self.meta, monitor, settings.early_stopping, settings.clip_grad, schedule
        )
        chosen += self.callbacks(loader, watched)
        checkpoint = folder / CHECKPOINT
        with np.errstate(over="ignore", invalid="ignore"):  # StopOnNaN explains it better
            history = minidl.fit(
                learner, loader, LearningLoss(settings.phrase_loss), optimizer, settings.epochs,
                validation, chosen, resume=checkpoint if checkpoint.exists() else None,
                metrics={"caption_loss": captions_alone} if self.phrases else {},
                accumulate=settings.slots_per_step, weight=count_words,
            )  # fmt: skip
        remove_features(folder)
        self.net.cnn.takes_features = False
        if settings.keep == "best":
            best = minidl.io.load_checkpoint(folder / BEST).model
            self.net.load_state_dict(of_network(best))
        return write_results(self, history)

    # --- parts of it ----------------------------------------------------------------------------

    def feature_files(self) -> FeatureFiles | None:
        """The features of all pictures, computed, while the CNN is frozen; else None."""
        settings, after = self.settings, self.settings.finetune_cnn_after
        done = self.begun.get("epochs_finished", 0)
        if not settings.is_frozen:
            return None
        if after is not None and done >= after:
            remove_features(self.folder)  # of the epochs before, if there the run was interrupted
            return None
        parts = {"train": self.parts.train, "validation": self.parts.validation}
        pictures = {name: part.pictures for name, part in parts.items() if part is not None}
        cnn, x = self.net.cnn, black_pictures((3, settings.size, settings.size))
        files = FeatureFiles([("cnn", cnn.layers)], x, pictures, self.end, self.folder)
        try:
            check_alone()
            files.compute(settings.workers, self.log)
        except NotCached as reason:
            self.log(f"features are not cached: {reason}")
            if not self.begun:
                loader = evaluation_loader(self.parts.train.pictures, self.end, settings.workers)
                cnn.standardize(files.run(pictures).data for pictures, _ in loader)
            return None
        if not self.begun:
            array = files.array("train")
            cnn.standardize(array[i : i + AT_ONCE] for i in range(0, len(array), AT_ONCE))
        return files

    def loaders(self) -> tuple[CaptionLoader, CaptionLoader, CaptionLoader | None]:
        """Batches to learn from; those that are watched; and the same where they are held out."""
        settings, parts = self.settings, self.parts
        usual = self.vocabulary, self.end, settings.slot_size, settings.seed, settings.workers
        loader = CaptionLoader(
            parts.train,
            *usual,
            own=settings.scheduled_sampling,
            epochs=settings.epochs,
            phrases=self.phrases,
        )
        watched = CaptionLoader(parts.watched, *usual, learns=False)
        return loader, watched, watched if parts.validation is not None else None

    def callbacks(self, loader: CaptionLoader, watched: CaptionLoader) -> list[Callback]:
        """Two phases, samples, the alarm, the report."""
        has_validation = self.parts.validation is not None
        captioner = captioner_of(self.meta, self.net)
        prefix = "val_" if has_validation else ""
        is_drawn = self.settings.data in DRAWN
        self.samples = Samples(captioner, self.parts.watched, watched, prefix, is_drawn)
        self.alarm = Alarm(self.samples.troubles(), self.log)
        printed = PrintSamples(self.samples, self.log)
        found = [self.samples, printed, self.alarm, LiveReport(self.report)]
        if self.settings.is_frozen:
            part_of = {loader: "train", watched: "validation" if has_validation else "train"}
            after = self.settings.finetune_cnn_after
            found.append(TwoPhases(self.net, after, self.files, part_of))
        return found

    def report(self, run: Any) -> None:
        """What a run that goes on shows."""
        report_so_far(self, run)

    def seconds(self) -> float:
        """Since the run began, without interruptions."""
        return time.perf_counter() - self.started + seconds_spent(self.begun)

    def description(self) -> dict[str, Any]:
        """What the checkpoint holds beside the weights."""
        return {
            "kind": f"{KIND} run", "settings": to_dict(self.settings),
            "vocabulary": self.vocabulary.to_json(), "words": len(self.vocabulary),
            "max_words": self.longest, "cnn_arguments": self.cnn.arguments,
            "preprocessing": self.cnn.preprocessing.config(), "weights": self.cnn.weights,
            **self.parts.train.facts,
        }  # fmt: skip

    def introduction(self) -> str:
        """What is about to happen, in one line."""
        train, held_out = self.parts.train, self.parts.validation
        more = f" + {len(held_out):,} to validate" if held_out is not None else ""
        frozen = " (frozen)" if self.settings.is_frozen else ""
        return (
            f"{self.settings.cnn}{frozen} with {count(self.net.cnn):,} and an LSTM with "
            f"{count(self.net.decoder):,} parameters; {len(train):,} pictures to train{more}, "
            f"{train.facts['captions']:,} captions, {len(self.vocabulary):,} words"
        )


def rate_factors(learner: Learner, settings: Settings) -> dict[str, float]:
    """By name of a parameter, the factor on its learning rate.

    A CNN, and what takes its features, learn more slowly than the LSTM. Adam moves each weight
    equally far, so a sum over many numbers changes more in one step than one over few; at the
    LSTM's rate the picture grows until it saturates the LSTM's gates.
    """
    slow = "net.cnn.", "net.decoder.picture.", "detector."
    names = [name for name, _ in learner.named_parameters()]
    return {n: settings.cnn_lr_mult if n.startswith(slow) else 1.0 for n in names}


def words_of(train: Part, min_count: int) -> tuple[Vocabulary, int]:
    """The vocabulary of captions, and the number of words of the longest.

    Args:
        train: pictures with their captions.
        min_count: in how many different captions a word has to occur.

    Raises:
        OptionError: no word occurs in so many.
    """
    different = {tuple(words) for texts in train.references for words in texts}
    vocabulary = Vocabulary.build([list(words) for words in sorted(different)], min_count)
    if len(vocabulary) == len(SPECIAL):
        raise OptionError(
            "no word occurs so often, so nothing could be said", {"--min-count": min_count},
            "a smaller one",
        )  # fmt: skip
    return vocabulary, max(map(len, different))
