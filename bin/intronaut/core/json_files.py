"""JSON files that tools hand on: read with every fault as one line that names the file."""

import json
from pathlib import Path
from typing import Any

from intronaut.core.errors import BadData
from intronaut.core.files import require_file


class Record(dict):
    """An object of a JSON file, at any depth: a key that it lacks is refused by its name, and the file's."""

    def __init__(self, path: str | Path, pairs: list[tuple[str, object]]) -> None:
        super().__init__(pairs)
        self.path = path

    def __missing__(self, key: str) -> Any:
        raise BadData(f"{self.path}: no {key!r} where it is needed; make the file again")


def read_record(path: str | Path) -> Record:
    """The object that a JSON file holds. Raises as :func:`read_json`, and BadData for what is no object."""
    content = read_json(path)
    if not isinstance(content, Record):
        raise BadData(f"{path}: not a JSON object")
    return content


def read_json(path: str | Path) -> Any:
    """The content of a JSON file, its objects as Records. Raises MissingInput, and BadData for what is no JSON."""
    try:
        text = Path(require_file(path)).read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=lambda pairs: Record(path, pairs))
    except RecursionError:
        raise BadData(f"{path}: not of ours: too deeply nested") from None
    except ValueError as problem:
        raise BadData(f"{path}: not JSON: {problem}") from problem
