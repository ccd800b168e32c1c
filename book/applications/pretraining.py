"""`core.pretraining`, and rows without padding, in which the book's own GPT and some
chapters read their texts.
"""

import numpy as np

from core import checks
from core.pretraining import answers, masked_tokens, next_tokens, padded_rows
from core.text import Tokenizer

__all__ = ["answers", "masked_tokens", "next_tokens", "packed_rows", "padded_rows"]


def packed_rows(tokenizer: Tokenizer, texts: list[str], length: int):
    """Texts one after the other in rows without padding.

    A row of L = length tokens begins with a text; what does not fit into it is cut off.

    Returns: (rows, L) int64; the last texts may not fill a row and are left out.
    Raises: ValueError where all texts together do not fill a row.

    >>> from core.text import CharTokenizer
    >>> packed_rows(CharTokenizer(["abc"]), ["abc", "a", "b", "c", "a"], 7)
    array([[1, 3, 4, 5, 2, 1, 3],
           [1, 4, 2, 1, 5, 2, 1]])
    """
    checks.whole(1, length=length)
    rows, row = [], []
    for text in checks.texts("texts", texts):
        row += tokenizer.enclosed(text)
        if len(row) >= length:
            rows.append(row[:length])
            row = []
    checks.require(rows, f"texts: expected at least one row of {length} tokens")
    return np.array(rows)
