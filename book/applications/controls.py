"""The controls of the applications, as their chapters print them.

What was done instead of the training on the reward, from the same start.  The
page "Results" reads the numbers from the stored outputs, by these patterns.
"""

from __future__ import annotations

from applications.results import Control


def column(row: str, place: int, behind: str = "") -> str:
    """The pattern of an entry of a table: its row's first cell, its place from 1.

    `behind` is what the head of the table begins with, where a row of this name
    stands in two tables.
    """
    head = rf"\| {behind}(?:(?!\n\n)[\s\S])*?" if behind else ""
    return rf"{head}\| {row} \| " + r"[^|\n]*\| " * (place - 1) + "{x}"


# Metrics of translations, and their columns.
BLEU = (
    ("BLEU, by sample", 1),
    ("BLEU, by template", 2),
    ("chrF, by template", 3),
    ("exact (%), by template", 4),
)
# Measures of the generator of reviews, and their columns.
SENTIMENT = (
    (1, "P(positive)"),
    (2, "reviews"),
    (3, "positive reviews"),
    (4, "judge's P(positive)"),
    (5, "distinct-2"),
)
CONTROLS = {
    "Text generation": Control(
        "as many supervised updates on whole stories",
        {
            "reward, greedy": r"SFT, whole stories \| greedy \| {x}",
            "reward, sampled": r"SFT, whole stories \| sampled \| {x}",
        },
        {
            "reward, greedy": column("SFT, whole stories", 1, "RL, seeds"),
            "reward, sampled": column("SFT, whole stories", 2, "RL, seeds"),
            "new sentences, greedy": column("SFT, whole stories", 3, "RL, seeds"),
            "new sentences, sampled": column("SFT, whole stories", 4, "RL, seeds"),
        },
    ),
    "Machine translation": Control(
        "as many updates of likelihood on 2,000 references, three seeds",
        {m: column("likelihood, 2,000 references", k, "seeds") for m, k in BLEU},
        {m: column("likelihood, 2,000 references", k, "minimum") for m, k in BLEU},
        {m: column("the start, sampled", k, "seeds") for m, k in BLEU},
        points=1.0,
    ),
    "Summarisation": Control(
        "as many supervised updates on the references",
        {
            "ROUGE-L F1 (0–1)": column("more supervised updates", 1, "mean of"),
            "right fact (0–1)": column("more supervised updates", 3, "mean of"),
        },
        {
            "ROUGE-L F1 (0–1)": column("more supervised updates", 1, "trained on"),
            "right fact (0–1)": column("more supervised updates", 2, "trained on"),
        },
        {
            "ROUGE-L F1 (0–1)": column("start, sampled", 1, "mean of"),
            "right fact (0–1)": column("start, sampled", 3, "mean of"),
        },
    ),
    "Question answering": Control(
        "as many supervised updates on right answers",
        {
            "exact match": column("exact match", 4),
            "reward, c = 1": column("reward, c = 1", 4),
        },
        {
            "exact match": column("right answers", 1, "trained on"),
            "reward, c = 1": column("right answers", 2, "trained on"),
        },
        {
            "exact match": column("exact match", 2),
            "reward, c = 1": column("reward, c = 1", 2),
        },
    ),
    "Dialogue": Control(
        "as many updates of imitation of those dialogues that reached their goal",
        {"goal rate": column("those that reached their goal", 1)},
        {"goal rate": column("those that reached their goal", 3)},
    ),
    "Speech recognition": Control(
        "as many updates of cross-entropy on the same references",
        {"word error rate": column("cross-entropy, PyTorch", 5)},
        {"word error rate": r"cross-entropy less token: {x} points"},
        scale=0.01,
        turned=True,
    ),
    "Arithmetic": Control(
        "200 supervised updates on worked sums",
        {
            "pass@1, temperature 0.6 (0–1)": r"pass@1, temperature 0\.6\s+{x};",
            "pass@1, temperature 1 (0–1)": r"pass@1, temperature 1\s+{x};",
            "exact match, greedy (0–1)": r"exact match, greedy\s+{x};",
        },
        {
            "pass@1, temperature 0.6 (0–1)": r"temperature 0\.6\s+\S+ ahead of the"
            r" checker by {x}",
            "pass@1, temperature 1 (0–1)": r"temperature 1\s+\S+ ahead of the"
            r" checker by {x}",
            "exact match, greedy (0–1)": r"greedy\s+\S+ ahead of the checker by {x}",
        },
        turned=True,
        headline="exact match, greedy (0–1)",
    ),
    "Personal and mixed rewards": Control(
        "",
        note="The best messages to imitate were compared over all readers together:"
        " they earn a little more {checked}`personal-imitation`.",
    ),
    "Long text": Control(
        "as many supervised updates on right notes",
        {
            "last note, 4 chunks": column("right notes", 1),
            "last note, 16 chunks": column("right notes", 2),
            "notes on the way, 16": column("right notes", 3),
        },
        {
            "last note, 4 chunks": column("last note, 4 chunks", 2, "5 seeds"),
            "last note, 16 chunks": column("last note, 16 chunks", 2, "5 seeds"),
            "notes on the way, 16": column("notes on the way, 16", 2, "5 seeds"),
        },
        turned=True,
    ),
    "Classification and sentiment": Control(
        "as many supervised updates on positive reviews of the training's topics",
        {
            f"generator: {m}": column(
                "imitation of positive reviews", k, "PyTorch, seeds"
            )
            for k, m in SENTIMENT
        },
        {
            f"generator: {m}": column(
                "imitation of positive reviews", k, "no penalty, m"
            )
            for k, m in SENTIMENT
        },
        headline="generator: P(positive)",
    ),
}
