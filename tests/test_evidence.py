"""What the chapters store as evidence: numbers, seeds, and a test split kept apart.

Three habits that a reader relies on and that a machine can see:

- an output shows the number, not the word for a comparison that was made with it;
- a check says how many seeds, texts or draws stand behind it, and where few trainings
  are compared its section says so;
- what a chapter reports on is given to no training, neither by the name "test" nor
  by a variable that holds it; a cell may evaluate what it has trained.
"""

import ast
import re

import nbformat
import pytest
import toc
from checked import CALL, stored

from applications.results import MIME as RESULTS
from pages.checked import MIME as CHECK

CHAPTERS = toc.chapters()
FENCE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)
# What a program holds: `Group(scale=True)`, [True, False].
CODE = re.compile(r"\w+\s*=\s*(True|False)|\[[^\[\]\n]*\]|\([^()\n]*\)|\{[^{}\n]*\}")
VERDICT = re.compile(r"\b(True|False)\b|(:|\s\s)\s*(yes|no)\s*(?=$|[,;|]|\s\s)")
WORDS = {"yes", "no", "true", "false"}
# Columns that hold what a program returned, not what was concluded.
FLAGS = {"terminated", "truncated", "done", "rewarded", "grammatical"}


@pytest.fixture(params=CHAPTERS, ids=lambda path: path.stem)
def chapter(request):
    return nbformat.read(request.param, as_version=4)


# --- An output shows the number -------------------------------------------------


def shown(output):
    """(lines, tables) of an output, as a reader sees them."""
    data = output.get("data", {})
    if RESULTS in data or CHECK in data:  # "rewarded" is a setting
        return []
    text = output.get("text", data.get("text/markdown", ""))
    if not text and "text/html" not in data:
        text = data.get("text/plain", "")
    return FENCE.sub("", text).splitlines()


def cells_of(line):
    return [cell.strip() for cell in line.strip().strip("|").split("|")]


def said(lines):
    """The lines in which a word stands for a number."""
    header, found = [], []
    for i, line in enumerate(lines):
        if line.lstrip().startswith("|"):
            if i == 0 or not lines[i - 1].lstrip().startswith("|"):
                header = cells_of(line)
            row = zip(header, cells_of(line), strict=False)
            if any(c.lower() in WORDS and head not in FLAGS for head, c in row):
                found.append(line)
        elif VERDICT.search(CODE.sub("", line)):
            found.append(line)
    return found


def verdicts(notebook):
    """(cell, line) of each word that stands where a number can stand."""
    return [
        (f"cell {i}", line.strip())
        for i, cell in enumerate(notebook.cells)
        for output in cell.get("outputs", [])
        for line in said(shown(output))
    ]


def test_an_output_shows_the_number(chapter):
    assert not verdicts(chapter)


@pytest.mark.parametrize(
    "text",
    [
        "REINFORCE is slower: True",
        "for: True  without 'not': False",
        "terminal: below 0.75: True, entropy below 0.3 nats: True",
        "我 爱 你: same sequence False, same set True",
        "better: True True",
        "True",
        "PyTorch  greedy  all eight   yes    yes    no",
        "in 15 GB: yes",
        "| seed | ahead |\n| --- | --- |\n| 0 | yes |",
        "| seed | ahead |\n| --- | --- |\n| 0 | False |",
    ],
)
def test_a_word_for_a_number_is_seen(text):
    output = nbformat.v4.new_output("stream", text=text)
    cell = nbformat.v4.new_code_cell(outputs=[output])
    assert verdicts(nbformat.v4.new_notebook(cells=[cell]))


@pytest.mark.parametrize(
    "text",
    [
        "ahead by 0.12 [0.05, 0.19], 10 seeds",
        "no clip, 4             10: 0.58 ± 0.15",
        "no answer: Ann lives in Port Louis.",
        "agent friday 9pm three? user yes agent book friday 9pm three",
        "turn 2: 'for three ?' user no for five",
        "coin       scale=False wrong 0.38, right 1.94",
        "| GRPO | Group(size=8, scale=True) |",
        "3 tokens, 1 invalid states: [True, False, False]",
        "`core`\n\n```python\nclipped: bool = True\n```",
        "| text | terminated |\n| --- | --- |\n| 你 | False |",
        "| metric | exact match, no answer |\n| --- | --- |\n| a | 0.15 |",
    ],
)
def test_data_are_left_alone(text):
    output = nbformat.v4.new_output("stream", text=text)
    cell = nbformat.v4.new_code_cell(outputs=[output])
    assert not verdicts(nbformat.v4.new_notebook(cells=[cell]))


# --- A check says what stands behind it -----------------------------------------

NUMBER = r"(\d[\d,]*|one|two|three|four|five|six|seven|eight|nine|ten|twelve|twenty)"
COUNTED = re.compile(rf"^exact\b|\b{NUMBER}\s+[^\W\d_]|\bseeds? \d")
SEEDS = re.compile(rf"\b{NUMBER}\s+([\w-]+\s+){{0,2}}?(seed|start|run|training)s?\b")
ONE_SEED = re.compile(r"\bseed \d")
FEW = dict(zip(("one", "two", "three", "four"), range(1, 5), strict=True))
FEW_SAID = re.compile(
    r"\b(one|two|three|four|1|2|3|4|both)\b[^.]{0,40}"
    r"\b(seed|run|training|start)|\bthis\b[^.]{0,40}\b(run|training|seed|start)"
    r"|\bseed \d",
    re.IGNORECASE,
)


def seeds(over):
    """How many seeds an `over` names; None if it names none."""
    found = SEEDS.search(over)
    if found is None:
        return 1 if ONE_SEED.search(over) else None
    word = found[1].replace(",", "")
    return int(word) if word.isdigit() else FEW.get(word, 5)


def sections(notebook):
    """The texts between headings of the second level: prose, outputs, captions."""
    found, lines = [], []
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.M):
            found.append("\n".join(lines))
            lines = []
        lines.append(cell.source if cell.cell_type == "markdown" else "")
        lines += [f"check: {name}" for name in CALL.findall(cell.source)]
        lines += [line for o in cell.get("outputs", []) for line in shown(o)]
        lines.append(str(cell.metadata.get("mystnb", "")))
    return [*found, "\n".join(lines)]


def uncounted(checks):
    return [name for name, e in checks.items() if not COUNTED.search(e["over"])]


def unsaid(checks, notebook):
    """Comparisons of fewer than five trainings whose section does not say so.

    A check that is false at 0 is one of a difference.
    """
    texts = sections(notebook)
    compared = {n: e["over"] for n, e in checks.items() if e["false_at"] == 0}
    few = [name for name, over in compared.items() if 0 < (seeds(over) or 5) < 5]
    return [
        name
        for name in few
        if not any(
            FEW_SAID.search(" ".join(text.split()))
            for text in texts
            if f"check: {name}\n" in text + "\n"
        )
    ]


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_check_counts_what_varied(path):
    assert not uncounted(stored(path))


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_few_seeds_are_said(path):
    assert not unsaid(stored(path), nbformat.read(path, as_version=4))


@pytest.mark.parametrize(
    "over",
    ["exact", "exact, 15 texts", "5 seeds", "ten seeds", "400 test texts", "12 draws"],
)
def test_what_varied_is_counted(over):
    assert not uncounted({"a": {"over": over}})


@pytest.mark.parametrize("over", ["seeds", "several runs", "as above", "training"])
def test_what_varied_is_not_counted(over):
    assert uncounted({"a": {"over": over}}) == ["a"]


@pytest.mark.parametrize(
    ("text", "over", "found"),
    [
        ("It is faster.", "3 seeds", ["a"]),
        ("It is faster.", "5 seeds", []),
        ("In three seeds it is faster.", "3 seeds", []),
        ("It is faster in this run.", "1 seed, 300 texts", []),
        ("It is faster.\n\n## Next\n\nThree seeds.", "3 seeds", ["a"]),
        ("It is faster.", "exact", []),
    ],
)
def test_few_seeds_are_found(text, over, found):
    before, *after = text.split("\n\n## ")
    cells = [
        nbformat.v4.new_code_cell('check("a", 1, 1, 1, over="3 seeds")'),
        nbformat.v4.new_markdown_cell(before),
        *(nbformat.v4.new_markdown_cell(f"## {part}") for part in after),
    ]
    notebook = nbformat.v4.new_notebook(cells=cells)
    assert unsaid({"a": {"over": over, "false_at": 0}}, notebook) == found
    assert not unsaid({"a": {"over": over, "false_at": 0.5}}, notebook)


# --- What is reported on is not trained on --------------------------------------

TRAINS = {
    "SupervisedTrainer",
    "PolicyGradientTrainer",
    "DQNTrainer",
    "RewardTrainer",
    "DPOTrainer",
    "answers",
    "next_tokens",
    "packed_rows",
    "fit",
}
# Of a test split, what says nothing about its texts.
HARMLESS = {"tokenizer", "vocab_size", "eos_id", "max_length", "shape", "dtype"}
HELD_OUT = {"test", "held_out"}


def reads(node, tainted):
    """Whether an expression holds test data."""
    if isinstance(node, ast.Attribute) and node.attr in HARMLESS:
        return False
    if isinstance(node, ast.Call) and called(node) in {"len", "set", "range", "arange"}:
        return False
    if isinstance(node, ast.Constant):
        return node.value in HELD_OUT
    if isinstance(node, ast.Name):
        return node.id in tainted
    if isinstance(node, (ast.Lambda, ast.FunctionDef)):
        return False
    return any(reads(child, tainted) for child in ast.iter_child_nodes(node))


def called(call):
    name = call.func
    return name.attr if isinstance(name, ast.Attribute) else getattr(name, "id", "")


def targets(node):
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, (ast.Tuple, ast.List, ast.Starred)):
        for child in ast.iter_child_nodes(node):
            yield from targets(child)


def names_of(scope):
    """Names that are bound in a function or, of a module, outside of any."""
    found = set()
    if isinstance(scope, ast.FunctionDef):
        arguments = scope.args
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        found |= {argument.arg for argument in every}
    for node in inside(scope):
        if isinstance(node, ast.Assign):
            found |= {name for target in node.targets for name in targets(target)}
        elif isinstance(node, (ast.For, ast.comprehension)):
            found |= set(targets(node.target))
    return found


def inside(scope):
    """The nodes of a scope, without those of the functions in it."""
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, ast.FunctionDef):
            yield from inside(child)


def splits(scope):
    """Names to which a scope gives test data.

    Those of an assignment `test, train = ...`, and of `env = environment("test")`.
    """
    found = set()
    for node in inside(scope):
        if not isinstance(node, ast.Assign):
            continue
        names = {name for target in node.targets for name in targets(target)}
        found |= {n for n in names if n in HELD_OUT or n.startswith("test_")}
        value = node.value
        if isinstance(value, ast.Call) and called(value) not in TRAINS:
            given = [*value.args, *(k.value for k in value.keywords)]
            held_out = [
                isinstance(g, ast.Constant) and g.value in HELD_OUT for g in given
            ]
            if any(held_out):
                found |= names
    return found


def scopes(tree, tainted):
    """(function or module, names that hold test data in it)."""
    yield tree, tainted
    for node in inside(tree):
        if isinstance(node, ast.FunctionDef):
            here = (tainted - names_of(node)) | splits(node)
            yield from scopes(node, here)


def trained_on(sources):
    """Calls that train and are given a test split."""
    trees = [ast.parse(source) for source in sources]
    tainted = set().union(*map(splits, trees))
    return [
        ast.unparse(node)[:79]
        for tree in trees
        for scope, names in scopes(tree, tainted)
        for node in inside(scope)
        if isinstance(node, ast.Call)
        and (called(node) in TRAINS or called(node) == "train")
        and any(
            reads(argument, names)
            for argument in [*node.args, *(k.value for k in node.keywords)]
        )
    ]


def python(notebook):
    """The code cells, without the lines that only IPython reads."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            lines = cell.source.splitlines()
            kept = ("pass" if re.match(r"\s*[%!][A-Za-z]", x) else x for x in lines)
            text = []
            for line, old in zip(kept, lines, strict=True):
                indent = old[: len(old) - len(old.lstrip())]
                text.append(indent + "pass" if line == "pass" else line)
            yield "\n".join(text)


def test_nothing_trains_on_a_test_split(chapter):
    assert not trained_on(python(chapter))


@pytest.mark.parametrize(
    "source",
    [
        'env = task.environment("test")\nPolicyGradientTrainer(policy, env, config)',
        "train, test = texts[:9], texts[9:]\nmodel.fit(texts[test], labels[test])",
        'trainer.train(pretraining.answers(task.environment("test"), 64, rng))',
        'def learn():\n    env = task.environment("test", reward)\n'
        "    return PolicyGradientTrainer(policy, env, config)",
        "test_texts = load()\nrows = pretraining.packed_rows(tok, test_texts, 9)",
    ],
)
def test_training_on_a_test_split_is_seen(source):
    assert trained_on([source])


@pytest.mark.parametrize(
    "source",
    [
        'env = task.environment("test")\nevaluate(policy, env)',
        'test = task.environment("test")\n'
        "reward = token_from_text(rouge, test.tokenizer)\n"
        "PolicyGradientTrainer(policy, task.environment('train', reward), config)",
        'env = task.environment("test")\n\n\ndef learn(env, config):\n'
        "    return PolicyGradientTrainer(policy, env, config)",
        "train, test = texts[:9], texts[9:]\nmodel.fit(train).score(test)",
    ],
)
def test_reporting_on_a_test_split_is_left_alone(source):
    assert not trained_on([source])
