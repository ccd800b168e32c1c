"""Small tasks of several chapters: texts to be continued (English, Chinese), and
sequences of digits to be sorted, made from a seed.
"""

from __future__ import annotations

import numpy as np

from core import checks, tasks
from core.tasks import DOCUMENT_000_TEXT

__all__ = ["DIGIT_VOCAB_SIZE", "DOCUMENT_000_TEXT", "continuations", "sort_digits"]

DIGIT_VOCAB_SIZE = 13  # 0 pad, 1 BOS, 2 EOS, digit d is token 3 + d
FIRST_DIGIT = 3

CHINESE = [  # a beginning, the end of it, the next beginning, ...
    "敏捷的棕色狐狸跳过了那只懒狗",
    "并且很快抓住了追赶它的猎犬。",
    "两条小船在天亮之前离开港口",
    "因为平静的海面让渔民更容易捕鱼。",
    "年轻的老师推开教室的窗户",
    "让新鲜空气唤醒每个打瞌睡的学生。",
    "车站里的旧钟昨晚停了",
    "但是直到三趟火车开走都没有人发现。",
    "邻居在院墙后面种了西红柿",
    "那里温暖的砖头可以保护根不受霜冻。",
    "大雨在山上连续下了两天",
    "于是浑浊的河水把石头冲进山谷。",
    "面包师在街道还黑的时候起床",
    "六点钟就把热面包卖给工人。",
    "我们的机器人一次只写一个词",
    "每个奖励都告诉它刚才选得好不好。",
]


def continuations(language: str = "en") -> tuple[list[str], list[str]]:
    """Eight beginnings of sentences and the one wanted end of each, in "en" or "zh".

    Returns: prompts, targets: two lists of 8 str; 8 to 12 word tokens in a target.

    >>> prompts, targets = continuations("zh")
    >>> prompts[6], targets[6]
    ('面包师在街道还黑的时候起床', '六点钟就把热面包卖给工人。')
    """
    checks.one_of(("en", "zh"), language=language)
    return tasks.continuations() if language == "en" else (CHINESE[::2], CHINESE[1::2])


def sort_digits(n: int, length: int, rng: np.random.Generator):
    """n ≥ 1 random sequences of length ≥ 1 of digits, to be put in ascending order.

    Returns: prompts, targets: each (n, length) int64; digit d is token 3 + d.

    >>> prompts, targets = sort_digits(1, 4, np.random.default_rng(0))
    >>> prompts.tolist(), targets.tolist()
    ([[11, 9, 8, 5]], [[5, 8, 9, 11]])
    """
    checks.whole(1, n=n, length=length)
    prompts = rng.integers(FIRST_DIGIT, DIGIT_VOCAB_SIZE, size=(n, length))
    return prompts, np.sort(prompts, axis=1)
