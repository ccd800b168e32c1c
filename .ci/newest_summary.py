"""What .ci/newest found, in Markdown: versions, and the tests that fail.

Run by the Python of .venv-newest, whose versions it compares with the pins.
"""

import sys
from importlib import metadata
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parents[1]
FOUND = ROOT / "_build" / "newest"
SHOWN = 100  # names of failures in all; the log has the rest


def pins() -> dict[str, str]:
    """Versions of requirements.txt and requirements-dev.txt by package."""
    lines = [
        line.partition("#")[0].strip()
        for name in ("requirements.txt", "requirements-dev.txt")
        for line in (ROOT / name).read_text(encoding="utf-8").splitlines()
    ]
    return dict(line.split("==") for line in lines if line)


def versions() -> list[str]:
    """A row for each package that is not the pinned one."""
    rows = []
    for name, pinned in pins().items():
        try:
            here = metadata.version(name)
        except metadata.PackageNotFoundError:
            here = "not installed"
        if here.split("+")[0] != pinned:
            rows.append(f"| {name} | {pinned} | {here} |")
    return rows


def failures(path: Path) -> tuple[int, list[str]]:
    """How many tests a report of pytest has, and the names of those that fail."""
    cases = list(ElementTree.parse(path).iter("testcase"))
    wrong = [
        f"{case.get('classname')}: {case.get('name')}"
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    ]
    return len(cases), wrong


def summary(found: Path = FOUND) -> str:
    """The whole text."""
    rows = versions()
    lines = ["## The newest versions", ""]
    if rows:
        lines += ["| package | pinned | newest |", "|---|---|---|", *rows]
    else:
        lines.append("All are those that are pinned.")
    for title, name in (("Unit tests", "unit"), ("Chapters", "notebooks")):
        lines += ["", f"## {title}", ""]
        path = found / f"{name}.xml"
        if not path.exists():
            lines.append("They did not come to an end; the log says why.")
            continue
        count, wrong = failures(path)
        lines.append(f"{len(wrong)} of {count} fail.")
        lines += ["", *(f"- `{case}`" for case in wrong[:SHOWN])]
        if len(wrong) > SHOWN:
            lines.append(f"- and {len(wrong) - SHOWN} more")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.reconfigure(encoding="utf-8")
    print(summary(), end="")
