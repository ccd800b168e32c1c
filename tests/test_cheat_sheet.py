"""The cheat sheet's records are those of the papers' table."""

import re

import pytest

from core import advantages, algorithms
from core.settings import PolicyGradientConfig
from tests.conftest import ROOT

PAGE = (ROOT / "book" / "cheat_sheet.md").read_text("utf-8")
ROWS = {
    match[1]: re.findall(r"`([^`]+)`", match[2])
    for match in re.finditer(
        r"^\| \{doc\}`([A-Z][^|<]*?) <\w+>` \|[^|]*(?:\\\|[^|]*)*"
        r"\| ((?:`[^`]+` ?){4}) \|",
        PAGE,
        re.MULTILINE,
    )
}


def test_every_algorithm_has_a_row():
    assert list(ROWS) == list(algorithms.ALGORITHMS)


@pytest.mark.parametrize("name", algorithms.ALGORITHMS)
def test_the_records(name):
    names = vars(algorithms) | vars(advantages)
    records = [eval(text, dict(names)) for text in ROWS[name]]
    assert algorithms.Algorithm(*records) == algorithms.ALGORITHMS[name]


def test_the_settings_that_act_unseen():
    config = PolicyGradientConfig()
    assert f"| warm-up of the rate | {config.warmup_steps} updates |" in PAGE
    assert f"| norm of the gradient | at most {config.max_grad_norm:g} |" in PAGE
    assert f"| entropy bonus | {config.entropy_coef:g} |" in PAGE
    assert f"| temperature | {config.temperature:g}, " in PAGE
