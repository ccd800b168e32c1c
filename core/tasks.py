"""The texts that the documents' environments write: document 000's, and ends of
sentences, written here but for the first, which document 003 prints in section 5.4.
"""

DOCUMENT_000_TEXT = "你好世界，欢迎来到Python编程的世界。"

CONTINUATIONS = [  # a beginning, the end of it, the next beginning, ...
    "The quick brown fox jumps over the lazy dog",
    "and quickly catches the hound that chases it.",
    "Two small boats leave the harbour before dawn",
    "because calm water lets them fish until noon.",
    "A young teacher opens the window of her classroom",
    "so that fresh air reaches every sleepy pupil inside.",
    "The old clock in the station stopped last night",
    "but nobody noticed until three trains had left early.",
    "My neighbour plants tomatoes behind the garden wall",
    "where warm bricks keep their roots safe from frost.",
    "Heavy rain fell on the mountain for two days",
    "then a brown river carried stones into our valley.",
    "The baker wakes up when the street is dark",
    "and sells hot bread to workers at six.",
    "Our robot learns to write one word at a time",
    "while each reward tells it which token was good.",
]


def continuations() -> tuple[list[str], list[str]]:
    """Eight beginnings of sentences and the one wanted end of each.

    Returns: prompts, targets: two lists of 8 str; 8 to 12 word tokens in a target.

    >>> prompts, targets = continuations()
    >>> prompts[6], targets[6]
    ('The baker wakes up when the street is dark', \
'and sells hot bread to workers at six.')
    """
    return CONTINUATIONS[::2], CONTINUATIONS[1::2]
