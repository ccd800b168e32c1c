"""The graded exercises of "A policy learns a sentence"."""

import numpy as np

from pages.grader import Exercise

rng = np.random.default_rng(5)


def loss(logits, texts, weights):
    logprobs = np.log(softmax(logits))[np.arange(len(logits)), texts]
    return -(weights * logprobs).sum() / len(texts)


def batch_gradient(logits, texts, weights, step=1e-5):
    """By central differences of the loss, which know no formula."""
    gradient = np.zeros_like(logits)
    for place in np.ndindex(logits.shape):
        moved = np.zeros_like(logits)
        moved[place] = step
        up, down = (loss(logits + s * moved, texts, weights) for s in (1, -1))
        gradient[place] = (up - down) / (2 * step)
    return gradient


def softmax(logits):
    exponentials = np.exp(logits)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def scores(logits, texts):
    return np.eye(logits.shape[1])[texts] - softmax(logits)


def case(rows, length, tokens):
    """Arguments with weights of both signs, some of them 0."""
    texts = rng.integers(0, tokens, (rows, length))
    weights = rng.integers(-2, 3, (rows, length)) * 1.0
    return rng.normal(size=(length, tokens)), texts, weights


BATCH_GRADIENT = Exercise(
    "batch_gradient",
    expected=batch_gradient,
    cases=[case(1, 1, 2), case(1, 3, 3), case(5, 2, 4), case(8, 4, 3)],
    atol=1e-7,
    hint="the mean over the texts, not over all tokens, and the loss has a minus",
    wrong=[
        lambda z, y, w: (w[..., None] * scores(z, y)).sum(axis=0) / len(y),
        lambda z, y, w: -(w[..., None] * scores(z, y)).sum(axis=0) / y.size,
        lambda z, y, w: -(w[..., None] * np.eye(z.shape[1])[y]).sum(axis=0) / len(y),
        lambda z, y, w: -(w[..., None] * scores(z, y)).sum(axis=0),
    ],
)


def to_go_minus_mean(rewards):
    """Position by position, without cumulative sums."""
    length = rewards.shape[1]
    to_go = np.stack([rewards[:, t:].sum(axis=1) for t in range(length)], axis=1)
    return to_go - to_go.mean(axis=0, keepdims=True)


def to_go(rewards):
    return rewards[:, ::-1].cumsum(axis=1)[:, ::-1]


TO_GO_MINUS_MEAN = Exercise(
    "to_go_minus_mean",
    expected=to_go_minus_mean,
    cases=[
        (np.array([[1.0, 0.0, 1.0], [0.0, 0.0, 1.0]]),),
        (np.array([[2.0, -1.0]]),),
        (rng.integers(0, 2, (5, 4)) * 1.0,),
    ],
    hint="a token's own reward and all later ones; a mean for each position",
    wrong=[
        lambda r: r.cumsum(axis=1) - r.cumsum(axis=1).mean(axis=0),
        to_go,
        lambda r: to_go(r) - to_go(r).mean(),
        lambda r: to_go(r) - r - (to_go(r) - r).mean(axis=0),
    ],
)
