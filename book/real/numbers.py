"""The reward of tasks whose answer is a number, on rows as GSM8K publishes them.

A row has a "question" and an "answer", a worked solution whose last line is
"#### 42".  Only the number counts: how the text gets there is not judged.
"""

import re

from core import checks

NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")


def number(text):
    """The number of a text as a float: behind the last "####", else the last; or None.

    >>> number("6 * 7 = 42. #### 1,042"), number("The answer is 41."), number("No.")
    (1042.0, 41.0, None)
    """
    found = NUMBER.findall(text.rpartition("####")[2])
    return float(found[-1].replace(",", "")) if found else None


def right_number(completions, *, answer, **columns):
    """1 where the number of a completion is that of its answer, else 0.

    >>> right_number(["So 6 + 1 = 7.", "8", "?"], answer=["1 + 6 = 7 #### 7"] * 3)
    [1.0, 0.0, 0.0]
    """
    completions = checks.texts("completions", completions, chat=True)
    wanted = [number(text) for text in checks.texts("answer", answer, len(completions))]
    checks.require(None not in wanted, "answer: expected a number in each")
    return [float(number(text) == n) for text, n in zip(completions, wanted)]
