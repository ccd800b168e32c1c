"""What is said of the pages to those who find them, without the built site.

What is compared with the built site stands in test_site_published.py.
"""

import re
import subprocess
import sys
import types

import book_search
import chapter_cards
import chinese
import downloads
import page_head
import published
import pytest
import reader_notebooks
import toc
import yaml

GIT = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")


# --- The day of the last change -------------------------------------------------


def git(folder, *arguments, day="2024-05-06"):
    env = {"GIT_AUTHOR_DATE": f"{day}T12:00:00Z", "HOME": str(folder)}
    env["GIT_COMMITTER_DATE"] = env["GIT_AUTHOR_DATE"]
    subprocess.run(["git", *GIT, *arguments], cwd=folder, env=env, check=True)


@pytest.fixture
def changes(monkeypatch):
    def of(folder):
        monkeypatch.setattr(toc, "ROOT", folder)
        return page_head.changes.__wrapped__()

    return of


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "whole"
    (folder / "book").mkdir(parents=True)
    git(folder, "init", "-q")
    for name, day in (
        ("a b", "2024-05-06"),
        ("é", "2024-06-07"),
        ("a b", "2024-07-08"),
    ):
        with (folder / "book" / f"{name}.md").open("a", encoding="utf-8") as file:
            file.write(f"# {day}\n")
        git(folder, "add", ".")
        git(folder, "commit", "-q", "-m", f"a\n\n{day}", day=day)
    return folder


def test_the_day_is_that_of_the_last_commit(repository, changes):
    days = {"a b.md": "2024-07-08", "é.md": "2024-06-07"}
    assert changes(repository) == {repository / "book" / n: d for n, d in days.items()}


def test_a_shallow_clone_says_nothing(repository, changes, tmp_path):
    git(tmp_path, "clone", "-q", "--depth=1", f"file://{repository}", "shallow")
    assert changes(tmp_path / "shallow") == {}


def test_an_archive_says_nothing(changes, tmp_path):
    assert changes(tmp_path) == {}


def test_an_archive_within_another_repository_says_nothing(repository, changes):
    assert changes(repository / "book") == {}


def test_a_repository_without_a_commit_says_nothing(changes, tmp_path):
    git(tmp_path, "init", "-q")
    assert changes(tmp_path) == {}


def test_a_machine_without_git_says_nothing(repository, changes, monkeypatch):
    monkeypatch.setenv("PATH", "")
    assert changes(repository) == {}


def test_the_line_below_a_title(monkeypatch):
    """A chapter's minutes are those of its card; a page has a day alone."""
    chapter, page = (toc.ROOT / "book" / name for name in ("ppo.ipynb", "running.md"))
    minutes = chapter_cards.rounded(chapter_cards.minutes(chapter))
    monkeypatch.setattr(page_head, "changes", dict)
    assert page_head.said(page) == ""
    assert f">{minutes} minutes without the exercises" in page_head.said(chapter)
    monkeypatch.setattr(page_head, "changes", lambda: {page: "2024-05-06"})
    assert page_head.said(page) == (
        '<p class="page-head">Changed on '
        '<time datetime="2024-05-06">6 May 2024</time></p>'
    )


# --- Chinese --------------------------------------------------------------------


@pytest.mark.parametrize(
    "said, marked",
    [
        ("<p>a 奖励 b</p>", '<p>a <span lang="zh">奖励</span> b</p>'),
        ("<pre>一。</pre>", '<pre><span lang="zh">一。</span></pre>'),
        *(
            (text, text)
            for text in (
                "<p>no word</p>",
                "<a title='奖励'>a</a>",
                "<code><span>奖励</span></code>",
                "<!-- 奖励 -->",
                '<script type="application/json">"奖励"</script>',
                '<span class="math notranslate">奖励</span>',
                '<div class="highlight-ipython3 a"><div><pre>奖励</pre></div></div>',
            )
        ),
    ],
)
def test_chinese_is_marked_outside_of_code(said, marked):
    assert chinese.spoken(said) == marked


# --- Search ---------------------------------------------------------------------


def test_chinese_is_indexed_in_characters_and_pairs():
    split = book_search.EnglishAndChinese({}).split
    assert split("Reward模型 a_b 熵") == ["Reward", "模", "型", "模型", "a_b", "熵"]


def test_names_of_a_term_lead_to_its_chinese_ones():
    names = book_search.chinese_names()
    assert names["reward"] == names["奖励"] == ["奖励"]


# --- Addresses ------------------------------------------------------------------


def test_the_address_follows_from_that_of_the_repository(monkeypatch, tmp_path):
    (tmp_path / "_config.yml").write_text(
        "title: T\nhtml: {baseurl: ''}\nrepository: {url: https://github.com/me/fork}\n",
        "utf-8",
    )
    monkeypatch.setattr(toc, "ROOT", tmp_path)
    config = types.SimpleNamespace()
    published.configure(None, config)
    address = "https://me.github.io/fork/"
    assert config.html_baseurl == config.ogp_site_url == address


def test_the_address_stands_nowhere_else():
    """Neither in an extension nor in the workflow that publishes."""
    site = reader_notebooks.site()[0]
    owner = re.search(r"//([\w-]+)\.", site)[1]
    paths = [*(toc.ROOT / "book" / "_ext").glob("*.py"), toc.ROOT / "_config.yml"]
    paths += (toc.ROOT / ".github").rglob("*.yml")
    named = [p.name for p in paths if f"{owner}.github.io" in p.read_text("utf-8")]
    assert not named


def test_colab_opens_the_branch_that_the_workflow_fills():
    path = toc.ROOT / ".github" / "workflows" / "pages.yml"
    steps = yaml.safe_load(path.read_text("utf-8"))["jobs"]["notebooks"]["steps"]
    assert f"--initial-branch={downloads.BRANCH}\n" in steps[-1]["run"]
    assert f'--quiet --force "$REMOTE" {downloads.BRANCH}\n' in steps[-1]["run"]


def test_the_contents_for_language_models_name_each_page():
    text = published.llms()
    assert text.startswith(f"# {reader_notebooks.site()[1]}\n\n> ")
    for caption, pages in toc.parts():
        assert f"\n## {caption}\n" in text
        for _, path in pages:
            assert text.count(f"book/{path.stem}.html)") == 1


def test_the_base_of_404_is_no_link(tmp_path):
    page = '<head><base href="/book/" /></head><a href="index.html">a</a>'
    for name in ("index.html", "404.html"):
        (tmp_path / name).write_text(page, encoding="utf-8")
    script = toc.ROOT / ".ci" / "links.py"
    done = subprocess.run([sys.executable, script, tmp_path], capture_output=True)
    assert done.returncode == 0, done.stdout


# --- A reader's notebook on Colab -----------------------------------------------


def test_the_first_cell_of_a_readers_notebook_finds_the_book(tmp_path):
    """In an empty folder with the clone that the cell makes."""
    book = reader_notebooks.Book()
    cells = book.notebook(book.pages["book/ppo"])["cells"]
    first = next(cell for cell in cells if cell["cell_type"] == "code")
    code = re.sub(r"(?m)^(\s*)[!%].*", r"\1pass", "".join(first["source"]))
    (tmp_path / "token-rl-book").symlink_to(toc.ROOT, target_is_directory=True)
    (tmp_path / "colab_here.py").write_text(
        "import sys, types\n"
        "sys.modules['google.colab'] = types.ModuleType('google.colab')\n",
        "utf-8",
    )
    script = f"import colab_here\n{code}\nimport core, pages\nprint(core.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        cwd=tmp_path,
        env={"PATH": "", "PYTHONPATH": ""},
        capture_output=True,
        encoding="utf-8",
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("/core/__init__.py\n")
