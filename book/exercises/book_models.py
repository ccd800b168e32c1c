"""The graded exercises of "The book's models"."""

from __future__ import annotations

import numpy as np
import torch

from core import pretraining
from core.pt import losses
from pages.grader import Exercise


def next_token_loss(logprobs, ids, mask):
    """By the batches and the loss of `core`; nats per target."""
    _, targets, counts = pretraining.next_tokens(ids, mask)
    loss = losses.token_cross_entropy(
        torch.tensor(logprobs[:, :-1]), torch.tensor(targets), torch.tensor(counts)
    )
    return loss.item()


def not_shifted(logprobs, ids, mask):
    """Each position is asked for the token that it has read."""
    chosen = np.take_along_axis(logprobs, ids[..., None], axis=2)[..., 0]
    return -(chosen * mask).sum() / mask.sum()


def with_padding(logprobs, ids, mask):
    """The mean over all places, real or not."""
    return next_token_loss(logprobs, ids, np.ones_like(mask))


def mean_of_means(logprobs, ids, mask):
    """Each text counts as much as any other, however long it is."""
    rows = range(len(ids))
    return np.mean([next_token_loss(logprobs[[i]], ids[[i]], mask[[i]]) for i in rows])


def masked_by_reader(logprobs, ids, mask):
    """The mask of the token that is read, in place of the target's."""
    chosen = np.take_along_axis(logprobs[:, :-1], ids[:, 1:, None], axis=2)[..., 0]
    return -(chosen * mask[:, :-1]).sum() / mask[:, :-1].sum()


def batch(seed, lengths, width, vocab=5):
    rng = np.random.default_rng(seed)
    scores = rng.normal(size=(len(lengths), width, vocab))
    logprobs = scores - np.log(np.exp(scores).sum(axis=2, keepdims=True))
    ids = rng.integers(0, vocab, size=(len(lengths), width))
    mask = (np.arange(width) < np.array(lengths)[:, None]).astype(float)
    return logprobs, ids, mask


NEXT_TOKEN_LOSS = Exercise(
    "next_token_loss",
    expected=next_token_loss,
    cases=[batch(0, [2], 2), batch(1, [5, 5], 5), batch(2, [6, 3, 2], 6)],
    hint="position t is asked for token t + 1, the mask is that of the target, and "
    "the mean is over targets and not over texts",
    wrong=[not_shifted, with_padding, mean_of_means, masked_by_reader],
)
