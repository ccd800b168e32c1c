"""Run the tests on the mutants: `python -m tests.mutants.run [--sample N] [FILE ...]`.

The frameworks are imported once.  Each mutant is a fork in which the mutated files take
the place of the modules, and pytest stops at the first test that fails.  A mutant is
killed when a test fails or its time is over.  One that survives must stand in
survivors.toml, with the reason why no test sees it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import resource
import sys
import tempfile
import time
from collections import Counter
from importlib.util import spec_from_file_location
from multiprocessing import get_context
from pathlib import Path

import hypothesis.extra.numpy
import jieba
import keras  # noqa: F401
import pytest
import torch  # noqa: F401
import transformers  # noqa: F401
from hypothesis import HealthCheck, Phase
from tqdm import tqdm

from tests.mutants.make import ROOT, TESTS, Mutant, mutants, survivors

KILLED = 0.95  # the least share
MEMORY = 8 * 2**30  # bytes for the data of a child
OPTIONS = "-qx --tb=no --assert=plain -pno:cacheprovider -pno:unraisableexception"
# The same examples in every run, and no time for the smallest one that fails.
hypothesis.settings.register_profile(
    "mutants",
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
hypothesis.settings.load_profile("mutants")
jieba.initialize()  # its dictionary, too, once
os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"


class Elsewhere:
    """Finds some modules in other files than their own."""

    def __init__(self, files: dict[str, Path]) -> None:
        self.files = files

    def find_spec(self, name, path=None, target=None):
        found = name in self.files
        return spec_from_file_location(name, self.files[name]) if found else None


def tested(module: str, files: dict[str, Path], seconds: int) -> tuple[bool, float]:
    """Whether the tests pass with these files as modules, and their seconds."""
    child = os.fork()
    if child == 0:
        try:
            resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
            resource.setrlimit(resource.RLIMIT_DATA, (MEMORY, MEMORY))
            nowhere = os.open(os.devnull, os.O_RDWR)
            for stream in range(3):
                os.dup2(nowhere, stream)
            sys.meta_path.insert(0, Elsewhere(files))
            paths = [f"{ROOT}/tests/{name}.py" for name in TESTS[module]]
            code = pytest.main(OPTIONS.split() + paths)
            os._exit(int(code))
        finally:
            os._exit(1)
    _, status, usage = os.wait4(child, 0)
    return status == 0, usage.ru_utime + usage.ru_stime


def limit(module: str) -> int:
    """Seconds of the processor for a mutant; the tests must pass without one."""
    passed, seconds = tested(module, {}, 3600)
    if not passed:
        raise RuntimeError(f"{module}: the tests fail without a mistake")
    return int(20 + 5 * seconds)


def survives(mutant: Mutant, seconds: int) -> bool:
    """Whether all tests pass in spite of the mistake."""
    with tempfile.TemporaryDirectory() as folder:
        files = {}
        for i, (path, text) in enumerate(mutant.texts().items()):
            name = path.removeprefix("book/").removesuffix(".py").replace("/", ".")
            files[name] = Path(folder, f"{i}.py")
            files[name].write_text(text, "utf-8")
        return tested(mutant.module, files, seconds)[0]


def sample(size: int, known: list) -> list[Mutant]:
    """So many mutants, always the same, none of which may survive."""
    ranked = sorted(mutants(), key=lambda mutant: mutant.rank)
    killed = (mutant for mutant in ranked if mutant.entry() not in known)
    chosen = [mutant for mutant, _ in zip(killed, range(size))]
    return sorted(chosen, key=lambda mutant: mutant.module)


def main() -> int:
    """0 unless a mutant survives without a reason, or too many do."""
    parser = argparse.ArgumentParser()
    parser.add_argument("files", nargs="*", help="of core or book; all if none")
    parser.add_argument("--sample", type=int, help="only so many, which must die")
    parser.add_argument("--jobs", type=int, default=1, help="side by side")
    options, begun = parser.parse_args(), time.monotonic()
    known = [row for row, _ in survivors()]
    chosen = sample(options.sample, known) if options.sample else mutants()
    chosen = [m for m in chosen if not options.files or m.module in options.files]
    counts, alive = Counter(m.module for m in chosen), []
    gc.freeze()  # no child looks through the frameworks for what is no longer used
    with get_context("fork").Pool(options.jobs) as pool:
        # Of a sample one file is a control: the rest has just passed or soon will.
        controls = list(TESTS)[:1] if options.sample else list(counts)
        limits = dict(zip(controls, pool.map(limit, controls)))
        waiting = [
            pool.apply_async(survives, (m, limits.get(m.module, 60))) for m in chosen
        ]
        for mutant, result in zip(tqdm(chosen), waiting):
            if result.get():
                alive.append(mutant)
                if mutant.entry() not in known:
                    rows = (f"{k} = {json.dumps(v)}" for k, v in mutant.entry().items())
                    print("[[survivor]]", *rows, 'reason = ""\n', sep="\n", flush=True)
    left = Counter(m.module for m in alive)
    for module, count in counts.items():
        print(f"{module}: {count} mutants, {count - left[module]} killed")
    share = 1 - len(alive) / len(chosen)
    seconds = time.monotonic() - begun
    print(f"{share:.1%} of {len(chosen)} mutants killed in {seconds:.0f} s")
    unknown = [m for m in alive if m.entry() not in known]
    return int(bool(unknown) or share < KILLED)


if __name__ == "__main__":
    sys.exit(main())
