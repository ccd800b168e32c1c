"""What a training changed on held-out data: one table for every application.

A chapter ends with `Results`, whose stored output the page "Results" reads; the
control of the same chapter it reads from what its cells print (`CONTROLS`).
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, field
from pathlib import Path

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


# --- The page "Results" --------------------------------------------------------

NUMBER = r"([-+−]?\d[\d,.]*)(?:\s*±\s*(\d[\d.]*))?"


@dataclass(frozen=True)
class Control:
    """Where a chapter prints its control and what else the page shows of it.

    Each pattern is a regular expression with one `{x}`, the place of a number or of
    "mean ± half-width", and is found once in the chapter's stored outputs; each
    dictionary is {metric: pattern}.
    """

    name: str  # what was done instead of the training on the reward
    values: dict[str, str] = field(default_factory=dict)  # of the control
    gaps: dict[str, str] = field(default_factory=dict)  # the trained minus it
    sampled: dict[str, str] = field(default_factory=dict)  # of the start
    scale: float = 1.0  # of the printed numbers, 0.01 for per cent
    turned: bool = False  # whether the gaps are the control minus the trained
    headline: str = ""  # the metric of the figure; the first one if ""
    points: float = 100.0  # what one unit of the headline is, in points of 0 to 100
    note: str = ""  # a sentence in Markdown for what the table has no place for


def read_number(pattern, text, scale=1.0):
    """(mean, half-width or None) where the pattern stands in a text.

    Raises: ValueError unless it is found, with one number.

    >>> read_number(r"likelihood \\| {x}", "| likelihood | 78.7 ± 2.7 |")
    (78.7, 2.7)
    """
    found = set(re.findall(pattern.replace("{x}", NUMBER), text))
    if len(found) != 1:
        raise ValueError(f"pattern: expected one number for {pattern!r}, got {found}")
    mean, half = found.pop()
    mean = float(mean.replace("−", "-").rstrip(".,").replace(",", ""))
    return mean * scale, float(half.rstrip(".")) * scale if half else None


def difference(outcome, value, gap=None):
    """Mean and half-width of the trained minus the control.

    As the chapter prints it, seed by seed, or from the two means: the half-widths of
    independent means add in squares, and a control of one run has none.

    Args:
        outcome: after the training.
        value, gap: (mean, half-width or None) of the control, of the difference.
    """
    if gap is not None:
        return gap[0], gap[1] or 0.0
    mean, half = interval(outcome.values)
    return mean - value[0], float(np.hypot(half, value[1] or 0.0))


def merged(outcomes):
    """Each metric once: (outcome in PyTorch, that in TensorFlow or None)."""
    pairs = {}
    for outcome in outcomes:
        pairs.setdefault(outcome.metric, {})[outcome.framework] = outcome
    return [
        (found.get("PyTorch", next(iter(found.values()))), found.get("TensorFlow"))
        for found in pairs.values()
    ]


def plus_minus(mean, half, sign=False):
    return f"{mean:{'+' if sign else ''}.3g}\u00a0±\u00a0{half:.2g}"


def outputs(path):
    """The stored outputs of a notebook."""
    notebook = json.loads(Path(path).read_text(encoding="utf-8"))
    return [o for cell in notebook["cells"] for o in cell.get("outputs", [])]


def stored(path):
    """The applications that a notebook's outputs hold: (name, outcomes)."""
    for output in outputs(path):
        found = output.get("data", {}).get(MIME)
        if found:
            yield (
                found["application"],
                [Outcome(**outcome) for outcome in found["outcomes"]],
            )


def printed(path):
    """What a notebook prints, tables included, without those of `Results`."""
    texts = []
    for output in outputs(path):
        data = output.get("data", {})
        if MIME not in data:
            texts.append("".join(output.get("text", data.get("text/markdown", ""))))
    return "\n".join(texts)


def gathered(paths, controls):
    """What the chapters store: a tuple for each application.

    Args:
        paths: of the notebooks.
        controls: {application: Control}.
    Returns: list of (name, file, Control, numbers, `merged` outcomes); the numbers
        are {"values": {metric: (mean, half-width or None)}}, and so for "gaps" and
        "sampled".
    Raises: ValueError for a control of a metric that is not there, or that the
        chapter does not print.
    """
    found = []
    for path in map(Path, paths):
        for name, outcomes in stored(path):
            control, text = controls.get(name, Control("")), printed(path)
            numbers = {
                kind: {
                    metric: read_number(pattern, text, control.scale)
                    for metric, pattern in getattr(control, kind).items()
                }
                for kind in ("values", "gaps", "sampled")
            }
            if control.turned:
                numbers["gaps"] = {m: (-x, h) for m, (x, h) in numbers["gaps"].items()}
            metrics = merged(outcomes)
            known = {outcome.metric for outcome, _ in metrics}
            unknown = set().union(*numbers.values()) - known
            if unknown:
                raise ValueError(f"controls: no such metric of {name!r}: {unknown}")
            found.append((name, path.name, control, numbers, metrics))
    return found


def headlines(applications):
    """(name and metric, [gain over the start, over the control]) of each.

    A gain is (mean, half-width) in points of 0 to 100, in the better direction; that
    over the control is missing where none was run.
    """
    found = []
    for name, _, control, numbers, metrics in applications:
        named = {outcome.metric: outcome for outcome, _ in metrics}
        outcome = named[control.headline] if control.headline else metrics[0][0]
        sign = -1 if outcome.lower_is_better else 1
        mean, half = interval(outcome.values)
        gains = [(mean - outcome.start, half)]
        value, gap = (numbers[kind].get(outcome.metric) for kind in ("values", "gaps"))
        if value or gap:
            gains.append(difference(outcome, value, gap))
        points = control.points
        gains = [(sign * points * gain, points * width) for gain, width in gains]
        found.append((f"{name}\n{outcome.metric}", gains))
    return found
