"""Processes that share one import of a framework, whose start is the cost of a test."""

import json
import os
import sys
import time
import traceback

LIMIT = 300  # seconds for the processes of one start, on a busy machine


def together(folder, name, function, environments):
    """A forked process for each environment calls `function`; waits for them.

    What each prints goes to "<name>.<number>.log", their exit codes to "<name>.json":
    -9 of one that was killed, or that took longer than LIMIT.
    """
    running = {}
    for rank, environment in enumerate(environments):
        log = folder / f"{name}.{rank}.log"
        process = os.fork()
        if process == 0:
            _child(log, function, environment)
        running[process] = rank
    codes, end = {}, time.monotonic() + LIMIT
    while running:
        process, status = os.waitpid(-1, os.WNOHANG)
        if process:
            codes[running.pop(process)] = os.waitstatus_to_exitcode(status)
        elif time.monotonic() > end:
            for process in running:
                os.kill(process, 9)
        time.sleep(0.05)
    ordered = [codes[rank] for rank in range(len(codes))]
    (folder / f"{name}.json").write_text(json.dumps(ordered), "utf-8")


def _child(log, function, environment):
    code = 1
    try:
        with log.open("w") as file:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
        os.environ |= environment
        function()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def logs(folder, name):
    """What each process of a start has printed, and its exit code."""
    codes = json.loads((folder / f"{name}.json").read_text("utf-8"))
    paths = [folder / f"{name}.{rank}.log" for rank in range(len(codes))]
    return [
        (path.read_text("utf-8", "replace"), code) for path, code in zip(paths, codes)
    ]
