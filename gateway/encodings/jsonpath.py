"""Numbers at paths of a JSON text."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

Path = tuple[str | int, ...]
_NOTHING = object()


@dataclass(frozen=True, slots=True)
class At:
    """`absent`: what a missing last key means, where senders leave out zeros (protobuf's JSON)."""

    path: Path = ()
    absent: float | None = None


@dataclass(frozen=True, slots=True)
class Parsed:
    document: Any


def opened(frame: object, raw: Any) -> Parsed | None:
    try:
        return Parsed(json.loads(raw)) if isinstance(raw, bytes) else None
    except (ValueError, RecursionError):
        return None


def number(at: At, parsed: Parsed) -> float | str | None:
    """The number; true is 1 and false 0 where a text would mean one (`words`), so they come as their words."""
    found = parsed.document
    for i, step in enumerate(at.path):
        try:
            found = found[step]
        except (KeyError, IndexError, TypeError):
            left_out = i == len(at.path) - 1 and isinstance(found, dict) and step not in found
            return at.absent if left_out else None
    if isinstance(found, bool):
        return "true" if found else "false"
    if found is None:
        return "null"
    if isinstance(found, str):
        return found
    if not isinstance(found, (int, float)):
        return None
    try:
        return float(found)
    except OverflowError:
        return None


def assembled(frame: object, found: Iterable[tuple[At, float | str]]) -> bytes:
    document: Any = None
    for at, value in found:
        document = _with(document, at.path, value)
    return json.dumps({} if document is None else document).encode()


def _with(document: Any, path: Path, value: float | str) -> Any:
    """The JSON document with the value at the path; what is missing on the way is made, a list where a step is an
    index."""
    if not path:
        return value
    step, rest = path[0], path[1:]
    if isinstance(step, int):
        items = [] if document is None else list(document)
        items += [None] * (step + 1 - len(items))
        items[step] = _with(items[step], rest, value)
        return items
    fields = {} if document is None else dict(document)
    fields[step] = _with(fields.get(step), rest, value)
    return fields
