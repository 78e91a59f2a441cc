"""The beam search of apps/caption/search once more, in PyTorch, as one would write it there.

All pictures and all partial captions of each take a step together, as in the original; what is
finished leaves the batch. `decoder` is a Decoder of tests/models/caption_twins.py.
"""

from __future__ import annotations

from typing import Any

import torch

PAD, UNKNOWN, START, END = range(4)
IMPOSSIBLE = -float("inf")


@torch.inference_mode()
def beam_search(
    decoder: Any, features: torch.Tensor, width: int = 3, max_words: int = 20
) -> list[tuple[list[int], float]]:
    """Of each picture the likeliest caption that is found, with </s>, and its log-probability.

    Args:
        decoder: in evaluation mode.
        features: of the pictures, (P, F).
        width: partial captions of a picture that are kept.
        max_words: of a caption.
    """
    P = len(features)
    pictures, state = torch.arange(P), decoder.start(features)
    words = torch.full((P,), START)
    totals, said = torch.zeros(P, 1, dtype=torch.float64), torch.zeros(P, 1, 0, dtype=torch.long)
    best_scores = torch.full((P,), IMPOSSIBLE, dtype=torch.float64)
    best = torch.zeros(P, max_words + 1, dtype=torch.long)
    found: list[tuple[list[int], float]] = [([], 0.0)] * P
    for length in range(1, max_words + 2):
        scores, state = decoder.step(words, state)
        chosen, log_probs = likeliest(scores, said.flatten(0, 1), width, length > max_words)
        (P, B), k = totals.shape, chosen.shape[1]
        longer = totals.repeat_interleave(k, 1) + log_probs.view(P, B * k)
        chosen = chosen.view(P, B * k)
        ends = longer.masked_fill(chosen != END, IMPOSSIBLE)
        longer = longer.masked_fill(chosen == END, IMPOSSIBLE)
        top, at = ends.max(1)
        better = top > best_scores
        best_scores = torch.where(better, top, best_scores)
        ended = said[torch.arange(P), at // k]
        best[better, : length - 1] = ended[better]
        best[better, length - 1 :] = END
        totals, order = longer.topk(min(width, B * k), 1)
        parents = order // k
        said = said.gather(1, parents[:, :, None].expand(-1, -1, length - 1))
        said = torch.cat([said, chosen.gather(1, order)[:, :, None]], 2)
        rows = parents + B * torch.arange(P)[:, None]
        goes_on = best_scores < totals[:, 0]
        for i in (~goes_on).nonzero().flatten().tolist():
            numbers = best[i].tolist()
            caption = numbers[: numbers.index(END) + 1]
            found[pictures[i]] = caption, best_scores[i].item()
        if not goes_on.any():
            break
        pictures, rows, totals, said = (x[goes_on] for x in (pictures, rows, totals, said))
        best_scores, best = best_scores[goes_on], best[goes_on]
        state = tuple(part[:, rows.flatten()] for part in state)
        words = said[:, :, -1].flatten()
    return found


def likeliest(
    scores: torch.Tensor, said: torch.Tensor, k: int, ends: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """The k likeliest words (R, k) after what was said (R, L), or the end, and log_probs."""
    log_sum = scores.logsumexp(1, keepdim=True).double()
    if ends:
        return torch.full((len(scores), 1), END), scores[:, END : END + 1] - log_sum
    scores[:, [PAD, UNKNOWN, START]] = IMPOSSIBLE
    if said.shape[1] >= 2:
        again = (said[:, -1] == said[:, -2]).nonzero().flatten()
        scores[again, said[again, -1]] = IMPOSSIBLE
    values, words = scores.topk(k, 1)
    return words, values - log_sum
