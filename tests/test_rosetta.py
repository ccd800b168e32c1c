"""The page that names the same settings in other libraries: what it says of
this book and of TRL is so."""

import ast
import inspect
import re
from dataclasses import MISSING, fields
from pathlib import Path

import numpy as np
import pytest
import torch
import trl
from trl.trainer.utils import nanstd

from core import advantages, algorithms
from core.checks import Record
from core.settings import PolicyGradientConfig

PAGE = (Path(__file__).resolve().parents[1] / "book/rosetta.md").read_text("utf-8")
THEIRS = re.findall(r"`(\w+Config)\.(\w+)` = ([^\s,|(:]+)", PAGE)
RECORDS = {
    name: kind
    for module in (advantages, algorithms)
    for name, kind in vars(module).items()
    if isinstance(kind, type)
}
OURS = re.findall(r"^\| (`[\w.]+` = .*?) \|", PAGE, re.MULTILINE)


def defaults(config):
    """Each field's default; of a list with one entry that entry."""
    found = {}
    for field in fields(config):
        value = field.default
        if value is MISSING and field.default_factory is not MISSING:
            (value,) = field.default_factory() or [None]
        found[field.name] = value
    return found


@pytest.mark.parametrize("config, name, value", THEIRS)
def test_trls_names_and_defaults(config, name, value):
    assert defaults(getattr(trl, config))[name] == ast.literal_eval(value)


@pytest.mark.parametrize(
    "config, name, value", re.findall(r'`(\w+Config)\((\w+)="(\w+)"\)`', PAGE)
)
def test_trls_other_values(config, name, value):
    """A setting of this name, and a value that its trainer reads."""
    assert name in defaults(getattr(trl, config))
    trainer = getattr(trl, config.replace("Config", "Trainer"))
    assert f'"{value}"' in Path(inspect.getfile(trainer)).read_text("utf-8")


def test_our_names_and_defaults():
    pairs = re.findall(r"`(?:(\w+)\.)?(\w+)` = ([^\s,]+)", " ".join(OURS))
    assert len(pairs) >= 12
    for record, name, value in pairs:
        kind = RECORDS[record] if record else PolicyGradientConfig
        assert defaults(kind)[name] == ast.literal_eval(value), name


def test_our_records_can_be_made():
    calls = re.findall(r"^\| `([A-Z]\w+\(.*?\))`", PAGE, re.MULTILINE)
    assert len(calls) >= 16
    for call in calls:
        assert isinstance(eval(call, dict(RECORDS)), Record), call


def test_a_groups_deviation_is_trls_but_for_what_it_adds():
    groups = np.random.default_rng(0).normal(size=(3, 4))
    found = nanstd(torch.tensor(groups), dim=1).numpy()
    np.testing.assert_allclose(found, groups.std(axis=1, ddof=1))
