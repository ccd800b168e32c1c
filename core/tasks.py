"""The data that the chapters train on: made from a seed or written here.

Two kinds: texts to be continued (English, Chinese) and sequences of digits
to be copied, reversed or sorted.
"""

from __future__ import annotations

import numpy as np

DOCUMENT_000_TEXT = "你好世界，欢迎来到Python编程的世界。"

DIGIT_VOCAB_SIZE = 13  # 0 pad, 1 BOS, 2 EOS, digit d is token 3 + d
FIRST_DIGIT = 3

# The first English pair is printed in document 003, section 5.4.
CONTINUATIONS = {
    "en": [
        (
            "The quick brown fox jumps over the lazy dog",
            "and quickly catches the hound that chases it.",
        ),
        (
            "Two small boats leave the harbour before dawn",
            "because calm water lets them fish until noon.",
        ),
        (
            "A young teacher opens the window of her classroom",
            "so that fresh air reaches every sleepy pupil inside.",
        ),
        (
            "The old clock in the station stopped last night",
            "but nobody noticed until three trains had left early.",
        ),
        (
            "My neighbour plants tomatoes behind the garden wall",
            "where warm bricks keep their roots safe from frost.",
        ),
        (
            "Heavy rain fell on the mountain for two days",
            "then a brown river carried stones into our valley.",
        ),
        (
            "The baker wakes up when the street is dark",
            "and sells hot bread to workers at six.",
        ),
        (
            "Our robot learns to write one word at a time",
            "while each reward tells it which token was good.",
        ),
    ],
    "zh": [
        ("敏捷的棕色狐狸跳过了那只懒狗", "并且很快抓住了追赶它的猎犬。"),
        ("两条小船在天亮之前离开港口", "因为平静的海面让渔民更容易捕鱼。"),
        ("年轻的老师推开教室的窗户", "让新鲜空气唤醒每个打瞌睡的学生。"),
        ("车站里的旧钟昨晚停了", "但是直到三趟火车开走都没有人发现。"),
        ("邻居在院墙后面种了西红柿", "那里温暖的砖头可以保护根不受霜冻。"),
        ("大雨在山上连续下了两天", "于是浑浊的河水把石头冲进山谷。"),
        ("面包师在街道还黑的时候起床", "六点钟就把热面包卖给工人。"),
        ("我们的机器人一次只写一个词", "每个奖励都告诉它刚才选得好不好。"),
    ],
}


def continuations(language="en"):
    """Eight beginnings of sentences and the one wanted end of each.

    Args:
        language: "en" or "zh".
    Returns: prompts, targets: two lists of 8 str; 8 to 12 word tokens in a
        target.
    Raises: ValueError for another language.

    >>> prompts, targets = continuations("en")
    >>> prompts[6], targets[6]
    ('The baker wakes up when the street is dark', \
'and sells hot bread to workers at six.')
    """
    if language not in CONTINUATIONS:
        raise ValueError(f"language: expected 'en' or 'zh', got {language!r}")
    prompts, targets = zip(*CONTINUATIONS[language], strict=True)
    return list(prompts), list(targets)


def copy_digits(n, length, rng):
    """n random sequences of digits, to be written down unchanged.

    Args:
        n, length: at least 1.
        rng: np.random.Generator that draws the digits.
    Returns: prompts, targets: each (n, length) int64; digit d is token 3 + d.

    >>> prompts, targets = copy_digits(1, 4, np.random.default_rng(0))
    >>> prompts.tolist(), targets.tolist()
    ([[11, 9, 8, 5]], [[11, 9, 8, 5]])
    """
    prompts = _random_digits(n, length, rng)
    return prompts, prompts.copy()


def reverse_digits(n, length, rng):
    """As `copy_digits`, to be written from the last digit to the first."""
    prompts = _random_digits(n, length, rng)
    return prompts, prompts[:, ::-1].copy()


def sort_digits(n, length, rng):
    """As `copy_digits`, to be written in ascending order."""
    prompts = _random_digits(n, length, rng)
    return prompts, np.sort(prompts, axis=1)


def _random_digits(n, length, rng):
    for name, value in (("n", n), ("length", length)):
        if value < 1:
            raise ValueError(f"{name}: expected at least 1, got {value}")
    return rng.integers(FIRST_DIGIT, DIGIT_VOCAB_SIZE, size=(n, length))
