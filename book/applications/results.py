"""What a training changed on held-out data: one table for every application.

A chapter ends with `Results`, whose stored output the page "Results" reads.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

import numpy as np
from scipy import stats

from pages.show import markdown_table

MIME = "application/vnd.token-rl-book.results+json"
HEADER = (
    "framework",
    "metric",
    "rewarded",
    "start",
    "after",
    "change",
    "seeds",
    "seconds",
)


def interval(values):
    """Mean of independent runs and the half-width of its 95 % interval.

    Student's t, as the runs are few: of three, 4.3 standard errors.

    Args:
        values: one number per seed, at least two.

    >>> mean, half = interval([0.5, 0.6, 0.7])
    >>> round(mean, 2), round(half, 2)
    (0.6, 0.25)
    """
    values = np.asarray(values, dtype=np.float64)
    if values.ndim != 1 or len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"values: expected at least two finite numbers, got {values}")
    error = values.std(ddof=1) / np.sqrt(len(values))
    width = stats.t.ppf(0.975, len(values) - 1) * error
    return float(values.mean()), float(width)


@dataclass(frozen=True)
class Outcome:
    """A metric on held-out data before and after a training."""

    framework: str  # "PyTorch" or "TensorFlow"
    metric: str  # its name and unit
    start: float  # of the supervised start
    values: tuple[float, ...]  # after the training, one per seed
    seconds: float  # of one training, mean over the seeds
    rewarded: bool = True  # whether the training was paid for it
    lower_is_better: bool = False

    def __post_init__(self):
        if self.framework not in ("PyTorch", "TensorFlow"):
            raise ValueError(
                f'framework: expected "PyTorch" or "TensorFlow", got {self.framework!r}'
            )
        plain = tuple(float(value) for value in self.values)
        object.__setattr__(self, "values", plain)
        object.__setattr__(self, "start", float(self.start))
        interval(self.values)

    @property
    def gain(self):
        """Mean change in the better direction."""
        change = interval(self.values)[0] - self.start
        return float(-change if self.lower_is_better else change)

    @property
    def improved(self):
        """The gain is more than the half-width of its interval."""
        return bool(self.gain > interval(self.values)[1])

    def row(self):
        """The entries under HEADER."""
        mean, half = interval(self.values)
        return [
            self.framework,
            self.metric,
            "yes" if self.rewarded else "no",
            f"{self.start:.3g}",
            f"{mean:.3g}\u00a0±\u00a0{half:.2g}",
            f"{mean - self.start:+.2g}" + (" *" if self.improved else ""),
            str(len(self.values)),
            f"{self.seconds:.0f}",
        ]


class Results:
    """The outcomes of an application, shown as a table.

    A star marks a gain that is larger than the half-width of the 95 %
    interval of the mean over seeds.

    Args:
        application: its name, the row's heading on the page "Results".
        outcomes: list of `Outcome`, not empty.
    """

    def __init__(self, application, outcomes):
        if not outcomes:
            raise ValueError("outcomes: expected at least one")
        self.application, self.outcomes = application, list(outcomes)

    def of(self, framework, metric):
        """The one outcome with these names.  Raises: ValueError."""
        for outcome in self.outcomes:
            if (outcome.framework, outcome.metric) == (framework, metric):
                return outcome
        raise ValueError(f"metric: no outcome {metric!r} in {framework!r}")

    def __repr__(self):
        lines = [HEADER, *(outcome.row() for outcome in self.outcomes)]
        return "\n".join("  ".join(line) for line in lines)

    def _repr_mimebundle_(self, include=None, exclude=None):
        rows = [outcome.row() for outcome in self.outcomes]
        return {
            "text/plain": repr(self),
            "text/markdown": markdown_table(HEADER, rows),
            MIME: json.loads(
                json.dumps(
                    {
                        "application": self.application,
                        "outcomes": [asdict(o) for o in self.outcomes],
                    }
                )
            ),
        }
