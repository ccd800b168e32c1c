"""How thin core is: the bounds of its design, measured.

`python -m tests.test_thin` prints the numbers, as `make check` does.
"""

import ast
import sys
from collections import defaultdict
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
CORE = ROOT / "core"
# Of all files, where they stand today: it may only fall.  The design's bound is 10,500,
# which decoders, adapters, tasks with columns and parts of a batch have passed.
LINES = 12_643
OF_A_FILE = 400
OF_A_FUNCTION = 40  # lines of code: no docstring, comment or blank line
EQUAL = 6  # lines of a definition that may not stand in both halves
# Lines of code from `train` to the optimizer.
OF_GRPO = 250
# Here the difference of the halves is what a reader compares.
SIDE_BY_SIDE = {"losses.py", "logprobs.py", "preferences.py"}
# The trainer's part of a step.  What it calls beside: the sampler, the model,
# which a chapter each explains, the environment and the checks of arguments.
TRAINER = (
    "trainers/loop.py",
    "trainers/policy_gradient.py",
    "advantages.py",
    "returns.py",
    "settings.py",
    "algorithms.py",
    "*/trainers.py",
    "*/objective.py",
    "*/losses.py",
)
FILES = {path.relative_to(CORE).as_posix(): path for path in sorted(CORE.rglob("*.py"))}


def length(path):
    return len(path.read_text("utf-8").splitlines())


def definitions(path):
    """Functions and classes of a file: name, node, source."""
    text = path.read_text("utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name, node, ast.get_source_segment(text, node)


def first_line(node):
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])


def documentation(tree):
    """The lines of all docstrings in a tree."""
    return {
        line
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module)
        and ast.get_docstring(node) is not None
        for line in range(node.body[0].lineno, node.body[0].end_lineno + 1)
    }


def code(path, first=1, last=None):
    """Numbers and texts of the lines that are code."""
    text = path.read_text("utf-8")
    dropped = documentation(ast.parse(text))
    lines = enumerate(text.splitlines(), 1)
    return [
        (number, line.strip())
        for number, line in lines
        if first <= number <= (last or number)
        and number not in dropped
        and line.strip()
        and not line.strip().startswith("#")
    ]


def functions(path):
    """Lines of code of each function: name, first line, count."""
    for name, node, _ in definitions(path):
        if isinstance(node, ast.FunctionDef):
            first = first_line(node)
            yield name, first, len(code(path, first, node.end_lineno))


def equal_in_both(name):
    """Definitions that are the same in both halves, and long."""
    halves = [{s for _, _, s in definitions(CORE / half / name)} for half in HALVES]
    return [s for s in set.intersection(*halves) if s.count("\n") + 1 >= EQUAL]


def lines_of_core():
    return sum(map(length, FILES.values()))


HALVES = ("pt", "tf")
MIRRORED = sorted(
    path.relative_to(CORE / "pt").as_posix()
    for path in (CORE / "pt").rglob("*.py")
    if (CORE / "tf" / path.relative_to(CORE / "pt")).exists()
)


def mirrored(name):
    """The name of a file of either half, the same for both."""
    half, _, rest = name.partition("/")
    return rest if half in HALVES else name


def signatures(path):
    """The lines of parameters, which a subclass writes again."""
    return {
        line
        for _, node, _ in definitions(path)
        if isinstance(node, ast.FunctionDef)
        for line in range(node.lineno, node.body[0].lineno)
    }


def repeated():
    """Blocks of code that stand in two places, and no mirrored pair."""
    places = defaultdict(set)
    for name, path in FILES.items():
        heads = signatures(path)
        lines = [
            (number, text)
            for number, text in code(path)
            if number not in heads and not is_import(text)
        ]
        for i in range(len(lines) - EQUAL + 1):
            block = tuple(text for _, text in lines[i : i + EQUAL])
            if sum(len(text) > 3 for text in block) == EQUAL:
                places[block].add((name, lines[i][0]))
    return {
        block: found
        for block, found in places.items()
        if len({(mirrored(name)) for name, _ in found}) > 1
        or len(found) > len({name for name, _ in found})
    }


def is_import(text):
    return text.startswith(("import ", "from ")) or text.rstrip(",").isidentifier()


def lines_of_grpo(half):
    """Lines of code of core that a step of GRPO runs: {file: {function: count}}.

    A branch that another algorithm takes is no line of GRPO; a signature is
    one line, however many the formatter gives it, one a parameter.
    """
    import core.quiet  # noqa: F401  before a framework
    from core import envs, rewards
    from core.algorithms import ALGORITHMS
    from core.settings import PolicyGradientConfig

    models = import_module(f"core.{half}.models")
    trainers = import_module(f"core.{half}.trainers")
    env = envs.BatchedEnvironment(
        [[3, 4], [4, 5]], [[3, 4, 2], [5, 4, 2]], rewards.token_position_match, 6, 2
    )
    policy, reference = (models.LSTMPolicy(6, 4, 4) for _ in range(2))
    config = PolicyGradientConfig(ALGORITHMS["GRPO"], steps=1, batch_size=16)
    trainer = trainers.PolicyGradientTrainer(policy, env, config, reference=reference)
    ran = defaultdict(set)

    def trace(frame, event, _):
        file = frame.f_code.co_filename
        if not file.startswith(str(CORE)):
            return None
        ran[file].add(frame.f_lineno)
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    trainer.train(progress=False)
    sys.settrace(before)
    return {
        name: counts
        for name, path in FILES.items()
        if (counts := dict(statements(path, ran[str(path)])))
    }


def statements(path, ran):
    """Of each function that ran, the lines of the statements that did."""
    lines = dict(code(path))
    for name, node, _ in definitions(path):
        first = first_line(node)
        if not (isinstance(node, ast.FunctionDef) and first in ran):
            continue
        count = 1
        for part in ast.walk(node):
            if part is node or not isinstance(part, ast.stmt):
                continue
            inside = getattr(part, "body", None)  # of a loop: its head alone
            last = inside[0].lineno - 1 if inside else part.end_lineno
            if isinstance(part, ast.Match):  # its head, and the case that is taken
                last = part.lineno
                count += any(c.body[0].lineno in ran for c in part.cases)
            span = range(part.lineno, last + 1)
            if ran.intersection(span):
                count += sum(number in lines for number in span)
        yield name, count


def of_the_trainer(file, function):
    if "check" in function:
        return False
    kl = Path(file).name == "logprobs.py" and function.startswith("kl_")
    return kl or any(Path(file).match(pattern) for pattern in TRAINER)


def path_of_grpo(half):
    """The lines of the trainer, and the others, as {file: {function: count}}."""
    steps, parts = lines_of_grpo(half), []
    for kept in (True, False):
        part = {
            file: {f: n for f, n in counts.items() if of_the_trainer(file, f) is kept}
            for file, counts in steps.items()
        }
        parts.append({file: counts for file, counts in part.items() if counts})
    return parts


def total(part):
    return sum(sum(counts.values()) for counts in part.values())


def test_core_is_short():
    assert lines_of_core() <= LINES


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_read_in_one_sitting(name):
    assert length(FILES[name]) <= OF_A_FILE


@pytest.mark.parametrize("name", FILES)
def test_functions_are_short(name):
    long = [f for f in functions(FILES[name]) if f[2] > OF_A_FUNCTION]
    assert not long


@pytest.mark.parametrize("name", MIRRORED)
def test_nothing_long_is_equal_in_both_halves(name):
    assert name in SIDE_BY_SIDE or not equal_in_both(name)


def test_no_block_stands_twice():
    assert not repeated()


@pytest.mark.parametrize("half", HALVES)
def test_grpo_is_followed_in_one_reading(half):
    trainer, _ = path_of_grpo(half)
    names = {function for counts in trainer.values() for function in counts}
    assert {"train", "step", "update", "arrays", "loss", "descend"} <= names
    assert total(trainer) <= OF_GRPO


def report():
    """The numbers as lines of text."""
    longest = max(FILES, key=lambda name: length(FILES[name]))
    counts = [(c, f"{n} in {f}") for f, p in FILES.items() for n, _, c in functions(p)]
    count, function = max(counts)
    yield f"lines of core: {lines_of_core()} of {LINES}"
    yield f"longest file: {longest}, {length(FILES[longest])} of {OF_A_FILE}"
    yield f"longest function: {function}, {count} of {OF_A_FUNCTION} lines of code"
    equal = sum(len(equal_in_both(n)) for n in MIRRORED if n not in SIDE_BY_SIDE)
    yield f"definitions of {EQUAL} lines equal in both halves: {equal}"
    yield f"blocks of {EQUAL} lines that stand twice: {len(repeated())}"
    for half in HALVES:
        yield f"GRPO from train to the optimizer, core.{half}, lines of code:"
        trainer, beside = path_of_grpo(half)
        for part, limit in ((trainer, f" of {OF_GRPO}"), (beside, " beside")):
            for file, counts in part.items():
                names = ", ".join(f"{name} {n}" for name, n in counts.items())
                yield f"  {sum(counts.values()):4} {file}: {names}"
            yield f"  {total(part):4}{limit}"


if __name__ == "__main__":
    print("\n".join(report()))
