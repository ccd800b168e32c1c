"""The graded exercises of "Real checkpoints"."""

from __future__ import annotations

import numpy as np

from pages.grader import Exercise


def pad_left(rows, pad_id):
    """Ids, mask and positions of rows of different lengths, (B, P) each."""
    width = max(map(len, rows))
    ids = np.full((len(rows), width), pad_id)
    mask = np.zeros((len(rows), width), dtype=int)
    for i, row in enumerate(rows):
        ids[i, width - len(row) :], mask[i, width - len(row) :] = row, 1
    return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)


def on_the_right(rows, pad_id):
    """Pads behind the prompts: the next token has another place in each row."""
    turned = pad_left([row[::-1] for row in rows], pad_id)
    ids, mask, _ = (x[:, ::-1] for x in turned)
    return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)


def counts_the_padding(rows, pad_id):
    """Positions that begin with the padding."""
    ids, mask, _ = pad_left(rows, pad_id)
    return ids, mask, np.broadcast_to(np.arange(ids.shape[1]), ids.shape)


def mask_from_ids(rows, pad_id):
    """Takes every pad id for padding: one in a prompt is lost."""
    ids, _, _ = pad_left(rows, pad_id)
    mask = (ids != pad_id).astype(int)
    return ids, mask, np.maximum(mask.cumsum(axis=1) - 1, 0)


PAD_LEFT = Exercise(
    "pad_left",
    expected=pad_left,
    cases=[
        ([[4, 5], [6, 7, 8]], 0),
        ([[1], [2, 3, 4, 5], [6, 7]], 0),
        ([[0, 3], [2, 0, 5]], 0),
        ([[7, 7]], 7),
    ],
    hint="padding stands in front, a position counts real tokens only, and the mask "
    "follows from the lengths, since the pad id may also occur in a prompt",
    wrong=[on_the_right, counts_the_padding, mask_from_ids],
)
