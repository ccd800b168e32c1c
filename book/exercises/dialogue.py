"""Exercises of the chapter on dialogue."""

import numpy as np

from pages.grader import Exercise


def _credit(turns, booked, cost):
    turns, booked = np.asarray(turns), np.asarray(booked, dtype=float)
    found = []
    for k in range(turns.max()):
        there = turns > k
        score = booked - cost * (turns - k)
        found.append(np.where(there, score - score[there].mean(), 0.0))
    return np.transpose(found)


def _whole_return(turns, booked, cost):
    turns, booked = np.asarray(turns), np.asarray(booked, dtype=float)
    score = booked - cost * turns
    there = np.arange(turns.max()) < turns[:, None]
    return there * (score - score.mean())[:, None]


def _mean_of_all(turns, booked, cost):
    turns, booked = np.asarray(turns), np.asarray(booked, dtype=float)
    there = np.arange(turns.max()) < turns[:, None]
    score = booked[:, None] - cost * (turns[:, None] - np.arange(turns.max()))
    score = score * there
    return there * (score - score.mean(axis=0))


TURN_CREDIT = Exercise(
    "turn_credit",
    expected=_credit,
    cases=[
        ([1, 2, 2], [1, 1, 0], 0.03),
        ([3, 1], [1, 1], 0.1),
        ([2, 2, 1, 3], [0, 0, 0, 0], 0.0),
        ([1, 3, 3, 2], [0, 1, 0, 1], 0.25),
    ],
    hint="From turn k on only its own and later turns cost something, and the mean is "
    "over the conversations that have got to turn k.",
    wrong=[_whole_return, _mean_of_all],
)
