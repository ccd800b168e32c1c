"""What the public host reads: workflows, Dependabot, forms, container, addresses.

Nothing is run here but bash, which reads the steps without running them.
"""

import json
import re
import shlex
import shutil
import subprocess
import sys

import pytest
import yaml

import core
from tests.conftest import ROOT

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    path
    for path in (GITHUB / "ISSUE_TEMPLATE").glob("*.yml")
    if path.name != "config.yml"
)
# Who may write what: the two jobs that publish.
WRITES = {
    ("pages", "site"): {"pages": "write", "id-token": "write"},
    ("pages", "notebooks"): {"contents": "write"},
}
MINUTES = 90
MADE = ("_build/", ".venv")  # by the steps before


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def steps():
    """(workflow, job, step) of all steps, as parameters."""
    return [
        pytest.param(name.stem, job, step, id=f"{name.stem}-{job}-{place}")
        for name in WORKFLOWS
        for job, told in read(name)["jobs"].items()
        for place, step in enumerate(told["steps"])
    ]


RUN = [step for step in steps() if "run" in step.values[2]]
USES = [step for step in steps() if "uses" in step.values[2]]


def commands(script):
    """The words of each command of a script of bash."""
    lexer = shlex.shlex(script.replace("\\\n", " "), posix=True, punctuation_chars=True)
    lexer.whitespace, lexer.whitespace_split = " \t", True
    lexer.commenters = "#"
    words = []
    for token in lexer:
        if not token.strip() or set(token) <= set("();<>|&\n"):
            yield words
            words = []
        else:
            words += token.split("\n")[:1]
            for line in token.split("\n")[1:]:
                yield words
                words = [line] if line else []
    yield words


def targets():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][\w-]*):(?!=)", text, re.MULTILINE))


def missing(script):
    """What a script names and the repository lacks."""
    found = []
    for words in filter(None, commands(script)):
        while words and re.match(r"\w+=", words[0]):
            words = words[1:]
        if words[:1] == ["make"]:
            names = {w for w in words[1:] if "=" not in w and not w.startswith("-")}
            found += sorted(names - targets()) or ([] if names else ["make"])
        for word in words:
            inside = re.match(r"(\./)?(\.ci|\.github|book|core|tests)/", word)
            if inside and not (ROOT / word).exists():
                found.append(word)
            elif not inside and re.fullmatch(r"[\w./-]+\.(py|sh|txt|lock|cfg)", word):
                if not word.startswith(MADE) and not (ROOT / word).exists():
                    found.append(word)
    return found


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
class TestAWorkflow:
    def test_is_read(self, path):
        workflow = read(path)
        assert workflow["name"] == path.stem
        assert workflow[True]  # YAML reads the word "on" so
        assert workflow["concurrency"]["group"]
        assert workflow["jobs"]

    def test_may_do_the_least(self, path):
        workflow = read(path)
        assert workflow["permissions"] == {"contents": "read"}
        for name, job in workflow["jobs"].items():
            assert job.get("permissions") == WRITES.get((path.stem, name)), name

    def test_ends(self, path):
        for name, job in read(path)["jobs"].items():
            assert 0 < job["timeout-minutes"] <= MINUTES, name

    def test_names_no_address_of_the_repository(self, path):
        """A fork runs it unchanged."""
        text = path.read_text(encoding="utf-8")
        owner, name = repository()
        assert owner not in text and name not in text
        assert "github.com/" not in text


@pytest.mark.parametrize("workflow, job, step", USES)
def test_an_action_is_the_hosts_own_of_one_major_version(workflow, job, step):
    assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"])
    if step["uses"].startswith("actions/checkout@"):
        assert step["with"]["persist-credentials"] is False


def test_an_action_has_one_version():
    versions = {}
    for step in USES:
        name, version = step.values[2]["uses"].split("@")
        assert versions.setdefault(name, version) == version, name


@pytest.mark.parametrize("workflow, job, step", RUN)
def test_a_step_runs_what_exists(workflow, job, step):
    assert not missing(step["run"])


@pytest.mark.parametrize("workflow, job, step", RUN)
def test_a_step_pastes_nothing_into_its_script(workflow, job, step):
    """What others can name, as a branch, comes by the environment."""
    assert "${{" not in step["run"]


@pytest.mark.skipif(sys.platform == "win32", reason="bash there may be WSL's")
@pytest.mark.parametrize("workflow, job, step", RUN)
def test_bash_reads_a_step(workflow, job, step):
    assert shutil.which("bash")
    subprocess.run(["bash", "-n"], input=step["run"], text=True, check=True)


@pytest.mark.parametrize(
    "script, wrong",
    [
        ("make site unit VENV=x", []),
        ("make nothing", ["nothing"]),
        ("make", ["make"]),
        ("A=1 .ci/run && tests/none.py", ["tests/none.py"]),
        ("python \\\n  book/none.ipynb", ["book/none.ipynb"]),
        ("x _build/a.py; cat none.txt", ["none.txt"]),
        ("make check\nmake none\n", ["none"]),
        ("{\n  echo a\n  make none\n} >> out", ["none"]),
    ],
)
def test_what_a_script_lacks_is_found(script, wrong):
    assert missing(script) == wrong


def test_the_job_without_make_checks_as_make_does():
    """The same environment as the Makefile's, where no bash is needed."""
    [job] = [
        job
        for path in WORKFLOWS
        for name, job in read(path)["jobs"].items()
        if name == "portable"
    ]
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    told = dict(
        pair.split("=")
        for name in ("ONE_THREAD", "NBVAL")
        for pair in re.findall(
            r"\b[A-Z_]+=\w+",
            re.search(rf"^{name} := (.*(?:\\\n.*)*)", makefile, re.MULTILINE)[1],
        )
    )
    assert {"BOOK_CHECKS", "TQDM_DISABLE", "OMP_NUM_THREADS"} <= told.keys()
    [chapters] = [step for step in job["steps"] if "--nbval" in step.get("run", "")]
    assert told.items() <= (job["env"] | chapters["env"]).items()
    assert "TQDM_DISABLE" not in job["env"]  # a unit test looks at a bar
    shells = [step["run"] for step in job["steps"] if "run" in step]
    assert all("\n" not in shell.strip() and "make " not in shell for shell in shells)


# --- Dependabot and forms -------------------------------------------------------


def test_dependabot_looks_at_actions_and_at_requirements():
    told = read(GITHUB / "dependabot.yml")["updates"]
    updates = {update["package-ecosystem"]: update for update in told}
    assert updates.keys() == {"github-actions", "pip"}
    for update in updates.values():
        assert (
            update["schedule"]["interval"] == "monthly" and len(update["groups"]) == 1
        )
    others = {path.name for path in ROOT.glob("requirements*")} - {"requirements.txt"}
    assert set(updates["pip"]["exclude-paths"]) == others | {"pyproject.toml"}


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_something(path):
    form = read(path)
    assert {"name", "description", "title", "labels", "body"} <= form.keys()
    names = [field["id"] for field in form["body"]]
    assert len(names) == len(set(names))
    assert any(field.get("validations", {}).get("required") for field in form["body"])


def test_the_container_makes_the_book():
    """With Python, packages, index and port as the other files have them."""
    told = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text("utf-8"))
    version = re.fullmatch(
        r"mcr\.microsoft\.com/devcontainers/python:3-([\d.]+)-bookworm", told["image"]
    )[1]
    find = (ROOT / ".ci" / "find_python").read_text(encoding="utf-8")
    assert version in re.search(r'^supported="(.*)"$', find, re.MULTILINE)[1].split()
    assert told["postCreateCommand"] == "make book"
    assert not missing(told["postCreateCommand"])
    run = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    tools = re.search(r"--no-install-recommends \\\n\s+(.*)", run)[1].split()
    assert set(tools) < set(told["onCreateCommand"].split())
    pages = read(GITHUB / "workflows" / "pages.yml")["jobs"]["build"]
    assert told["containerEnv"] == pages["env"]
    assert told["forwardPorts"] == [8888]  # Jupyter's own
    assert set(told["portsAttributes"]) == {"8888"}


# --- Addresses and versions -----------------------------------------------------

# Other repositories that these files may name.
OTHERS = set()
NAMED = re.compile(
    r"(?:(?:raw\.githubusercontent|github)\.com|colab\.research\.google\.com/github"
    r"|codespaces\.new)/([\w-]+)/([\w.-]*\w)|\b([\w-]+)\.github\.io(?:/([\w.-]*\w))?"
)


def repository():
    """Owner and name in _config.yml."""
    url = read(ROOT / "_config.yml")["repository"]["url"]
    return tuple(url.rsplit("/", 2)[1:])


def addresses(text):
    """Owner and name of each repository whose address is in a text."""
    return {
        (owner or site, (name or page or "").removesuffix(".git"))
        for owner, name, site, page in NAMED.findall(text)
    }


def files():
    found = [*ROOT.glob("*.md"), ROOT / "CITATION.cff", *GITHUB.rglob("*.*")]
    return [path for path in found if path.is_file()]


def test_one_address_of_the_repository():
    """That of _config.yml; test_notebooks.py holds the notebooks to it."""
    ours = repository()
    for path in files():
        found = addresses(path.read_text(encoding="utf-8")) - OTHERS
        assert found <= {ours}, f"{path.name}: expected {ours}, got {found - {ours}}"


@pytest.mark.parametrize("name", ["CITATION.cff", "CONTRIBUTING.md"])
def test_the_address_stands_there(name):
    assert addresses((ROOT / name).read_text(encoding="utf-8")) == {repository()}


def test_an_address_is_found_in_each_form():
    for text in (
        "https://github.com/a-b/c.d.",
        "git clone https://github.com/a-b/c.d.git",
        "https://github.com/a-b/c.d/actions/workflows/test.yml/badge.svg",
        "https://colab.research.google.com/github/a-b/c.d/blob/main/x.ipynb",
        "https://raw.githubusercontent.com/a-b/c.d/notebooks/x.ipynb",
        "https://codespaces.new/a-b/c.d",
        "https://a-b.github.io/c.d/",
    ):
        assert addresses(text) == {("a-b", "c.d")}, text


def test_one_version_of_the_book():
    citation = read(ROOT / "CITATION.cff")
    assert citation["version"] == core.__version__


# --- The scripts of the workflows -----------------------------------------------


def script(name, *arguments):
    return subprocess.run(
        [sys.executable, ROOT / ".ci" / name, *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
    )


def test_links_that_lead_nowhere_are_named(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "a b.svg").touch()
    (tmp_path / "index.html").write_text(
        '<p id="here"><a href="#here">1</a> <a href="#">2</a>'
        '<a href="sub/page.html#th%C3%A9">3</a> <a href="https://x.org/none">4</a>'
        '<!-- <a href="none"> --><script>"<a href=\'none\'>"</script>'
        '<img src="a%20b.svg?v=1"><a href="mailto:x@y.org">5</a><a href="sub/">6</a>',
        "utf-8",
    )
    (tmp_path / "sub" / "index.html").touch()
    page = tmp_path / "sub" / "page.html"
    page.write_text('<h1 id="thé"><a href="../index.html#here">', encoding="utf-8")
    done = script("links.py", tmp_path)
    assert done.returncode == 0, done.stdout

    page.write_text(
        '<a href="../index.html#there"><script src="none.js?v=1"></script>'
        '<a href="none.html">',
        "utf-8",
    )
    done = script("links.py", tmp_path)
    assert done.returncode == 1
    assert done.stdout.splitlines() == [
        "index.html: sub/page.html#th%C3%A9",
        "sub/page.html: ../index.html#there",
        "sub/page.html: none.html",
        "sub/page.html: none.js?v=1",
    ]
    assert script("links.py", tmp_path / "none").returncode == 1


def test_the_newest_versions_are_asked_for_without_pins():
    """What is before the tools loses its pins, in both files."""
    script = (ROOT / ".ci" / "newest").read_text(encoding="utf-8")
    for name, line, free, kept in (
        (
            "requirements.txt",
            "# The site and the notebooks",
            ("torch", "tensorflow", "transformers", "numpy"),
            ("jupyter-book", "nbclient"),
        ),
        (
            "requirements-dev.txt",
            "# What runs the tests",
            ("trl", "keras-hub", "stable-baselines3"),
            ("pytest", "nbval"),
        ),
    ):
        before, after = (ROOT / name).read_text(encoding="utf-8").split(line)
        assert all(f"\n{one}==" in before for one in free)
        assert all(f"\n{one}==" in after for one in kept)
        assert f"'1,/^{line}/s/==[^ ]*//' {name}" in script


def test_the_newest_versions_are_not_replaced_by_the_pins():
    """What make would remake is there already, in make's order."""
    stamps = re.findall(
        r"^\w+ := \$\(VENV\)/(\w+)$",
        (ROOT / "Makefile").read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert stamps == ["installed", "tools"]
    script = (ROOT / ".ci" / "newest").read_text(encoding="utf-8")
    assert "touch " + " ".join(f".venv-newest/{name}" for name in stamps) in script


def test_prints_of_versions_are_not_compared():
    text = (ROOT / ".ci" / "newest.cfg").read_text(encoding="utf-8")
    [(regex, replace)] = re.findall("^regex: (.*)$\n^replace: (.*)$", text, re.M)
    printed = "numpy 2.4.6\ntorch 2.13.0.dev1\nmean 0.25\nloss 1.5 at 2.4.6\n"
    assert re.sub(regex, replace, printed) == (
        "numpy VERSION\ntorch VERSION\nmean 0.25\nloss 1.5 at 2.4.6\n"
    )


def test_the_summary_of_the_newest_versions(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / ".ci")
    import newest_summary

    monkeypatch.setattr(newest_summary.metadata, "version", lambda name: "99.1+cpu")
    (tmp_path / "unit.xml").write_text(
        '<testsuites><testsuite><testcase classname="tests.test_a" name="b"/>'
        '<testcase classname="tests.test_a" name="c"><failure/></testcase>'
        "</testsuite></testsuites>",
        "utf-8",
    )
    text = newest_summary.summary(tmp_path)
    assert re.search(r"\| torch \| [\d.]+ \| 99.1\+cpu \|\n", text)
    assert re.search(r"\| trl \| [\d.]+ \| 99.1\+cpu \|\n", text)
    assert "1 of 2 fail.\n\n- `tests.test_a: c`\n" in text
    assert text.endswith(
        "## Chapters\n\nThey did not come to an end; the log says why.\n"
    )
