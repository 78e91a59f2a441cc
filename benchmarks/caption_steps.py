"""Captions: a training step of the decoder, and beam search, of minidl and of PyTorch.

    python -m benchmarks.caption_steps [--cases step,beam-8 ...] [--json] [--quick] [--write]

Show and Tell's decoder (models/show_and_tell.py) with 512 units, 10,000 words and 2,048 features of
a picture, in both libraries with the same weights, two threads each, in alternation
(benchmarks/timing.py).

    step       32 captions of 20 words: forward, loss, backward, gradients clipped to 5, Adam
    step-sgd   the same with SGD, as in the paper
    beam-N     beam search of width 3 for N pictures together, captions of 20 words

Both sides share all that they can share: layouts, the order of operations, the search. There is no
dropout, as its masks differ. PyTorch is also timed with its fused optimizers, which one has to ask
for, and with its search picture by picture, as one finds it in most programs. Fresh weights find
all words nearly alike, so captions end when they have 20 words: a search can have no more to do.

`error` is the largest difference of the weights after three steps, as a part of the largest weight
of its tensor; for a search the share of pictures of which the two sides say something else.
`goal` is the ratio that minidl wants to reach. --write puts the table into RESULTS.md.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minidl
from apps.caption.search import beam_search
from benchmarks.breakdown import profile_of
from benchmarks.compare import (
    MEASURED,
    compare,
    options_of,
    rounds_in_words,
    run_comparison,
    write_comparison,
)
from benchmarks.machine import copy_bandwidth, product_peak
from benchmarks.steps import THREADS, operations_of, use_threads
from minidl import optim
from minidl.data import Vocabulary
from minidl.data.text import SPECIAL
from minidl.debug import record
from models.show_and_tell import Decoder, caption_loss

FEATURES, WORDS, UNITS = 2048, 10_000, 512
CAPTIONS, LENGTH = 32, 20
WIDTH, CLIP = 3, 5.0
LR = {"Adam": 1e-3, "SGD": 2.0}
STEPS_OF_ERROR = 3
OPTIMIZERS = {"step": "Adam", "step-sgd": "SGD"}
PICTURES = {"beam-1": 1, "beam-8": 8, "beam-32": 32}
GOALS = dict.fromkeys(OPTIMIZERS, 1.1) | dict.fromkeys(PICTURES, 1.5)
"""The ratio that minidl wants to reach."""


def decoder() -> Decoder:
    minidl.manual_seed(0)
    return Decoder(FEATURES, WORDS, UNITS, UNITS, dropout=0.0)


def twin() -> Any:
    """The decoder in PyTorch, with the same weights. Imported late: PyTorch takes seconds."""
    import torch

    from tests.models import caption_twins as twins

    torch.set_num_threads(THREADS)
    return twins.with_weights_of(twins.Decoder(FEATURES, WORDS, UNITS, UNITS), decoder())


def batch() -> tuple[np.ndarray, ...]:
    """Features, words, the words that follow them, and lengths."""
    rng = np.random.default_rng(0)
    words = rng.integers(len(SPECIAL), WORDS, (CAPTIONS, LENGTH + 1))
    features = rng.standard_normal((CAPTIONS, FEATURES), np.float32)
    return features, words[:, :-1], words[:, 1:], np.full(CAPTIONS, LENGTH)


def sides_of(case: str) -> tuple[str, ...]:
    if case in OPTIMIZERS:
        return "minidl", "torch", "torch-fused"
    return ("minidl", "torch", "torch-alone") if PICTURES[case] > 1 else ("minidl", "torch")


def function_of(side: str, case: str) -> Callable:
    """What a side of the comparison repeats."""
    if case in OPTIMIZERS:
        kind = OPTIMIZERS[case]
        if side == "minidl":
            return our_step(kind)[0]
        return torch_step(kind, fused=side == "torch-fused")[0]
    if side == "minidl":
        return our_search(PICTURES[case])
    return torch_search(PICTURES[case], alone=side == "torch-alone")


def our_step(kind: str) -> tuple[Callable, Callable]:
    """A training step, and what returns the weights so far by name."""
    use_threads()
    net, (features, words, *targets) = decoder(), map(minidl.tensor, batch())
    optimizer = getattr(optim, kind)(net.parameters(), lr=LR[kind])

    def step():
        optimizer.zero_grad()
        caption_loss(net(features, words), targets).backward()
        optim.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()

    return step, lambda: {name: value.data for name, value in net.named_parameters()}


def torch_step(kind: str, fused: bool = False) -> tuple[Callable, Callable]:
    import torch

    net, (features, words, next_words, _) = twin(), map(torch.from_numpy, batch())
    net.lstm.bias_hh_l0.requires_grad_(False)  # ours has one bias
    optimizer = getattr(torch.optim, kind)(net.parameters(), lr=LR[kind], fused=fused or None)

    def step():
        optimizer.zero_grad()
        scores = net(features, words).transpose(0, 1).reshape(-1, WORDS)  # no copy
        loss = torch.nn.functional.cross_entropy(scores, next_words.T.reshape(-1))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(net.parameters(), CLIP)
        optimizer.step()

    return step, lambda: {name: value.detach().numpy() for name, value in net.named_parameters()}


def our_search(pictures: int) -> Callable:
    """Captions of pictures, as numbers with </s>."""
    use_threads()
    net, features = decoder().eval(), minidl.tensor(batch()[0][:pictures])
    vocabulary = Vocabulary([f"word{i}" for i in range(WORDS - len(SPECIAL))])

    def run():
        found = beam_search([net], [features], vocabulary, WIDTH, 1, LENGTH)
        return [said.numbers for (said,) in found]

    return run


def torch_search(pictures: int, alone: bool = False) -> Callable:
    """The same in PyTorch, for all pictures together or for one after the other."""
    import torch

    from benchmarks.caption_torch import beam_search as search

    net, features = twin().eval(), torch.from_numpy(batch()[0][:pictures])
    parts = features.split(1 if alone else pictures)

    def run():
        return [numbers for part in parts for numbers, _ in search(net, part, WIDTH, LENGTH)]

    return run


def measure(case: str, quick: bool) -> dict[str, Any]:
    compared = compare("caption_steps", sides_of(case), case, quick)
    ratio, *others = compared.ratios().values()
    count, error = CAPTIONS, step_error
    what: Any = OPTIMIZERS.get(case)
    if case in PICTURES:
        count, error, what = PICTURES[case], search_error, PICTURES[case]
    return {
        "case": case,
        "ratio": round(ratio, 3),
        "goal": GOALS[case],
        "other": round(others[0], 3) if others else "",
        "ms": round(compared.ms, 1),
        "torch_ms": round(1e3 * compared.timings.median(1), 1),
        "per_second": round(count / compared.ms * 1e3, 1),
        "error": float(f"{error(what):.2g}"),
        "peak_mb": compared.peaks[0],
        "torch_peak_mb": compared.peaks[1],
        **compared.rounds(),
        "where": where_time_goes(case) if ratio < GOALS[case] else None,
    }


def step_error(kind: str) -> float:
    """How far the weights are from PyTorch's after some steps."""
    from tests.models.caption_twins import NAMES

    states = []
    for make in (our_step, torch_step):
        step, learned = make(kind)
        for _ in range(STEPS_OF_ERROR):
            step()
        states.append(learned())
    ours, others = states
    errors = []
    for name, x in ours.items():
        other = others[NAMES.get(name, name)]
        errors.append(np.abs(x - other).max() / np.abs(other).max())
    return max(errors)


def search_error(pictures: int) -> float:
    """The share of pictures of which the two say something else."""
    pairs = list(zip(our_search(pictures)(), torch_search(pictures)(), strict=True))
    return sum(ours != other for ours, other in pairs) / len(pairs)


def where_time_goes(case: str) -> str:
    run = function_of("minidl", case)
    with record() as recording:
        run()
    flops = sum(operations_of(call, case in PICTURES) for call in recording.calls)
    return profile_of(run).sentence(flops, product_peak(), copy_bandwidth())


def describe(row: dict[str, Any]) -> str:
    return (
        f"{row['case']}: {row['ratio']:.2f} x as fast as torch (fused or one by one: "
        f"{row['other'] or '-'}; {row['ms']:.1f} against "
        f"{row['torch_ms']:.1f} ms, {row['per_second']:.1f}/s), error {row['error']:.1g}, peak "
        f"{row['peak_mb']} against {row['torch_peak_mb']} MB, {rounds_in_words(row)}"
    )


def write(rows: list[dict[str, Any]], words: list[str]) -> None:
    columns = {
        "case": "case", "ratio": "ratio", "goal": "goal", "fused, or one by one": "other",
        "ms": "ms", "PyTorch ms": "torch_ms", "captions/s": "per_second", "error": "error",
        "MB": "peak_mb", "PyTorch MB": "torch_peak_mb", **MEASURED,
    }  # fmt: skip
    about = (
        "PyTorch's time divided by minidl's, the median over rounds; above 1 minidl is faster. "
        f"Show and Tell's decoder with {UNITS} units, {WORDS:,} words and {FEATURES:,} features of "
        f"a picture. step: {CAPTIONS} captions of {LENGTH} words, forward, loss, backward, "
        f"gradients clipped to {CLIP:g}, Adam (step-sgd: SGD). beam-N: beam search of width "
        f"{WIDTH} for N pictures together, captions of {LENGTH} words; in PyTorch it is "
        "benchmarks/caption_torch.py. One more column has the ratio against PyTorch with its fused "
        "optimizer, and with its search for one picture after the other. The error of a step is "
        "the largest difference of the weights after three, as a part of the largest weight of its "
        "tensor; of a search the share of pictures of which the two say something else."
    )
    notes = "\n\n".join(
        f"**{row['case']}** misses its goal of {row['goal']}. {row['where']}"
        for row in rows
        if row["where"]
    )
    title = "Captions against PyTorch"
    write_comparison("caption_steps", title, "cases", words, about, columns, rows, notes)


def main(arguments: list[str] | None = None) -> None:
    parser = options_of(__doc__, "cases", GOALS)
    run_comparison(parser, GOALS, function_of, measure, describe, write, arguments)


if __name__ == "__main__":
    main()
