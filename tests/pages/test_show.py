"""The source that a chapter shows is the source that runs."""

import functools
import inspect
import textwrap
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from core import exact
from pages import show


def test_a_function_is_shown_whole_with_its_file():
    text = show.markdown(exact.objective)
    expected = inspect.getsource(exact.objective).rstrip()
    assert text == f"`core/exact.py`\n\n```python\n{expected}\n```\n"


def test_two_runs_show_the_same():
    assert show.markdown(exact.kl) == show.markdown(exact.kl)


def test_several_objects_classes_and_methods():
    text = show.markdown(exact.TokenMDP.enumerate, exact.kl)
    assert text.count("```python") == 2
    assert "\n@classmethod\ndef enumerate(" in text
    assert "class TokenMDP" in show.markdown(exact.TokenMDP)


def test_a_module_is_shown():
    assert show.source_text(show).startswith('"""Show in a chapter')


def test_without_docstrings():
    code = show.without_docstrings(inspect.getsource(exact.log_softmax))
    assert '"""' not in code
    assert code.startswith("def log_softmax(logits):\n    logits = ")
    lines = inspect.getsource(exact.log_softmax).splitlines()
    assert code.splitlines()[1:] == lines[2:]


def test_comments_and_strings_stay_without_docstrings():
    code = (
        "class A:\n"
        '    """Documentation."""\n'
        "\n"
        "    # why\n"
        "    def f(self):\n"
        '        """Two\n'
        '        lines."""\n'
        '        return """text"""\n'
        "\n"
        "    def g(self):\n"
        '        """Nothing else."""\n'
    )
    assert show.without_docstrings(code) == (
        "class A:\n"
        "    # why\n"
        "    def f(self):\n"
        '        return """text"""\n'
        "\n"
        "    def g(self):\n"
        '        """Nothing else."""\n'
    )


def test_the_shown_code_runs_and_is_the_same_function():
    code = show.without_docstrings(inspect.getsource(exact.log_softmax))
    namespace = {"np": np}
    exec(code, namespace)
    x = np.array([[1.0, 2.0, 3.0]])
    shown = namespace["log_softmax"](x)
    assert (shown == exact.log_softmax(x)).all()


def test_decorated_functions_show_what_is_inside():
    cached = functools.lru_cache(exact.kl)
    assert show.markdown(cached) == show.markdown(exact.kl)

    class Compiled:  # the attribute that tf.function sets
        python_function = staticmethod(exact.kl)

    assert show.markdown(Compiled()) == show.markdown(exact.kl)


@pytest.mark.parametrize("obj", [np.mean, len, 3, "text"])
def test_what_is_defined_elsewhere_is_refused(obj):
    with pytest.raises(ValueError, match="objects: expected a function"):
        show.markdown(obj)


def test_what_stands_beside_core_is_shown_with_its_path(tmp_path, monkeypatch):
    path = tmp_path / "beside" / "lesson.py"
    path.parent.mkdir()
    path.write_text("def double(x):\n    return 2 * x\n")
    spec = spec_from_file_location("lesson", path)
    lesson = module_from_spec(spec)
    spec.loader.exec_module(lesson)
    monkeypatch.setattr(show, "ROOT", tmp_path.resolve())
    assert show.markdown(lesson.double) == textwrap.dedent("""\
        `beside/lesson.py`

        ```python
        def double(x):
            return 2 * x
        ```
        """)


def test_what_is_installed_below_the_root_is_refused(monkeypatch):
    """A virtual environment may lie there; core may lie in one itself."""
    packages = Path(np.__file__).resolve().parents[1]
    assert packages.name == "site-packages"
    for root in (packages, packages.parent):
        monkeypatch.setattr(show, "ROOT", root)
        with pytest.raises(ValueError, match="objects: expected a function"):
            show.markdown(np.mean)


def test_nothing_to_show_is_refused():
    with pytest.raises(ValueError, match="objects"):
        show.markdown()


def test_source_displays_markdown(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", shown.append)
    assert show.source(exact.kl, docstring=False) is None
    assert shown[0].data == show.markdown(exact.kl, docstring=False)


def test_table():
    text = show.markdown_table(["a|b", "x"], [[1, 0.12345], ["<eos>", np.float64(2)]])
    assert text.splitlines() == [
        "| a\\|b | x |",
        "| --- | --- |",
        "| 1 | 0.123 |",
        "| &lt;eos> | 2.000 |",
    ]
    with pytest.raises(ValueError, match="rows: expected 2 entries"):
        show.markdown_table(["a", "b"], [[1]])
