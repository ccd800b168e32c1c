"""applications.results: intervals, what improved, what a page can read."""

import doctest

import numpy as np
import pytest

from applications import results
from applications.results import MIME, Outcome, Results


def outcome(values=(0.5, 0.6, 0.7), start=0.3, **options):
    return Outcome("PyTorch", "BLEU", start, values, 12.4, **options)


def test_docstrings():
    assert doctest.testmod(results).failed == 0


def test_interval_by_hand():
    # t(0.975, 2) = 4.3027; sd 0.1; three values.
    mean, half = results.interval([0.5, 0.6, 0.7])
    assert (mean, half) == pytest.approx((0.6, 4.3027 * 0.1 / 3**0.5), 1e-4)


def test_the_interval_holds_the_mean_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [results.interval(rng.normal(size=3)) for _ in range(2000)]
    held = np.mean([abs(mean) <= half for mean, half in found])
    assert abs(held - 0.95) < 0.02


@pytest.mark.parametrize("values", [[0.5], [], [0.5, float("nan")], [[1, 2]]])
def test_interval_wants_two_numbers(values):
    with pytest.raises(ValueError, match="values: expected at least two"):
        results.interval(values)


def test_improved_needs_more_than_the_interval():
    assert outcome(start=0.3).improved  # 0.3 > 0.248
    assert not outcome(start=0.4).improved  # 0.2
    assert not outcome(start=0.9).improved


def test_lower_can_be_better():
    assert outcome(start=0.9, lower_is_better=True).improved
    assert not outcome(start=0.3, lower_is_better=True).improved
    assert outcome(start=0.9, lower_is_better=True).gain == pytest.approx(0.3)


def test_an_outcome_has_a_framework():
    with pytest.raises(ValueError, match='framework: expected "PyTorch"'):
        Outcome("JAX", "BLEU", 0.1, (0.2, 0.3), 1.0)


def test_results_can_be_shown_and_read():
    other = Outcome(
        "TensorFlow", "chrF", 40, np.array([41.0, 42.0]), 9.0, rewarded=False
    )
    table = Results("Translation", [outcome(), other])
    shown = table._repr_mimebundle_()
    assert set(shown) == {"text/plain", "text/markdown", MIME}
    kept = shown[MIME]
    assert kept["application"] == "Translation"
    assert kept["outcomes"][1] == {
        "framework": "TensorFlow",
        "metric": "chrF",
        "start": 40.0,
        "values": [41.0, 42.0],
        "seconds": 9.0,
        "rewarded": False,
        "lower_is_better": False,
    }
    row = "| PyTorch | BLEU | yes | 0.3 | 0.6 ± 0.25 | +0.3 * | 3 | 12 |"
    assert row in shown["text/markdown"].replace("\u00a0", " ")
    assert table.of("TensorFlow", "chrF") is other
    with pytest.raises(ValueError, match="metric: no outcome 'WER'"):
        table.of("PyTorch", "WER")


def test_results_are_not_empty():
    with pytest.raises(ValueError, match="outcomes: expected at least one"):
        Results("Translation", [])
