"""Rewards of `core` as verl calls them: one completion, one score.

verl (0.9) imports this file by its path and calls `compute_score` by name for each
completion; `verl_grpo.yaml` names both and says what is run.
"""

from core import rewards
from real.numbers import right_number

# A row's `data_source` names its reward; the ground truth is that reward's column.
COLUMNS = {
    "openai/gsm8k": (right_number, "answer"),  # so verl's own rows name it
    "contains": (rewards.contains, "wanted"),
    "exact_match": (rewards.exact_match, "target"),
    "edit_similarity": (rewards.edit_similarity, "target"),
}


def compute_score(data_source, solution_str, ground_truth, extra_info=None):
    """The reward of one completion.

    Args:
        data_source: str, one of COLUMNS.
        solution_str: str, the completion without special tokens.
        ground_truth: what the reward's column holds for it.
        extra_info: dict of what else the row has; not read.
    Returns: float.
    Raises: ValueError for another data_source.
    """
    if data_source not in COLUMNS:
        names = ", ".join(COLUMNS)
        raise ValueError(f"data_source: expected one of {names}, got {data_source!r}")
    reward, column = COLUMNS[data_source]
    return reward([solution_str], **{column: [ground_truth]})[0]
