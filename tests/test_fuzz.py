"""Bad arguments: a named error or the right value, in both halves alike."""

import os
import re
import subprocess
import sys

import numpy as np
import pytest

from core import checks
from tests.conftest import ROOT
from tests.fuzz import judge
from tests.fuzz.arguments import array, mask, number
from tests.fuzz.intended import INTENDED

CALLS, MISSING = judge.table()
QUICK = [name for name, call in CALLS.items() if not call.slow]
FOUND: dict = {}  # outcomes by call, made once


def outcomes(name):
    if name not in FOUND:
        FOUND[name] = judge.examine(CALLS[name], examples=5)
    return FOUND[name]


def test_every_public_function_has_a_call():
    assert not MISSING


@pytest.mark.parametrize("name", QUICK)
def test_bad_arguments(name):
    assert judge.findings(outcomes(name)) == []


@pytest.mark.parametrize("name", [n for n in QUICK if n.startswith("core.tf.")])
def test_both_halves_take_the_same(name):
    other = name.replace("core.tf.", "core.pt.")
    assert judge.differences(outcomes(name) + outcomes(other)) == []


def test_what_is_intended_happens():
    used = {o.reason for name in QUICK for o in outcomes(name)}
    assert used >= set(INTENDED.values())


def refused(rate, weights):
    checks.require(isinstance(rate, float), f"rate: expected a number, got {rate!r}")
    checks.require(0 <= rate <= 1, f"rate: expected a number in [0, 1], got {rate!r}")
    return rate * checks.finite_array("weights", weights, (2,)).sum()


@pytest.mark.parametrize(
    ("function", "argument", "label", "kind"),
    [
        (refused, "rate", "nan", "named"),
        (refused, "weights", "list", "right"),
        (lambda rate, weights: rate * np.sum(weights), "rate", "nan", "silent"),
        (lambda rate, weights: weights, "rate", "nan", "silent"),
        (lambda rate, weights: rate.real, "rate", "None", "foreign"),
        (lambda rate, weights: weights[0], "weights", "number", "foreign"),
        (lambda rate, weights: checks.finite(x=rate), "rate", "nan", "foreign"),
    ],
)
def test_the_judge(function, argument, label, kind):
    arguments = {"rate": number(0.5, 0, 1), "weights": array([0.5, 1.0])}
    call = judge.Call("a.b", function, arguments)
    found = {o.place[1:]: o.kind for o in judge.examine(call, 5)}
    assert found[argument, label] == kind
    assert {label for name, label in found if name == "rate"} >= {"below", "above"}


def test_the_other_forms_of_a_mask_are_its_values():
    kind = mask([[1, 1], [1, 0]])
    for value in kind.same.values():
        np.testing.assert_array_equal(np.asarray(value, dtype=float), kind.value)


def test_make_finds_what_the_fuzz_imports():
    """The pages stand in book/, which pytest has on its path and a command has not."""
    makefile = (ROOT / "Makefile").read_text("utf-8")
    [told] = re.findall(
        r"^\t.*?(\S+=\S+) \$\(PY\) -m tests\.fuzz\.run$", makefile, re.M
    )
    name, path = told.split("=")
    run = [sys.executable, "-m", "tests.fuzz.run", "--help"]
    subprocess.run(run, cwd=ROOT, env=os.environ | {name: path}, check=True)
