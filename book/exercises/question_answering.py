"""Exercises of the chapter on question answering."""

from collections import Counter

from applications import metrics
from pages.grader import Exercise


def _f1(answer, answers):
    if not answers:
        return float(answer == "unknown")
    if not answer:
        return 0.0
    return max(metrics.token_f1([answer] * len(answers), target=list(answers)))


def _sets(answer, answers):
    if not answers:
        return float(answer == "unknown")
    made = set(answer.split())
    shares = [
        2 * len(made & set(w.split())) / max(len(made) + len(set(w.split())), 1)
        for w in answers
    ]
    return max(shares)


def _mean_of_answers(answer, answers):
    if not answers:
        return float(answer == "unknown")
    return sum(_f1(answer, [one]) for one in answers) / len(answers)


def _no_answer_is_zero(answer, answers):
    return _f1(answer, answers) if answers else 0.0


def _recall(answer, answers):
    if not answers:
        return float(answer == "unknown")
    found = []
    for one in answers:
        shared = Counter(answer.split()) & Counter(one.split())
        found.append(shared.total() / len(one.split()))
    return max(found)


ANSWER_F1 = Exercise(
    "answer_f1",
    expected=_f1,
    cases=[
        ("in the garden", ["the garden", "garden"]),
        ("the the the", ["the garden of the queen"]),
        ("unknown", []),
        ("oslo", []),
        ("unknown", ["oslo"]),
        ("", ["oslo"]),
    ],
    hint="A word counts as often as both texts have it, the best of the answers "
    'decides, and where there is none only "unknown" is right.',
    wrong=[_sets, _mean_of_answers, _no_answer_is_zero, _recall],
)
