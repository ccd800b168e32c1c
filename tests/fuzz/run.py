"""`make fuzz`: many examples of each replacement, a table and what is wrong."""

from __future__ import annotations

import argparse
import sys

import core.quiet  # noqa: F401  before the frameworks
from tests.fuzz.judge import differences, examine, findings, report, table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=100, help="of each strategy")
    parser.add_argument("--only", default="", help="calls whose name contains this")
    options = parser.parse_args()
    outcomes = []
    calls, missing = table()
    for call in calls.values():
        if options.only in call.name:
            examples = min(options.examples, 3) if call.slow else options.examples
            outcomes += examine(call, examples, derandomize=False)
    wrong = findings(outcomes) + differences(outcomes)
    wrong += [f"no kind: {name}" for name in missing]
    print(*report(outcomes), *wrong, sep="\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
