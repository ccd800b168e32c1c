"""Rows of a data set: train.jsonl and test.jsonl of a folder, or a name on the hub."""

import json
from pathlib import Path

SPLITS = ("train", "test")


def read(name, keys):
    """{"train": rows, "test": rows}, dicts with at least these keys.

    Args:
        name: a folder; else a data set of huggingface.co such as "openai/gsm8k", whose
            configuration "main" has a Parquet file for each split.
        keys: what each row must have.
    Raises: FileNotFoundError; ValueError for a line that is no such row.
    """
    found = {}
    for split in SPLITS:
        if Path(name).is_dir():
            path = Path(name) / f"{split}.jsonl"
            found[split] = list(_lines(path))
        else:
            path = _download(str(name), split)
            import pandas  # here: it needs pyarrow for such a file

            found[split] = pandas.read_parquet(path).to_dict("records")
        for number, row in enumerate(found[split], start=1):
            if not isinstance(row, dict) or not row.keys() >= set(keys):
                wanted = f"expected an object with {', '.join(keys)}"
                raise ValueError(f"data: {wanted} in row {number} of {path}")
        if not found[split]:
            raise ValueError(f"data: expected rows in {path}, got none")
    return found


def _lines(path):
    """The values of a file with one JSON value a line."""
    if not path.is_file():
        raise FileNotFoundError(f"data: {path} does not exist; put the rows there")
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            yield json.loads(line)
        except json.JSONDecodeError as error:
            told = f"data: expected JSON in line {number} of {path}, got {line[:40]!r}"
            raise ValueError(told) from error


def _download(name, split):
    """The path of a split's Parquet file, fetched once."""
    import huggingface_hub

    file = f"main/{split}-00000-of-00001.parquet"
    try:
        return huggingface_hub.hf_hub_download(name, file, repo_type="dataset")
    except Exception as error:  # the hub and its HTTP client: no narrower
        told = f"there is no folder {name}, and {file} of it could not be downloaded"
        hint = "put train.jsonl and test.jsonl into a folder and name that"
        raise FileNotFoundError(f"data: {told}; {hint}") from error
