"""Belief propagation: which candidates at the nodes of a grid go together best.

Each node of a Markov random field on a grid has K candidates. To be found is the choice with the
smallest sum of

    evidence[node, k]            how badly candidate k of a node fits what was seen there
    between[edge, k, l]          how badly k of one node fits l of the next one

In logarithms max-product becomes min-sum. A node tells its neighbour how well it could do for each
of the neighbour's candidates (Freeman, Pasztor and Carmichael 2000, equation 13):

    message[i -> j][l] = min over k of (evidence_i[k] + between_ij[k, l] + all other messages to i)

and chooses the candidate with the smallest evidence plus messages. In a tree that is the best
choice of all; on a grid, where messages run in circles, it is a good one.
"""

from __future__ import annotations

from typing import Any

from minidl.device import array_module

ROUNDS = 12


def best_choice(evidence: Any, beside: Any, below: Any, rounds: int = ROUNDS) -> Any:
    """The candidate that each node chooses.

    Args:
        evidence: (Y, X, K), costs.
        beside: (Y, X - 1, K, K): of candidate k of a node and l of its right neighbour.
        below: (Y - 1, X, K, K): the same for the neighbour below.
        rounds: how often all nodes send messages at once.

    Returns:
        (Y, X), int.
    """
    xp = array_module(evidence)
    # messages[side]: what arrives at each node from there; nothing arrives from beyond the border
    left, right, above, under = (xp.zeros_like(evidence) for _ in range(4))
    for _ in range(rounds):
        belief = evidence + left + right + above + under
        # What a node was told by its neighbour it does not tell back.
        to_right = sent((belief - right)[:, :-1], beside)
        to_left = sent((belief - left)[:, 1:], beside.swapaxes(2, 3))
        to_below = sent((belief - under)[:-1], below)
        to_above = sent((belief - above)[1:], below.swapaxes(2, 3))
        left[:, 1:], right[:, :-1], above[1:], under[:-1] = to_right, to_left, to_below, to_above
    return (evidence + left + right + above + under).argmin(axis=2)


def sent(belief: Any, between: Any) -> Any:
    """Messages of nodes to their neighbours in one direction.

    Args:
        belief: (..., K): of the senders, without what the receivers told them.
        between: (..., K, K): sender's candidate, receiver's candidate.

    Returns:
        (..., K), the smallest entry of each 0, so that they do not grow.
    """
    message = (belief[..., None] + between).min(axis=-2)
    return message - message.min(axis=-1, keepdims=True)
