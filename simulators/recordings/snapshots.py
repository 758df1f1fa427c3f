"""Snapshots of a national list of crisis-management gauges (k.river.go.jp's shape): `generatedAt`, and `items` with the
newest value of each gauge, when it was measured, and the gauge's own levels. A file of one, a file with one on each
line, or a folder of files; they come back in the order of their times.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .jsontext import Document, is_one, moment_ms
from .rows import Item, RecordingError, Snapshot

_CLAIMS_FLOOD = 100  # `over` from here on
_NUMBER = (int, float)


def are_snapshots(path: Path) -> bool:
    """Whether a path is of these: a folder, or a file that begins like one. Raises OSError."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        head = file.read(65_536)
    return is_one(head) and b'"generatedAt"' in head


def read(path: Path) -> tuple[Snapshot, ...]:
    """At least one. Raises RecordingError, or OSError where a file cannot be read."""
    files = sorted(x for x in path.iterdir() if x.suffix in (".json", ".jsonl")) if path.is_dir() else [path]
    found = sorted((s for file in files for s in _of_file(file)), key=lambda s: s.shown_ms)
    if not found:
        raise RecordingError(path, 1, "there is no snapshot here")
    return tuple(found)


def _of_file(path: Path) -> Iterator[Snapshot]:
    text = path.read_text(encoding="utf-8-sig")
    first, _, rest = text.lstrip().partition("\n")
    if path.suffix == ".jsonl" or (first.rstrip().endswith("}") and rest.lstrip().startswith("{")):
        for line, one in enumerate(text.splitlines(), 1):
            if one.strip():
                yield _snapshot(Document(path, one, line), line)
        return
    document = Document(path, text)
    if isinstance(document.value, list):
        raise RecordingError(path, 1, "a list: write one snapshot on each line instead")
    yield _snapshot(document, 1)


def _snapshot(document: Document, first: int) -> Snapshot:
    head = document.value
    when = document.get(head, "generatedAt", str, first)
    items = document.get(head, "items", list, first)
    lines = document.lines("code")
    found = [_item(document, item, lines[i] if i < len(lines) else first) for i, item in enumerate(items)]
    kept = tuple(item for item in found if item is not None)
    return Snapshot(document.path, _moment(document, when, first), kept, len(found) - len(kept))


def _item(document: Document, item: Any, line: int) -> Item | None:
    """None for a gauge without a value."""
    code = str(document.get(item, "code", (str, int), line))
    if item.get("level") is None or item.get("obsTime") is None:
        return None
    at_ms = _moment(document, document.get(item, "obsTime", str, line), line)
    value = float(document.get(item, "level", _NUMBER, line))
    start, warn, overflow = (_level(document, item, key, line) for key in ("startLevel", "warnLevel", "fladLevel"))
    claims = _level(document, item, "over", line)
    flood = claims is not None and claims >= _CLAIMS_FLOOD
    return Item(code, str(item.get("name", code)), at_ms, value, start, warn, overflow, flood, line)


def _level(document: Document, item: Any, key: str, line: int) -> float | None:
    return None if item.get(key) is None else float(document.get(item, key, _NUMBER, line))


def _moment(document: Document, text: str, line: int) -> int:
    try:
        return moment_ms(text)
    except ValueError as e:
        raise document.wrong(line, f"{text!r} is not a time ({e})") from e
