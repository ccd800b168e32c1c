"""What the scripts of this folder share: arguments, a training that resumes, a record.

A script is called in the folder `book`, as `python -m real.reviews`.  What it leaves in
the folder --out: NAME.checkpoint, from which the same command goes on; NAME.run.json,
what that run was asked for; NAME_DATE.json, the record that a chapter prints.
"""

import argparse
import json
import os
import platform
import sys
import time
from datetime import UTC, datetime
from importlib import import_module
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

FOLDER = Path(__file__).with_name("runs")  # where the chapters look
PACKAGES = ("torch", "tensorflow", "transformers", "peft", "numpy")
DTYPES = ("float32", "bfloat16", "float64")
# What may differ where a run goes on.
FREE = ("out", "every", "device")


def parser(description, model, **defaults):
    """The arguments that all scripts have: model, steps, batch, rate, length."""
    made = argparse.ArgumentParser(
        description=description, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add = made.add_argument
    add("--model", default=model, help="directory, or name on huggingface.co")
    add("--framework", default="pt", choices=("pt", "tf"), help="PyTorch, TensorFlow")
    add("--device", default="cpu", help="cpu, cuda, cuda:1, mps")
    add("--dtype", default="float32", choices=DTYPES, help="of the weights")
    add("--steps", type=int, default=defaults["steps"])
    add("--batch", type=int, default=defaults["batch"], help="texts of a step")
    add("--rate", type=float, default=defaults["rate"], help="learning rate")
    add("--length", type=int, default=defaults["length"], help="tokens, at most")
    add("--seed", type=int, default=0)
    add("--every", type=int, default=20, help="steps between two checkpoints")
    add("--out", type=Path, default=FOLDER, help="folder of checkpoint and record")
    return made


def half(args, name):
    """A module of `core.pt` or `core.tf`."""
    return import_module(f"core.{args.framework}.{name}")


def check_device(args):
    """ValueError where the device is not there, or lacks the dtype."""
    kind = args.device.partition(":")[0]
    if kind not in ("cpu", "cuda", "mps"):
        raise ValueError(f"device: expected cpu, cuda or mps, got {args.device}")
    if args.framework == "tf":
        _check_tensorflow(args, kind)
        return
    import torch

    count = {"cpu": 1, "cuda": torch.cuda.device_count()}
    count["mps"] = int(torch.backends.mps.is_available())
    number = args.device.partition(":")[2] or "0"
    if not number.isdecimal() or int(number) >= count[kind]:
        found = f"PyTorch sees {count[kind]} of this kind"
        raise ValueError(
            f"device: expected one that is there, got {args.device}: {found}"
        )
    lacks = kind == "mps" and args.dtype == "float64"
    lacks |= kind == "cuda" and args.dtype == "bfloat16" and not _has_bfloat16()
    if lacks:
        raise ValueError(f"dtype: {args.device} does not compute in {args.dtype}")


def _has_bfloat16():
    import torch

    return torch.cuda.is_bf16_supported(including_emulation=False)


def _check_tensorflow(args, kind):
    import tensorflow as tf

    found = tf.config.list_physical_devices("GPU")
    if kind != "cpu" and not found:
        told = f"got {args.device}: TensorFlow sees no GPU"
        raise ValueError(f"device: expected one that is there, {told}")
    if kind == "cpu" and found:
        tf.config.set_visible_devices([], "GPU")


def placed(args, model):
    """The model on its device; TensorFlow takes a GPU by itself."""
    return model.to(args.device) if args.framework == "pt" else model


class Run:
    """A training with its checkpoint; what it was asked for is kept beside it.

    Args:
        name: of the script.
        args: what its parser found.
    Raises: ValueError where a checkpoint is there that other arguments have made.
    """

    def __init__(self, name, args):
        self.name, self.args, out = name, args, args.out
        out.mkdir(parents=True, exist_ok=True)
        self.checkpoint, self.notes = (
            out / f"{name}.checkpoint",
            out / f"{name}.run.json",
        )
        self.asked = {key: str(value) for key, value in vars(args).items()}
        self.kept = {"arguments": self.asked}
        self.resumed = self.checkpoint.exists() and self.notes.exists()
        if self.resumed:
            self.kept = json.loads(self.notes.read_text("utf-8"))
            for key in self.asked.keys() - set(FREE):
                before = self.kept["arguments"].get(key)
                if before != self.asked[key]:
                    told = (
                        f"expected {before} as the run in {out}, got {self.asked[key]}"
                    )
                    hint = f"give another --out, or remove {self.checkpoint}"
                    raise ValueError(f"{key}: {told}; {hint}")

    def once(self, name, function):
        """What a function gave when the run began, also after it has been resumed."""
        if name not in self.kept:
            self.kept[name] = function()
            write(self.notes, self.kept)
        return self.kept[name]

    def train(self, trainer, *batches):
        """Take the steps that are left, with a checkpoint every few of them."""
        if self.resumed:
            trainer.load(self.checkpoint)
            print(f"goes on after {len(trainer.history)} steps: {self.checkpoint}")
        begun, before = time.perf_counter(), len(trainer.history)
        trainer.train(*batches, path=self.checkpoint, every=self.args.every)
        steps = len(trainer.history) - before
        seconds = time.perf_counter() - begun
        self.timed = {"steps": steps, "seconds": round(seconds, 2)}

    def finish(self, history, results):
        """Write the record; its path."""
        now = datetime.now(UTC).replace(microsecond=0)
        told = {
            "script": self.name,
            "date": now.isoformat(),
            "arguments": self.asked,
            "versions": versions(),
            "hardware": hardware(self.args),
            "timed": self.timed,
            "results": results,
            "history": history,
        }
        path = self.args.out / f"{self.name}_{now:%Y-%m-%dT%H-%M-%S}.json"
        write(path, told)
        print(f"record: {path}")
        return path


def versions():
    """Python's version and those of PACKAGES that are installed."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            pass
    return found


def hardware(args):
    """The device, its name and memory; the processor's kind and cores."""
    found = {"device": args.device, "machine": platform.machine()}
    found["cores"] = os.cpu_count()
    if args.framework == "pt" and args.device.startswith("cuda"):
        import torch

        found["name"] = torch.cuda.get_device_name(args.device)
        found["bytes_at_most"] = torch.cuda.max_memory_allocated(args.device)
    return found


def write(path, told):
    """JSON, whole or not at all."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(told, indent=1, ensure_ascii=False), encoding="utf-8")
    os.replace(new, path)


def latest(name, folder=FOLDER):
    """The newest record of a script as a dict, None where there is none."""
    paths = sorted(Path(folder).glob(f"{name}_????-??-??T??-??-??.json"))
    return json.loads(paths[-1].read_text("utf-8")) if paths else None


def call(main):
    """Run a script: a known error is one line, not a trace."""
    try:
        main()
    except (ValueError, FileNotFoundError, FloatingPointError) as error:
        sys.exit(f"{Path(sys.argv[0]).stem}: {error}")
