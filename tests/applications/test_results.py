"""applications.results: intervals, what improved, what a page can read."""

import doctest
import json

import numpy as np
import pytest
import results_table
import toc

from applications import results
from applications.controls import CONTROLS
from applications.results import MIME, Control, Outcome, Results


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


# --- The page -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("BLEU | 78.7 ± 2.7 |", (78.7, 2.7)),
        ("BLEU | 78.7\u00a0±\u00a02.7 |", (78.7, 2.7)),
        ("BLEU | 0.84, sound 0.98", (0.84, None)),
        ("BLEU | −1.5.", (-1.5, None)),
        ("BLEU | 1,234 |", (1234.0, None)),
    ],
)
def test_a_number_is_read(text, found):
    assert results.read_number(r"BLEU \| {x}", text) == found


@pytest.mark.parametrize("text", ["", "BLEU | – |", "BLEU | 1 | BLEU | 2 |"])
def test_one_number_is_wanted(text):
    with pytest.raises(ValueError, match="pattern: expected one number"):
        results.read_number(r"BLEU \| {x}", text)


def test_a_difference_by_hand():
    after = outcome((0.5, 0.6, 0.7))  # 0.6 ± 0.248
    gap, half = results.difference(after, (0.4, 0.1))
    assert (gap, half) == pytest.approx((0.2, np.hypot(0.2484, 0.1)), 1e-3)
    gap, half = results.difference(after, (0.7, None))
    assert (gap, half) == pytest.approx((-0.1, 0.2484), 1e-3)
    assert results.difference(after, (0.4, 0.1), (0.21, 0.02)) == (0.21, 0.02)
    assert results.difference(after, None, (0.21, None)) == (0.21, 0.0)


def test_a_metric_stands_once():
    ours, theirs = outcome(), Outcome("TensorFlow", "BLEU", 0.3, (0.5, 0.7), 9.0)
    other = Outcome("TensorFlow", "chrF", 0.3, (0.5, 0.7), 9.0)
    assert results.merged([theirs, other, ours]) == [(ours, theirs), (other, other)]


def notebook(path, *outcomes, text=""):
    """A notebook with the stored outputs of a chapter."""
    shown = Results("Translation", outcomes)._repr_mimebundle_()
    cells = [
        {"outputs": [{"text": [text]}]},
        {"outputs": [{"data": shown}]},
        {"cell_type": "markdown"},
    ]
    path.write_text(json.dumps({"cells": cells}), "utf-8")
    return path


def test_what_is_gathered(tmp_path):
    text = "more | 0.7 |\nahead | +0.2 ± 0.1 |\ndrawn | 0.25 |"
    path = notebook(tmp_path / "a.ipynb", outcome(start=0.3), text=text)
    control = Control("more", {"BLEU": r"more \| {x}"}, points=10.0)
    found = results.gathered([path], {"Translation": control})
    ((name, file, _, numbers, metrics),) = found
    assert (name, file) == ("Translation", "a.ipynb")
    assert numbers == {"values": {"BLEU": (0.7, None)}, "gaps": {}, "sampled": {}}
    assert metrics == [(outcome(start=0.3), None)]
    ((label, gains),) = results.headlines(found)
    assert label == "Translation\nBLEU"
    assert gains[0] == pytest.approx((3, 2.484), 1e-3)
    assert gains[1] == pytest.approx((-1, 2.484), 1e-3)
    control = Control(
        "more",
        gaps={"BLEU": r"ahead \| {x}"},
        sampled={"BLEU": r"drawn \| {x}"},
        turned=True,
    )
    found = results.gathered([path], {"Translation": control})
    assert found[0][3]["gaps"] == {"BLEU": (-0.2, 0.1)}
    ((_, gains),) = results.headlines(found)
    assert gains[1] == pytest.approx((-20, 10))
    shown = results_table.row(outcome(start=0.3), found[0][3])
    assert [entry.replace("\u00a0", " ") for entry in shown] == [
        "BLEU, paid",
        "0.3; sampled 0.25",
        "0.8",
        "0.6 ± 0.25",
        "+0.3 ± 0.25",
        "-0.2 ± 0.1",
    ]


def test_a_control_that_is_not_printed(tmp_path):
    path = notebook(tmp_path / "a.ipynb", outcome())
    with pytest.raises(ValueError, match="pattern"):
        results.gathered(
            [path], {"Translation": Control("more", {"BLEU": r"more \| {x}"})}
        )
    with pytest.raises(ValueError, match="no such metric of 'Translation'"):
        results.gathered(
            [notebook(path, outcome(), text="more | 1 |")],
            {"Translation": Control("more", {"chrF": r"more \| {x}"})},
        )


def test_a_lower_metric_gains_by_falling(tmp_path):
    path = notebook(tmp_path / "a.ipynb", outcome(start=0.9, lower_is_better=True))
    ((_, gains),) = results.headlines(results.gathered([path], {}))
    assert gains == [pytest.approx((30, 24.84), 1e-3)]


def test_every_control_is_of_an_application():
    found = results.gathered(toc.chapters(), CONTROLS)
    assert set(CONTROLS) <= {name for name, *_ in found}


def test_the_frameworks_are_compared_on_their_shared_seeds():
    ours = outcome((0.5, 0.6, 0.9))
    theirs = Outcome("TensorFlow", "BLEU", 0.3, (0.5, 0.62), 20.0)
    assert "at most 0.01 (BLEU)" in results_table.agreement([(ours, theirs)])
    same = Outcome("TensorFlow", "BLEU", 0.3, (0.5, 0.6), 20.0)
    assert "three decimals" in results_table.agreement([(ours, same)])
    assert results_table.agreement([(ours, None)]) == "TensorFlow was not run."


def test_the_page_has_every_metric_once():
    page = results_table.page()
    for name, file, _, numbers, metrics in results_table.applications():
        section = page[page.index(f"**[{name}]({file})**") :].split("\n\n")[2]
        assert len(section.splitlines()) == len(metrics) + 2
        run = {*numbers["values"], *numbers["gaps"]}
        assert section.count(results_table.NOT_RUN) == len(metrics) - len(run)


def test_the_figure_is_the_same_each_time():
    assert results_table.draw() == results_table.draw()
    for name, _ in results.headlines(results_table.applications()):
        assert name.replace("\n", ", ") in results_table.described()
