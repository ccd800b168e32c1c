"""Exercises of the chapter on summarisation."""

from applications import metrics
from pages.grader import Exercise


def _rouge(made, wanted):
    return metrics.rouge([made], target=[wanted])[0]


def _bag_of_words(made, wanted):
    return metrics.rouge([made], target=[wanted], kind="rouge1")[0]


def _longest_run(made, wanted):
    made, wanted = made.split(), wanted.split()
    longest = 0
    for i in range(len(made)):
        for j in range(len(wanted)):
            n = 0
            while made[i + n : i + n + 1] == wanted[j + n : j + n + 1] != []:
                n += 1
            longest = max(longest, n)
    return 2 * longest / (len(made) + len(wanted))


def _recall(made, wanted):
    return metrics.rouge([made], target=[wanted], part="recall")[0]


ROUGE_L = Exercise(
    "rouge_l",
    expected=_rouge,
    cases=[
        ("fire burns stalls in Elsby", "fire destroys two stalls in Elsby"),
        ("fire in Corvik", "fire destroys two stalls in Elsby"),
        ("Elsby in stalls two destroys fire", "fire destroys two stalls in Elsby"),
        ("fire fire fire", "fire destroys two stalls"),
        ("", "fire destroys two stalls"),
    ],
    hint="The common words must stand in the same order, with gaps allowed, and an "
    "empty headline has an F1 of 0.",
    wrong=[_bag_of_words, _longest_run, _recall],
)
