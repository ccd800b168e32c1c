"""Run all benchmarks, write results.json and the book's page: `make bench`.

Each measurement has a process of its own, so that it imports only what it
needs; the two sides of a ratio take turns within one process.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

from tests.benchmarks import page
from tests.benchmarks.measure import THREADS, entry

RESULTS = Path(__file__).parent / "results.json"
SCRIPTS = (
    "roofline",
    "sampling pytorch",
    "sampling tensorflow",
    "grpo_step pytorch",
    "grpo_step tensorflow",
    "growth pytorch",
    "growth tensorflow",
    "autocast",
    "profiles",
)
LIBRARIES = ("torch", "tensorflow", "transformers", "keras-hub", "trl", "numpy")


def main():
    """Measure all, write the files, print the table of the targets."""
    start, entries = time.perf_counter(), []
    for script in SCRIPTS:
        entries += run(script)
    entries += run("sampling pytorch", OMP_WAIT_POLICY="passive")
    entries += memory()
    results = {"machine": machine(), "entries": entries}
    RESULTS.write_text(json.dumps(results, indent=1) + "\n", "utf-8")
    page.write(results)
    print(page.summary(entries))
    print(f"{(time.perf_counter() - start) / 60:.1f} minutes")


def run(script, **setting):
    """What a script reports, run in a process of its own.

    OpenMP's threads wait as they do by default, whatever `make` says, unless
    `setting` says otherwise.
    """
    name, *side = script.split()
    print("benchmark:", script, *setting.values(), flush=True)
    environment = (
        {
            name: value
            for name, value in os.environ.items()
            if name not in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
        }
        | {
            "OMP_NUM_THREADS": str(THREADS),
            "TF_CPP_MIN_LOG_LEVEL": "3",
            "TF_NUM_INTRAOP_THREADS": str(THREADS),
            "CUDA_VISIBLE_DEVICES": "",
            "HF_HUB_OFFLINE": "1",
            "KERAS_BACKEND": "tensorflow",
        }
        | setting
    )
    done = subprocess.run(
        [sys.executable, "-m", f"tests.benchmarks.{name}", *side],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        cwd=RESULTS.parents[2],
    )
    if done.returncode:
        raise RuntimeError(f"{script}: {done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def memory(rounds=3):
    """Entries of the peak of memory and of TensorFlow's first step."""
    sides = ("pytorch", "trl", "trl-default", "tensorflow")
    found = {side: [] for side in sides}
    for _ in range(rounds):
        for side in sides:
            found[side].append(run(f"memory {side}"))

    def column(side, key):
        return [kept[key] for kept in found[side]]

    entries = [
        entry(
            "value",
            column("tensorflow", "first"),
            target=12,
            what="first step",
            framework="tensorflow",
        )
    ]
    for key in ("peak", "imported"):
        for ours in ("pytorch", "tensorflow"):
            for theirs in ("trl", "trl-default"):
                target = (
                    0.6 if (key, ours, theirs) == ("peak", "pytorch", "trl") else None
                )
                entries.append(
                    entry(
                        "share",
                        column(ours, key),
                        column(theirs, key),
                        target,
                        "MiB",
                        what="memory",
                        at=key,
                        framework=ours,
                        against=theirs,
                    )
                )
    return entries


def machine():
    """The processor, memory and versions, nothing that names the machine."""
    cpu = platform.processor()
    info = Path("/proc/cpuinfo")
    if info.exists():
        lines = [line.split(":", 1) for line in info.read_text("utf-8").splitlines()]
        named = {k[0].strip(): k[1].strip() for k in lines if len(k) == 2}
        cpu = named.get("model name", cpu)
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "processor": cpu,
        "cores": os.cpu_count(),
        "threads": THREADS,
        "memory_gib": round(pages / 2**30),
        "system": platform.system(),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in LIBRARIES},
    }


if __name__ == "__main__":
    main()
