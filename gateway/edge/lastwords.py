"""The last lines of the agent's log, for whoever asks from afar. Bounded; a log holds no secrets."""

from __future__ import annotations

import logging
from collections import deque

LINES, LENGTH = 60, 300


class LastWords(logging.Handler):
    """Keeps the newest lines."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%dT%H:%M:%S%z"))
        self._lines: deque[str] = deque(maxlen=LINES)

    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record)[:LENGTH])

    def lines(self) -> list[str]:
        return list(self._lines)
