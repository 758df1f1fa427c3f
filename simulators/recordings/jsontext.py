"""JSON of recordings: parsed as it is, with the line on which something stands."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path
from typing import Any

from .rows import RecordingError


class Document:
    """One JSON value of a file. `first` is the line on which its text begins."""

    def __init__(self, path: Path, text: str, first: int = 1) -> None:
        self.path, self._text, self._first = path, text, first
        try:
            self.value: Any = json.loads(text)
        except json.JSONDecodeError as e:
            raise RecordingError(path, first + e.lineno - 1, f"not JSON: {e.msg}") from e

    def lines(self, key: str) -> list[int]:
        """The line of each time that the key stands in the text, in its order."""
        places = (m.start() for m in re.finditer(rf'"{re.escape(key)}"\s*:', self._text))
        out, line, done = [], self._first, 0
        for place in places:
            line += self._text.count("\n", done, place)
            done = place
            out.append(line)
        return out

    def wrong(self, line: int, message: str) -> RecordingError:
        return RecordingError(self.path, line, message)

    def get(self, holder: Any, key: str, kind: type | tuple[type, ...], line: int) -> Any:
        """A member of an object. Raises RecordingError where it is absent or of another kind."""
        if not isinstance(holder, dict) or key not in holder:
            raise self.wrong(line, f"'{key}' is missing")
        found = holder[key]
        if not isinstance(found, kind) or isinstance(found, bool):
            raise self.wrong(line, f"'{key}': {json.dumps(found, ensure_ascii=False)[:60]} is of the wrong kind")
        return found


def is_one(head: bytes) -> bool:
    """Whether a file that begins so is JSON."""
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")


def moment_ms(text: str) -> int:
    """UTC milliseconds of an ISO time with its zone. Raises ValueError."""
    found = datetime.fromisoformat(text)
    if found.tzinfo is None:
        raise ValueError("it has no zone")
    return round(found.timestamp() * 1000)
