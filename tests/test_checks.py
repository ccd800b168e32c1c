"""Checks of arguments: what is no number of the kind is named, never a TypeError."""

from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pytest

from core import checks
from tests.both import BOTH, tf, torch

NAN, INF = float("nan"), float("inf")
NO_NUMBERS = ["1", "", b"1", None, [], [1], (1, 2), {}, 1j, np.complex64(1), object()]
NO_NUMBERS += [True, False, np.True_, Decimal(1), np.ones(1), np.ones((1, 1)), print]
NOT_FINITE = [NAN, INF, -INF, np.float32("nan"), np.array(INF)]
NO_INTEGERS = [4.0, 2.5, np.float64(4), np.array(4.0), 1e300]

NUMBERS = {
    "finite": (checks.finite, [-1, 0, 2.5, 10**300]),
    "positive": (checks.positive, [0.25, 1, 10**300]),
    "at_least": (lambda **n: checks.at_least(1, **n), [1, 1.5, 10**300]),
    "unit_interval": (checks.unit_interval, [0, 0.5, 1]),
    "share": (checks.share, [0.25, 0.5, 1]),
}
INTEGERS = {
    "integer": (lambda **n: checks.integer(1, **n), [1, 7, 10**400]),
    "token_id": (lambda **n: checks.token_id(8, **n), [0, 7]),
    "divisor": (lambda **n: checks.divisor(12, "width", **n), [1, 4, 12]),
    "groups": (lambda n: checks.groups(n, 12), [2, 12]),
}
OUTSIDE = {
    "finite": [10**400],
    "positive": [0, -0.0, -1, 10**400],
    "at_least": [0.999, -INF],
    "unit_interval": [-1e-9, 1.0000001, -(10**400)],
    "share": [0, 1.0000001],
    "integer": [0, -(10**400)],
    "token_id": [-1, 8],
    "divisor": [0, -4, 5, 24],
    "groups": [1, 0, -2, 5, 24],
}
NONE_PASSES = ("at_least", "integer", "token_id")


@pytest.mark.parametrize("name", NUMBERS | INTEGERS)
def test_what_is_no_number_is_named(name):
    check, _ = (NUMBERS | INTEGERS)[name]
    wrong = NO_NUMBERS + NOT_FINITE + OUTSIDE.get(name, [])
    wrong += NO_INTEGERS if name in INTEGERS else []
    for value in wrong:
        if value is None and name in NONE_PASSES:
            check(n=value)
            continue
        argument = "group_size" if name == "groups" else "n"
        with pytest.raises(ValueError, match=f"^{argument}: expected .*, got "):
            check(n=value)


@pytest.mark.parametrize("name", NUMBERS | INTEGERS)
def test_numbers_pass_in_every_form(name):
    check, right = (NUMBERS | INTEGERS)[name]
    forms = [lambda x: x]
    if name in INTEGERS:
        forms += [np.int64, np.uint8, np.array, *(fw.tensor for fw in BOTH)]
    else:
        forms += [np.float64, np.array, *(fw.tensor for fw in BOTH)]
    for value in right:
        for form in forms if value < 2**7 else forms[:1]:
            check(n=form(value))


def test_a_tensor_with_a_gradient_is_a_number(fw=BOTH[0]):
    checks.positive(n=fw.tensor(2.0, requires_grad=True))


@pytest.mark.parametrize("value", [["token"], np.array(["token"]), None, 1, {}, NAN])
def test_one_of(value):
    with pytest.raises(ValueError, match=r"^level: expected one of \('token', 'text'"):
        checks.one_of(("token", "text"), level=value)


def test_one_of_has_what_it_has():
    checks.one_of((None, "ansi"), mode=None)
    checks.one_of(("token",), level=np.str_("token"))
    with pytest.raises(ValueError, match="^double: expected one of"):
        checks.one_of((True, False), double=1)


@pytest.mark.parametrize(
    "values", ["ab", None, [1.0, None], ["1.5"], [[1], [1, 2]], 1j]
)
def test_arrays_of_other_things_are_named(values):
    for check in (checks.finite_array, checks.mask):
        with pytest.raises(ValueError, match="^rewards: "):
            check("rewards", values)
    with pytest.raises(ValueError, match="^prompts: expected "):
        checks.ids("prompts", values, 5)


@pytest.mark.parametrize("value", [None, "ab", [1, 2], 3.0])
def test_what_has_no_shape_is_named(value):
    with pytest.raises(ValueError, match="^mask: expected an array, got "):
        checks.same_shape(logprobs=np.ones(2), mask=value)


def test_shapes_are_named():
    with pytest.raises(ValueError, match=r"^a, b: expected one shape, got .*\(3,\)"):
        checks.same_shape(a=np.ones(2), b=np.ones(3))
    with pytest.raises(ValueError, match="^rows: "):
        checks.shape((2, 2), rows=[[1], [1, 2]])
    with pytest.raises(ValueError, match="^rows: expected the shape of texts"):
        checks.shape((2, 2), "texts", rows=[[1, 2]])


@pytest.mark.parametrize("make", [torch.nn.Parameter, tf.Variable])
def test_a_mask_that_takes_a_gradient_is_read(make):
    """In both frameworks: one refused what the other took."""
    found = checks.mask("mask", make(torch.tensor([[1.0, 1.0], [1.0, 0.0]])))
    assert found.tolist() == [[1, 1], [1, 0]]


@pytest.mark.parametrize("fw", BOTH, ids=lambda fw: fw.name)
def test_rows_of_prompts_and_completions(fw):
    ids = fw.tensor([[1, 2], [3, 4]])
    assert checks.group_size(ids, fw.tensor([[1]] * 6)) == 3
    for prompts, completions, name in (
        (ids[0], ids, "prompts"),
        (ids[:0], ids, "prompts"),
        (ids[:, :0], ids, "prompts"),
        (ids, ids[0], "completions"),
        (ids, ids[:1], "completions"),
    ):
        with pytest.raises(ValueError, match=f"^{name}: expected "):
            checks.group_size(prompts, completions)


@dataclass(frozen=True)
class Sizes(checks.Record):
    """One field of each kind."""

    count: int = 1
    rate: float = 1.0
    whole: bool = False
    name: str = "a"
    limit: int | None = None
    bound: float | None = None
    of: object = None


WRONG = {
    "count": [2.5, 4.0, True, None, "3", NAN, INF, [1]],
    "rate": [10**400, "3e-4", None, NAN, INF, True, 1j, [1.0]],
    "whole": ["no", 1, 0, None, np.int64(1)],
    "name": [None, 1, b"a", ["a"]],
    "limit": [2.5, 4.0, True, "3", NAN],
    "bound": ["3", NAN, -INF, False],
}


@pytest.mark.parametrize("name, value", [(n, v) for n in WRONG for v in WRONG[n]])
def test_fields_of_records_are_checked_by_their_types(name, value):
    with pytest.raises(ValueError, match=f"^{name}: expected .*, got "):
        Sizes(**{name: value})


def test_records_hold_plain_numbers():
    record = Sizes(
        count=np.array(3),
        rate=np.float32(0.5),
        whole=np.True_,
        name=np.str_("b"),
        limit=np.uint8(2),
        bound=BOTH[1].tensor(1.5),
        of=[1],
    )
    found = [type(value) for value in vars(record).values()]
    assert found == [int, float, bool, str, int, float, list]
    assert Sizes(rate=1).as_dict()["rate"] == 1  # an integer is a number
    assert Sizes(limit=None, bound=None) == Sizes()
