"""What the first cell of a chapter calls on Colab: do the packages fit?

The chapters' outputs were made with the versions in `requirements.txt`;
`requirements-colab.txt` holds the oldest ones that were tried.
"""

from importlib import metadata
from pathlib import Path

from packaging.version import InvalidVersion, Version

ROOT = Path(__file__).resolve().parents[1]
END = "# The site and the notebooks"  # what stands behind is not for Colab


def pins(name, end=None):
    """Pinned packages and their versions in a file, up to the line `end`."""
    text = (ROOT / name).read_text(encoding="utf-8")
    if end is not None:
        text = text[: text.index(end)]
    lines = (line.partition("#")[0].strip() for line in text.splitlines())
    return dict(line.split("==") for line in lines if "==" in line)


def check():
    """Print a line for each package that is missing, broken, older or newer.

    A chapter goes on in any case: what lacks a package stops where that is
    imported.
    """
    made = pins("requirements.txt", END)
    oldest = pins("requirements-colab.txt")
    fit = []
    for name, newest in made.items():
        try:
            here = metadata.version(name)
            version = Version(Version(here).public)  # without the build, "+cpu"
        except metadata.PackageNotFoundError:
            print(f"{name}: missing; cells that need it will stop")
            continue
        except (InvalidVersion, TypeError):  # what an interrupted install leaves
            print(f"{name}: broken, its version is {here!r}; cells may stop")
            continue
        if name not in oldest:
            continue
        if version < Version(oldest[name]):
            print(
                f"{name} {here}: older than {oldest[name]}, the oldest "
                "version that was tried"
            )
        elif version > Version(newest):
            print(
                f"{name} {here}: newer than {newest}, the newest version that was tried"
            )
        else:
            fit.append(f"{name} {here}")
    print("fit:", ", ".join(fit) or "none")
    print(
        "The stored outputs come from",
        ", ".join(f"{name} {made[name]}" for name in oldest),
        "- with other versions, last digits and sampled texts may differ.",
    )
